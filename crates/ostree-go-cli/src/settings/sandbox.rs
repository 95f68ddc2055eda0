//! Settings of sandboxes from the environment.

use super::{SANDBOX_HELPER, Settings};
use crate::error::CliError;
use ostree_go_sdk::sandbox::{self, Network, keep_variable};
use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

impl Settings {
    /// Returns the home directory.
    pub fn home(&self) -> Option<PathBuf> {
        self.home.clone()
    }

    /// Returns `GOPROXY` of the environment.
    pub fn own_goproxy(&self) -> Option<String> {
        self.goproxy.clone()
    }

    /// Returns the variables of the environment that a command in a sandbox keeps.
    #[allow(clippy::unused_self)]
    pub fn sandbox_environment(
        &self,
        network: Network,
        host_tools: bool,
    ) -> Vec<(OsString, OsString)> {
        let all = env::vars_os();
        all.filter(|(name, _)| keep_variable(name, network, host_tools))
            .collect()
    }

    /// Splits `NAME=VALUE`; `NAME` alone stands for the variable of the environment, which may not exist.
    #[allow(clippy::unused_self)]
    pub fn assignment(&self, given: &OsStr) -> Result<Option<(OsString, OsString)>, CliError> {
        let bytes = given.as_bytes();
        let equals = bytes.iter().position(|byte| *byte == b'=');
        let name = OsStr::from_bytes(&bytes[..equals.unwrap_or(bytes.len())]);
        if name.is_empty() {
            let message = format!("`{}` has no name of a variable", given.to_string_lossy());
            return Err(CliError::usage(message));
        }
        let value = match equals {
            Some(equals) => Some(OsStr::from_bytes(&bytes[equals + 1..]).to_owned()),
            None => env::var_os(name),
        };
        Ok(value.map(|value| (name.to_owned(), value)))
    }

    /// Returns what sandboxes use of this machine. The directories for temporary files are in memory if
    /// possible.
    pub fn sandbox_host(&self) -> Result<sandbox::Host, CliError> {
        let own = env::current_exe().map_err(CliError::file("find", "/proc/self/exe".as_ref()))?;
        let mut scratch = vec![PathBuf::from("/dev/shm")];
        scratch.extend(self.runtime_dir.clone());
        scratch.extend(self.temporary.clone());
        scratch.extend(["/tmp", "/var/tmp"].map(PathBuf::from));
        Ok(sandbox::Host {
            path: self.path.clone(),
            scratch,
            helper: vec![own.into(), SANDBOX_HELPER.into()],
            runtime_dir: self.runtime_dir.clone(),
        })
    }
}
