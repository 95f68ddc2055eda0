//! Unified diffs of module files.

use std::fmt::Write;
use std::ops::Range;
use std::path::Path;

/// The number of lines before and after a change.
const CONTEXT: usize = 3;

/// Returns the difference of two texts as a unified diff with one hunk, which begins at the first line
/// that differs and ends at the last one; empty if they are equal. Bytes that are not UTF-8 are
/// replaced.
pub(super) fn unified(path: &Path, old: &[u8], new: &[u8]) -> String {
    if old == new {
        return String::new();
    }
    let (old, new) = (String::from_utf8_lossy(old), String::from_utf8_lossy(new));
    let old: Vec<&str> = old.split_inclusive('\n').collect();
    let new: Vec<&str> = new.split_inclusive('\n').collect();
    let shorter = old.len().min(new.len());
    let is_equal = |(one, other): &(&&str, &&str)| one == other;
    let first = old.iter().zip(&new).take_while(is_equal).count();
    let last = old.iter().rev().zip(new.iter().rev());
    let last = last.take_while(is_equal).count().min(shorter - first);
    let start = first.saturating_sub(CONTEXT);
    let after = last.min(CONTEXT);
    let old_changed = first..old.len() - last;
    let new_changed = first..new.len() - last;
    let path = path.display();
    let mut text = format!("--- {path}\n+++ {path}\n");
    let hunk = |changed: &Range<usize>| match changed.end + after - start {
        0 => format!("{start},0"),
        length => format!("{},{length}", start + 1),
    };
    // Writing to a string cannot fail.
    let _ = writeln!(
        text,
        "@@ -{} +{} @@",
        hunk(&old_changed),
        hunk(&new_changed)
    );
    let context_after = old_changed.end..old_changed.end + after;
    push(&mut text, ' ', &old[start..first]);
    push(&mut text, '-', &old[old_changed]);
    push(&mut text, '+', &new[new_changed]);
    push(&mut text, ' ', &old[context_after]);
    text
}

fn push(text: &mut String, mark: char, lines: &[&str]) {
    for line in lines {
        text.push(mark);
        text.push_str(line);
        if !line.ends_with('\n') {
            text.push_str("\n\\ No newline at end of file\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diff(old: &str, new: &str) -> String {
        unified(Path::new("go.mod"), old.as_bytes(), new.as_bytes())
    }

    #[test]
    fn lines_around_a_change_are_shown() {
        let old = "a\nb\nc\nd\ne\nf\ng\nh\ni";
        assert_eq!(diff(old, old), "");
        insta::assert_snapshot!(diff(old, &old.replace('e', "x\ny")), @r"
        --- go.mod
        +++ go.mod
        @@ -2,7 +2,8 @@
         b
         c
         d
        -e
        +x
        +y
         f
         g
         h
        ");
        insta::assert_snapshot!(diff(old, &format!("{old}\n\nx\n")), @r"
        --- go.mod
        +++ go.mod
        @@ -6,4 +6,6 @@
         f
         g
         h
        -i
        \ No newline at end of file
        +i
        +
        +x
        ");
        insta::assert_snapshot!(diff("", "x\n"), @r"
        --- go.mod
        +++ go.mod
        @@ -0,0 +1,1 @@
        +x
        ");
        // Removed lines that are also before the change.
        insta::assert_snapshot!(diff("a\na\na\n", "a\na\n"), @r"
        --- go.mod
        +++ go.mod
        @@ -1,3 +1,2 @@
         a
         a
        -a
        ");
    }
}
