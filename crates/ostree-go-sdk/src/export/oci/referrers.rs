//! Attaches attestations to images: artifacts that refer to the manifest of an image.
//!
//! Source of the format: the OCI image specification 1.1, `manifest.md` (`artifactType`, `subject` and
//! "Guidelines for Artifact Usage"), and the OCI distribution specification 1.1, "Referrers Tag Schema".
//! A layout on this machine has no interface for referrers, so that they are always listed by the tag there.

use super::image::{Document, spec};
use super::target::{Failure, Image, Target};
use super::{OciError, OciOptions, layout, push};
use crate::attest::{Attestation, AttestationKind, Subject};
use crate::id::{CommitId, Sha256};
use crate::oci::{ImageLocation, format};
use crate::repo::Repo;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Maximum size of a manifest or index in bytes. Source: the OCI distribution specification, "Pushing
/// Manifests", demands at least 4 MiB of registries.
const MAX_DOCUMENT: u64 = 16 << 20;

/// Images to which attestations can be attached.
pub struct Referrers {
    store: Store,
    /// The location of the image, for errors.
    name: String,
    /// The name of the image for statements.
    subject: String,
    /// The manifests that contain the commits.
    manifests: BTreeMap<CommitId, Manifest>,
}

/// The manifest of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Manifest {
    digest: Sha256,
    size: u64,
}

/// An attestation that was attached to an image.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExportedReferrer {
    /// The kind of the attestation.
    pub kind: AttestationKind,
    /// The digest of the image's manifest, to which the attestation refers.
    pub subject: Sha256,
    /// The digest of the attestation's manifest.
    pub digest: Sha256,
    /// The media type of the attestation.
    pub artifact_type: &'static str,
}

enum Store {
    Layout(layout::Layout),
    Registry(push::Push),
}

impl Referrers {
    /// Finds the image at a location, which must have been exported by [`export_oci`](super::export_oci),
    /// and in it the manifests of the commits. If the location has no tag, it is the last component of the
    /// first commit's ref, as in an export.
    ///
    /// # Errors
    /// Returns an error if there is no such image, it does not contain one of the commits, or the file system
    /// or registry fails.
    pub fn open(
        repo: &Repo,
        commits: &[CommitId],
        location: &ImageLocation,
        options: &OciOptions,
    ) -> Result<Self, OciError> {
        let progress = &options.progress;
        let own = repo.path().join("tmp");
        let scratch = options.scratch.as_ref().unwrap_or(&own);
        let store = match location {
            ImageLocation::Layout { path, .. } => {
                // A layout that is missing would be created.
                if !path.join(format::LAYOUT_FILE).is_file() {
                    let image = location.to_string();
                    return Err(OciError::NoImage { image });
                }
                Store::Layout(layout::Layout::open(path, progress.as_ref())?)
            }
            ImageLocation::Registry(image) => {
                let registry = &options.registry;
                Store::Registry(push::Push::open(image, registry, scratch, progress)?)
            }
            ImageLocation::Archive { .. } => {
                let image = location.to_string();
                return Err(OciError::Archive { image });
            }
        };
        let digest = match location {
            ImageLocation::Registry(image) => image.digest().map(str::to_owned),
            _ => None,
        };
        let reference = match digest {
            Some(digest) => digest,
            None => super::tag(location, &super::releases(repo, commits, false)?)?,
        };
        let name = match location {
            ImageLocation::Registry(image) => format!("{}/{}", image.host(), image.name()),
            _ => location.to_string(),
        };
        let mut referrers = Self {
            store,
            name: location.to_string(),
            subject: name,
            manifests: BTreeMap::new(),
        };
        referrers.find(commits, &reference)?;
        Ok(referrers)
    }

    /// Returns the manifest with a commit as a subject of statements.
    #[must_use]
    pub fn subject(&self, commit: CommitId) -> Option<Subject> {
        let manifest = self.manifests.get(&commit)?;
        Some(Subject::with_sha256(self.subject.clone(), manifest.digest))
    }

    /// Attaches attestations to the manifest with a commit. Those that are attached already are not
    /// attached again.
    ///
    /// # Errors
    /// Returns an error if the image does not contain the commit, or the file system or registry fails.
    pub fn attach(
        &mut self,
        commit: CommitId,
        attestations: &[Attestation],
    ) -> Result<Vec<ExportedReferrer>, OciError> {
        let subject = self.manifests.get(&commit).copied();
        let subject = subject.ok_or_else(|| self.other_image(commit))?;
        self.blob(format::EMPTY_CONTENT)?;
        let (mut exported, mut manifests, mut entries) = (Vec::new(), Vec::new(), Vec::new());
        for attestation in attestations {
            self.blob(&attestation.bytes)?;
            let manifest = manifest(attestation, subject)?;
            exported.push(ExportedReferrer {
                kind: attestation.kind,
                subject: subject.digest,
                digest: manifest.sha256(),
                artifact_type: attestation.media_type,
            });
            entries.push(json!({
                "mediaType": format::MANIFEST,
                "digest": manifest.digest(),
                "size": manifest.bytes.len(),
                "artifactType": attestation.media_type,
                "annotations": { format::PREDICATE_TYPE: attestation.kind.predicate_type() },
            }));
            manifests.push(manifest);
        }
        if !self.are_listed(&manifests)? {
            self.list(subject, manifests, entries)?;
        }
        Ok(exported)
    }

    /// Pushes manifests, and returns true if the registry lists them by itself.
    fn are_listed(&self, manifests: &[Document]) -> Result<bool, OciError> {
        let Store::Registry(push) = &self.store else {
            return Ok(false);
        };
        let mut are_listed = true;
        for manifest in manifests {
            let (digest, bytes) = (manifest.digest(), manifest.bytes.clone());
            let media_type = manifest.media_type;
            are_listed &= push.run(move |registry, progress| {
                registry.push_referrer(media_type, &digest, &bytes, progress)
            })?;
        }
        Ok(are_listed)
    }

    /// Adds manifests to the list of referrers that the tag of the subject names.
    fn list(
        &mut self,
        subject: Manifest,
        manifests: Vec<Document>,
        entries: Vec<Value>,
    ) -> Result<(), OciError> {
        let tag = format::referrers_tag(subject.digest);
        let mut all = match self.document(&tag)? {
            Some(bytes) => {
                let list = self.parse(&tag, &bytes)?;
                list["manifests"].as_array().cloned().unwrap_or_default()
            }
            None => Vec::new(),
        };
        all.retain(|one| !entries.iter().any(|new| new["digest"] == one["digest"]));
        all.extend(entries);
        let list = json!({
            "schemaVersion": super::image::SCHEMA,
            "mediaType": format::INDEX,
            "manifests": all,
        });
        let list = Document::new(format::INDEX, &list)?;
        let image = Image {
            tag,
            manifests,
            top: list.descriptor()?.build().map_err(spec)?,
            index: Some(list),
        };
        self.target().publish(&image)
    }

    /// Finds the manifests with the commits in the image.
    fn find(&mut self, commits: &[CommitId], reference: &str) -> Result<(), OciError> {
        let no_image = || OciError::NoImage {
            image: self.name.clone(),
        };
        let bytes = self.document(reference)?.ok_or_else(no_image)?;
        let top = self.parse(reference, &bytes)?;
        let entries = top["manifests"].as_array().cloned().unwrap_or_default();
        let mut found = BTreeMap::new();
        for &commit in commits {
            let is_own = |value: &Value| {
                let text = value["annotations"][format::OSTREE_COMMIT].as_str();
                text.and_then(|text| text.parse().ok()) == Some(commit)
            };
            let bytes = if is_own(&top) {
                bytes.clone()
            } else {
                let entry = entries.iter().find(|entry| is_own(entry));
                let digest = entry.and_then(|entry| entry["digest"].as_str());
                let digest = digest.ok_or_else(|| self.other_image(commit))?;
                self.document(digest)?.ok_or_else(no_image)?
            };
            found.insert(
                commit,
                Manifest {
                    digest: format::sha256(&bytes),
                    size: bytes.len() as u64,
                },
            );
        }
        self.manifests = found;
        Ok(())
    }

    fn other_image(&self, expected: CommitId) -> OciError {
        let image = self.name.clone();
        OciError::OtherImage { image, expected }
    }

    fn parse(&self, digest: &str, bytes: &[u8]) -> Result<Value, OciError> {
        serde_json::from_slice(bytes).map_err(|error| self.damaged(digest, error.to_string()))
    }

    fn damaged(&self, digest: &str, problem: String) -> OciError {
        OciError::DamagedDocument {
            image: self.name.clone(),
            digest: digest.to_owned(),
            problem,
        }
    }

    /// Reads the document with a tag or a digest; `None` if there is none.
    fn document(&self, reference: &str) -> Result<Option<Vec<u8>>, OciError> {
        let mut expected = format::parse_digest(reference);
        let found = match &self.store {
            Store::Layout(layout) => {
                let digest = match expected {
                    Some(_) => Some(reference.to_owned()),
                    None => layout.tagged(reference)?,
                };
                let digest = digest.as_deref();
                expected = digest.and_then(format::parse_digest);
                match (digest, expected) {
                    (Some(digest), Some(_)) => layout.read_document(digest)?,
                    _ => None,
                }
            }
            Store::Registry(push) => {
                let reference = reference.to_owned();
                push.run(move |registry, progress| {
                    let types = [format::INDEX, format::MANIFEST];
                    registry.manifest(&reference, &types, MAX_DOCUMENT, progress, &|_| true)
                })?
            }
        };
        if let (Some(bytes), Some(expected)) = (&found, expected)
            && format::sha256(bytes) != expected
        {
            let problem = format!("its digest is {}", format::digest_of(bytes));
            return Err(self.damaged(reference, problem));
        }
        Ok(found)
    }

    fn blob(&mut self, bytes: &[u8]) -> Result<(), OciError> {
        let write = &mut |out: &mut dyn std::io::Write| -> Result<(), Failure> {
            Ok(out.write_all(bytes)?)
        };
        self.target().blob(write)?;
        Ok(())
    }

    fn target(&mut self) -> &mut dyn Target {
        match &mut self.store {
            Store::Layout(layout) => layout,
            Store::Registry(push) => push,
        }
    }
}

/// Returns the manifest of an attestation.
fn manifest(attestation: &Attestation, subject: Manifest) -> Result<Document, OciError> {
    let predicate = attestation.kind.predicate_type();
    let document = json!({
        "schemaVersion": super::image::SCHEMA,
        "mediaType": format::MANIFEST,
        "artifactType": attestation.media_type,
        "config": {
            "mediaType": format::EMPTY,
            "digest": format::digest_of(format::EMPTY_CONTENT),
            "size": format::EMPTY_CONTENT.len(),
            "data": format::encode(format::EMPTY_CONTENT),
        },
        "layers": [{
            "mediaType": attestation.media_type,
            "digest": format::digest(attestation.sha256()),
            "size": attestation.bytes.len(),
            "annotations": {
                format::PREDICATE_TYPE: predicate,
                format::TITLE: attestation.file_name,
            },
        }],
        "subject": {
            "mediaType": format::MANIFEST,
            "digest": format::digest(subject.digest),
            "size": subject.size,
        },
        "annotations": { format::PREDICATE_TYPE: predicate },
    });
    Document::new(format::MANIFEST, &document)
}
