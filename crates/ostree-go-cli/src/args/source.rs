//! Options of the verbs that install SDKs.

use crate::args::arch;
use crate::args::transfer::TransferArgs;
use crate::error::CliError;
use ostree_go_sdk::Arch;
use ostree_go_sdk::deploy::InstallSource;
use ostree_go_sdk::sign::TrustedKeys;
use std::path::PathBuf;

/// Source of the SDKs and requirements for them.
#[derive(Debug, Clone, clap::Args)]
pub struct FromArgs {
    /// Architecture of the SDK
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    pub arch: Option<Arch>,

    /// Name of the remote, required if the root has several remotes
    #[arg(long, value_name = "NAME", conflicts_with = "from_repo")]
    pub remote: Option<String>,

    /// Copy the SDK from an OSTree repository on this machine
    #[arg(long, value_name = "PATH")]
    pub from_repo: Option<PathBuf>,

    /// Require a signature by one of the GPG keys in a file
    #[arg(long, value_name = "FILE", requires = "from_repo")]
    pub gpg_keys: Option<PathBuf>,

    /// Accept a commit that is older than the deployed one of the same channel
    #[arg(long)]
    pub allow_downgrade: bool,

    #[command(flatten)]
    pub transfer: TransferArgs,
}

impl FromArgs {
    /// Returns the source that the options select.
    pub fn source(&self) -> InstallSource {
        match (&self.from_repo, &self.remote) {
            (Some(path), _) => InstallSource::Repo {
                path: path.clone(),
                keys: self.gpg_keys.clone().map(TrustedKeys::GpgFile),
            },
            (None, Some(name)) => InstallSource::Remote(name.clone()),
            (None, None) => InstallSource::Default,
        }
    }

    /// Returns the selected architecture, or else that of this machine.
    pub fn arch_or_host(&self) -> Result<Arch, CliError> {
        self.arch
            .or_else(Arch::host)
            .ok_or_else(|| CliError::Usage {
                message: format!("no Go SDKs are composed for {}", std::env::consts::ARCH),
                hint: Some("select another architecture with --arch".to_owned()),
            })
    }
}
