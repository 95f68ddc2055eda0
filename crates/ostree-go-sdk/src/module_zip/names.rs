//! The names of entries in a module's zip file.

use super::error::ModuleZipProblem;
use crate::golang::module_path::is_file_path;
use std::collections::HashMap;

/// The names so far. The directories above an entry count as names too.
///
/// Source: `collisionChecker` in `golang.org/x/mod/zip`.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_folded: HashMap<String, (Box<str>, bool)>,
}

impl Names {
    /// Adds a name, which must be valid and differ from the others in more than the case of letters.
    /// A directory may be added again.
    pub(super) fn add(&mut self, name: &str, is_directory: bool) -> Result<(), ModuleZipProblem> {
        if !is_file_path(name) {
            return Err(ModuleZipProblem::Name);
        }
        let (mut name, mut is_directory) = (name, is_directory);
        loop {
            let folded = fold(name);
            match self.by_folded.get(&folded) {
                Some((other, _)) if **other != *name => {
                    let other = other.clone();
                    return Err(ModuleZipProblem::Case { other });
                }
                Some((_, other)) if *other != is_directory => {
                    return Err(ModuleZipProblem::FileAndDirectory);
                }
                Some(_) if !is_directory => return Err(ModuleZipProblem::Repeated),
                // The directories above it are known too.
                Some(_) => return Ok(()),
                None => {}
            }
            self.by_folded.insert(folded, (name.into(), is_directory));
            let Some((parent, _)) = name.rsplit_once('/') else {
                return Ok(());
            };
            (name, is_directory) = (parent, true);
        }
    }
}

/// Returns a text that is equal for texts that differ only in the case of letters. Letters whose other
/// case is more than one character stay as they are.
fn fold(text: &str) -> String {
    let folded = text.chars().map(|c| {
        let upper = single(c.to_uppercase(), c);
        single(upper.to_lowercase(), upper)
    });
    folded.collect()
}

/// Returns the only character of a mapping, or the original one if there are more.
fn single(mut mapped: impl Iterator<Item = char>, original: char) -> char {
    match (mapped.next(), mapped.next()) {
        (Some(one), None) => one,
        _ => original,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_only_in_case_are_refused() {
        let mut names = Names::default();
        names.add("a/b/C.go", false).unwrap();
        names.add("a/b", true).unwrap();
        names.add("a/b/d", true).unwrap();
        names.add("a/b/d", true).unwrap();
        // Neither of these pairs differs only in case.
        names.add("stra\u{df}e", false).unwrap();
        names.add("strasse", false).unwrap();
        for (name, is_directory, expected) in [
            (
                "a/b/c.go",
                false,
                "its name differs only in case from `a/b/C.go`",
            ),
            ("a/b/C.go", false, "it occurs twice"),
            ("A/x", false, "its name differs only in case from `a`"),
            ("a/b", false, "it is both a file and a directory"),
            ("a/b/C.go/x", false, "it is both a file and a directory"),
            ("\u{3a9}", false, "none"),
            (
                "\u{2126}",
                false,
                "its name differs only in case from `\u{3a9}`",
            ),
            (
                "a/../x",
                false,
                "its name is not a valid file name on all systems",
            ),
        ] {
            let added = names.add(name, is_directory);
            let said = added
                .err()
                .map_or("none".to_owned(), |problem| problem.to_string());
            assert_eq!(said, expected, "{name}");
        }
    }
}
