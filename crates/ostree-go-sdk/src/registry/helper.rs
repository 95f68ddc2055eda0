//! Credentials from credential helpers: `docker-credential-NAME`.
//!
//! Source: `docker/docker-credential-helpers`, README and `credentials/error.go`.

use super::RegistryAuth;
use crate::kind::ErrorKind;
use crate::process::{self, ProcessError};
use serde::Deserialize;
use std::process::Command;

/// The message of a helper that has no credentials for a registry
/// (`errCredentialsNotFoundMessage`).
const UNKNOWN: &str = "credentials not found in native keychain";
/// The user name that marks the secret as an identity token.
const TOKEN: &str = "<token>";

/// An error of a credential helper.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The helper cannot be run, or failed.
    #[error("cannot get credentials for {server}")]
    Helper {
        /// The registry.
        server: String,
        /// The underlying error.
        source: ProcessError,
    },
    /// The output of the helper is not in the expected format.
    #[error(
        "cannot get credentials for {server}: the answer of `{program}` has no `Username` and `Secret`"
    )]
    HelperOutput {
        /// The registry.
        server: String,
        /// The name of the helper.
        program: String,
    },
}

impl CredentialError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Helper { source, .. } => source.kind(),
            Self::HelperOutput { .. } => ErrorKind::InvalidInput,
        }
    }
}

/// The output of a helper.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HelperOutput {
    username: String,
    secret: String,
}

impl RegistryAuth {
    /// Gets the credentials for a registry from `docker-credential-NAME`, which is searched in
    /// `PATH`; `None` if it has none.
    ///
    /// # Errors
    /// Returns an error if the helper cannot be run, fails, or its output is not in the expected
    /// format.
    pub fn from_helper(name: &str, server: &str) -> Result<Option<Self>, CredentialError> {
        let program = format!("docker-credential-{name}");
        let failed = |source| CredentialError::Helper {
            server: server.to_owned(),
            source,
        };
        let output = process::run_with_input(&program, Command::new(&program).arg("get"), server);
        let output = output.map_err(failed)?;
        if output.status.success() {
            let parsed = serde_json::from_slice::<HelperOutput>(&output.stdout);
            // The parser's error is dropped, because it may show parts of the secret.
            let parsed = parsed.map_err(|_| CredentialError::HelperOutput {
                server: server.to_owned(),
                program,
            })?;
            return Ok(parsed.auth());
        }
        // Helpers write errors to the standard output.
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let message = [text(&output.stdout), text(&output.stderr)];
        let message = message.into_iter().find(|text| !text.is_empty());
        match message.unwrap_or_else(|| "it printed nothing".to_owned()) {
            message if message == UNKNOWN => Ok(None),
            message => Err(failed(ProcessError::Failed {
                program,
                stderr: message,
            })),
        }
    }
}

impl HelperOutput {
    pub(super) fn auth(self) -> Option<RegistryAuth> {
        let (user, secret) = (self.username, self.secret);
        match user.as_str() {
            "" => None,
            TOKEN => Some(RegistryAuth::IdentityToken(secret)),
            _ => Some(RegistryAuth::Basic {
                user,
                password: secret,
            }),
        }
    }
}
