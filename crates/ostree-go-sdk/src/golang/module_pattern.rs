//! Lists of patterns of module paths, as in `GOPRIVATE`.

/// Returns true if a pattern of a list separated by commas matches the first elements of a module's
/// path (`golang.org/x/mod/module`, `MatchPrefixPatterns`).
#[must_use]
pub fn matches(patterns: &str, path: &str) -> bool {
    let mut patterns = patterns.split(',').map(|one| one.trim_end_matches('/'));
    patterns.any(|pattern| {
        let number = pattern.matches('/').count();
        let mut ends = path.match_indices('/').map(|(end, _)| end);
        let prefix = match ends.nth(number) {
            Some(end) => &path[..end],
            None if path.matches('/').count() < number => return false,
            None => path,
        };
        !pattern.is_empty() && is_match(pattern.as_bytes(), prefix.as_bytes())
    })
}

/// The largest number of characters, and of `*`, in a pattern that is accepted. Each `*` multiplies the time of
/// a comparison.
#[cfg_attr(
    not(feature = "proxy"),
    allow(dead_code, reason = "only the module proxy uses it")
)]
const MAX_PATTERN: (usize, usize) = (256, 8);

/// Returns why a text is not a single pattern that can match a module; `None` for a pattern. Go takes a
/// malformed pattern for one that matches nothing.
#[must_use]
#[cfg_attr(
    not(feature = "proxy"),
    allow(dead_code, reason = "only the module proxy uses it")
)]
pub fn problem(pattern: &str) -> Option<&'static str> {
    let is_allowed = |c: char| c.is_ascii_alphanumeric() || "-._~/*?[]^\\".contains(c);
    if pattern.is_empty() {
        Some("it is empty")
    } else if pattern.contains(',') {
        Some("it has a comma, expected one pattern")
    } else if !pattern.chars().all(is_allowed) {
        Some("it has a character that no module path has")
    } else if pattern.starts_with('/') || pattern.ends_with('/') || pattern.contains("//") {
        Some("it has an empty element")
    } else if pattern.len() > MAX_PATTERN.0 || pattern.matches('*').count() > MAX_PATTERN.1 {
        Some("it is longer than 256 characters, or has more than 8 `*`")
    } else if !is_well_formed(pattern.as_bytes()) {
        Some("it has an incomplete set or escape")
    } else {
        None
    }
}

fn is_well_formed(pattern: &[u8]) -> bool {
    match pattern {
        [] => true,
        [b'[', set @ ..] => in_set(set, b'a').is_some_and(|(_, rest)| is_well_formed(rest)),
        [b'\\', _, rest @ ..] => is_well_formed(rest),
        [b'\\'] => false,
        [_, rest @ ..] => is_well_formed(rest),
    }
}

/// Matches a pattern of Go's `path.Match`: `*` and `?` stand for characters other than `/`, `[a-z]`
/// and `[^a-z]` for one of a set, and `\` takes the special meaning from the next character. A
/// malformed pattern matches nothing. Module paths are ASCII.
fn is_match(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], text) => text.is_empty(),
        ([b'*', rest @ ..], text) => {
            let end = text.iter().position(|byte| *byte == b'/');
            let end = end.unwrap_or(text.len());
            (0..=end).any(|skipped| is_match(rest, &text[skipped..]))
        }
        ([b'?', rest @ ..], [one, text @ ..]) => *one != b'/' && is_match(rest, text),
        ([b'[', set @ ..], [one, text @ ..]) => {
            let found = in_set(set, *one);
            found.is_some_and(|(is_in, rest)| is_in && is_match(rest, text))
        }
        ([b'\\', escaped, rest @ ..], [one, text @ ..]) => escaped == one && is_match(rest, text),
        ([literal, rest @ ..], [one, text @ ..]) => literal == one && is_match(rest, text),
        (_, []) => false,
    }
}

/// Returns whether a set contains a byte, and the rest of the pattern after the set.
fn in_set(set: &[u8], byte: u8) -> Option<(bool, &[u8])> {
    let (is_negated, mut set) = match set {
        [b'^', rest @ ..] => (true, rest),
        set => (false, set),
    };
    let (mut is_in, mut is_empty) = (false, true);
    loop {
        match set {
            [b']', rest @ ..] if !is_empty => return Some((is_in != is_negated, rest)),
            [low, b'-', high, rest @ ..] if *high != b']' => {
                is_in |= (*low..=*high).contains(&byte);
                set = rest;
            }
            [one, rest @ ..] => {
                is_in |= *one == byte;
                set = rest;
            }
            [] => return None,
        }
        is_empty = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of `go help private` and of `module_test.go`.
    #[test]
    fn patterns_match_the_first_elements() {
        for (patterns, path, expected) in [
            ("*.corp.example.com", "git.corp.example.com/xyzzy", true),
            ("*.corp.example.com", "corp.example.com/xyzzy", false),
            ("rsc.io/private", "rsc.io/private/quux", true),
            ("rsc.io/private", "rsc.io/privateer", false),
            ("*.com,rsc.io/private/", "rsc.io/private", true),
            ("rsc.io/private/x", "rsc.io/private", false),
            ("example.com/[a-c]?", "example.com/b1/c", true),
            ("example.com/[^a-c]*", "example.com/b1", false),
            ("example.com/a*", "example.com/a/b", true),
            ("*/b", "a.com/x/b", false),
            ("", "example.com", false),
            (",", "example.com", false),
            ("[", "example.com", false),
            ("example\\.com", "example.com/x", true),
        ] {
            assert_eq!(matches(patterns, path), expected, "{patterns} {path}");
        }
    }

    #[test]
    fn patterns_that_match_nothing_have_a_problem() {
        for (pattern, expected) in [
            ("*.corp.example.com", None),
            ("example.com/[a-c]?", None),
            ("example\\.com", None),
            ("", Some("it is empty")),
            ("a.com,b.com", Some("it has a comma, expected one pattern")),
            (
                "https://a.com",
                Some("it has a character that no module path has"),
            ),
            ("a.com/", Some("it has an empty element")),
            ("/a.com", Some("it has an empty element")),
            ("a.com/[b", Some("it has an incomplete set or escape")),
            ("a.com/\\", Some("it has an incomplete set or escape")),
        ] {
            assert_eq!(problem(pattern), expected, "{pattern}");
        }
    }
}
