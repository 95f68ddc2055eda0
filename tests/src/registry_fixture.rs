//! Fixture for registries: a publisher's images as files, which a web server serves under the paths of a registry.

use crate::cli::{Output, run};
use crate::gpg::Gpg;
use crate::host::Host;
use crate::sandbox::Sandbox;
use crate::toy::Toy;
use crate::webserver::FaultyServer;
use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use ostree_go_sdk::Arch;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::Command;

/// Name of the repository in the registry.
pub const NAME: &str = "acme/go-sdk";

/// A publisher with a key, a server with gzip-compressed images, and a host that trusts the key.
#[derive(Debug)]
pub struct RegistryFixture {
    /// Composes toy SDKs.
    pub publisher: Host,
    /// Sandbox with the host's repository and root directory.
    pub host: Sandbox,
    /// Keys of the publisher.
    pub gpg: Gpg,
    /// Fingerprint of the current key.
    pub key: String,
    /// Server for the images.
    pub server: FaultyServer,
}

impl Default for RegistryFixture {
    fn default() -> Self {
        Self::new()
    }
}

impl RegistryFixture {
    /// Creates a registry with the toy SDK 1.99.1 under the tags `1.99.1` and `1.99`, and a host with the remote
    /// `acme`.
    ///
    /// # Panics
    ///
    /// Panics if one of the tools fails.
    pub fn new() -> Self {
        let (publisher, host, gpg) = (Host::new(), Sandbox::new(), Gpg::new());
        let key = gpg.key("publisher");
        host.run(["init", "--mode", "bare-user"]).ok();
        let www = publisher.sandbox.path("www");
        fs::create_dir_all(&www).expect("a folder to serve");
        let server = FaultyServer::serving(&www);
        let fixture = Self {
            publisher,
            host,
            gpg,
            key,
            server,
        };
        fixture.release("1.99.1", 1_770_000_000, |toy| toy);
        let keys = fixture.gpg.export(&fixture.key);
        let keys = keys.to_str().expect("UTF-8");
        let url = fixture.url();
        let add = ["remote", "add", "acme", &url, "--gpg-import", keys];
        fixture.host.run(add).ok();
        fixture
    }

    /// Returns the URL of the remote.
    pub fn url(&self) -> String {
        format!("oci+{}/{NAME}", self.server.url())
    }

    /// Composes a toy SDK with changes, and publishes it under its version and under `1.99`.
    pub fn release(&self, version: &str, seconds: u64, change: impl Fn(Toy) -> Toy) {
        self.release_by(Some(&self.key), version, seconds, change);
    }

    /// Works like [`RegistryFixture::release`], signed by another key or by none.
    pub fn release_by(
        &self,
        key: Option<&str>,
        version: &str,
        seconds: u64,
        change: impl Fn(Toy) -> Toy,
    ) {
        self.publisher.release_of(version, seconds, change);
        let home = self.gpg.home().to_str().expect("UTF-8").to_owned();
        for name in [version, "1.99"] {
            for arch in Arch::ALL {
                let full = format!("go-sdk/{arch}/{name}");
                if let Some(key) = key {
                    let sign = ["sign", &full, "--gpg-sign", key, "--gpg-homedir", &home];
                    self.publisher.run(sign).ok();
                }
            }
            self.show(name);
        }
    }

    /// Exports a version or channel, and publishes it under its tag.
    pub fn show(&self, tag: &str) {
        let layout = format!("oci:layout:{tag}");
        let export = ["export", "oci", tag, &layout, "--compression", "gzip"];
        self.publisher.run(export).ok();
        let layout = self.layout();
        let blobs = self.folder("blobs");
        for entry in fs::read_dir(layout.join("blobs/sha256")).expect("blobs") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy();
            let bytes = fs::read(&path).expect("a blob");
            if bytes.starts_with(b"{") {
                let place = self.folder("manifests").join(format!("sha256:{name}"));
                fs::write(place, &bytes).expect("a manifest");
            }
            fs::write(blobs.join(format!("sha256:{name}")), bytes).expect("a blob");
        }
        let index = fs::read(layout.join("index.json")).expect("an index");
        let index: Value = serde_json::from_slice(&index).expect("JSON");
        let all = index["manifests"].as_array().expect("manifests");
        let tagged = |entry: &&Value| {
            entry["annotations"]["org.opencontainers.image.ref.name"].as_str() == Some(tag)
        };
        let digest = all.iter().find(tagged).expect("the tag")["digest"].as_str();
        self.point(tag, digest.expect("a digest"));
    }

    /// Returns the OCI layout into which images are exported.
    pub fn layout(&self) -> PathBuf {
        self.publisher.sandbox.path("layout")
    }

    fn folder(&self, kind: &str) -> PathBuf {
        let path = self
            .publisher
            .sandbox
            .path(&format!("www/v2/{NAME}/{kind}"));
        fs::create_dir_all(&path).expect("a folder");
        path
    }

    /// Points a tag to a manifest or index.
    pub fn point(&self, tag: &str, digest: &str) {
        let folder = self.folder("manifests");
        fs::copy(folder.join(digest), folder.join(tag)).expect("a tag");
    }

    /// Returns the digest of the document that a tag names.
    pub fn digest(&self, tag: &str) -> String {
        digest(&fs::read(self.folder("manifests").join(tag)).expect("a tag"))
    }

    /// Returns the document that a tag or digest names.
    pub fn document(&self, name: &str) -> Value {
        let bytes = fs::read(self.folder("manifests").join(name)).expect("a document");
        serde_json::from_slice(&bytes).expect("JSON")
    }

    /// Stores a document and returns its digest.
    pub fn put(&self, document: &Value) -> String {
        let bytes = serde_json::to_vec(document).expect("JSON");
        let digest = digest(&bytes);
        fs::write(self.folder("manifests").join(&digest), bytes).expect("a document");
        digest
    }

    /// Returns the manifest for x86_64 in the index that a tag names.
    pub fn manifest(&self, tag: &str) -> Value {
        let top = self.document(tag);
        let amd64 = |entry: &&Value| entry["platform"]["architecture"] == "amd64";
        let all = top["manifests"].as_array().expect("an index");
        let digest = all.iter().find(amd64).expect("amd64")["digest"].as_str();
        self.document(digest.expect("a digest"))
    }

    /// Changes the manifest for x86_64, and points the tag to the result.
    pub fn edit(&self, tag: &str, change: impl FnOnce(&mut Value)) {
        let mut manifest = self.manifest(tag);
        change(&mut manifest);
        let digest = self.put(&manifest);
        self.point(tag, &digest);
    }

    /// Returns the uncompressed archive of a layer, given its tag and the layer's name.
    pub fn archive(&self, tag: &str, layer: &str) -> Vec<u8> {
        let manifest = self.manifest(tag);
        let layer = find(&manifest, layer);
        let digest = manifest["layers"][layer]["digest"]
            .as_str()
            .expect("a digest");
        let blob = fs::read(self.folder("blobs").join(digest)).expect("a blob");
        let mut archive = Vec::new();
        MultiGzDecoder::new(&*blob)
            .read_to_end(&mut archive)
            .expect("gzip");
        archive
    }

    /// Replaces the archive of a layer, as an attacker who controls the registry could.
    pub fn replace(&self, tag: &str, layer: &str, archive: &[u8]) {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(archive).expect("gzip");
        let blob = encoder.finish().expect("gzip");
        self.replace_blob(tag, layer, &blob, "gzip", archive.len());
    }

    /// Replaces the blob of a layer; `compression` is the end of its media type, `unpacked` the size of the archive in it.
    pub fn replace_blob(
        &self,
        tag: &str,
        layer: &str,
        blob: &[u8],
        compression: &str,
        unpacked: usize,
    ) {
        let digest = digest(blob);
        fs::write(self.folder("blobs").join(&digest), blob).expect("a blob");
        self.edit(tag, |manifest| {
            let index = find(manifest, layer);
            let layer = &mut manifest["layers"][index];
            layer["digest"] = digest.into();
            layer["size"] = blob.len().into();
            layer["mediaType"] =
                format!("application/vnd.oci.image.layer.v1.tar+{compression}").into();
            layer["annotations"]["io.github.ostree-go.layer.size"] = unpacked.to_string().into();
        });
    }

    /// Returns the digest of a layer's blob.
    pub fn blob(&self, tag: &str, layer: &str) -> String {
        let manifest = self.manifest(tag);
        let index = find(&manifest, layer);
        let digest = manifest["layers"][index]["digest"].as_str();
        digest.expect("a digest").to_owned()
    }

    /// Runs `ostree-go pull` on the host, with one retry and a short timeout.
    pub fn pull(&self, args: &[&str]) -> Output {
        let all = [&["pull", "--retries", "1", "--stall-timeout", "2"], args].concat();
        self.host.run(all)
    }

    /// Returns the command for the host's root directory.
    pub fn on_root<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = self.host.ostree_go(args);
        command.env_remove("OSTREE_REPO");
        command.env("OSTREE_GO_ROOT", self.host.path("root"));
        command
    }

    /// Runs the command for the host's root directory.
    #[track_caller]
    pub fn root<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Output {
        run(&mut self.on_root(args))
    }

    /// Adds the remote `acme` to the host's root directory.
    #[track_caller]
    pub fn root_remote(&self) {
        let keys = self.gpg.export(&self.key);
        let keys = keys.to_str().expect("UTF-8").to_owned();
        let add = ["remote", "add", "acme", &self.url(), "--gpg-import", &keys];
        self.root(add).ok();
    }

    /// Returns the names of a tag's layers that were requested since the last reset of the server.
    pub fn fetched(&self, tag: &str) -> Vec<String> {
        let manifest = self.manifest(tag);
        let requests = self.server.requests();
        let layers = manifest["layers"].as_array().expect("layers").iter();
        let asked = layers.filter(|layer| {
            let digest = layer["digest"].as_str().expect("a digest");
            requests.iter().any(|path| path.ends_with(digest))
        });
        let name = |layer: &Value| layer["annotations"]["io.github.ostree-go.layer"].clone();
        asked
            .map(|layer| name(layer).as_str().expect("a name").to_owned())
            .collect()
    }

    /// Replaces the parts of an error message that differ between runs.
    pub fn masked(&self, text: &str) -> String {
        let mut text = text.replace(&self.server.url(), "http://HOST");
        text = text.replace(self.server.url().trim_start_matches("http://"), "HOST");
        let is_hex = |c: char| c.is_ascii_hexdigit();
        let mut masked = String::new();
        for word in text.split_inclusive(|c: char| !is_hex(c)) {
            let hex = word.trim_end_matches(|c| !is_hex(c));
            masked.push_str(match hex.len() {
                64 => "SUM",
                16 | 40 => "KEY",
                _ => hex,
            });
            masked.push_str(&word[hex.len()..]);
        }
        masked
    }
}

fn find(manifest: &Value, layer: &str) -> usize {
    let layers = manifest["layers"].as_array().expect("layers");
    let named = |entry: &Value| entry["annotations"]["io.github.ostree-go.layer"] == layer;
    layers.iter().position(named).expect("the layer")
}

/// Computes the digest in OCI's notation.
pub fn digest(bytes: &[u8]) -> String {
    let sum = Sha256::digest(bytes);
    let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}
