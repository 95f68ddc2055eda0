//! The library is built in floors: a file uses what stands on lower floors, or beside it.
//!
//! This reads the sources and fails on an arrow that runs up, on a module that nobody gave a floor, and on a file that has
//! grown too long to read.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use ostree_go_tests::cli::workspace;

/// The floors of `ostree-go-sdk`, lowest first; see the architecture page of the book.
const FLOORS: [&[&str]; 9] = [
    &["arch", "version", "id", "progress", "clock", "kind"],
    &["fs", "http", "registry", "process", "failpoint", "parallel"],
    &[
        "treefile", "golang", "gvariant", "object", "metadata", "oci",
    ],
    &["repo", "ffi"],
    &[
        "store", "sign", "setters", "checkout", "delta", "catalog", "diff", "fsck",
    ],
    &["remote", "pull", "publish", "prune", "upstream"],
    &["source", "layer"],
    &["compose", "deploy", "export", "overlay"],
    &["error", "fuzzing", "lib"],
];

const MOST_LINES: usize = 600;

#[test]
fn every_arrow_of_the_library_runs_down() {
    let src = workspace().join("crates/ostree-go-sdk/src");
    let mut problems = String::new();
    for file in rust_files(&src) {
        let path = file.strip_prefix(&src).expect("below src");
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        let module = module_of(path);
        let text = fs::read_to_string(&file).expect("a source file in UTF-8");
        for problem in check(&module, &text) {
            writeln!(problems, "{}: {problem}", path.display()).expect("a string grows");
        }
    }
    assert!(problems.is_empty(), "\n{problems}");
}

#[test]
fn no_source_file_is_too_long() {
    let too_long: Vec<_> = ["crates", "tests"]
        .iter()
        .flat_map(|folder| rust_files(&workspace().join(folder)))
        .filter_map(|file| {
            let lines = fs::read_to_string(&file)
                .expect("a source file in UTF-8")
                .lines()
                .count();
            (lines > MOST_LINES)
                .then(|| format!("{}: {lines} lines, at most {MOST_LINES}", file.display()))
        })
        .collect();
    assert!(too_long.is_empty(), "{too_long:#?}");
}

/// What is wrong with the arrows of one file of `module`.
fn check(module: &str, text: &str) -> Vec<String> {
    let Some(floor) = floor(module) else {
        return vec![format!(
            "module `{module}` stands on no floor: give it one in tests/tests/floors.rs"
        )];
    };
    if module == "lib" {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for used in uses(&without_tests(&without_comments(text))) {
        // A name from the crate's root is a re-export of lib.rs, which stands above everything.
        let root = used
            .chars()
            .next()
            .is_some_and(|c| c.is_uppercase() || c == '*');
        match self::floor(if root { "lib" } else { &used }) {
            None => problems.push(format!(
                "uses `crate::{used}`, a module that stands on no floor"
            )),
            Some(above) if above > floor => {
                let what = if root {
                    "a re-export of lib"
                } else {
                    "a module"
                };
                problems.push(format!(
                    "floor {floor} uses `crate::{used}`, {what} on floor {above}"
                ));
            }
            Some(_) => {}
        }
    }
    problems
}

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|modules| modules.contains(&module))
}

/// `fs/path.rs` and `fs/mod.rs` belong to `fs`, `arch.rs` to `arch`.
fn module_of(path: &Path) -> String {
    let first = path
        .iter()
        .next()
        .expect("a path has a first part")
        .to_string_lossy();
    first.strip_suffix(".rs").unwrap_or(&first).to_owned()
}

/// The first names behind every `crate::`, those of a group `crate::{a, b::c}` one by one.
fn uses(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, pattern) in text.match_indices("crate::") {
        // `$crate::` is the same arrow; `other_crate::` is none.
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &text[at + pattern.len()..];
        match rest.strip_prefix('{') {
            Some(group) => found.extend(group_names(group)),
            None => found.extend(name(rest)),
        }
    }
    found
}

fn group_names(group: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut item = true;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => item = true,
            c if item && !c.is_whitespace() => {
                names.extend(name(&group[at..]));
                item = false;
            }
            _ => {}
        }
    }
    names
}

fn name(text: &str) -> Option<String> {
    if text.starts_with('*') {
        return Some("*".into());
    }
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

fn without_comments(text: &str) -> String {
    text.lines()
        .map(|line| match line.find("//") {
            // `https://` in a string is no comment, and has no arrow behind it either.
            Some(at) => &line[..at],
            None => line,
        })
        .fold(String::new(), |all, line| all + line + "\n")
}

/// Cuts every item that stands only in test builds.
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

/// Where the item at the start of `text` ends: behind its `;`, or behind the brace that closes it.
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

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
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

mod the_check {
    use super::check;

    #[test]
    fn catches_an_arrow_that_runs_up() {
        let found = check("store", "use crate::compose::Plan;\n");
        assert_eq!(
            found,
            ["floor 4 uses `crate::compose`, a module on floor 7"]
        );
        assert_eq!(
            check("arch", "fn f() -> crate::repo::Repo { todo() }").len(),
            1
        );
    }

    #[test]
    fn catches_every_arrow_of_a_group() {
        let text = "use crate::{\n    arch::{Arch, UnknownArch},\n    compose, layer::Layer,\n    source,\n};";
        let found = check("repo", text);
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn catches_a_way_round_through_the_root() {
        assert_eq!(
            check("repo", "use crate::Arch;"),
            ["floor 3 uses `crate::Arch`, a re-export of lib on floor 8"]
        );
        assert_eq!(check("repo", "use crate::*;").len(), 1);
    }

    #[test]
    fn catches_modules_without_a_floor() {
        assert_eq!(check("utils", "").len(), 1);
        assert_eq!(check("repo", "use crate::helpers::f;").len(), 1);
    }

    #[test]
    fn lets_pass_what_runs_down_or_stands_beside() {
        let text = "use crate::arch::Arch;\nuse crate::{fs::path, repo::Repo};\nuse crate::store::Writer;\nuse ostree_crate::x;";
        assert!(check("checkout", text).is_empty());
        assert!(check("lib", "pub use crate::compose::Plan;").is_empty());
    }

    #[test]
    fn leaves_out_comments_and_tests() {
        let text = "/// See [`crate::compose`].\n#[cfg(test)]\nuse crate::compose::{a, b};\n\
                    #[cfg(test)]\nmod tests {\n    use crate::compose::Plan;\n    fn f() { if true {} }\n}\n";
        assert!(
            check("store", text).is_empty(),
            "{:?}",
            check("store", text)
        );
        let after = format!("{text}use crate::export::Oci;\n");
        assert_eq!(check("store", &after).len(), 1);
    }
}
