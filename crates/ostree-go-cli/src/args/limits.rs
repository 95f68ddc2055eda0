//! Sizes and durations.

use std::time::Duration;

/// Parses a number of bytes, with the units K, M, G and T, which are powers of 1024 as in systemd.
pub fn size(text: &str) -> Result<u64, String> {
    let (number, power) = match text.trim_end_matches(['B', 'b']) {
        text if text.ends_with(['K', 'k']) => (&text[..text.len() - 1], 1),
        text if text.ends_with(['M', 'm']) => (&text[..text.len() - 1], 2),
        text if text.ends_with(['G', 'g']) => (&text[..text.len() - 1], 3),
        text if text.ends_with(['T', 't']) => (&text[..text.len() - 1], 4),
        text => (text, 0),
    };
    let number = number.parse::<u64>().ok().filter(|number| *number > 0);
    let bytes = number.and_then(|number| number.checked_mul(1024u64.pow(power)));
    bytes.ok_or_else(|| format!("expected a size such as 512M or 2G, found `{text}`"))
}

/// Parses a duration: seconds, or a number with the unit s, m or h.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, seconds) = match text {
        text if text.ends_with('s') => (&text[..text.len() - 1], 1),
        text if text.ends_with('m') => (&text[..text.len() - 1], 60),
        text if text.ends_with('h') => (&text[..text.len() - 1], 3600),
        text => (text, 1),
    };
    let number = number.parse::<u64>().ok().filter(|number| *number > 0);
    let seconds = number.and_then(|number| number.checked_mul(seconds));
    seconds
        .map(Duration::from_secs)
        .ok_or_else(|| format!("expected a duration such as 90s, 10m or 2h, found `{text}`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations() {
        assert_eq!(size("512M"), Ok(512 << 20));
        assert_eq!(size("2G"), Ok(2 << 30));
        assert_eq!(size("1000"), Ok(1000));
        assert_eq!(duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        for text in ["", "0", "-1", "M", "1.5G", "99999999999T"] {
            assert!(size(text).is_err(), "{text}");
        }
        for text in ["", "0s", "1d", "m"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
