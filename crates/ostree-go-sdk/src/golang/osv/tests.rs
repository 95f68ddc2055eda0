use super::range::{Event, OsvVersion, Range};
use super::*;
use crate::version::GoVersion;
use proptest::prelude::*;

const GO: [&str; 2] = [STDLIB, TOOLCHAIN];

fn go(text: &str) -> GoVersion {
    text.parse().unwrap()
}

fn linux() -> Platform {
    Platform::new("linux", "amd64")
}

fn entry(json: &str) -> Entry {
    let name = EntryName::parse("GO-2026-1").unwrap();
    Entry::parse(json.as_bytes(), &name, &GO).unwrap()
}

fn error(json: &str) -> String {
    let name = EntryName::parse("GO-2026-1").unwrap();
    let error = Entry::parse(json.as_bytes(), &name, &GO).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    error.to_string()
}

/// Returns an entry about the standard library with these elements of `affected[0]`.
fn stdlib(elements: &str) -> String {
    format!(
        r#"{{"id":"GO-2026-1","affected":[{{"package":{{"name":"stdlib","ecosystem":"Go"}},{elements}}}]}}"#
    )
}

fn semver(events: &str) -> String {
    stdlib(&format!(
        r#""ranges":[{{"type":"SEMVER","events":[{events}]}}]"#
    ))
}

fn affects(json: &str, version: &str) -> bool {
    entry(json).effect(&go(version), &GO, &linux()).is_some()
}

fn fixed(json: &str, version: &str) -> Option<String> {
    entry(json).effect(&go(version), &GO, &linux())?.fixed
}

#[test]
fn ranges_have_branches_and_pre_releases() {
    let json = semver(
        r#"{"introduced":"0"},{"fixed":"1.25.9"},{"introduced":"1.26.0-0"},{"fixed":"1.26.2"},{"introduced":"1.27.0-rc.1"},{"fixed":"1.27.0-rc.2"}"#,
    );
    let fixes = [
        ("1.4", Some("1.25.9")),
        ("1.25.8", Some("1.25.9")),
        ("1.25.9", None),
        ("1.25.10", None),
        ("1.26rc1", Some("1.26.2")),
        ("1.26.0", Some("1.26.2")),
        ("1.26.1-acme1", Some("1.26.2")),
        ("1.26.2", None),
        ("1.26.2-acme1", None),
        ("1.27beta1", None),
        ("1.27rc1", Some("1.27rc2")),
        ("1.27rc2", None),
        ("1.27.0", None),
    ];
    for (version, expected) in fixes {
        assert_eq!(affects(&json, version), expected.is_some(), "{version}");
        assert_eq!(fixed(&json, version).as_deref(), expected, "{version}");
    }
}

#[test]
fn the_first_fix_is_not_affected_by_another_range() {
    let json = stdlib(
        r#""ranges":[{"type":"SEMVER","events":[{"introduced":"0"},{"fixed":"1.26.2"}]},
            {"type":"SEMVER","events":[{"introduced":"1.26.1"},{"fixed":"1.26.4"}]}]"#,
    );
    assert_eq!(fixed(&json, "1.26.1").as_deref(), Some("1.26.4"));
    let old = semver(r#"{"introduced":"1.19.0"},{"fixed":"1.20.0"}"#);
    assert_eq!(fixed(&old, "1.19.4").as_deref(), Some("1.20"));
    let before = semver(r#"{"introduced":"0"},{"fixed":"1.21.0-0"}"#);
    assert_eq!(fixed(&before, "1.20.14").as_deref(), Some("1.21.0"));
    let none = semver(r#"{"introduced":"1.26.0"}"#);
    assert!(affects(&none, "1.99.1"));
    assert_eq!(fixed(&none, "1.99.1"), None);
}

#[test]
fn events_of_the_osv_schema_are_known() {
    let last = semver(r#"{"introduced":"1.26.0"},{"last_affected":"1.26.3"}"#);
    assert!(affects(&last, "1.26.3") && !affects(&last, "1.26.4"));
    assert_eq!(fixed(&last, "1.26.3"), None);
    let limit = semver(r#"{"introduced":"1.26.0"},{"limit":"1.27.0"}"#);
    assert!(affects(&limit, "1.26.9") && !affects(&limit, "1.27.0"));
    let unlimited = semver(r#"{"introduced":"1.26.0"},{"limit":"*"}"#);
    assert!(affects(&unlimited, "1.99.0"));
    let list = stdlib(r#""versions":["1.26.3","go1.27rc1","?"]"#);
    assert!(affects(&list, "1.26.3") && affects(&list, "1.27rc1") && !affects(&list, "1.26.4"));
}

#[test]
fn ranges_of_commits_and_absent_ranges_mean_all_versions() {
    for all in [
        r#""ranges":null"#,
        r#""ranges":[{"type":"GIT","events":[{"introduced":"deadbeef"}]}]"#,
        r#""ranges":[{"type":"SEMVER","events":null}]"#,
    ] {
        assert!(affects(&stdlib(all), "1.26.5"), "{all}");
    }
}

#[test]
fn other_modules_platforms_and_withdrawn_entries_do_not_count() {
    let other = r#"{"id":"GO-2026-1","affected":[{"package":{"name":"golang.org/x/net","ecosystem":"Go"},
        "ranges":[{"type":"SEMVER","events":[{"introduced":"nonsense"}]}]},
        {"package":{"name":"stdlib","ecosystem":"npm"}},{"package":{"name":"toolchain"}},{}]}"#;
    assert!(affects(other, "1.26.5"));
    let effect = |modules: &[&str]| entry(other).effect(&go("1.26.5"), modules, &linux());
    assert_eq!(effect(&[STDLIB]), None);
    assert!(effect(&[TOOLCHAIN]).is_some());

    let windows = stdlib(
        r#""ecosystem_specific":{"imports":[{"path":"os/exec","goos":["windows"]},{"path":"os","goos":["windows"],"goarch":["amd64"]}]}"#,
    );
    let effect = entry(&windows)
        .effect(&go("1.26.5"), &GO, &linux())
        .unwrap();
    assert!(!effect.on_platform);
    assert_eq!(effect.packages, ["os", "os/exec"]);
    let arm = Platform::new("windows", "arm64");
    let effect = entry(&windows).effect(&go("1.26.5"), &GO, &arm).unwrap();
    assert!(effect.on_platform);
    assert_eq!(effect.packages, ["os/exec"]);

    let withdrawn =
        stdlib(r#""ranges":[]"#).replace(r#""id""#, r#""withdrawn":"2026-01-01T00:00:00Z","id""#);
    assert!(!affects(&withdrawn, "1.26.5"));
}

#[test]
fn texts_are_printable_lines() {
    let one = entry(
        r#"{"id":"GO-2026-1","modified":"2026-01-02T03:04:05Z","aliases":["CVE-1\u001b[2J"],"summary":"a\n\u001b[31mb\u0000",
            "database_specific":{"url":"javascript:alert(1)","unknown":[[]]},"unknown":{"a":[1]}}"#,
    );
    assert_eq!(one.summary, "a [31mb");
    assert_eq!(one.aliases, ["CVE-1 [2J"]);
    assert_eq!(one.url, None);
    let one = entry(
        r#"{"id":"GO-2026-1","summary":" ","details":"Long\n\ntext","database_specific":{"url":"https://pkg.go.dev/vuln/GO-2026-1"}}"#,
    );
    assert_eq!(one.summary, "Long text");
    assert_eq!(
        one.url.as_deref(),
        Some("https://pkg.go.dev/vuln/GO-2026-1")
    );
    let long = format!(r#"{{"id":"GO-2026-1","summary":"{}"}}"#, "é".repeat(400));
    assert_eq!(entry(&long).summary.chars().count(), 301);
}

#[test]
fn errors_name_the_place() {
    insta::assert_snapshot!(error("<html>"), @"it is not an entry in OSV format");
    insta::assert_snapshot!(error(r#"{"id":"GO-2026-2\u001b"}"#), @r"it is the entry `GO-2026-2\u{1b}`, expected GO-2026-1");
    insta::assert_snapshot!(error(&semver(r#"{"introduced":"0"},{"fixed":"soon"}"#)), @"`affected[0].ranges[0].events[1]` has the version `soon`, expected a semantic version");
    insta::assert_snapshot!(error(&semver(r#"{"introduced":"0","fixed":"1.2.3"}"#)), @"`affected[0].ranges[0].events[0]` has several bounds, expected one of introduced, fixed, last_affected and limit");
    for wrong in [
        "",
        "[]",
        r#"{"id":7}"#,
        r#"{"id":"GO-2026-1","affected":{}}"#,
        r#"{"id":"GO-2026-1","aliases":"CVE"}"#,
        &semver("7"),
        &semver(r#"{"introduced":0}"#),
    ] {
        assert_eq!(error(wrong), "it is not an entry in OSV format", "{wrong}");
    }
}

#[test]
fn deep_nesting_needs_no_stack() {
    let (open, close) = ("[".repeat(1 << 20), "]".repeat(1 << 20));
    let ignored = format!(r#"{{"id":"GO-2026-1","x":{open}{close}}}"#);
    assert_eq!(entry(&ignored).id, "GO-2026-1");
    let read = format!(r#"{{"id":"GO-2026-1","affected":{open}{close}}}"#);
    assert_eq!(error(&read), "it is not an entry in OSV format");
}

#[test]
fn the_index_selects_by_module_and_version() {
    let parse = |json: &str| ModuleIndex::parse(json.as_bytes(), &GO);
    let index = parse(
        r#"[{"path":"stdlib","vulns":[{"id":"GO-2026-1","modified":"t1","fixed":"1.26.4"},{"id":"GO-2026-2","modified":"t2"},
              {"id":"GO-2026-3","fixed":"soon"},{"id":"GO-2026-4","fixed":"1.27.0-rc.2"}]},
            {"path":"toolchain","vulns":[{"id":"GO-2026-1","modified":"t1","fixed":"1.26.5"}]},
            {"path":"example.com/x","vulns":[{"id":"../../x"}]},{"path":"none","vulns":null},{"path":"empty"}]"#,
    )
    .unwrap();
    let since = |version: &str| -> Vec<String> {
        let names = index.since(&go(version));
        names
            .map(|(name, _)| name.as_str()["GO-2026-".len()..].to_owned())
            .collect()
    };
    assert_eq!(since("1.26.3"), ["1", "2", "3", "4"]);
    assert_eq!(since("1.26.4"), ["1", "2", "3", "4"]);
    assert_eq!(since("1.26.5"), ["2", "3", "4"]);
    assert_eq!(since("1.27rc2"), ["2", "3"]);
    assert_eq!(index.since(&go("1.26.3")).next().unwrap().1, "t1");

    let error = |json: &str| parse(json).unwrap_err().to_string();
    insta::assert_snapshot!(error("<html>"), @"it is not an index of modules");
    insta::assert_snapshot!(error(r#"[{"path":"stdlib","vulns":[{"id":"../x"}]}]"#), @"it has the entry `../x`, expected a name of letters, digits, `-`, `_` and `.`");
    let many: Vec<String> = (0..=MAX_ENTRIES)
        .map(|n| format!(r#"{{"id":"GO-{n}"}}"#))
        .collect();
    let many = format!(r#"[{{"path":"stdlib","vulns":[{}]}}]"#, many.join(","));
    insta::assert_snapshot!(error(&many), @"it has 10001 entries about Go, at most 10000 are read");
    assert_eq!(parse(&many).unwrap_err().kind(), ErrorKind::UnsafeContent);
    assert_eq!(
        parse_modified(br#"{"modified":"2026-01-01T00:00:00Z"}"#).unwrap(),
        "2026-01-01T00:00:00Z"
    );
    insta::assert_snapshot!(parse_modified(b"[]").unwrap_err(), @"it is not the description of a vulnerability database");
}

/// A version 1.MINOR.PATCH with small numbers, and the number of a release candidate.
type Small = (u8, u8, Option<u8>);

/// Versions as small numbers, so that bounds and versions meet often.
fn small_version() -> impl Strategy<Value = Small> {
    (1_u8..4, 0_u8..4, prop::option::weighted(0.3, 0_u8..3))
}

fn text((minor, patch, rc): Small) -> String {
    match rc {
        Some(rc) => format!("1.{minor}.{patch}-rc.{rc}"),
        None => format!("1.{minor}.{patch}"),
    }
}

/// A naive implementation: whether a version is affected is decided by the last bound at or below it, where
/// versions are numbers, and a pre-release is below its release.
fn naive(events: &[(bool, Small)], version: Small) -> bool {
    let number = |(minor, patch, rc): Small| {
        (u32::from(minor) * 100 + u32::from(patch)) * 100 + rc.map_or(99, u32::from)
    };
    let mut last = None;
    let mut sorted = events.to_vec();
    sorted.sort_by_key(|(_, bound)| number(*bound));
    for (introduced, bound) in sorted {
        if number(bound) <= number(version) {
            last = Some(introduced);
        }
    }
    last == Some(true)
}

proptest! {
    #[test]
    fn a_range_is_what_a_naive_implementation_finds(
        events in prop::collection::vec((any::<bool>(), small_version()), 0..8),
        version in small_version(),
    ) {
        let parse = |version| OsvVersion::parse(&text(version)).unwrap();
        let list = events.iter().map(|(introduced, bound)| match introduced {
            true => Event::Introduced(Some(parse(*bound))),
            false => Event::Fixed(parse(*bound)),
        });
        let range = Range::new(list.collect());
        if !events.is_empty() {
            prop_assert_eq!(range.contains(&parse(version)), naive(&events, version));
        }
    }

    #[test]
    fn releases_and_semantic_versions_are_converted_into_each_other(
        minor in 0_u64..40, patch in 0_u64..20, pre in prop::option::of((any::<bool>(), 1_u64..9)),
    ) {
        let name = match pre {
            Some((true, n)) => format!("1.{minor}rc{n}"),
            Some((false, n)) => format!("1.{minor}beta{n}"),
            None if patch == 0 && minor < 21 => format!("1.{minor}"),
            None => format!("1.{minor}.{patch}"),
        };
        let version = OsvVersion::of(&go(&name));
        prop_assert_eq!(version.release(), name);
        prop_assert_eq!(OsvVersion::parse(&version.to_string()), Some(version));
    }

    #[test]
    fn any_bytes_are_an_entry_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..80), cut in 0_usize..400, text in ".{0,30}",
    ) {
        let name = EntryName::parse("GO-2026-1").unwrap();
        let _ = Entry::parse(&bytes, &name, &GO);
        let _ = ModuleIndex::parse(&bytes, &GO);
        let json = semver(r#"{"introduced":"0"},{"fixed":"1.25.9"},{"introduced":"1.26.0-0"}"#);
        let _ = Entry::parse(&json.as_bytes()[..cut.min(json.len())], &name, &GO);
        if let Some(version) = OsvVersion::parse(&text) {
            let _ = version.release();
        }
        let _ = EntryName::parse(&text);
    }
}
