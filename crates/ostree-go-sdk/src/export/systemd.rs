//! Quoting in files of systemd.

use std::fmt::Write as _;

/// Quotes a word of a command line for `systemd.service(5)`: `%` and `$` are doubled, and words
/// with other than plain characters are quoted.
pub(super) fn word(text: &str) -> String {
    let doubled = text.replace('%', "%%").replace('$', "$$");
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@=+,%$~?&".contains(&b);
    if !doubled.is_empty() && doubled.bytes().all(is_plain) {
        return doubled;
    }
    let mut quoted = String::from('"');
    for c in doubled.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// Quotes an assignment for `Environment=`, in which `%` is doubled and `$` has no meaning.
/// Source: systemd.exec(5).
pub(super) fn assignment(name: &str, value: &str) -> String {
    word(&format!("{name}={value}")).replace("$$", "$")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_reads_words_unchanged() {
        assert_eq!(
            word("https://x.example/a?b=1&c"),
            "https://x.example/a?b=1&c"
        );
        assert_eq!(word("https://x/%20$HOME"), "https://x/%%20$$HOME");
        assert_eq!(word("file:///a b\"\\"), r#""file:///a b\"\\""#);
        assert_eq!(word("a;b"), "\"a;b\"");
        assert_eq!(assignment("A", "$b 5%"), r#""A=$b 5%%""#);
    }
}
