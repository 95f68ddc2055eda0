//! Credentials from programs that keep them: `docker-credential-NAME`.
//!
//! Source: `docker/docker-credential-helpers`, README and `credentials/error.go`.

use super::RegistryAuth;
use crate::kind::ErrorKind;
use crate::process::{self, ProcessError};
use serde::Deserialize;
use std::process::Command;

/// What a helper says of a registry that it does not know (`errCredentialsNotFoundMessage`).
const UNKNOWN: &str = "credentials not found in native keychain";
/// The name that stands before an identity token.
const TOKEN: &str = "<token>";

/// Why a helper did not give credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// It cannot be run, or failed.
    #[error("cannot get credentials for {server}")]
    Helper {
        /// The registry.
        server: String,
        /// What happened.
        source: ProcessError,
    },
    /// It answered with something else.
    #[error(
        "cannot get credentials for {server}: the answer of `{program}` has no `Username` and `Secret`"
    )]
    Answer {
        /// The registry.
        server: String,
        /// The helper.
        program: String,
    },
}

impl CredentialError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Helper { source, .. } => source.kind(),
            Self::Answer { .. } => ErrorKind::InvalidInput,
        }
    }
}

/// An answer that is one.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    username: String,
    secret: String,
}

impl RegistryAuth {
    /// Asks `docker-credential-NAME`, which is searched in `PATH`, what a registry knows one by;
    /// `None` when it does not know.
    ///
    /// # Errors
    /// When it cannot be run, fails, or gives another answer.
    pub fn from_helper(name: &str, server: &str) -> Result<Option<Self>, CredentialError> {
        let program = format!("docker-credential-{name}");
        let failed = |source| CredentialError::Helper {
            server: server.to_owned(),
            source,
        };
        let output = process::run_with_input(&program, Command::new(&program).arg("get"), server);
        let output = output.map_err(failed)?;
        if output.status.success() {
            let answer = serde_json::from_slice::<Answer>(&output.stdout);
            // What is wrong with it is not told, for that may show what is in it.
            let answer = answer.map_err(|_| CredentialError::Answer {
                server: server.to_owned(),
                program,
            })?;
            return Ok(answer.auth());
        }
        // Errors stand on the standard output.
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        let said = [text(&output.stdout), text(&output.stderr)];
        let said = said.into_iter().find(|text| !text.is_empty());
        match said.unwrap_or_else(|| "it said nothing".to_owned()) {
            said if said == UNKNOWN => Ok(None),
            said => Err(failed(ProcessError::Failed {
                program,
                stderr: said,
            })),
        }
    }
}

impl Answer {
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
