//! The table of the page `guide/compatibility.md`: each cell names tests that exist.

use ostree_go_tests::cli::workspace;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

/// Returns the numbers of the tests that a cell names: `yes (1, 2)`. `untested` has none.
fn numbers(cell: &str) -> Vec<u32> {
    if cell == "untested" {
        return Vec::new();
    }
    let list = ["yes (", "no ("]
        .iter()
        .find_map(|start| cell.strip_prefix(start));
    let list = list.and_then(|rest| rest.strip_suffix(')'));
    let list = list.unwrap_or_else(|| panic!("`{cell}` is not `yes (…)`, `no (…)` or `untested`"));
    list.split(", ")
        .map(|number| number.parse().unwrap())
        .collect()
}

/// Returns true if a module of the end-to-end tests has a test.
fn exists(path: &str) -> bool {
    let (module, name) = path.rsplit_once("::").expect("a module and a test");
    let folder = workspace().join("tests/e2e");
    let file = module.replace("::", "/");
    let candidates = [format!("{file}.rs"), format!("{file}/mod.rs")];
    let text = candidates
        .iter()
        .find_map(|file| fs::read_to_string(folder.join(file)).ok());
    let text = text.unwrap_or_else(|| panic!("no module {module}"));
    let Some((before, _)) = text.split_once(&format!("\nfn {name}() {{")) else {
        return false;
    };
    let mut attributes = before
        .lines()
        .rev()
        .take_while(|line| line.starts_with("#["));
    attributes.any(|line| line == "#[test]")
}

#[test]
fn every_cell_of_the_table_is_backed_by_tests_that_exist() {
    let page = workspace().join("docs/src/guide/compatibility.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| ")).skip(1);
    let (mut used, mut columns) = (BTreeSet::new(), BTreeSet::new());
    for row in rows {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        columns.insert(cells.len());
        used.extend(cells[3..].iter().flat_map(|cell| numbers(cell)));
    }
    assert_eq!(columns, BTreeSet::from([9]));
    let mut listed: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    let mut last = None;
    for line in page.lines() {
        let start = line
            .split_once(". ")
            .and_then(|(number, _)| number.parse().ok());
        if let Some(number) = start {
            last = Some(number);
        } else if !line.starts_with("   ") {
            last = None;
        }
        if let Some(number) = last {
            let code = line.split('`').skip(1).step_by(2);
            listed
                .entry(number)
                .or_default()
                .extend(code.filter(|code| code.contains("::")));
        }
    }
    assert_eq!(used, listed.keys().copied().collect());
    for (number, tests) in listed {
        assert!(!tests.is_empty(), "{number} names no test");
        for test in tests {
            assert!(exists(test), "{number}: there is no test {test}");
        }
    }
}

#[test]
fn a_test_that_does_not_exist_is_noticed() {
    assert!(exists(
        "compatibility::a_test_that_does_not_exist_is_noticed"
    ));
    assert!(!exists("compatibility::exists"));
    assert!(!exists("compatibility::no_such_test"));
}
