//! Requirements on programs.

use super::binary::Binary;
use super::loading::BinaryKind;
use crate::version::GoVersion;
use std::fmt;
use std::str::FromStr;

/// The value of [`Unmet::found`] if the program does not contain the information.
const UNKNOWN: &str = "unknown";

/// A requirement on a program. [`fmt::Display`] and [`FromStr`] use the words of the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Requirement {
    /// `static`: nothing but the program itself is loaded.
    Static,
    /// `pie`: it is position-independent.
    Pie,
    /// `stripped`: it has neither a symbol table nor debugging information.
    Stripped,
    /// `no-wx`: no memory, and not the stack, can be both written and executed at the start.
    NoWx,
    /// `trimpath`: it was built with `-trimpath`.
    TrimPath,
    /// `cgo-off`: it was built with `CGO_ENABLED=0`.
    CgoOff,
    /// `no-pprof`: `net/http/pprof` is not linked into it.
    NoPprof,
    /// `clean-vcs`: it was built from a revision of a repository without local changes.
    CleanVcs,
    /// `sdk=1.26.5`: it was built with this version of Go. Experiments are not part of the version.
    Sdk(GoVersion),
}

/// The error for a text that is not a requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not a requirement, expected {}, or sdk=VERSION",
    found.escape_debug(),
    words(),
)]
pub struct UnknownRequirement {
    /// The text.
    pub found: String,
}

/// A requirement that a program does not meet.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unmet {
    /// The requirement.
    pub requirement: Requirement,
    /// The required value.
    pub expected: String,
    /// The value that was found; `unknown` if the program does not contain the information.
    pub found: String,
}

/// The requirements without an argument.
static WORDS: [(&str, Requirement); 8] = [
    ("static", Requirement::Static),
    ("pie", Requirement::Pie),
    ("stripped", Requirement::Stripped),
    ("no-wx", Requirement::NoWx),
    ("trimpath", Requirement::TrimPath),
    ("cgo-off", Requirement::CgoOff),
    ("no-pprof", Requirement::NoPprof),
    ("clean-vcs", Requirement::CleanVcs),
];

/// The start of the requirement with a version.
const SDK: &str = "sdk=";

/// Returns the list of the requirements without an argument.
fn words() -> String {
    let words: Vec<&str> = WORDS.iter().map(|(word, _)| *word).collect();
    words.join(", ")
}

impl Binary {
    /// Returns the requirements that the program does not meet, in their order. What is unknown counts
    /// as unmet.
    #[must_use]
    pub fn unmet(&self, requirements: &[Requirement]) -> Vec<Unmet> {
        let unmet = requirements.iter();
        unmet
            .filter_map(|requirement| requirement.check(self))
            .collect()
    }
}

impl Requirement {
    /// Returns the requirement, and what was found, if a program does not meet it.
    fn check(&self, binary: &Binary) -> Option<Unmet> {
        let (expected, found) = match self {
            Self::Static => ("no loader and no libraries".to_owned(), libraries(binary)),
            Self::Pie => ("a position-independent program".to_owned(), fixed(binary)),
            Self::Stripped => (
                "neither symbols nor debugging information".to_owned(),
                symbols(binary),
            ),
            Self::NoWx => (
                "no memory that is writable and executable".to_owned(),
                writable_code(binary),
            ),
            Self::TrimPath => setting(binary, "-trimpath", "true"),
            Self::CgoOff => setting(binary, "CGO_ENABLED", "0"),
            Self::NoPprof => (
                "a program without net/http/pprof".to_owned(),
                pprof(binary).map(str::to_owned),
            ),
            Self::CleanVcs => ("a revision without changes".to_owned(), changes(binary)),
            Self::Sdk(version) => (format!("go{version}"), other_version(binary, version)),
        };
        found.map(|found| Unmet {
            requirement: self.clone(),
            expected,
            found,
        })
    }
}

/// Returns the loader and the libraries.
fn libraries(binary: &Binary) -> Option<String> {
    let loading = &binary.loading;
    let words: Vec<&str> = loading
        .interpreter
        .iter()
        .chain(&loading.needed)
        .map(String::as_str)
        .collect();
    (!loading.is_static()).then(|| words.join(", "))
}

fn fixed(binary: &Binary) -> Option<String> {
    match binary.loading.kind {
        BinaryKind::Pie => None,
        BinaryKind::Executable => Some("a program at a fixed address".to_owned()),
        BinaryKind::SharedLibrary => Some("a shared library".to_owned()),
    }
}

fn symbols(binary: &Binary) -> Option<String> {
    let found = match (binary.has_symbols, binary.has_debug_info) {
        (false, false) => return None,
        (true, true) => "symbols and debugging information",
        (true, false) => "symbols",
        (false, true) => "debugging information",
    };
    Some(found.to_owned())
}

fn writable_code(binary: &Binary) -> Option<String> {
    let segments = binary.loading.writable_code.iter();
    let mut found: Vec<String> = segments
        .map(|segment| format!("the segment at {:#x}", segment.address))
        .collect();
    match binary.loading.executable_stack {
        Some(false) => {}
        Some(true) => found.push("the stack".to_owned()),
        None => found.push(format!("the stack: {UNKNOWN}, it has no PT_GNU_STACK")),
    }
    (!found.is_empty()).then(|| found.join(", "))
}

/// Compares a build setting with a value.
fn setting(binary: &Binary, key: &str, value: &str) -> (String, Option<String>) {
    let found = match binary.build.setting(key) {
        Some(found) if found == value => None,
        Some(found) => Some(format!("{key}={found}")),
        // The go command writes `-trimpath` only if it is set, but `-compiler` always.
        None if key.starts_with('-') && binary.build.setting("-compiler").is_some() => {
            Some(format!("no {key}"))
        }
        None => Some(UNKNOWN.to_owned()),
    };
    (format!("{key}={value}"), found)
}

fn pprof(binary: &Binary) -> Option<&'static str> {
    match binary.has_pprof {
        Some(false) => None,
        Some(true) => Some("net/http/pprof"),
        None => Some(UNKNOWN),
    }
}

fn changes(binary: &Binary) -> Option<String> {
    let build = &binary.build;
    let revision = build.setting("vcs.revision").filter(|id| !id.is_empty());
    let Some(revision) = revision else {
        return Some(format!("{UNKNOWN}: no vcs.revision"));
    };
    match build.setting("vcs.modified") {
        Some("false") => None,
        Some("true") => Some(format!("{revision} with changes")),
        _ => Some(format!("{revision}, changes {UNKNOWN}")),
    }
}

fn other_version(binary: &Binary, version: &GoVersion) -> Option<String> {
    match binary.build.version() {
        Some(found) if found == *version => None,
        _ if binary.build.go_version.is_empty() => Some(UNKNOWN.to_owned()),
        _ => Some(binary.build.go_version.clone()),
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Sdk(version) = self {
            return write!(f, "{SDK}{version}");
        }
        let word = WORDS.iter().find(|(_, requirement)| requirement == self);
        f.pad(word.map_or("", |(word, _)| word))
    }
}

impl FromStr for Requirement {
    type Err = UnknownRequirement;

    /// Parses a word such as `static`, or `sdk=` and a version, with or without the prefix `go`.
    fn from_str(text: &str) -> Result<Self, UnknownRequirement> {
        let unknown = || UnknownRequirement {
            found: text.to_owned(),
        };
        if let Some(version) = text.strip_prefix(SDK) {
            let version = version.strip_prefix("go").unwrap_or(version);
            let version = version.parse().map_err(|_| unknown())?;
            return Ok(Self::Sdk(version));
        }
        let known = WORDS.iter().find(|(word, _)| *word == text);
        known
            .map(|(_, requirement)| requirement.clone())
            .ok_or_else(unknown)
    }
}
