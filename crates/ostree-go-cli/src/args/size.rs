//! Sizes in arguments.

/// The units, and the number of bytes of each.
const UNITS: [(&str, u64); 9] = [
    ("", 1),
    ("K", 1_000),
    ("M", 1_000_000),
    ("G", 1_000_000_000),
    ("T", 1_000_000_000_000),
    ("KIB", 1 << 10),
    ("MIB", 1 << 20),
    ("GIB", 1 << 30),
    ("TIB", 1 << 40),
];

/// Parses a number of bytes, with or without a unit: `500M`, `2GiB`.
pub fn parse(text: &str) -> Result<u64, String> {
    let end = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim().to_ascii_uppercase();
    let unit = match unit.strip_suffix('B') {
        Some(short) if !short.ends_with('I') => short,
        _ => &unit,
    };
    let factor = UNITS.iter().find(|(name, _)| *name == unit);
    let size = factor.and_then(|(_, factor)| number.parse::<u64>().ok()?.checked_mul(*factor));
    size.ok_or_else(|| "expected a size such as 500M, 10G or 2GiB".to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn sizes_have_decimal_and_binary_units() {
        for (text, expected) in [
            ("0", 0),
            ("12", 12),
            ("500M", 500_000_000),
            ("10g", 10_000_000_000),
            ("10 GB", 10_000_000_000),
            ("2GiB", 2 << 30),
            ("1KiB", 1024),
            ("7B", 7),
        ] {
            assert_eq!(parse(text), Ok(expected), "{text}");
        }
        for text in ["", "G", "-1", "1.5G", "1X", "99999999999T", "iB", "1i"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
