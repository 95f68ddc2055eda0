//! Landlock: restricts a thread, and the processes that it starts, to some files.

use super::backend::Network;
use super::error::{Gap, Reason};
use super::seccomp;
use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr,
    RulesetCreatedAttr, RulesetStatus, Scope, path_beneath_rules,
};
use rustix::thread::{CapabilitySet, CapabilitySets};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;

/// The oldest version that restricts every change of a file's content (Linux 6.2).
const OLDEST: ABI = ABI::V3;
/// The version that restricts signals (Linux 6.12).
const WITH_SCOPES: ABI = ABI::V6;
/// The newest version whose rights are used where the kernel has them.
const NEWEST: ABI = ABI::V9;

/// What a command may do.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Rules {
    /// Files and directories that can be read and executed.
    pub read_only: Vec<OsString>,
    /// Files and directories that can be changed.
    pub writable: Vec<OsString>,
    /// True for the network of the host.
    pub network: bool,
    /// True if modes, owners and times of all files can be changed.
    pub metadata: bool,
}

/// Returns what Landlock does not isolate on this machine.
///
/// # Errors
/// Returns the reason if the kernel does not have Landlock, or has too old a version.
pub(super) fn gaps() -> Result<Vec<Gap>, Reason> {
    let require = || Ruleset::default().set_compatibility(CompatLevel::HardRequirement);
    let files = require().handle_access(AccessFs::from_all(OLDEST));
    files
        .and_then(Ruleset::create)
        .map_err(|_| Reason::NoLandlock)?;
    let signals = require().scope(Scope::from_all(WITH_SCOPES));
    Ok(match signals.and_then(Ruleset::create) {
        Ok(_) => Vec::new(),
        Err(_) => vec![Gap::Signals],
    })
}

impl Rules {
    /// Restricts the calling thread, and every process that it starts later.
    ///
    /// # Errors
    /// Returns an error if the kernel does not accept a restriction.
    pub fn restrict_thread(&self) -> Result<(), seccomp::FilterError> {
        let read = AccessFs::from_read(NEWEST);
        let special: BitFlags<AccessFs> = AccessFs::MakeChar | AccessFs::MakeBlock;
        let write = AccessFs::from_all(NEWEST) & !special;
        let status = Ruleset::default()
            .handle_access(AccessFs::from_all(NEWEST))?
            .scope(Scope::from_all(WITH_SCOPES))?
            .create()?
            .add_rules(path_beneath_rules(&self.read_only, read))?
            .add_rules(path_beneath_rules(&self.writable, write))?
            .restrict_self()?;
        if status.ruleset == RulesetStatus::NotEnforced {
            return Err("the kernel does not enforce Landlock".into());
        }
        // The capabilities of root would be a way around the owners of processes and files.
        let none = CapabilitySets {
            effective: CapabilitySet::empty(),
            permitted: CapabilitySet::empty(),
            inheritable: CapabilitySet::empty(),
        };
        rustix::thread::set_capabilities(None, none)?;
        let network = match self.network {
            true => Network::Host,
            false => Network::None,
        };
        seccomp::restrict_thread(network, self.metadata)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_outside_of_the_rules_cannot_be_opened() {
        if gaps().is_err() {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        for name in ["read", "write", "other"] {
            std::fs::create_dir(path(name)).unwrap();
            std::fs::write(path(name).join("file"), name).unwrap();
        }
        let rules = Rules {
            read_only: vec![path("read").into(), path("missing").into()],
            writable: vec![path("write").into(), "/dev/null".into()],
            network: false,
            metadata: false,
        };
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                rules.restrict_thread().unwrap();
                let denied = |result: std::io::Result<()>| {
                    assert_eq!(
                        result.unwrap_err().kind(),
                        std::io::ErrorKind::PermissionDenied
                    );
                };
                assert_eq!(std::fs::read(path("read/file")).unwrap(), b"read");
                denied(std::fs::write(path("read/file"), "x"));
                denied(std::fs::read(path("other/file")).map(drop));
                denied(std::fs::read_dir(path("other")).map(drop));
                std::fs::write(path("write/new"), "x").unwrap();
                std::fs::rename(path("write/new"), path("write/file")).unwrap();
                std::fs::write("/dev/null", "x").unwrap();
            });
            thread.join().unwrap();
        });
        assert!(std::fs::read(path("other/file")).is_ok());
    }
}
