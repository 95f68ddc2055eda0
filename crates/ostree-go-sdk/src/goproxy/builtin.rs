//! The module `golang.org/toolchain` out of an OSTree repository. The go command compares it with the checksum database
//! itself, whatever its settings are.

use super::answer::{Content, Failure, Found, Refusal, with_causes};
use super::request::ModuleFile;
use super::service::Outcome;
use super::toolchains::{ToolchainModuleError, Toolchains};
use crate::golang::module_id::ModuleId;
use crate::golang::toolchain::MODULE;
use std::sync::Arc;

/// Returns the versions in the repository.
pub(super) fn list(toolchains: &Toolchains) -> Result<Vec<String>, Failure> {
    toolchains.list().map_err(failed)
}

/// Returns a file of a version.
pub(super) fn file(toolchains: &Arc<Toolchains>, id: &ModuleId, file: ModuleFile) -> Outcome {
    let version = id.version();
    let found = match file {
        ModuleFile::Info => toolchains.info(version).map_err(failed)?.map(Found::json),
        ModuleFile::Mod => toolchains.go_mod(version).map_err(failed)?.map(Found::text),
        ModuleFile::Zip => toolchains.zip(version).map_err(failed)?.map(|zip| Found {
            content_type: "application/zip",
            content: Content::Toolchain {
                toolchains: toolchains.clone(),
                version: version.into(),
                size: zip.size(),
            },
        }),
    };
    found.ok_or_else(|| missing(version))
}

/// Answers a request for `@latest`, which the go command never sends for toolchains, or for a name such as a branch.
pub(super) fn latest(toolchains: &Toolchains, name: &str) -> Outcome {
    let newest = list(toolchains)?.pop().filter(|_| name == "@latest");
    let version = newest.ok_or_else(|| missing(name))?;
    let info = toolchains.info(&version).map_err(failed)?;
    info.map(Found::json).ok_or_else(|| missing(&version))
}

fn missing(version: &str) -> Failure {
    let message = format!("the repository of this proxy has no {MODULE}@{version}");
    Refusal::not_found(message).into()
}

fn failed(error: ToolchainModuleError) -> Failure {
    Refusal::new(500, with_causes(&error)).into()
}
