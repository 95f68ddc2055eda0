//! What kind of failure a message of libostree's is.
//!
//! Most of its errors have the code `FAILED`, so the words have to tell. They are those of
//! libostree 2022.7 (`ostree-repo-pull.c`, `ostree-fetcher-util.c`, `ostree-fetcher-curl.c`,
//! `ostree-core.c`, `ostree-repo-static-delta-processing.c`).

use crate::kind::ErrorKind;
use crate::repo::kind_of_glib;

/// Words of what arrived and was not what it should be.
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

/// Words of a network or a server in trouble.
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

/// The kind of an error that a pull ended with.
pub(super) fn kind(error: &glib::Error) -> ErrorKind {
    use gio::IOErrorEnum as Io;
    if is_about_signatures(error) {
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
    let has = |words: &[&str]| words.iter().any(|word| error.message().contains(word));
    if has(NETWORK) {
        ErrorKind::Network
    } else if error.matches(Io::InvalidData) || has(REFUSED) {
        ErrorKind::Mismatch
    } else {
        ErrorKind::Io
    }
}

/// Whether libostree refused a signature (`OSTREE_GPG_ERROR`, which has no binding).
fn is_about_signatures(error: &glib::Error) -> bool {
    error.domain().as_str() == "OstreeGpgError"
}

#[cfg(test)]
mod tests {
    use super::*;
    use gio::IOErrorEnum as Io;

    #[test]
    fn messages_have_kinds() {
        let sum = "0".repeat(64);
        // As libostree 2022.7 words them.
        let said = [
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
        for (code, message, expected) in said {
            assert_eq!(
                kind(&glib::Error::new(code, &message)),
                expected,
                "{message}"
            );
        }
    }
}
