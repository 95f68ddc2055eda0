//! The hashes that the files of a version must have.

use super::alert::AlertKind;
use super::answer::{Block, Failure, Refusal, with_causes};
use crate::golang::h1::H1;
use crate::golang::module_id::ModuleId;
use crate::kind::ErrorKind;
use crate::progress::Progress;
use crate::upstream::{Database, UpstreamError};

/// The hashes of the files of a version, and where they come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sums {
    /// The hash of the content; `None` if the source has none.
    pub zip: Option<H1>,
    /// The hash of the `go.mod` file; `None` if the source has none.
    pub go_mod: Option<H1>,
    pub origin: Origin,
}

/// The origin of hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Database,
    Statement,
}

impl Origin {
    /// Returns a description for messages.
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Database => "in the checksum database",
            Self::Statement => "in its signed statement",
        }
    }
}

/// A source of the hashes of public modules.
pub(super) trait PublicSums: Send + Sync {
    /// Returns the proven hashes of a version, and the answer for a client that looks it up.
    fn look_up(&self, id: &ModuleId, progress: &dyn Progress) -> Result<(Sums, String), Failure>;
}

impl PublicSums for Database {
    fn look_up(&self, id: &ModuleId, progress: &dyn Progress) -> Result<(Sums, String), Failure> {
        let (module, version) = (id.path(), id.version());
        let proven =
            Self::look_up(self, module, version, progress).map_err(|error| failed(id, error))?;
        let h1 = |version: &str| {
            proven.record.h1(module, version).map_err(|error| {
                let message = format!("{id} cannot be verified: {error}");
                Block::new(AlertKind::InvalidDatabase, message)
            })
        };
        let sums = Sums {
            zip: Some(h1(version)?),
            go_mod: Some(h1(&format!("{version}/go.mod"))?),
            origin: Origin::Database,
        };
        Ok((sums, proven.record.answer()))
    }
}

fn failed(id: &ModuleId, error: UpstreamError) -> Failure {
    let message = format!("{id} cannot be verified: {}", with_causes(&error));
    let mut evidence = None;
    let kind = match error {
        UpstreamError::Unknown { .. } => AlertKind::NotInDatabase,
        UpstreamError::Database { .. } => AlertKind::InvalidDatabase,
        UpstreamError::Fork { evidence: path, .. } => {
            evidence = Some(path);
            AlertKind::ForkedDatabase
        }
        error => {
            let status = match error.kind() {
                ErrorKind::DiskFull => 507,
                _ => 503,
            };
            return Refusal::new(status, message).into();
        }
    };
    Block {
        evidence,
        ..Block::new(kind, message)
    }
    .into()
}
