//! Writes the seed corpora of the fuzz targets into `fuzz/seeds`: valid inputs, made of toy SDKs by the command itself.
//!
//! Run by `make seeds`, after a format has changed or a target was added.

use std::fs;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use ostree_go_sdk::{Arch, fuzzing, glib};
use ostree_go_tests::cli::workspace;
use ostree_go_tests::host::Host;
use ostree_go_tests::pull_fixture::files;
use ostree_go_tests::toy::Toy;

/// Inputs that are written by hand: target, name, text.
const TEXTS: &[(&str, &str, &str)] = &[
    (
        "attestation",
        "statement",
        r#"{"_type":"https://in-toto.io/Statement/v1","predicate":{"a":1},"predicateType":"https://slsa.dev/provenance/v1","subject":[{"digest":{"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"name":"a"}]}"#,
    ),
    (
        "attestation",
        "envelope",
        r#"{"payload":"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJwcmVkaWNhdGUiOnsiYSI6MX0sInByZWRpY2F0ZVR5cGUiOiJodHRwczovL3Nsc2EuZGV2L3Byb3ZlbmFuY2UvdjEiLCJzdWJqZWN0IjpbeyJkaWdlc3QiOnsic2hhMjU2IjoiZTNiMGM0NDI5OGZjMWMxNDlhZmJmNGM4OTk2ZmI5MjQyN2FlNDFlNDY0OWI5MzRjYTQ5NTk5MWI3ODUyYjg1NSJ9LCJuYW1lIjoiYSJ9XX0=","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"","sig":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="}]}"#,
    ),
    (
        "authfile",
        "podman",
        r#"{"auths": {"registry.example": {"auth": "dXNlcjpwYXNzd29yZA=="}, "registry.example/team": {"identitytoken": "t"}}}"#,
    ),
    (
        "authfile",
        "docker",
        r#"{"auths": {"https://index.docker.io/v1/": {}}, "credHelpers": {"registry.example": "ecr"}, "credsStore": "pass"}"#,
    ),
    (
        "credentials",
        "helper",
        r#"{"ServerURL": "registry.example", "Username": "user", "Secret": "password"}"#,
    ),
    (
        "credentials",
        "token",
        r#"{"Username": "<token>", "Secret": "t"}"#,
    ),
    ("credentials", "encoded", "dXNlcjpwYXNzd29yZA=="),
    (
        "cacheprog",
        "build",
        "{\"ID\":1,\"Command\":\"get\",\"ActionID\":\"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\"}\n\n{\"ID\":2,\"Command\":\"put\",\"ActionID\":\"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\",\"OutputID\":\"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\",\"BodySize\":4}\n\n\"Ym9keQ==\"\n{\"ID\":3,\"Command\":\"close\"}\n\n",
    ),
    (
        "log_proof",
        "release",
        "c2sp.org/tlog-proof@v1\nextra Z29sYW5nLm9yZy90b29sY2hhaW4gdjAuMC4xLWdvMS4yNi41LmxpbnV4LWFtZDY0IGgxOi95Q003cVZRdTZzWVlVZXdRMzlydFR0Uk1ZTUhkYlA5b05qZ3ArbEVWOXc9CmdvbGFuZy5vcmcvdG9vbGNoYWluIHYwLjAuMS1nbzEuMjYuNS5saW51eC1hbWQ2NC9nby5tb2QgaDE6OHdsZzY4TnF3VzdlTW5JMWFBQmsvQzJwRFlYajhtck1ZNFR5UmZpTGVTMD0K\nindex 56957498\nn8qMi70T3jyfL4EjU8hFiHb2KL5xJ4UdRWMfGCABI3M=\nW/i+37/alVv90FnO2Isdhpoh5QRAXeyOvmN7exxx8eA=\nzFQm9O/aGbAtKPzxvmuBRMXO9062Ab5mxRhOcSnabsU=\n0hjA1Hng62i0HthJbVJMtPM+fRtQtlECLuR2JtzpzgA=\n3Bl0fzn4AY2Wr58tN2KxWUNQ6UeI2kBB8l+MbL42W+I=\nrhlbJ8p2cePXqV1OSp/mcSbmLCpVdjviWH7K07O+C3o=\nOXXOyl50oriE0LNBrwFn+BZyRkQWFvk1g+dO8GmuGwI=\niX80bhogp61r91wxorkY+b9nGQ8va3y3Z7E79UbFamg=\nSyvVn4BtC8ZF9JvNfiFe5dLHgy7vOXDntZS8XMsN75Y=\np/nphr0I1uO78lq8XGydyQI+k/Q1AvzQkTYcnmknap8=\n4TjUqX/0W1WKghQLFNo+MwcOWiaVBltUbCEysQxyVkI=\nkOYTk/zeHoBCLx7yRtc5gmAtS7r+keuuMfNhaJNo+jk=\nIj0mb/zPT+29HuBaac/i7QMhEjauXYFfmHm1gxT2VqI=\n24Qdh38FeIUEd5iJwsq00jnZw+t+Ya+wYIMTNQMhjss=\naNI8+BxZxABCPJun8qwdg+1tnTR/ipaEavlbYTLGduk=\n148kzgUUNFdl/if6uoBbseAyvsce67A/lYKGexLX+tM=\n0HvLtrU+MdZJeuMs73V3R56Kj6jYJ7oLTjuJ+CeJyDA=\nboFdmjuP2Jo97yVRki6M7Tb+gpbGG+kJZG7zE0j/DCY=\nuortfvSYjMZP8mNe8DC+OpE5Mm0E2pSZAgLq1nm/CFw=\nppI5njBEjEVTBq7wPMjq4sMSOjLKV8RfhsYeRLLuT+4=\nYY05LVzKQughIi3EhmHcB1AeE5E+p//0ihyMrDsuWvk=\nLgyRrxZo3S1S3sLhzKhejMSvW8vgH/dFb3g1Z6BBO4o=\nMdOpnRMfUoL32HLkVBWTCaT4Zo6BT5bFmNeOGpopF5o=\n87+6AT//PDIP1QbLhvK9RizLRoro639Cg22U+YfU7Io=\n/WnQtddEqG03mbcU1XID1iws1nlKHVkJcaREWknCOiE=\nxJ20xXM4QItt5vxFOtolZ5l18p7ej1+RimNkgWmoRFM=\n\ngo.sum database tree\n66393050\nHj8H0GmwlaYk6RersiH+w2hZWpSiODGR1uqVjAE7p30=\n\n— sum.golang.org Az3grhRMq1VXFDPeoICge4CrOaEPySE4jdUmPtMUaM7ExD2UjRFPpUWOvq27sueT3vRoQ4R0p7wcIDLvbvx5AZRkXgo=\n",
    ),
    (
        "recipe",
        "toy",
        r#"{"format":1,"options":{"metadata":{"com.example.key":"value"},"timestamp":1},"treefile":{"version":"1.99.1","arches":["x86_64"],"ref":"go-sdk/x86_64/1.99.1","layer-ref":"go-sdk/layer/${layer}/${checksum}","prefix":"/usr/lib/sdk/go-1.99","layers":{"common":{"noarch":true,"include":["VERSION","src"],"add-files":[],"go-env":{},"override":false},"site":{"noarch":false,"include":[],"add-files":[{"path":"/etc/a","from":true,"executable":false}],"go-env":{"GOTOOLCHAIN":"local"},"override":false}},"exclude":["api"],"links":{"/usr/bin/go":"/usr/lib/sdk/go-1.99/bin/go"},"add-commit-metadata":{},"pin":{"x86_64":{"h1":"h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w="}}}}"#,
    ),
    (
        "http_headers",
        "partial",
        "Content-Range: bytes 5-9/10\nContent-Length: 5\nETag: \"v1\"\n",
    ),
    (
        "http_headers",
        "busy",
        "Retry-After: 120\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\nLast-Modified: Wed, 21 Oct 2026 07:28:00 GMT\nETag: W/\"1\"\n",
    ),
    (
        "http_headers",
        "unauthorized",
        "WWW-Authenticate: Bearer realm=\"https://auth.example/token\",service=\"registry.example\"\n",
    ),
    (
        "challenge",
        "bearer",
        r#"Bearer realm="https://auth.example/token",service="registry.example",scope="repository:a:pull""#,
    ),
    ("challenge", "basic", r#"Basic realm="registry""#),
    (
        "version_file",
        "toy",
        "go1.99.1\ntime 2026-01-02T03:04:05Z\n",
    ),
    (
        "build_info",
        "lines",
        "path\texample.com/a\nmod\texample.com/a\tv1.0.0\th1:AAAA=\ndep\texample.com/b\tv1.0.0\n=>\t./b\t(devel)\t\nbuild\t-ldflags=\"-s -w\"\nbuild\tCGO_ENABLED=0\nbuild\tDefaultGODEBUG=madvdontneed=1\n",
    ),
    ("proxy", "list", "https://proxy.golang.org,direct|off"),
    ("proxy_policy", "policy", PROXY_POLICY),
    (
        "proxy_policy",
        "info",
        r#"{"Version":"v1.2.3","Time":"2026-01-01T00:00:00Z"}"#,
    ),
    (
        "proxy_policy",
        "statement",
        r#"{"payload":"eyJfdHlwZSI6Imh0dHBzOi8vaW4tdG90by5pby9TdGF0ZW1lbnQvdjEiLCJwcmVkaWNhdGVUeXBlIjoiaHR0cHM6Ly9leGFtcGxlLmNvbS9yZWxlYXNlIiwic3ViamVjdCI6W3siZGlnZXN0Ijp7ImRpckhhc2giOiIyYTFiYjYxMjdmYjQ4MWM2MGY2NzY5MmUyMjI4NWZiMzA2ZjNjNmZmZTYyMDc1ZTBjY2Y2NzRkN2MzYWRjYjhmIn0sIm5hbWUiOiJjb3JwLmV4YW1wbGUuY29tL2IvdjJAdjIuMC4wIn1dfQ==","payloadType":"application/vnd.in-toto+json","signatures":[{"keyid":"","sig":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="}]}"#,
    ),
    ("proxy_request", "list", "/example.com/!lib/@v/list"),
    ("proxy_request", "zip", "/example.com/lib/v2/@v/v2.0.0.zip"),
    (
        "proxy_request",
        "pseudo",
        "/example.com/lib/@v/v0.0.0-20260701212427-abcdef123456.mod",
    ),
    ("proxy_request", "latest", "/example.com/lib/@latest"),
    ("proxy_request", "query", "/example.com/lib/@v/master.info"),
    (
        "proxy_request",
        "lookup",
        "/sumdb/sum.golang.org/lookup/example.com/lib@v1.0.0",
    ),
    (
        "proxy_request",
        "tile",
        "/sumdb/sum.golang.org/tile/8/0/x259/347.p/218",
    ),
    ("tree_path", "link", "usr/bin/go../lib/go"),
    (
        "image_source",
        "registry",
        "docker://registry.example/team/go-sdk:1",
    ),
    ("image_source", "layout", "oci:/var/lib/image:tag"),
    (
        "modfile",
        "module",
        "// A module.\nmodule example.com/a\n\ngo 1.26.5\n\ntoolchain go1.26.5-acme1 // ours\n\nrequire (\n\t\"example.com/b\" v1.0.0 // indirect\n\texample.com/c v1.2.3\n)\n",
    ),
    (
        "modfile",
        "directives",
        "module example.com/a/v2\n\ngodebug default=go1.21\n\nexclude example.com/b v1.0.0\n\nreplace (\n\texample.com/b => ../b\n\texample.com/c v1.2.3 => example.com/d/v3 v3.0.0\n)\n\nretract [v2.0.0, v2.0.1] // broken\n\ntool example.com/c/cmd\n\nignore ./node_modules\n",
    ),
    (
        "go_sum",
        "two",
        "example.com/b v1.0.0 h1:w5fcysjrx7yqtD/aO+QwRjYZOKnaM9Uh2b40tElTs3Y=\nexample.com/b v1.0.0/go.mod h1:LzX7hefJvL54yjefDEDHNONDjII0t9xZLPXsUe+TKr0=\n",
    ),
    (
        "modules_txt",
        "workspace",
        "## workspace\n# example.com/b v1.0.0\n## explicit; go 1.21\nexample.com/b\nexample.com/b/c\n# example.com/d v1.2.3 => ../d\n## explicit\nexample.com/d\n# example.com/d => ../d\n",
    ),
    (
        "pkcs11_uri",
        "token",
        "pkcs11:token=Acme%20signing;object=release;id=%01?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/pin",
    ),
    ("key_transitions", "file", KEY_TRANSITIONS),
    (
        "modfile",
        "workspace",
        "go 1.26\n\nuse (\n\t./a\n\t\"./b c\"\n)\n\nreplace example.com/b => ../b\n",
    ),
    (
        "osv",
        "entry",
        r#"{"schema_version":"1.3.1","id":"GO-2026-0001","modified":"2026-01-02T03:04:05Z","published":"2026-01-01T00:00:00Z","aliases":["CVE-2026-1"],"summary":"A problem","details":"Much text.","affected":[{"package":{"name":"stdlib","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.20.7"},{"introduced":"1.26.0-0"},{"fixed":"1.26.6"},{"introduced":"1.27.0-rc.1"},{"last_affected":"1.27.0"}]}],"versions":["1.99.1"],"ecosystem_specific":{"imports":[{"path":"net/http","symbols":["Get"],"goos":["linux"],"goarch":["amd64"]}]}},{"package":{"name":"toolchain","ecosystem":"Go"},"ranges":[{"type":"SEMVER","events":[{"introduced":"1.20.0"},{"limit":"1.20.2"}]}]}],"references":[{"type":"FIX","url":"https://go.dev/cl/1"}],"database_specific":{"url":"https://pkg.go.dev/vuln/GO-2026-0001","review_status":"REVIEWED"}}"#,
    ),
    (
        "osv",
        "modules",
        r#"[{"path":"stdlib","vulns":[{"id":"GO-2026-0001","modified":"2026-01-02T03:04:05Z","fixed":"1.27.0-rc.2"}]},{"path":"toolchain","vulns":[{"id":"GO-2026-0001","modified":"2026-01-02T03:04:05Z"}]}]"#,
    ),
    ("version_manager", "go-version", "# ours\ngo1.26.5\n"),
    (
        "version_manager",
        "tool-versions",
        "nodejs 22.1.0\ngolang 1.26.5 1.25.1\n",
    ),
    (
        "version_manager",
        "mise",
        "[tools]\nnode = \"22\"\ngo = { version = \"prefix:1.26\" }\n",
    ),
];

/// A file with a statement of each kind of key. The signatures are not verified by the parser.
const KEY_TRANSITIONS: &str = r#"{"transitions":[
{"statement":"{\"type\":\"ostree-go-key-transition/v1\",\"sequence\":1,\"repositories\":[\"https://sdk.example.com/repo\"],\"created\":\"2026-05-28T20:26:40Z\",\"expires\":\"2027-05-28T20:26:40Z\",\"kind\":\"gpg\",\"signer\":\"00112233445566778899AABBCCDDEEFF00112233\",\"adds\":{\"key\":\"FF112233445566778899AABBCCDDEEFF00112233\",\"public\":\"a2V5\"}}","signatures":"-----BEGIN PGP SIGNATURE-----\n\nAAAA\n=AAAA\n-----END PGP SIGNATURE-----\n"},
{"statement":"{\"type\":\"ostree-go-key-transition/v1\",\"sequence\":2,\"repositories\":[\"https://sdk.example.com/repo\"],\"created\":\"2026-05-28T20:26:40Z\",\"expires\":\"2027-05-28T20:26:40Z\",\"kind\":\"ed25519\",\"signer\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\",\"removes\":[\"AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"]}","signatures":"ed25519 AAAA\n"}
]}"#;

/// A policy of the module proxy with all keys.
const PROXY_POLICY: &str = r#"allow = ["example.com", "*.org/x"]
minimum-age = "7d"
any-age = ["example.com/a"]

[[deny]]
module = "example.com/a"
versions = ["v1.2.3"]
reason = "CVE-2026-1"

[[private]]
modules = ["corp.example.com"]
keys = ["11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="]
upstream = "https://proxy.corp.example.com,https://proxy.golang.org"
statements = "statements"
"#;

/// A treefile with all forms of Go modules.
const MODULES: &str = "\
version: 1.99.1
source: [{ path: toy.tar.gz }]
layers: { common: { include: [src] } }
modules:
  - example.com/lib@v1.2.3
  - { module: example.com/private@v2.0.0+incompatible, sum: \"h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=\" }
  - { module: example.com/local/v2, path: ../local }
";

fn main() {
    let seeds = Seeds(workspace().join("fuzz/seeds"));
    let _ = fs::remove_dir_all(&seeds.0);
    for (target, name, text) in TEXTS {
        seeds.write(target, name, text.as_bytes());
    }
    seeds.write("build_info", "program", &fuzzing::toy_program());
    seeds.archives();
    seeds.repository();
}

/// Returns the zip file of a module.
fn module_zip() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, text) in [
        ("go.mod", "module example.com/a\n"),
        ("b/b.go", "package b\n"),
    ] {
        let name = format!("example.com/a@v1.0.0/{name}");
        let options = zip::write::SimpleFileOptions::default();
        writer.start_file(name, options).expect("an entry");
        writer.write_all(text.as_bytes()).expect("its content");
    }
    writer.finish().expect("a zip file").into_inner()
}

struct Seeds(PathBuf);

impl Seeds {
    fn write(&self, target: &str, name: &str, bytes: &[u8]) {
        let folder = self.0.join(target);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join(name), bytes).expect("a seed");
    }

    fn archives(&self) {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("archive");
        let toy = Toy::new(Arch::X86_64);
        toy.tar_gz(&path);
        self.write("tar", "toy", &read(&path));
        toy.zip(&path);
        self.write("zip", "toy", &read(&path));
        toy.module_zip(&path);
        self.write("zip", "module", &read(&path));
        self.write("module_zip", "module", &module_zip());
    }

    /// Output of the command: a repository with a summary and a delta, a root, and an image.
    fn repository(&self) {
        let host = Host::new();
        host.release("1.99.1", 100);
        let treefile = String::from_utf8(read(&host.sandbox.path("go.yaml"))).expect("UTF-8");
        let folder = format!("{}/", workspace().join("treefiles").display());
        self.write("treefile", "toy", treefile.replace(&folder, "").as_bytes());
        self.write("treefile", "modules", MODULES.as_bytes());
        host.run(["publish"]).ok();
        host.install("1.99").ok();
        host.run(["export", "oci", "1.99.1", "oci:image"]).ok();
        let repo = host.sandbox.repo();
        self.write("summary", "toy", &read(&repo.join("summary")));
        let state = host.root().join("state.json");
        let state = String::from_utf8(read(&state)).expect("UTF-8");
        let state = state.replace(repo.to_str().expect("UTF-8"), "/srv/repo");
        self.write("state", "toy", state.as_bytes());
        self.write(
            "image",
            "index",
            &read(&host.sandbox.path("image/index.json")),
        );
        for path in files(&host.sandbox.path("image/blobs")) {
            let blob = read(&path);
            if blob.starts_with(b"{") && blob.windows(8).any(|part| part == b"\"layers\"") {
                self.write("image", "manifest", &blob);
            }
        }
        for path in files(&repo.join("objects")) {
            let kind = path.extension().expect("a kind").to_str().expect("UTF-8");
            let object = read(&path);
            if kind == "commit" {
                // The first member of `(a{sv}aya(say)sstayay)`.
                let ty = glib::VariantTy::new("(a{sv}aya(say)sstayay)").expect("a type");
                let commit = glib::Variant::from_bytes_with_type(&glib::Bytes::from(&object), ty);
                let metadata = commit.child_value(0);
                let size = metadata.size();
                self.write("metadata", &format!("{size}"), metadata.data());
            }
            // One of each kind is enough: the next overwrites it.
            self.write("object", kind, &object);
        }
        for path in files(&repo.join("deltas")) {
            if path.ends_with("superblock") {
                let part = path.with_file_name("0");
                if part.exists() {
                    self.delta(&read(&path), &read(&part));
                }
            }
        }
    }

    /// The input of both targets of deltas: the length of the superblock, the superblock, a part.
    fn delta(&self, superblock: &[u8], part: &[u8]) {
        let Ok(length) = u16::try_from(superblock.len()) else {
            return;
        };
        let input = [&length.to_le_bytes(), superblock, part].concat();
        self.write("delta", "toy", &input);
        self.write("delta_apply", "toy", &input);
    }
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
