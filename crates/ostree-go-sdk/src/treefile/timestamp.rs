//! Timestamps in treefiles.

/// Parses a number of seconds since 1970-01-01T00:00:00Z, or a time in RFC 3339 with `Z`.
///
/// Fractions of a second and offsets other than `Z` are rejected: a commit's timestamp has
/// whole seconds, and `VERSION` files use the same form.
pub(super) fn parse(text: &str) -> Option<u64> {
    if let Some(seconds) = number(text, text.len()) {
        return Some(seconds);
    }
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = fields(time, ':', [2, 2, 2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let february = if leap { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let before = usize::try_from(month).ok()?.checked_sub(1)?;
    let in_range = year >= 1970
        && (1..=*months.get(before)?).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return None;
    }
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    let days = (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969)
        + months[..before].iter().sum::<u64>()
        + day
        - 1;
    Some(((days * 24 + hour) * 60 + minute) * 60 + second)
}

/// Splits `text` into exactly three numbers of the given widths.
fn fields(text: &str, separator: char, widths: [usize; 3]) -> Option<[u64; 3]> {
    let mut parts = text.split(separator);
    let mut fields = [0; 3];
    for (field, width) in fields.iter_mut().zip(widths) {
        *field = number(parts.next()?, width)?;
    }
    parts.next().is_none().then_some(fields)
}

fn number(text: &str, width: usize) -> Option<u64> {
    let digits = text.len() == width && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_seconds_and_rfc_3339() {
        // The right-hand sides are what `date -u -d … +%s` prints.
        for (text, seconds) in [
            ("0", 0),
            ("1793651781", 1_793_651_781),
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T23:59:59Z", 951_868_799),
            ("2026-11-02T20:36:21Z", 1_793_651_781),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
        ] {
            assert_eq!(parse(text), Some(seconds), "{text}");
        }
        for bad in [
            "",
            "-1",
            "+1",
            "1.5",
            "2026-11-02",
            "2026-11-02T20:36:21",
            "2026-11-02T20:36:21+01:00",
            "2026-11-02T20:36:21.5Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-11-02T20:36:21:00Z",
            "99999999999999999999999",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
