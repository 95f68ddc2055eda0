//! Amounts as text for people.

/// Formats a number of bytes with decimal units and one decimal place: `999 B`, `1.0 MB`. Messages,
/// the published page and the command use the same units.
#[must_use]
pub fn format_bytes(amount: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    if amount < 1000 {
        return format!("{amount} B");
    }
    let mut value = amount as f64;
    let mut unit = "B";
    for larger in UNITS {
        // 999.95 would print as 1000.0.
        if value < 999.95 {
            break;
        }
        value /= 1000.0;
        unit = larger;
    }
    format!("{value:.1} {unit}")
}
