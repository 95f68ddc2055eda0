//! Which versions a module has: lists, the newest version, and the versions that names stand for. The answers change with
//! time, and are never cached; nothing proves them.

use super::alert::AlertKind;
use super::answer::{Answer, Block, Failure, Found};
use super::builtin;
use super::files::{MAX_INFO, not_json};
use super::info::Info;
use super::request::{Request, SumDbPart};
use super::service::{Outcome, Service};
use crate::golang::module_id::ModuleId;
use crate::golang::module_path::escape;
use crate::golang::semver;
use std::collections::BTreeSet;

/// The largest list of versions in bytes.
const MAX_LIST: u64 = 8 << 20;

/// The number of versions in a list, from the newest on, whose age is looked at. Older ones stay in the list; a request
/// for one that is too young after all is refused.
const MAX_AGES: usize = 32;

impl Service {
    /// Answers a request for anything but a file of a version.
    pub fn query(&self, request: &Request) -> Answer {
        let outcome = match request {
            Request::List { module } => self.list(module),
            Request::Latest { module } => self.resolve(module, "@latest"),
            Request::Query { module, query } => {
                self.resolve(module, &format!("@v/{}.info", escape(query)))
            }
            Request::File { id, file } => return self.file(id, *file),
            Request::SumDb { name, part } => self.database_part(name, part),
        };
        self.answer(request, outcome)
    }

    fn list(&self, module: &str) -> Outcome {
        self.check_module(module)?;
        let versions = match self.toolchains_of(module) {
            Some(toolchains) => builtin::list(toolchains)?,
            None => {
                let path = format!("{}/@v/list", escape(module));
                let bytes = self.fetch_bytes(module, &path, MAX_LIST)?;
                // A line may have a time after the version.
                let text = String::from_utf8_lossy(&bytes).into_owned();
                let lines = text
                    .lines()
                    .filter_map(|line| line.split_whitespace().next());
                lines.map(str::to_owned).collect()
            }
        };
        let ids = versions.iter();
        let mut ids: Vec<ModuleId> = ids
            .filter_map(|version| ModuleId::new(module, version).ok())
            .filter(|id| self.policy.refuses_version(id).is_none())
            .collect();
        if self.policy.minimum_age(module).is_some() && self.toolchains_of(module).is_none() {
            let young = self.too_young(&ids);
            ids.retain(|id| !young.contains(id.version()));
        }
        let lines: String = ids.iter().map(|id| format!("{}\n", id.version())).collect();
        Ok(Found::text(lines.into_bytes()))
    }

    /// Returns the versions among the newest that are too young.
    fn too_young(&self, ids: &[ModuleId]) -> BTreeSet<String> {
        let mut newest: Vec<&ModuleId> = ids.iter().collect();
        newest.sort_by(|one, other| semver::compare(other.version(), one.version()));
        let is_young = |id: &&&ModuleId| matches!(self.check_age(id), Err(Failure::Block(_)));
        let newest = newest.iter().take(MAX_AGES);
        let young = newest.filter(is_young);
        young.map(|id| id.version().to_owned()).collect()
    }

    /// Answers with the `.info` of the version that a name stands for.
    fn resolve(&self, module: &str, name: &str) -> Outcome {
        self.check_module(module)?;
        if let Some(toolchains) = self.toolchains_of(module) {
            return builtin::latest(toolchains, name);
        }
        let path = format!("{}/{name}", escape(module));
        let bytes = self.fetch_bytes(module, &path, MAX_INFO)?;
        let info = Info::parse(&bytes).ok_or_else(|| not_json(&path))?;
        let id = ModuleId::new(module, &info.version).map_err(|error| {
            let message = format!("the upstream proxy's answer for {path} is refused: {error}");
            Block::new(AlertKind::WrongVersion, message)
        })?;
        self.check_version(&id)?;
        self.check_time(&id, info.time)?;
        Ok(Found::json(bytes))
    }

    fn database_part(&self, name: &str, part: &SumDbPart) -> Outcome {
        match part {
            SumDbPart::Lookup { module, .. } if self.policy.private(module).is_some() => {
                let message = format!(
                    "{module} is private, and its name is not sent to a checksum database; set GONOSUMDB for it"
                );
                Err(Block::new(AlertKind::PrivateLookup, message).into())
            }
            _ => self.sumdb(name, part),
        }
    }
}
