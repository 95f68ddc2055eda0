//! The text of Rust source files, reduced to the code that every build has.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns all Rust files below a folder, sorted.
///
/// # Panics
///
/// Panics if the folder cannot be read.
#[must_use]
pub fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Removes comments, literals, and items that exist only in test builds.
#[must_use]
pub fn code(text: &str) -> String {
    without_tests(&without_comments_and_literals(text))
}

/// Removes comments and literals, so that every brace that is left belongs to a block or a group.
fn without_comments_and_literals(text: &str) -> String {
    let mut kept = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let in_word = kept.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment_end(rest)
        } else if let Some(end) = (!in_word).then(|| raw_string_end(rest)).flatten() {
            end
        } else if c == '"' {
            quoted_end(rest, '"')
        } else if c == '\'' && is_char_literal(rest) {
            quoted_end(rest, '\'')
        } else {
            kept.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        rest = &rest[skipped..];
    }
    kept
}

fn block_comment_end(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Returns the end of a raw string at the start of `text`: `r"…"`, `br#"…"#`.
fn raw_string_end(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let content = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let length = content
        .find(&end)
        .map_or(content.len(), |at| at + end.len());
    Some(text.len() - content.len() + length)
}

/// Returns the end of a literal at the start of `text`, which may contain escapes.
fn quoted_end(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Returns true if the quote at the start of `text` starts a character, not a lifetime.
fn is_char_literal(text: &str) -> bool {
    let mut next = text.chars().skip(1);
    match next.next() {
        Some('\\') => true,
        Some(_) => next.next() == Some('\''),
        None => false,
    }
}

/// Removes every item that exists only in test builds.
fn without_tests(text: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut kept = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(MARK) {
        kept.push_str(&rest[..at]);
        rest = &rest[at + MARK.len()..];
        rest = &rest[item_end(rest)..];
    }
    kept + rest
}

/// Returns the end of the item at the start of `text`: the position after its `;` or closing brace.
fn item_end(text: &str) -> usize {
    let mut depth = 0;
    for (at, c) in text.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' => {
                depth -= 1;
                // `use a::{b, c};` goes on behind its brace.
                if depth == 0 && !text[at + 1..].trim_start().starts_with(';') {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn comments_and_literals_are_removed() {
        let text =
            "a // { b\n/* { /* } */ */c \"// \\\" {\" d '{' e<'a> r#\"\"{\"# f b'\\'' br\"{\" r";
        assert_eq!(code(text), "a \nc  d  e<'a>  f b  r");
    }

    #[test]
    fn items_for_tests_are_removed() {
        let text =
            "a\n#[cfg(test)]\nuse b::{c, d};\ne\n#[cfg(test)]\nmod tests {\n fn f() { '}' }\n}\ng";
        assert_eq!(code(text), "a\n\ne\n\ng");
    }
}
