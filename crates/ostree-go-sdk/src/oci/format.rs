//! Names in OCI images, and encoding of JSON documents.
//!
//! Source of every `application/vnd.oci` and `org.opencontainers` name: the OCI image
//! specification, `media-types.md` and `annotations.md`.

use crate::id::Sha256;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use sha2::Digest;

/// Media type of an image for one architecture.
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Media type of an index of images for several architectures.
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Media type of an image's configuration.
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Media type of a layer compressed with Zstandard, in one or more frames.
pub(crate) const LAYER_ZSTD: &str = "application/vnd.oci.image.layer.v1.tar+zstd";
/// Media type of a layer compressed with gzip, in one or more members.
pub(crate) const LAYER_GZIP: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// Media type of an uncompressed layer.
pub(crate) const LAYER_TAR: &str = "application/vnd.oci.image.layer.v1.tar";
/// Media type of the configuration of an artifact that is no image, and its content. Source: the image
/// specification, `manifest.md`, "Guidance for an Empty Descriptor".
pub(crate) const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Content of an empty configuration.
pub(crate) const EMPTY_CONTENT: &[u8] = b"{}";
/// On the manifest of an attestation, and on its layer: the predicate type. Source: BuildKit,
/// `docs/attestations/attestation-storage.md`.
pub(crate) const PREDICATE_TYPE: &str = "in-toto.io/predicate-type";
/// Name of the version file of a layout. Source: the image specification, `image-layout.md`.
pub(crate) const LAYOUT_FILE: &str = "oci-layout";
/// Content of [`LAYOUT_FILE`].
pub(crate) const LAYOUT: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;
/// Name of the index of a layout.
pub(crate) const INDEX_FILE: &str = "index.json";
/// Directory of a layout's blobs, which are named by their digests in hexadecimal.
pub(crate) const BLOBS: &str = "blobs/sha256";

/// On manifests and configurations: the Go version without `go`.
pub(crate) const VERSION: &str = "org.opencontainers.image.version";
/// On manifests and configurations: the release's time, RFC 3339 in UTC.
pub(crate) const CREATED: &str = "org.opencontainers.image.created";
/// On manifests and configurations: a display name.
pub(crate) const TITLE: &str = "org.opencontainers.image.title";
/// On a descriptor in a layout's `index.json`: the image's tag.
pub(crate) const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// A commit's checksum: of the release on manifests, configurations and the descriptors of manifests
/// in an index; of the layer's commit on the descriptors of layers. Defined by ostree-ext.
pub(crate) const OSTREE_COMMIT: &str = "ostree.commit";

/// On manifests: the release's commit object, see [`encode`].
pub(crate) const COMMIT: &str = "io.github.ostree-go.commit";
/// On manifests: the release's detached metadata (`a{sv}`), see [`encode`]; absent when there
/// is none.
pub(crate) const COMMITMETA: &str = "io.github.ostree-go.commitmeta";
/// On manifests, and on their descriptors in an index: the ref.
pub(crate) const REF: &str = "io.github.ostree-go.ref";
/// On descriptors of layers: the SDK layer's name.
pub(crate) const LAYER: &str = "io.github.ostree-go.layer";
/// On descriptors of layers: the layer's commit object, see [`encode`].
pub(crate) const LAYER_COMMIT: &str = "io.github.ostree-go.layer.commit";
/// On descriptors of layers: its detached metadata, see [`encode`]; absent when there is none.
pub(crate) const LAYER_COMMITMETA: &str = "io.github.ostree-go.layer.commitmeta";
/// On descriptors of layers: the tar's size in bytes when it is not compressed, in decimal.
pub(crate) const LAYER_SIZE: &str = "io.github.ostree-go.layer.size";

/// On manifests: the names of the std caches in the last layers, with commas between. These layers are
/// not part of the release. On descriptors of such layers: the name of the std cache.
pub(crate) const STD_CACHE: &str = "io.github.ostree-go.stdcache";
/// On manifests: the commits and sizes of the std caches as JSON, see
/// [`layer_list`](super::layer_list). Without it, the std caches cannot be restored.
pub(crate) const STD_CACHE_LAYERS: &str = "io.github.ostree-go.stdcache.layers";

/// On manifests: the layers' commits and sizes as JSON, see
/// [`layer_list`](super::layer_list).
pub(crate) const LAYERS: &str = "io.github.ostree-go.layers";

/// Encodes an object's bytes for an annotation: base64 with padding, RFC 4648, 4.
pub(crate) fn encode(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

/// Decodes an annotation made by [`encode`].
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

/// Returns the digest of some bytes: `sha256:` and 64 hexadecimal digits.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    digest(sha256(bytes))
}

/// Returns the SHA-256 of some bytes.
pub(crate) fn sha256(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}

/// Formats a digest as in OCI.
pub(crate) fn digest(sha256: Sha256) -> String {
    format!("sha256:{sha256}")
}

/// Parses an OCI digest; returns `None` for other algorithms and malformed texts.
pub(crate) fn parse_digest(text: &str) -> Option<Sha256> {
    text.strip_prefix("sha256:")?.parse().ok()
}

/// Returns the tag of the list of a manifest's referrers in registries without an interface for them.
/// Source: the OCI distribution specification, "Referrers Tag Schema".
pub(crate) fn referrers_tag(manifest: Sha256) -> String {
    format!("sha256-{manifest}")
}

/// Returns true if a tag is that of a list of referrers, which is no image.
pub(crate) fn is_referrers_tag(tag: &str) -> bool {
    tag.strip_prefix("sha256-")
        .is_some_and(|digits| digits.parse::<Sha256>().is_ok())
}

/// Encodes a document as JSON with sorted keys, so that equal documents have equal digests. The
/// maps in types of `oci-spec` have no defined order.
pub(crate) fn to_json(document: &impl Serialize) -> Result<Vec<u8>, serde_json::Error> {
    let mut value = serde_json::to_value(document)?;
    value.sort_all_objects();
    serde_json::to_vec(&value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::image::MediaType;
    use std::collections::HashMap;

    #[test]
    fn a_document_has_its_keys_in_order() {
        let document = HashMap::from([
            ("b", HashMap::from([("d", 1), ("c", 2)])),
            ("a", HashMap::new()),
        ]);
        let json = to_json(&document).unwrap();
        assert_eq!(json, br#"{"a":{},"b":{"c":2,"d":1}}"#);
    }

    #[test]
    fn names_are_those_of_the_specification() {
        for (ours, theirs) in [
            (MANIFEST, MediaType::ImageManifest),
            (INDEX, MediaType::ImageIndex),
            (CONFIG, MediaType::ImageConfig),
            (LAYER_ZSTD, MediaType::ImageLayerZstd),
            (LAYER_GZIP, MediaType::ImageLayerGzip),
            (LAYER_TAR, MediaType::ImageLayer),
        ] {
            assert_eq!(ours, theirs.as_ref());
        }
        assert_eq!(VERSION, oci_spec::image::ANNOTATION_VERSION);
        assert_eq!(CREATED, oci_spec::image::ANNOTATION_CREATED);
        assert_eq!(TITLE, oci_spec::image::ANNOTATION_TITLE);
        assert_eq!(REF_NAME, oci_spec::image::ANNOTATION_REF_NAME);
    }

    #[test]
    fn digests_and_bytes_read_back() {
        let digest = digest_of(b"");
        assert_eq!(
            digest,
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(super::digest(parse_digest(&digest).unwrap()), digest);
        assert_eq!(parse_digest("sha512:00"), None);
        assert_eq!(decode(&encode(b"\0\xff")).unwrap(), b"\0\xff");
        assert_eq!(decode("a"), None);
    }
}
