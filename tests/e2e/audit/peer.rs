//! Audits find what `govulncheck` of the Go authors finds.

use super::Fixture;
use insta::assert_snapshot;
use ostree_go_sdk::audit::{Database, Platform, Scope, Vulnerabilities, Vulnerability};
use ostree_go_sdk::{Arch, GoVersion};
use ostree_go_tests::govulncheck::govulncheck;
use ostree_go_tests::programs::Program;
use ostree_go_tests::random::Random;
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::sdk::sdk;
use ostree_go_tests::vulndb::{self, entry, write};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module that imports affected packages.
fn module(folder: &Path) {
    fs::create_dir_all(folder).unwrap();
    fs::write(
        folder.join("go.mod"),
        "module example.com/program\n\ngo 1.20\n",
    )
    .unwrap();
    let main = "package main\n\nimport _ \"net/http\"\n\nfunc main() {}\n";
    fs::write(folder.join("main.go"), main).unwrap();
}

fn map(found: &[Vulnerability]) -> BTreeMap<String, String> {
    let found = found.iter();
    found
        .map(|one| (one.id.clone(), one.fixed.clone().unwrap_or_default()))
        .collect()
}

/// Returns the module `toolchain` as if it was the standard library, which is what govulncheck examines.
fn toolchain_as_stdlib(entries: &[Value]) -> Vec<Value> {
    let mut entries = entries.to_vec();
    for entry in &mut entries {
        let affected = entry["affected"].as_array_mut().unwrap();
        affected.retain(|one| one["package"]["name"] != "stdlib");
        for one in affected {
            if one["package"]["name"] == "toolchain" {
                one["package"]["name"] = json!("stdlib");
            }
        }
    }
    entries
}

/// The versions of Go with the bounds of all ranges, and their neighbours.
fn versions(entries: &[Value], most: usize) -> Vec<String> {
    let mut found = BTreeSet::new();
    for event in entries
        .iter()
        .flat_map(|entry| entry["affected"].as_array().unwrap())
        .filter(|one| {
            ["stdlib", "toolchain"]
                .iter()
                .any(|go| one["package"]["name"] == *go)
        })
        .flat_map(|one| one["ranges"].as_array().unwrap())
        .flat_map(|range| range["events"].as_array().unwrap())
    {
        for bound in event.as_object().unwrap().values() {
            let bound = bound.as_str().unwrap();
            let (numbers, pre) = bound.split_once('-').unwrap_or((bound, ""));
            let numbers: Vec<u64> = numbers.split('.').map(|n| n.parse().unwrap()).collect();
            let [1, minor, patch] = numbers[..] else {
                continue;
            };
            let rc = pre
                .strip_prefix("rc.")
                .and_then(|n| n.parse::<u64>().ok())
                .unwrap_or(1);
            found.extend([
                format!("1.{minor}.{patch}"),
                format!("1.{minor}.{}", patch.saturating_sub(1)),
                format!("1.{minor}.{}", patch + 1),
                format!("1.{minor}rc{rc}"),
                format!("1.{minor}rc{}", rc + 1),
                format!("1.{minor}beta1"),
            ]);
        }
    }
    let step = found.len().div_ceil(most).max(1);
    // Go has no release such as 1.20.0: the first one has no patch number before Go 1.21.
    let name = |version: String| match version.strip_suffix(".0") {
        Some(minor) if minor[2..].parse::<u64>().unwrap() < 21 => minor.to_owned(),
        _ => version,
    };
    found.into_iter().step_by(step).map(name).collect()
}

/// Compares our findings with those of govulncheck for some versions.
fn compare(entries: &[Value], most: usize) -> usize {
    let Some(sdk) = sdk("1.26.5", Arch::host().unwrap()) else {
        return 0;
    };
    let Some(peer) = govulncheck(&sdk) else {
        return 0;
    };
    let sandbox = Sandbox::new();
    let (db, tools, program) = (sandbox.path("db"), sandbox.path("tools"), sandbox.path("m"));
    write(&db, entries);
    write(&tools, &toolchain_as_stdlib(entries));
    module(&program);
    let versions = versions(entries, most);
    let parsed: Vec<GoVersion> = versions
        .iter()
        .map(|version| version.parse().unwrap())
        .collect();
    let load = |folder: &Path| {
        Database::new(folder.display().to_string())
            .load(&parsed)
            .unwrap()
    };
    let (of_db, of_tools) = (load(&db), load(&tools));
    let mut findings = 0;
    for (version, parsed) in versions.iter().zip(&parsed) {
        // From sources, govulncheck finds what affects any platform.
        let any = Platform::new("linux", "amd64");
        let ours =
            |known: &Vulnerabilities, scope| map(&known.affecting(parsed, scope, &any).unwrap());
        let program_findings = ours(&of_db, Scope::Program);
        let theirs = peer.of_version(&db, &program, version);
        let ids = |found: &BTreeMap<String, String>| found.keys().cloned().collect::<Vec<_>>();
        assert_eq!(ids(&program_findings), ids(&theirs), "go {version}");
        let tool_findings = ours(&of_tools, Scope::Program);
        let of_peer = peer.of_version(&tools, &program, version);
        assert_eq!(
            ids(&tool_findings),
            ids(&of_peer),
            "the tools of go {version}"
        );
        // Together, they are what the audit of an SDK finds.
        let mut both = ids(&program_findings);
        both.extend(ids(&tool_findings));
        both.sort();
        both.dedup();
        assert_eq!(ids(&ours(&of_db, Scope::Sdk)), both, "go {version}");
        findings += both.len();
    }
    findings
}

#[test]
fn real_entries_affect_the_same_versions_as_govulncheck_finds() {
    let entries = vulndb::real_entries();
    assert!(entries.len() > 10, "{}", entries.len());
    let found = compare(&entries, 30);
    assert!(found == 0 || found > 30, "{found}");
}

#[test]
fn the_whole_database_affects_the_same_versions_as_govulncheck_finds() {
    let Some(sdk) = sdk("1.26.5", Arch::host().unwrap()) else {
        return;
    };
    let entries = govulncheck(&sdk).and_then(|peer| peer.database());
    let Some(entries) = entries else { return };
    assert!(entries.len() > 200, "{}", entries.len());
    let found = compare(&entries, 25);
    assert!(found > 500, "{found}");
}

#[test]
fn made_entries_affect_the_same_versions_as_govulncheck_finds() {
    let mut random = Random::new();
    let version = |random: &mut Random| {
        let (minor, patch) = (20 + random.below(4), random.below(4));
        match random.below(4) {
            0 => format!("1.{minor}.0-rc.{}", random.below(3)),
            1 => format!("1.{minor}.0-0"),
            _ => format!("1.{minor}.{patch}"),
        }
    };
    let made = (0..60).map(|number| {
        let module = ["stdlib", "toolchain"][random.below(2) as usize];
        let events = (0..random.below(7)).map(|at| {
            let kind = ["introduced", "fixed"][(at % 2) as usize];
            match at == 0 && random.below(2) == 0 {
                true => (kind, "0".to_owned()),
                false => (kind, version(&mut random)),
            }
        });
        let events: Vec<(&str, String)> = events.collect();
        let events: Vec<(&str, &str)> = events.iter().map(|(kind, at)| (*kind, &**at)).collect();
        entry(&format!("GO-2026-{number:04}"), module, "net/http", &events)
    });
    let made: Vec<Value> = made.collect();
    compare(&made, 30);
}

#[test]
fn a_program_is_checked_by_the_version_that_built_it() {
    let Some(sdk) = sdk("1.26.5", Arch::host().unwrap()) else {
        return;
    };
    let Some(peer) = govulncheck(&sdk) else {
        return;
    };
    let program = Program {
        import: "",
        args: &[],
        env: &[],
    }
    .built(&sdk);
    let fixture = Fixture::new(&[]);
    let db = vulndb::real();
    let args = format!(
        "audit --binary {} --db {} --index {}",
        program.display(),
        db.display(),
        fixture.sandbox.path("dl.json").display()
    );
    let out = fixture.run(&format!("{args} --format json")).exits(4);
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(document["version"], "1.26.5");
    let found = document["vulnerabilities"].as_array().unwrap();
    let ours: Vec<&str> = found
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    let theirs = peer.of_binary(&db, &program);
    assert_eq!(ours, theirs.keys().collect::<Vec<_>>());
    assert!(!ours.is_empty());
    for one in found {
        // govulncheck names the fix with a `v`.
        let id = one["id"].as_str().unwrap();
        assert_eq!(
            format!("v{}", one["fixed"].as_str().unwrap()),
            theirs[id],
            "{id}"
        );
    }
    let out = fixture.run(&args).exits(4);
    assert!(
        out.stdout
            .contains(&format!("go 1.26.5 in {}", program.display())),
        "{out}"
    );

    fs::write(fixture.sandbox.path("text"), "no program").unwrap();
    let error = fixture.run("audit --binary text").exits(1);
    assert_snapshot!(error.stderr, @r"
    error: text is not a program: it is not an ELF file
    hint: name the file that `go build` wrote for a main package
    ");
}
