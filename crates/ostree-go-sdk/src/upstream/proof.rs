//! Proofs in the detached metadata of releases, which can be verified without a connection.

use super::{Release, StoredProof, Upstream, UpstreamError, UpstreamProof};
use crate::golang::sumdb::{LogProof, Record};
use crate::golang::toolchain::MODULE;
use crate::id::{CommitId, ContentId};
use crate::metadata::SDK_UPSTREAM_PROOF;
use crate::object::sorted_dict;
use crate::repo::Repo;
use glib::prelude::*;
use std::collections::BTreeMap;

impl Upstream {
    /// Verifies a release as [`verify`](Self::verify) does, with the proof in its detached metadata instead of a connection to
    /// the database. Nothing is sent, and nothing is written.
    ///
    /// # Errors
    /// Returns [`UpstreamError::NoProof`] if the commit has no proof, [`UpstreamError::Proof`] if the proof is not valid or that of
    /// another release, and an error if the release's content differs from the record.
    pub fn verify_offline(
        &self,
        repo: &Repo,
        commit: CommitId,
    ) -> Result<UpstreamProof, UpstreamError> {
        let release = Release::read(repo, commit)?;
        let record = self.stored(repo, commit)?;
        let h1 = record.h1(MODULE, &release.module_version);
        let h1 = h1.map_err(|source| UpstreamError::Proof {
            commit,
            source: Box::new(source),
        })?;
        self.compare(repo, commit, &release, (record, h1))
    }

    /// Adds the proofs of releases and channels to the detached metadata of their commits, after they were
    /// [verified](Self::verify). A commit that has a valid proof for the hash in its metadata is left as it is, without reading
    /// its content. The checksums of the commits do not change, and their signatures stay valid. The proofs are durable when
    /// this returns; those of commits that an open transaction has written, when it is committed.
    ///
    /// # Errors
    /// Returns the errors of [`verify`](Self::verify) for the first commit that is not Go's own, and an error if the repository
    /// cannot be written. Proofs that were added until then stay.
    pub fn store_proofs(
        &self,
        repo: &Repo,
        commits: impl IntoIterator<Item = CommitId>,
    ) -> Result<Vec<StoredProof>, UpstreamError> {
        let mut stored: Vec<StoredProof> = Vec::new();
        // A release and its channels have the same tree.
        let mut proven: BTreeMap<(ContentId, Option<String>), Record> = BTreeMap::new();
        for commit in commits {
            if stored.iter().any(|one| one.commit == commit) {
                continue;
            }
            let release = Release::read(repo, commit)?;
            let same = (release.info.content, release.info.h1.clone());
            let existing = self.stored(repo, commit).ok().filter(|record| {
                let h1 = record.h1(MODULE, &release.module_version);
                h1.is_ok_and(|h1| release.info.h1 == Some(h1.to_string()))
            });
            let is_new = existing.is_none();
            let record = match (existing, proven.get(&same)) {
                (Some(record), _) => record,
                (None, Some(record)) if record.h1(MODULE, &release.module_version).is_ok() => {
                    record.clone()
                }
                (None, _) => {
                    let (record, h1) = self.look_up_release(&release)?;
                    self.compare(repo, commit, &release, (record.clone(), h1))?;
                    record
                }
            };
            if is_new {
                let proof = LogProof::from(&record).to_string();
                let mut detached = repo.detached(commit)?;
                detached.insert(SDK_UPSTREAM_PROOF.to_owned(), proof.to_variant());
                repo.write_detached(commit, &sorted_dict(&detached))?;
                proven.insert(same, record.clone());
            }
            stored.push(StoredProof {
                commit,
                record: record.number,
                tree_size: record.head.head.size,
                is_new,
            });
        }
        Ok(stored)
    }

    /// Reads the proof in a commit's detached metadata, and verifies it without looking at the content of the commit.
    fn stored(&self, repo: &Repo, commit: CommitId) -> Result<Record, UpstreamError> {
        let detached = repo.detached(commit)?;
        let text = detached
            .get(SDK_UPSTREAM_PROOF)
            .and_then(glib::Variant::str);
        let text = text.ok_or(UpstreamError::NoProof { commit })?;
        let key = self.verifier_key()?;
        let record = LogProof::parse(text).and_then(|proof| proof.verify(&key));
        record.map_err(|source| UpstreamError::Proof {
            commit,
            source: Box::new(source),
        })
    }
}
