//! Classifies the errors of libostree's pull.
//!
//! Most of them have the code `FAILED`, so that their messages have to be matched. The patterns are
//! from libostree 2022.7 (`ostree-repo-pull.c`, `ostree-fetcher-util.c`, `ostree-fetcher-curl.c`,
//! `ostree-core.c`, `ostree-repo-static-delta-processing.c`).

use crate::kind::ErrorKind;
use crate::repo::kind_of_glib;

/// Patterns of messages about invalid content.
const REFUSED: &[&str] = &[
    "Corrupted",
    "checksum expected",
    "Invalid checksum",
    "signature",
    "GPG",
    "ref binding",
    "Not normal form",
    "variant type",
    "Invalid",
    "invalid",
    "Unexpected",
    "too large",
    "exceeding maximum",
    "LZMA",
    "lzma",
    "compressed data",
    "opcode",
    "delta",
    "UTF-8",
    "not a valid",
    "validating",
    "Out of range",
    "Expected",
];

/// Patterns of messages about network or server failures.
const NETWORK: &[&str] = &[
    "Server returned HTTP 5",
    "Server returned HTTP 408",
    "Server returned HTTP 429",
    "Server returned status 5",
    "Could not resolve",
    "Couldn't resolve",
    "Couldn't connect",
    "Could not connect",
    "Failed to connect",
    "Connection ",
    "Failure when receiving data",
    "Failed sending data",
    "Timeout was reached",
    "Transferred a partial file",
    "Server returned nothing",
    "SSL connect error",
    "Stream error in the HTTP/2",
    "Error in the HTTP2 framing layer",
    "while reading from server",
];

/// Returns the kind of an error of a pull.
pub(super) fn classify(error: &glib::Error) -> ErrorKind {
    use gio::IOErrorEnum as Io;
    if is_signature_error(error) {
        return ErrorKind::Mismatch;
    }
    if error.is::<gio::ResolverError>() || error.is::<gio::TlsError>() {
        return ErrorKind::Network;
    }
    match kind_of_glib(error) {
        ErrorKind::Io => {}
        ErrorKind::Locked if error.matches(Io::Busy) => return ErrorKind::Network,
        known => return known,
    }
    if let Some(
        Io::TimedOut
        | Io::HostNotFound
        | Io::HostUnreachable
        | Io::NetworkUnreachable
        | Io::ConnectionRefused
        | Io::PartialInput
        | Io::BrokenPipe
        | Io::ProxyFailed,
    ) = error.kind::<Io>()
    {
        return ErrorKind::Network;
    }
    let contains_any = |words: &[&str]| words.iter().any(|word| error.message().contains(word));
    if contains_any(NETWORK) {
        ErrorKind::Network
    } else if error.matches(Io::InvalidData) || contains_any(REFUSED) {
        ErrorKind::Mismatch
    } else {
        ErrorKind::Io
    }
}

/// Returns true if libostree refused a signature (`OSTREE_GPG_ERROR`, for which there is no
/// binding).
fn is_signature_error(error: &glib::Error) -> bool {
    error.domain().as_str() == "OstreeGpgError"
}

#[cfg(test)]
mod tests {
    use super::*;
    use gio::IOErrorEnum as Io;

    #[test]
    fn messages_are_classified() {
        let sum = "0".repeat(64);
        // Messages of libostree 2022.7.
        let cases = [
            (
                Io::Failed,
                format!("Corrupted metadata object; checksum expected='{sum}' actual='{sum}'"),
                ErrorKind::Mismatch,
            ),
            (
                Io::Failed,
                format!("Corrupted file object; checksum expected='{sum}' actual='{sum}'"),
                ErrorKind::Mismatch,
            ),
            (
                Io::InvalidData,
                "Invalid compressed data".to_owned(),
                ErrorKind::Mismatch,
            ),
            (
                Io::Failed,
                format!("Invalid checksum for static delta {sum}"),
                ErrorKind::Mismatch,
            ),
            (
                Io::Failed,
                "Can't verify commit without detached metadata".to_owned(),
                ErrorKind::Io,
            ),
            (
                Io::NotFound,
                "While fetching http://h/objects/ab/c.filez: Server returned HTTP 404".to_owned(),
                ErrorKind::NotFound,
            ),
            (
                Io::Busy,
                "While fetching http://h/summary: Server returned HTTP 500".to_owned(),
                ErrorKind::Network,
            ),
            (
                Io::Failed,
                "While fetching http://h/x: Server returned HTTP 503".to_owned(),
                ErrorKind::Network,
            ),
            (
                Io::Failed,
                "While fetching http://h/x: [7] Couldn't connect to server".to_owned(),
                ErrorKind::Network,
            ),
            (
                Io::PartialInput,
                "While fetching http://h/x: [18] Transferred a partial file".to_owned(),
                ErrorKind::Network,
            ),
            (
                Io::Failed,
                "While fetching http://h/x: [56] Failure when receiving data from the peer"
                    .to_owned(),
                ErrorKind::Network,
            ),
            (
                Io::Failed,
                "min-free-space-percent '3%' would be exceeded, at least 1 MB requested".to_owned(),
                ErrorKind::DiskFull,
            ),
            (
                Io::Cancelled,
                "Operation was cancelled".to_owned(),
                ErrorKind::Cancelled,
            ),
        ];
        for (code, message, expected) in cases {
            assert_eq!(
                classify(&glib::Error::new(code, &message)),
                expected,
                "{message}"
            );
        }
    }
}
