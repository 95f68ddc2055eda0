//! Formatting of values for people.

use indicatif::HumanCount;
use ostree_go_sdk::Arch;
use ostree_go_sdk::deploy::Deployment;
use std::time::Duration;

/// Formats a table. Each column is as wide as its widest cell; columns are separated by two spaces.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: &[String]| {
        row.iter()
            .map(|cell| cell.chars().count())
            .collect::<Vec<_>>()
    };
    let mut widths: Vec<usize> = header.iter().map(|title| title.len()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(cells(row)) {
            *width = (*width).max(cell);
        }
    }
    let mut text = String::new();
    let head: Vec<String> = header.iter().map(ToString::to_string).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(&format!("{cell:<width$}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Formats a table with a second, indented line below each row, for what is too long for a column.
pub fn table_with_lines(header: &[&str], rows: &[Vec<String>], lines: &[String]) -> String {
    let mut text = String::new();
    for (row, printed) in table(header, rows).lines().enumerate() {
        text.push_str(&format!("{printed}\n"));
        let below = row.checked_sub(1).and_then(|row| lines.get(row));
        if let Some(line) = below.filter(|line| !line.is_empty()) {
            text.push_str(&format!("    {line}\n"));
        }
    }
    text
}

pub use ostree_go_sdk::format_bytes as bytes;

/// Formats a count with thousands separators: `11,317`.
pub fn count(amount: u64) -> String {
    HumanCount(amount).to_string()
}

/// Formats a time in seconds since 1970: `2026-11-02T20:36:21Z`.
pub fn time(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |t| t.to_string())
}

/// Formats the day of a time in seconds since 1970: `2026-11-02`.
pub fn day(seconds: u64) -> String {
    let mut text = time(seconds);
    text.truncate(text.find('T').unwrap_or(text.len()));
    text
}

/// Formats an age in seconds in its largest unit: `2 days`, `1 hour`.
pub fn age(seconds: u64) -> String {
    let (amount, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3600 => (seconds / 60, "minute"),
        3600..86_400 => (seconds / 3600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    let plural = if amount == 1 { "" } else { "s" };
    format!("{} {unit}{plural}", count(amount))
}

/// Returns `go 1.26.5`, with the architecture if it is not that of this machine.
pub fn title(version: &str, arch: Arch) -> String {
    match Some(arch) == Arch::host() {
        true => format!("go {version}"),
        false => format!("go {version} {arch}"),
    }
}

/// Returns the version of a deployment: `go 1.26.5`, with the architecture if it is not that of this
/// machine.
pub fn deployment_title(deployment: &Deployment) -> String {
    title(&deployment.version, deployment.arch)
}

/// Formats the amount, duration and kind of a download.
pub fn downloaded(amount: u64, elapsed: Duration, used_delta: bool) -> String {
    format!(
        "{} downloaded in {:.1} s{}",
        bytes(amount),
        elapsed.as_secs_f64(),
        if used_delta { ", by delta" } else { "" },
    )
}

/// Abbreviates a checksum to 12 digits.
pub fn short(checksum: impl ToString) -> String {
    let mut text = checksum.to_string();
    text.truncate(12);
    text
}

/// Abbreviates the checksum in the ref of a layer: `go-sdk/layer/site/…`. Tables with refs have
/// another column for the commit.
pub fn short_ref(name: impl ToString) -> String {
    let name = name.to_string();
    let parts = name.split('/').map(|part| {
        let is_checksum = part.len() == 64 && part.bytes().all(|b| b.is_ascii_hexdigit());
        match is_checksum {
            true => "…",
            false => part,
        }
    });
    parts.collect::<Vec<_>>().join("/")
}

/// Abbreviates a URL or name that is longer than `width` characters. The server and the end of the
/// path are kept, because they say most: `https://go.dev/…/go1.26.5.linux-amd64.tar.gz`.
pub fn short_url(url: &str, width: usize) -> String {
    if url.chars().count() <= width {
        return url.to_owned();
    }
    let server = url.find("://").map_or("", |scheme| {
        let path = url[scheme + 3..].find('/');
        path.map_or("", |path| &url[..scheme + 3 + path + 1])
    });
    // What is most specific is at the end.
    let last = |width: usize| -> String {
        let skipped = url.chars().count().saturating_sub(width);
        url.chars().skip(skipped).collect()
    };
    let file = url.rsplit('/').next().unwrap_or(url);
    let with_server = format!("{server}…/{file}");
    match !server.is_empty() && with_server.chars().count() <= width {
        true => with_server,
        false => format!("…{}", last(width.saturating_sub(1))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_have_one_unit() {
        let ages = [0, 1, 59, 60, 7199, 7200, 86_400, 172_800].map(age);
        let expected = [
            "0 seconds",
            "1 second",
            "59 seconds",
            "1 minute",
            "1 hour",
            "2 hours",
            "1 day",
            "2 days",
        ];
        assert_eq!(ages, expected);
    }

    #[test]
    fn amounts_are_formatted_with_units_and_separators() {
        let amounts = [
            0,
            999,
            1000,
            999_949,
            999_950,
            215_000_000,
            5_000_000_000_000_000,
        ];
        let shown: Vec<String> = amounts.iter().map(|n| bytes(*n)).collect();
        assert_eq!(
            shown,
            [
                "0 B",
                "999 B",
                "1.0 kB",
                "999.9 kB",
                "1.0 MB",
                "215.0 MB",
                "5000.0 TB"
            ]
        );
        assert_eq!(
            [0, 999, 1000, 11317, 1_234_567].map(count).join(" "),
            "0 999 1,000 11,317 1,234,567"
        );
        assert_eq!(time(1_234_567_890), "2009-02-13T23:31:30Z");
    }

    #[test]
    fn long_urls_and_refs_are_abbreviated() {
        let url = "https://go.dev/dl/mirror/go1.26.5.linux-amd64.tar.gz";
        assert_eq!(short_url(url, 60), url);
        assert_eq!(
            short_url(url, 48),
            "https://go.dev/…/go1.26.5.linux-amd64.tar.gz"
        );
        assert_eq!(short_url(url, 20), "….linux-amd64.tar.gz");
        assert_eq!(
            short_url("go-sdk/x86_64/1.26.5", 40),
            "go-sdk/x86_64/1.26.5"
        );
        assert_eq!(short_url("ä".repeat(9).as_str(), 4), "…äää");
        let checksum = "0123456789abcdef".repeat(4);
        assert_eq!(
            short_ref(format!("go-sdk/layer/site/{checksum}")),
            "go-sdk/layer/site/…"
        );
        assert_eq!(short_ref("go-sdk/x86_64/1.26.5"), "go-sdk/x86_64/1.26.5");
        assert_eq!(day(1_234_567_890), "2009-02-13");
    }

    #[test]
    fn table_columns_are_aligned() {
        let rows = [
            vec!["a".to_owned(), "1".to_owned()],
            vec!["longer".to_owned(), String::new()],
        ];
        assert_eq!(
            table(&["NAME", "N"], &rows),
            "NAME    N\na       1\nlonger\n"
        );
    }
}
