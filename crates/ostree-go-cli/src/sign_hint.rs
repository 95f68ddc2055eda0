//! Suggestions for errors of signing.

use ostree_go_sdk::sign::{HomeProblem, SignError, SignerError};

/// Returns a suggestion for an error of a key, or of a file with signatures, if there is one.
pub fn hint(error: &SignError) -> Option<String> {
    let hint = match error {
        SignError::External { source, .. } => signer_hint(source)?,
        SignError::NoTemporaryFolder { .. } => "set TMPDIR to a directory that exists, or unset it",
        SignError::UnsignedFile { path, .. } => {
            let path = path.display();
            return Some(format!(
                "the signatures belong into {path}.sig; `ostree-go workspace lock` writes them with --gpg-sign or --sign-from-file"
            ));
        }
        SignError::Home { problem, .. } => match problem {
            HomeProblem::TooLong { .. } => {
                "use a directory with a shorter path, for example a symbolic link to it"
            }
            HomeProblem::ReadOnly => "copy it to a directory that can be written",
            _ => return None,
        },
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns a suggestion for an error of a command or a token.
fn signer_hint(error: &SignerError) -> Option<&'static str> {
    let hint = match error {
        SignerError::NoPin { .. } => {
            "add `?pin-source=FILE` to the URI, with the absolute path of a file that contains the PIN"
        }
        SignerError::NoToken { .. } => {
            "`pkcs11-tool --module FILE --list-token-slots` lists the tokens of a module"
        }
        SignerError::NoKey { .. } | SignerError::SeveralKeys { .. } => {
            "`pkcs11-tool --module FILE --login --list-objects` lists the keys; `object=` and `id=` in the URI select one"
        }
        SignerError::Invalid { .. } => {
            "--sign-command-key has to be the public key that the command signs with"
        }
        _ => return None,
    };
    Some(hint)
}
