//! Signatures by an external command.
//!
//! The command reads the bytes to sign from its standard input, and writes one signature to its
//! standard output. Environment variables say what is signed:
//!
//! | variable | value |
//! |---|---|
//! | `OSTREE_GO_SIGN_PROTOCOL` | `1` |
//! | `OSTREE_GO_SIGN_KIND` | `commit`, `summary`, `delta`, `file`, `key-transition` or `data` |
//! | `OSTREE_GO_SIGN_NAME` | the checksum of the commit, the name of the delta or the path of the file; otherwise empty |
//! | `OSTREE_GO_SIGN_FORMAT` | `ed25519` or `openpgp` |
//! | `OSTREE_GO_SIGN_KEY` | the public key in base64, or the fingerprint of the GPG key |

use super::external::SignerError;
use super::key::CommandKey;
use super::subject::Subject;
use super::text::openpgp_bytes;
use crate::process::{self, Limited, Limits};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

/// The maximum size of the output in bytes. An armoured signature by an RSA key of 16,384 bits has
/// 3 kB.
const MAX_OUTPUT: u64 = 64 << 10;
/// The number of lines of standard error that an error contains.
const ERROR_LINES: usize = 3;
/// The number of characters of standard error that an error contains.
const ERROR_CHARACTERS: usize = 500;

/// Runs the command, and returns 64 bytes or an OpenPGP packet. They are not verified yet.
pub(super) fn sign(
    data: &[u8],
    key: &CommandKey,
    subject: Subject<'_>,
) -> Result<Vec<u8>, SignerError> {
    let is_ed25519 = key.public.as_ed25519().is_some();
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(&key.command)
        .env("OSTREE_GO_SIGN_PROTOCOL", "1")
        .env("OSTREE_GO_SIGN_KIND", subject.kind())
        .env("OSTREE_GO_SIGN_NAME", subject.name())
        .env(
            "OSTREE_GO_SIGN_FORMAT",
            if is_ed25519 { "ed25519" } else { "openpgp" },
        )
        .env("OSTREE_GO_SIGN_KEY", key.public.id());
    let limits = Limits {
        timeout: key.timeout,
        bytes: MAX_OUTPUT,
    };
    let ended = process::run_limited("/bin/sh", &mut command, data, &limits);
    let out = match ended.map_err(SignerError::Start)? {
        Limited::Ended(out) => out,
        Limited::TimedOut => {
            return Err(SignerError::TimedOut {
                timeout: key.timeout,
            });
        }
        Limited::TooLong => return Err(SignerError::TooLong { limit: MAX_OUTPUT }),
    };
    if !out.status.success() {
        return Err(SignerError::Failed {
            status: status_text(out.status),
            stderr: tail(&out.stderr),
        });
    }
    let (found, expected) = match is_ed25519 {
        true => (
            ed25519_signature(&out.stdout),
            "an Ed25519 signature of 64 bytes, or the same in base64",
        ),
        false => (
            openpgp_bytes(&out.stdout),
            "a detached OpenPGP signature, armoured or binary",
        ),
    };
    found.ok_or(SignerError::NotASignature {
        found: out.stdout.len(),
        expected,
    })
}

/// Returns the signature in the output: 64 bytes, or the same in base64.
pub(super) fn ed25519_signature(output: &[u8]) -> Option<Vec<u8>> {
    if output.len() == 64 {
        return Some(output.to_vec());
    }
    let text = std::str::from_utf8(output).ok()?.trim();
    // Programs such as base64(1) break lines.
    let text: String = text.lines().map(str::trim_end).collect();
    STANDARD.decode(text).ok().filter(|bytes| bytes.len() == 64)
}

fn status_text(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit status {code}"),
        (None, Some(signal)) => format!("was killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// Returns the last lines of standard error, without control characters.
fn tail(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let mut lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines.retain(|line| !line.is_empty());
    let lines = lines[lines.len().saturating_sub(ERROR_LINES)..].join("; ");
    let shown = lines.chars().filter(|c| !c.is_control());
    match lines.is_empty() {
        true => "it printed no message".to_owned(),
        false => shown.take(ERROR_CHARACTERS).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_last_lines_of_the_message_are_shown() {
        assert_eq!(tail(b""), "it printed no message");
        assert_eq!(tail(b"a\nb\n\nc\n\x1b[1md\n"), "b; c; [1md");
        assert_eq!(tail(&[b'x'; 2000]).len(), ERROR_CHARACTERS);
    }

    proptest! {
        #[test]
        fn signatures_are_detected_by_their_content(bytes in prop::collection::vec(any::<u8>(), 64)) {
            prop_assert_eq!(ed25519_signature(&bytes), Some(bytes.clone()));
            let text = STANDARD.encode(&bytes);
            prop_assert_eq!(ed25519_signature(text.as_bytes()), Some(bytes.clone()));
            let broken = format!("{}\r\n{}\n", &text[..76], &text[76..]);
            prop_assert_eq!(ed25519_signature(broken.as_bytes()), Some(bytes));
        }

        #[test]
        fn other_output_is_no_signature(bytes: Vec<u8>) {
            prop_assume!(bytes.len() != 64);
            prop_assert!(ed25519_signature(&bytes).is_none_or(|found| found.len() == 64));
        }
    }
}
