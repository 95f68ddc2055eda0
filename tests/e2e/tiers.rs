//! The modules of the library, and those of the command, are arranged in tiers: a file uses only modules of its own and of lower
//! tiers.
//!
//! The tests read the sources and fail if a module uses a higher tier, if a module has no tier, if files use each other in a cycle,
//! and if a file is too long.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use ostree_go_tests::cli::workspace;
use ostree_go_tests::file_cycles::cycles;
use ostree_go_tests::rust_source::{code, rust_files};

/// The tiers of `ostree-go-sdk`, lowest first; see the architecture page of the book.
const TIERS: [&[&str]; 9] = [
    &[
        "arch", "version", "id", "progress", "clock", "kind", "units",
    ],
    &["fs", "http", "registry", "process", "failpoint", "parallel"],
    &[
        "treefile", "golang", "gvariant", "object", "metadata", "oci",
    ],
    &["repo", "ffi"],
    &[
        "store", "sign", "setters", "checkout", "delta", "catalog", "diff", "fsck",
    ],
    &[
        "remote", "pull", "publish", "prune", "upstream", "audit", "attest",
    ],
    &[
        "source",
        "layer",
        "sandbox",
        "stdcache",
        "inspect",
        "module_zip",
    ],
    &[
        "compose",
        "deploy",
        "doctor",
        "export",
        "gomod",
        "goproxy",
        "overlay",
        "rebuild",
        "reproduce",
        "run",
        "toolchains",
        "workspace",
    ],
    &["error", "fuzzing", "lib"],
];

/// The tiers of `ostree-go-cli`, lowest first; see the same page.
const CLI_TIERS: [&[&str]; 7] = [
    &[
        "error",
        "hint",
        "audit_hint",
        "build_hint",
        "go_module_hint",
        "go_proxy_hint",
        "hook_hint",
        "http_hint",
        "sandbox_hint",
        "sign_hint",
        "source_hint",
        "workspace_hint",
        "text",
        "interrupt",
    ],
    &["files", "settings", "args", "revision"],
    &["authfile", "certdir", "findings", "report", "views"],
    &["output", "progress"],
    &[
        "audit",
        "completion",
        "context",
        "deploy",
        "follow",
        "hooks",
        "registry",
        "upstream",
        "workspace",
    ],
    &["commands"],
    &["cli", "lib", "main"],
];

const MAX_LINES: usize = 600;

#[test]
fn modules_use_only_their_own_and_lower_tiers() {
    check_crate("ostree-go-sdk", &TIERS);
}

#[test]
fn modules_of_the_command_use_only_their_own_and_lower_tiers() {
    check_crate("ostree-go-cli", &CLI_TIERS);
}

#[track_caller]
fn check_crate(name: &str, tiers: &[&[&str]]) {
    let src = workspace().join("crates").join(name).join("src");
    let mut problems = String::new();
    for file in rust_files(&src) {
        let path = file.strip_prefix(&src).expect("below src");
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        let module = module_of(path);
        let text = fs::read_to_string(&file).expect("a source file in UTF-8");
        for problem in check_in(tiers, &module, &text) {
            writeln!(problems, "{}: {problem}", path.display()).expect("a string grows");
        }
    }
    assert!(problems.is_empty(), "\n{problems}");
}

#[test]
fn files_do_not_use_each_other_in_a_cycle() {
    let mut problems = Vec::new();
    for name in ["ostree-go-sdk", "ostree-go-cli"] {
        let src = workspace().join("crates").join(name).join("src");
        let read = |file: std::path::PathBuf| {
            let path = file.strip_prefix(&src).expect("below src").to_str();
            let text = fs::read_to_string(&file).expect("a source file in UTF-8");
            (path.expect("a path in UTF-8").to_owned(), text)
        };
        let files: BTreeMap<_, _> = rust_files(&src).into_iter().map(read).collect();
        problems.extend(
            cycles(&files)
                .into_iter()
                .map(|cycle| format!("in {name}:\n{cycle}\n")),
        );
    }
    assert!(problems.is_empty(), "\n{}", problems.join("\n"));
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
            (lines > MAX_LINES)
                .then(|| format!("{}: {lines} lines, at most {MAX_LINES}", file.display()))
        })
        .collect();
    assert!(too_long.is_empty(), "{too_long:#?}");
}

/// Returns the faults in the dependencies of one file of `module`.
fn check_in(tiers: &[&[&str]], module: &str, text: &str) -> Vec<String> {
    let Some(tier) = tier(tiers, module) else {
        return vec![format!(
            "module `{module}` has no tier: add it to tests/e2e/tiers.rs"
        )];
    };
    if module == "lib" {
        return Vec::new();
    }
    let mut problems = Vec::new();
    for used in uses(&code(text)) {
        // A name from the crate's root is a re-export of lib.rs, which stands above everything.
        let root = used
            .chars()
            .next()
            .is_some_and(|c| c.is_uppercase() || c == '*');
        match self::tier(tiers, if root { "lib" } else { &used }) {
            None => problems.push(format!("uses `crate::{used}`, a module that has no tier")),
            Some(above) if above > tier => {
                let what = if root {
                    "a re-export of lib"
                } else {
                    "a module"
                };
                problems.push(format!(
                    "tier {tier} uses `crate::{used}`, {what} in tier {above}"
                ));
            }
            Some(_) => {}
        }
    }
    problems
}

fn tier(tiers: &[&[&str]], module: &str) -> Option<usize> {
    tiers.iter().position(|modules| modules.contains(&module))
}

/// Returns the module of a file: `fs/path.rs` and `fs/mod.rs` belong to `fs`, `arch.rs` to `arch`.
fn module_of(path: &Path) -> String {
    let first = path
        .iter()
        .next()
        .expect("a path has a first part")
        .to_string_lossy();
    first.strip_suffix(".rs").unwrap_or(&first).to_owned()
}

/// Returns the first name after every `crate::`, and all first names of groups such as `crate::{a, b::c}`.
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

mod dependency_check {
    use super::{TIERS, check_in};

    fn check(module: &str, text: &str) -> Vec<String> {
        check_in(&TIERS, module, text)
    }

    #[test]
    fn detects_use_of_a_higher_tier() {
        let found = check("store", "use crate::compose::Plan;\n");
        assert_eq!(found, ["tier 4 uses `crate::compose`, a module in tier 7"]);
        assert_eq!(
            check("arch", "fn f() -> crate::repo::Repo { todo() }").len(),
            1
        );
    }

    #[test]
    fn detects_every_name_in_a_group() {
        let text = "use crate::{\n    arch::{Arch, UnknownArch},\n    compose, layer::Layer,\n    source,\n};";
        let found = check("repo", text);
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn detects_use_through_the_crate_root() {
        assert_eq!(
            check("repo", "use crate::Arch;"),
            ["tier 3 uses `crate::Arch`, a re-export of lib in tier 8"]
        );
        assert_eq!(check("repo", "use crate::*;").len(), 1);
    }

    #[test]
    fn detects_modules_without_a_tier() {
        assert_eq!(check("utils", "").len(), 1);
        assert_eq!(check("repo", "use crate::helpers::f;").len(), 1);
    }

    #[test]
    fn accepts_use_of_the_same_and_lower_tiers() {
        let text = "use crate::arch::Arch;\nuse crate::{fs::path, repo::Repo};\nuse crate::store::Writer;\nuse ostree_crate::x;";
        assert!(check("checkout", text).is_empty());
        assert!(check("lib", "pub use crate::compose::Plan;").is_empty());
    }

    #[test]
    fn ignores_comments_and_tests() {
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
