//! Entry point of the fuzz target `http_headers`.

use super::retry_after;
use super::transfer::{content_length, content_range, validator};
use ureq::http::{HeaderMap, HeaderName, HeaderValue};

/// Parses the headers of a response: one `Name: value` per line.
pub fn http_headers(bytes: &[u8]) {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else {
            continue;
        };
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(&line[..colon]),
            HeaderValue::from_bytes(line[colon + 1..].trim_ascii()),
        ) {
            headers.append(name, value);
        }
    }
    let _ = (content_length(&headers), validator(&headers));
    let _ = (content_range(&headers), retry_after(&headers));
}
