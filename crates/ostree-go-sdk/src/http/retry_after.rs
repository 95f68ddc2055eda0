//! The header `Retry-After` of an answer.
//!
//! Source: RFC 9110, sections 10.2.3 (`Retry-After`) and 5.6.7 (`HTTP-date`). Of the three forms of dates only the preferred one
//! is read; the others are obsolete, and no known server sends them in this header.

use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use std::time::Duration;
use ureq::http::{HeaderMap, header};

/// Returns how long the server asks to wait; `None` without the header, or if it is malformed.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let value = headers.get(header::RETRY_AFTER)?.to_str().ok()?;
    parse(value, Timestamp::now())
}

/// Parses the value: a number of seconds, or a date. A date in the past is no wait.
pub(super) fn parse(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(date.duration_since(now)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn now() -> Timestamp {
        Timestamp::from_second(784_111_777).unwrap()
    }

    #[test]
    fn seconds_and_dates_are_read() {
        let seconds = |text| parse(text, now()).map(|wait| wait.as_secs());
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds(" 7 "), Some(7));
        assert_eq!(seconds("999999999999999999999999"), Some(u64::MAX));
        // The example of RFC 9110, 5.6.7, is second 784111777.
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:50:00 GMT"), Some(23));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:00:00 GMT"), Some(0));
        assert_eq!(seconds("Mon, 07 Nov 2094 08:00:00 GMT"), None);
        assert_eq!(
            seconds("Sun, 07 Nov 2094 08:49:37 GMT"),
            Some(3_155_760_000 + 86_400)
        );
        for malformed in ["", "-1", "1.5", "soon", "Sunday, 06-Nov-94 08:49:37 GMT"] {
            assert_eq!(seconds(malformed), None, "{malformed}");
        }
    }

    proptest! {
        #[test]
        fn no_value_makes_the_parser_panic(value in "\\PC*") {
            let _ = parse(&value, now());
        }
    }
}
