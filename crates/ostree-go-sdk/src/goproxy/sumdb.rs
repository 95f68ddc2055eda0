//! The checksum database, which is passed through to clients. They verify its answers themselves.

use super::answer::{Found, Refusal, with_causes};
use super::request::SumDbPart;
use super::service::{Outcome, Service, cache_failure};
use super::tree::Tree;
use crate::golang::module_id::ModuleId;
use crate::http::HttpError;
use crate::kind::ErrorKind;

/// The largest part of a checksum database in bytes: a tile of records, of which each has a few hundred.
const MAX_PART: u64 = 4 << 20;

/// The size of a full tile of hashes in bytes: 256 of 32 bytes. Source: `golang.org/x/mod/sumdb/tlog`, `Tile`.
const FULL_TILE: usize = 256 * 32;

impl Service {
    /// Answers a request for a part of a checksum database.
    pub fn sumdb(&self, name: &str, part: &SumDbPart) -> Outcome {
        if name != self.database {
            let message = format!(
                "this proxy does not serve the checksum database {name}, but {}",
                self.database
            );
            return Err(Refusal::not_found(message).into());
        }
        match part {
            SumDbPart::Supported => Ok(Found::text(Vec::new())),
            SumDbPart::Tile {
                path,
                is_full: true,
            } if !path.contains("/data/") => self.full_tile(path),
            SumDbPart::Lookup { module, version } => {
                let id = ModuleId::new(module, version);
                let id = id.map_err(|error| Refusal::not_found(error.to_string()))?;
                // A client without a head of its own must not be shown a fork that this proxy can detect. Therefore it gets
                // the answer that was compared, and not another one.
                let (_, answer) = self.look_up(&id)?;
                Ok(Found::text(answer.into_bytes()))
            }
            _ => self
                .fetch_part(&part.path())
                .map(Found::opaque)
                .map_err(Into::into),
        }
    }

    /// Returns a tile whose content never changes. Clients find out if it is damaged, and fetch it again.
    fn full_tile(&self, path: &str) -> Outcome {
        let file = self
            .tree
            .root()
            .join("sumdb")
            .join(&self.database)
            .join(path);
        let cached = Tree::read(&file, FULL_TILE as u64).map_err(cache_failure("read", &file))?;
        if let Some(tile) = cached.filter(|tile| tile.len() == FULL_TILE) {
            return Ok(Found::opaque(tile));
        }
        let tile = self.fetch_part(path)?;
        if tile.len() == FULL_TILE {
            Tree::store(&file, &tile).map_err(cache_failure("write", &file))?;
        }
        Ok(Found::opaque(tile))
    }

    fn fetch_part(&self, path: &str) -> Result<Vec<u8>, Refusal> {
        let failed = |error: HttpError| match error.kind() {
            ErrorKind::NotFound => Refusal::not_found(with_causes(&error)),
            _ => Refusal::new(503, with_causes(&error)),
        };
        let fetched = self
            .database_servers
            .fetch(path, MAX_PART, None, &self.abandon);
        let fetched = fetched.map_err(failed)?;
        fetched
            .into_bytes()
            .map_err(|error| Refusal::new(500, format!("cannot read {path}: {error}")))
    }
}
