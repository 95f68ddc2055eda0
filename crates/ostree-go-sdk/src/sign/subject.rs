//! The kinds of bytes that are signed.

use super::error::SignError;
use super::external::SignerError;
use crate::id::CommitId;
use std::path::Path;

/// The kind of bytes to sign, for errors and for external signers.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Subject<'a> {
    Commit(CommitId),
    Summary,
    /// A static delta with this name.
    Delta(&'a str),
    File(&'a Path),
    KeyTransition,
    /// Other data.
    Data,
}

impl Subject<'_> {
    /// Returns a stable lower-case word.
    pub(super) const fn kind(self) -> &'static str {
        match self {
            Self::Commit(_) => "commit",
            Self::Summary => "summary",
            Self::Delta(_) => "delta",
            Self::File(_) => "file",
            Self::KeyTransition => "key-transition",
            Self::Data => "data",
        }
    }

    pub(super) fn name(self) -> String {
        match self {
            Self::Commit(commit) => commit.to_string(),
            Self::Delta(name) => name.to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::Summary | Self::KeyTransition | Self::Data => String::new(),
        }
    }

    /// Adds what was to be signed to an error of GnuPG.
    pub(super) fn gpg_failed(self, key: &str, source: SignError) -> SignError {
        let (key, source) = (key.to_owned(), Box::new(source));
        match self {
            Self::Commit(commit) => SignError::Sign {
                commit,
                key,
                source,
            },
            Self::File(path) => SignError::SignFile {
                path: path.to_owned(),
                key,
                source,
            },
            Self::Summary => SignError::SignSummary { key, source },
            Self::Delta(_) | Self::KeyTransition | Self::Data => SignError::SignData {
                subject: self.text(),
                key,
                source,
            },
        }
    }

    /// Adds what was to be signed, and by whom, to an error of an external signer.
    pub(super) fn external_failed(self, signer: String, source: SignerError) -> SignError {
        SignError::External {
            subject: self.text(),
            signer,
            source: Box::new(source),
        }
    }

    fn text(self) -> String {
        match self {
            Self::Commit(_) | Self::Delta(_) => format!("{} {}", self.kind(), self.name()),
            Self::Summary => "the summary".to_owned(),
            Self::File(path) => path.display().to_string(),
            Self::KeyTransition => "the key transition".to_owned(),
            Self::Data => "the data".to_owned(),
        }
    }
}
