//! Build constraints, as far as they decide whether `go mod vendor` copies a file.
//!
//! Source: `ShouldBuild` and `eval` in `src/cmd/go/internal/imports/build.go`, with the tags `imports.AnyTags()`: every
//! tag except `ignore` counts as both true and false. The syntax is that of `go/build/constraint`.

/// Returns true if some build could use a Go file.
pub(super) fn is_ever_built(content: &[u8]) -> bool {
    let text = String::from_utf8_lossy(content);
    let header = Header::parse(&text);
    if header.is_ambiguous {
        return false;
    }
    if let Some(line) = header.go_build {
        return Expression::new(line).evaluate().unwrap_or(false);
    }
    header.plus_build.iter().all(|line| is_plus_build_met(line))
}

/// The constraints at the start of a file.
#[derive(Default)]
struct Header<'a> {
    /// The expression of the `//go:build` line.
    go_build: Option<&'a str>,
    /// True if there are several of them.
    is_ambiguous: bool,
    /// The options of the `// +build` lines that count: those before a blank line before the code.
    plus_build: Vec<&'a str>,
}

impl<'a> Header<'a> {
    /// Source: `parseFileHeader`.
    fn parse(text: &'a str) -> Self {
        let (mut header, mut pending) = (Self::default(), Vec::new());
        let (mut ended, mut in_comment) = (false, false);
        for line in text.lines() {
            let mut line = line.trim();
            if line.is_empty() && !ended {
                header.plus_build.append(&mut pending);
                continue;
            }
            if !line.starts_with("//") {
                ended = true;
            }
            if !in_comment && let Some(expression) = after(line, "//go:build") {
                header.is_ambiguous |= header.go_build.is_some();
                header.go_build = Some(expression);
            }
            if !ended
                && let Some(options) = line.strip_prefix("//")
                && let Some(options) = after(options.trim_start(), "+build")
            {
                pending.push(options);
            }
            loop {
                if in_comment {
                    let Some((_, rest)) = line.split_once("*/") else {
                        break;
                    };
                    (in_comment, line) = (false, rest.trim());
                } else if let Some(rest) = line.strip_prefix("/*") {
                    (in_comment, line) = (true, rest.trim());
                } else if line.is_empty() || line.starts_with("//") {
                    break;
                } else {
                    return header;
                }
            }
        }
        header
    }
}

/// Returns what follows a word and a space, or the end of the line.
fn after<'a>(line: &'a str, word: &str) -> Option<&'a str> {
    let rest = line.strip_prefix(word)?;
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then_some(rest)
}

/// Evaluates the options of a `// +build` line: one of the words, in which all parts between commas hold.
fn is_plus_build_met(options: &str) -> bool {
    let is_part_met = |part: &str| match part.strip_prefix('!') {
        Some(tag) if tag.is_empty() || tag.starts_with('!') => false,
        Some(tag) => !tag_value(tag, false),
        None => tag_value(part, true),
    };
    let mut words = options.split_whitespace();
    words.any(|word| word.split(',').all(is_part_met))
}

/// Returns the value of a tag; `prefer` is the one that makes the whole expression true.
fn tag_value(tag: &str, prefer: bool) -> bool {
    let is_valid = tag
        .chars()
        .all(|c| c.is_alphanumeric() || c == '_' || c == '.');
    is_valid && !tag.is_empty() && tag != "ignore" && prefer
}

/// The expression of a `//go:build` line.
struct Expression<'a> {
    rest: &'a str,
    depth: usize,
}

/// The deepest nesting that is parsed. Source: `maxSize` of `go/build/constraint` limits the size instead.
const MAX_DEPTH: usize = 200;

impl<'a> Expression<'a> {
    fn new(text: &'a str) -> Self {
        Self {
            rest: text.trim(),
            depth: 0,
        }
    }

    /// Returns the value; `None` for an invalid expression.
    fn evaluate(mut self) -> Option<bool> {
        let value = self.any(true)?;
        self.rest.is_empty().then_some(value)
    }

    fn skip(&mut self, token: &str) -> bool {
        let found = self.rest.strip_prefix(token);
        if let Some(rest) = found {
            self.rest = rest.trim_start();
        }
        found.is_some()
    }

    fn any(&mut self, prefer: bool) -> Option<bool> {
        let mut value = self.all(prefer)?;
        while self.skip("||") {
            value |= self.all(prefer)?;
        }
        Some(value)
    }

    fn all(&mut self, prefer: bool) -> Option<bool> {
        let mut value = self.not(prefer)?;
        while self.skip("&&") {
            value &= self.not(prefer)?;
        }
        Some(value)
    }

    fn not(&mut self, prefer: bool) -> Option<bool> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return None;
        }
        let value = if self.skip("!") {
            let is_double = self.rest.starts_with('!');
            !(!is_double).then(|| self.not(!prefer))??
        } else if self.skip("(") {
            let value = self.any(prefer)?;
            self.skip(")").then_some(value)?
        } else {
            let is_tag = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
            let end = self.rest.find(|c| !is_tag(c)).unwrap_or(self.rest.len());
            let (tag, rest) = self.rest.split_at(end);
            self.rest = rest.trim_start();
            (!tag.is_empty()).then(|| tag_value(tag, prefer))?
        };
        self.depth -= 1;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(text: &str) -> bool {
        is_ever_built(text.as_bytes())
    }

    #[test]
    fn only_files_that_no_build_can_use_are_left_out() {
        for text in [
            "package a\n",
            "//go:build linux && !windows\n\npackage a\n",
            "//go:build ignore || linux\n\npackage a\n",
            "//go:build !ignore\n\npackage a\n",
            "//go:build !(linux && ignore)\n\npackage a\n",
            "// +build !linux\n\npackage a\n",
            "// +build ignore linux\n\npackage a\n",
            // The line is the comment of the package.
            "// +build ignore\npackage a\n",
            "package a\n\n//go:build ignore\n",
            "/* //go:build ignore\n//go:build ignore\n*/\npackage a\n",
            "//go:buildignore\n\npackage a\n",
            // `//go:build` decides.
            "//go:build linux\n// +build ignore\n\npackage a\n",
        ] {
            assert!(built(text), "{text}");
        }
        for text in [
            "//go:build ignore\n\npackage a\n",
            "// Copyright\n\n//go:build ignore\npackage a\n",
            "/* Copyright */\n//go:build ignore\n\npackage a\n",
            "//go:build (linux || darwin) && ignore\n\npackage a\n",
            "//go:build ignore && !ignore\n\npackage a\n",
            "// +build ignore\n\npackage a\n",
            "// +build linux\n//+build ignore\n\npackage a\n",
            "//go:build linux\n//go:build linux\n\npackage a\n",
            "//go:build (\n\npackage a\n",
            "//go:build !!linux\n\npackage a\n",
            "// +build !!linux\n\npackage a\n",
            "// +build\n\npackage a\n",
        ] {
            assert!(!built(text), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_line_is_evaluated(line in "[a-z!()&| ,]{0,40}", plus in "[a-z!, ]{0,20}") {
            built(&format!("//go:build {line}\n\npackage a\n"));
            built(&format!("// +build {plus}\n\npackage a\n"));
        }
    }
}
