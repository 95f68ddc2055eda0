//! The messages of `GOCACHEPROG`.
//!
//! Source: `src/cmd/go/internal/cacheprog/cacheprog.go` and `src/cmd/go/internal/cache/prog.go`, since Go
//! 1.24. Requests and responses are JSON objects, one per line. The body of a `put` follows as a line
//! with a JSON string in Base64. Empty lines are allowed.

use crate::id::Sha256;
use crate::stdcache::error::StdCacheError;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::read::DecoderReader;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead, Read};

/// The longest line of a request, in bytes. The go command's have less than 300.
const MAX_LINE: u64 = 64 * 1024;
/// The largest body of a request, in bytes. Go's archives have a few megabytes.
const MAX_BODY: u64 = 1 << 34;

/// A request of the go command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// The number that the response must have.
    pub(super) id: i64,
    pub(super) command: Command,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Command {
    Get {
        action: Sha256,
    },
    /// A body of `size` bytes follows.
    Put {
        action: Sha256,
        output: Sha256,
        size: u64,
    },
    Close,
    /// A command that was not announced.
    Unknown(String),
}

#[derive(Deserialize)]
struct RawRequest {
    #[serde(rename = "ID")]
    id: i64,
    #[serde(rename = "Command")]
    command: String,
    #[serde(rename = "ActionID", default)]
    action: Option<String>,
    #[serde(rename = "OutputID", default)]
    output: Option<String>,
    #[serde(rename = "BodySize", default)]
    body_size: i64,
}

/// Reads requests.
#[derive(Debug)]
pub(super) struct Requests<R> {
    reader: R,
    line: Vec<u8>,
}

impl<R: BufRead> Requests<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            line: Vec::new(),
        }
    }

    /// Reads the next request. Returns `None` at the end of the input, also in the middle of a request:
    /// the go command was killed then.
    pub(super) fn next(&mut self) -> Result<Option<Request>, StdCacheError> {
        loop {
            self.line.clear();
            let mut limited = (&mut self.reader).take(MAX_LINE);
            match limited.read_until(b'\n', &mut self.line) {
                Ok(_) => {}
                Err(error) => return Err(protocol(format!("it cannot be read: {error}"))),
            }
            if self.line.last() != Some(&b'\n') {
                if self.line.len() >= usize::try_from(MAX_LINE).unwrap_or(usize::MAX) {
                    return Err(protocol(format!("a line of more than {MAX_LINE} bytes")));
                }
                return Ok(None);
            }
            if !self.line.trim_ascii().is_empty() {
                return parse(&self.line).map(Some);
            }
        }
    }

    /// Reads a body of `size` bytes, and passes it on in parts. Returns false if the input ends before.
    pub(super) fn body(
        &mut self,
        size: u64,
        mut receive: impl FnMut(&[u8]),
    ) -> Result<bool, StdCacheError> {
        // The go command sends no body for an empty output.
        if size == 0 {
            return Ok(true);
        }
        let mut quote = [0];
        loop {
            match self.reader.read(&mut quote) {
                Ok(0) => return Ok(false),
                Ok(_) if quote[0] == b'"' => break,
                Ok(_) if quote[0].is_ascii_whitespace() => {}
                Ok(_) => return Err(protocol("the body is not a JSON string".to_owned())),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Ok(false),
            }
        }
        let mut limited = (&mut self.reader).take(size.div_ceil(3) * 4);
        let decoded = decode(&mut limited, &mut receive);
        let is_complete = limited.limit() == 0;
        let done = match decoded {
            Ok(done) if is_complete => done,
            Ok(_) => return Ok(false),
            // An input that ends early is not valid Base64 either.
            Err(error) => {
                return match self.reader.fill_buf() {
                    Ok([]) | Err(_) => Ok(false),
                    Ok(_) => Err(protocol(format!("the body is not Base64: {error}"))),
                };
            }
        };
        match self.reader.read(&mut quote) {
            Ok(0) | Err(_) => Ok(false),
            Ok(_) if quote[0] == b'"' && done == size => Ok(true),
            Ok(_) => Err(protocol(format!(
                "the body has not {size} bytes, as announced"
            ))),
        }
    }
}

/// Decodes Base64, and passes it on in parts. Returns the number of bytes.
fn decode(encoded: impl Read, receive: &mut impl FnMut(&[u8])) -> io::Result<u64> {
    let mut decoder = DecoderReader::new(encoded, &STANDARD);
    let (mut buffer, mut done) = (vec![0; 128 * 1024], 0u64);
    loop {
        match decoder.read(&mut buffer) {
            Ok(0) => return Ok(done),
            Ok(read) => {
                done += u64::try_from(read).unwrap_or_default();
                receive(&buffer[..read]);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn protocol(problem: String) -> StdCacheError {
    StdCacheError::Protocol { problem }
}

fn parse(line: &[u8]) -> Result<Request, StdCacheError> {
    let raw: RawRequest =
        serde_json::from_slice(line).map_err(|error| protocol(error.to_string()))?;
    let digest = |name: &str, text: &Option<String>| {
        let bytes = STANDARD.decode(text.as_deref().unwrap_or_default()).ok();
        let digest = bytes.and_then(|bytes| bytes.try_into().ok());
        let digest = digest.map(Sha256::new);
        digest.ok_or_else(|| protocol(format!("{name} is not a SHA-256 digest in Base64")))
    };
    let command = match raw.command.as_str() {
        "get" => Command::Get {
            action: digest("ActionID", &raw.action)?,
        },
        "put" => Command::Put {
            action: digest("ActionID", &raw.action)?,
            output: digest("OutputID", &raw.output)?,
            size: u64::try_from(raw.body_size)
                .ok()
                .filter(|size| *size <= MAX_BODY)
                .ok_or_else(|| protocol(format!("a body of {} bytes", raw.body_size)))?,
        },
        "close" => Command::Close,
        _ => Command::Unknown(raw.command.chars().take(40).collect()),
    };
    Ok(Request {
        id: raw.id,
        command,
    })
}

/// A response. Fields that are not set are left out.
#[derive(Debug, Default, Serialize)]
pub(super) struct Response<'a> {
    #[serde(rename = "ID")]
    pub(super) id: i64,
    #[serde(rename = "Err", skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    #[serde(rename = "KnownCommands", skip_serializing_if = "<[_]>::is_empty")]
    pub(super) known_commands: &'a [&'a str],
    #[serde(rename = "Miss", skip_serializing_if = "is_false")]
    pub(super) miss: bool,
    #[serde(rename = "OutputID", skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<String>,
    #[serde(rename = "Size", skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    /// In the form of RFC 3339.
    #[serde(rename = "Time", skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<String>,
    #[serde(rename = "DiskPath", skip_serializing_if = "Option::is_none")]
    pub(super) disk_path: Option<&'a str>,
}

// The type that serde requires.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(value: &bool) -> bool {
    !value
}

/// Formats a digest for a response.
pub(super) fn base64(digest: Sha256) -> String {
    STANDARD.encode(digest.as_bytes())
}

/// Formats a time in nanoseconds since 1970 for a response.
pub(super) fn rfc3339(nanoseconds: u64) -> Option<String> {
    let time = jiff::Timestamp::from_nanosecond(nanoseconds.into()).ok();
    time.map(|time| time.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the requests in an input, with the bodies, until its end or the first error.
    fn all(input: &[u8]) -> (Vec<(Request, Vec<u8>)>, Option<String>) {
        let mut requests = Requests::new(input);
        let mut found = Vec::new();
        loop {
            let request = match requests.next() {
                Ok(Some(request)) => request,
                Ok(None) => return (found, None),
                Err(error) => return (found, Some(error.to_string())),
            };
            let mut body = Vec::new();
            if let Command::Put { size, .. } = request.command {
                match requests.body(size, |part| body.extend_from_slice(part)) {
                    Ok(true) => {}
                    Ok(false) => return (found, None),
                    Err(error) => return (found, Some(error.to_string())),
                }
            }
            found.push((request, body));
        }
    }

    /// Formats a `put` as the go command does.
    fn put(id: i64, digest: Sha256, body: &[u8]) -> String {
        let digest = base64(digest);
        let mut text =
            format!(r#"{{"ID":{id},"Command":"put","ActionID":"{digest}","OutputID":"{digest}""#);
        match body.len() {
            0 => text.push_str("}\n\n"),
            size => text.push_str(&format!(
                ",\"BodySize\":{size}}}\n\n\"{}\"\n",
                STANDARD.encode(body)
            )),
        }
        text
    }

    #[test]
    fn invalid_requests_are_errors() {
        let long = format!("{{\"ID\":1,\"Command\":\"{}\"}}\n", "x".repeat(70_000));
        let digest = base64(Sha256::new([7; 32]));
        let bad_body = format!(
            "{}\"????\"\n",
            put(1, Sha256::new([7; 32]), b"").replace("}\n\n", ",\"BodySize\":3}\n")
        );
        for (input, expected) in [
            ("[1]\n", "invalid length 1"),
            ("{\"ID\":1}\n", "missing field `Command`"),
            ("{\"ID\":\"x\",\"Command\":\"get\"}\n", "invalid type"),
            (
                "{\"ID\":1,\"Command\":\"get\"}\n",
                "ActionID is not a SHA-256",
            ),
            (
                "{\"ID\":1,\"Command\":\"get\",\"ActionID\":\"AAAA\"}\n",
                "ActionID is not a SHA-256",
            ),
            (
                &format!(
                    "{{\"ID\":1,\"Command\":\"put\",\"ActionID\":\"{digest}\",\"OutputID\":\"{digest}\",\"BodySize\":-1}}\n"
                ),
                "a body of -1 bytes",
            ),
            (&bad_body, "not Base64"),
            (long.as_str(), "a line of more than 65536 bytes"),
        ] {
            let (found, error) = all(input.as_bytes());
            assert!(found.is_empty(), "{found:?}");
            assert!(
                error.as_deref().unwrap_or_default().contains(expected),
                "{error:?}"
            );
        }
    }

    #[test]
    fn unknown_commands_and_fields_are_no_errors() {
        let input =
            "\n{\"ID\":3,\"Command\":\"get2\",\"New\":[1]}\n\n{\"ID\":4,\"Command\":\"close\"}\n";
        let (found, error) = all(input.as_bytes());
        assert_eq!(error, None);
        assert_eq!(found[0].0.command, Command::Unknown("get2".to_owned()));
        assert_eq!(found[1].0.command, Command::Close);
    }

    #[test]
    fn responses_have_the_form_that_the_go_command_reads() {
        let response = Response {
            known_commands: &["get", "close"],
            ..Response::default()
        };
        let text = serde_json::to_string(&response).unwrap();
        assert_eq!(text, r#"{"ID":0,"KnownCommands":["get","close"]}"#);
        let response = Response {
            id: 7,
            output: Some(base64(Sha256::new([0; 32]))),
            size: Some(0),
            time: rfc3339(1_700_000_000_123_456_789),
            disk_path: Some("/x"),
            ..Response::default()
        };
        assert_eq!(
            serde_json::to_string(&response).unwrap(),
            r#"{"ID":7,"OutputID":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=","Size":0,"Time":"2023-11-14T22:13:20.123456789Z","DiskPath":"/x"}"#
        );
    }

    proptest! {
        #[test]
        fn requests_are_read_however_long_their_bodies(
            bodies in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..200), 0..5),
            cut in any::<proptest::sample::Index>(),
        ) {
            let digest = Sha256::new([9; 32]);
            let input: String = (1..).zip(&bodies).map(|(id, body)| put(id, digest, body)).collect();
            let (found, error) = all(input.as_bytes());
            prop_assert_eq!(error, None);
            let read: Vec<_> = found.into_iter().map(|(_, body)| body).collect();
            prop_assert_eq!(&read, &bodies);
            // A go command that is killed is no error.
            if !input.is_empty() {
                let (found, error) = all(&input.as_bytes()[..cut.index(input.len())]);
                prop_assert_eq!(error, None);
                prop_assert!(found.len() <= bodies.len());
            }
        }

        #[test]
        fn any_input_is_read_or_an_error(
            input in proptest::collection::vec(any::<u8>(), 0..300),
            lines in "(\\{\"ID\":[0-9]{1,3},\"Command\":\"(get|put|close|x)\"\\}\n|\"[A-Z=]{0,8}\"\n|\n){0,5}",
        ) {
            let _ = all(&input);
            let _ = all(lines.as_bytes());
        }
    }
}
