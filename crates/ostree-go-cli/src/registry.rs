//! Options of the verbs that connect to a registry.

use crate::authfile;
use crate::certdir;
use crate::context::Context;
use crate::error::CliError;
use ostree_go_sdk::oci::ImageLocation;
use ostree_go_sdk::registry::RegistryOptions;
use std::path::PathBuf;

/// Options for the connection to a registry, with the same names as in skopeo.
#[derive(Debug, Clone, clap::Args)]
pub struct RegistryArgs {
    /// File with credentials, as written by `podman login` (default: REGISTRY_AUTH_FILE, or the
    /// files of podman and docker)
    #[arg(long, value_name = "FILE")]
    authfile: Option<PathBuf>,

    /// Directory of certificates: `*.crt` are authorities that replace the system's, `*.cert` with
    /// `*.key` is the client certificate
    #[arg(long, value_name = "FOLDER")]
    cert_dir: Option<PathBuf>,

    /// Verify the registry's certificate; `false` accepts any certificate, and a registry without
    /// encryption
    #[arg(
        long,
        value_name = "BOOL",
        default_value_t = true,
        action = clap::ArgAction::Set,
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    tls_verify: bool,
}

impl RegistryArgs {
    /// Returns the options for the registry of an image.
    pub fn options(
        &self,
        context: &Context,
        location: &ImageLocation,
    ) -> Result<RegistryOptions, CliError> {
        let http = context.settings.http()?;
        let http = match &self.cert_dir {
            Some(folder) => certdir::with_certificates(http, folder)?,
            None => http,
        };
        let options = RegistryOptions::default()
            .http(http)
            .insecure(!self.tls_verify);
        let ImageLocation::Registry(image) = location else {
            return Ok(options);
        };
        let named = self.authfile.as_deref();
        Ok(options.auth(authfile::credentials(&context.settings, named, image)?))
    }
}
