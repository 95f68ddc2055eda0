//! Hints for errors about the sources of SDKs and modules.

use ostree_go_sdk::ErrorKind;
use ostree_go_sdk::source::{RpmProblem, SourceError};

/// Returns the hint for a source that cannot be used.
pub fn hint(error: &SourceError) -> Option<String> {
    let hint = match error {
        SourceError::Cache(error) if error.kind() == ErrorKind::PermissionDenied => {
            "specify a directory for downloads that can be written with --cachedir"
        }
        SourceError::NoGoroot { .. } => {
            "list all packages of the SDK under `rpm`: golang, golang-bin and golang-src"
        }
        SourceError::NoProxy { .. } => {
            "set `goproxy` in the treefile, or GOPROXY in the environment, to a Go module proxy; \
             https://go.dev/ref/mod#environment-variables names Go's default"
        }
        SourceError::RpmPin { .. } => "pin an h1 as well, or give each RPM a `sha256` instead",
        SourceError::Rpm { problem, .. } => match **problem {
            RpmProblem::Version { .. } => "use packages from the same build",
            RpmProblem::Source => "use the binary packages that are built from it",
            RpmProblem::Refused { .. } => "`rpmkeys -Kv` shows who signed a package",
            _ => return None,
        },
        _ => return None,
    };
    Some(hint.to_owned())
}
