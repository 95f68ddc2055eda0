//! Texts in HTML.

use crate::clock::rfc3339;

/// Formats the day of a time in seconds since 1970: `2026-11-02`.
pub(super) fn date(seconds: u64) -> String {
    let time = rfc3339(seconds);
    time.split('T').next().unwrap_or_default().to_owned()
}

/// Formats a time in seconds since 1970: `2026-11-02 20:36:21 UTC`.
pub(super) fn time(seconds: u64) -> String {
    rfc3339(seconds).replace('T', " ").replace('Z', " UTC")
}

/// Returns a text as the content of an element or attribute.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
