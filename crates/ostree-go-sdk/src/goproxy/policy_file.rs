//! The file of a policy, in TOML.
//!
//! A policy with a mistake is refused as a whole: a rule that is not understood could be one that was meant to protect.

use super::policy::{Deny, Policy, Private};
use crate::golang::module_pattern;
use crate::golang::proxy;
use crate::golang::semver::Semver;
use crate::kind::ErrorKind;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;
use serde::Deserialize;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;
use toml::Spanned;

/// The largest policy in bytes.
const MAX_POLICY: u64 = 1 << 20;

/// The longest reason of a `deny` entry in bytes: the go command shows about a thousand characters of an error.
const MAX_REASON: usize = 400;

/// The reason why a policy is refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// The file cannot be read.
    #[error("cannot read the policy {}", file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The file is too large.
    #[error("the policy {} is longer than {limit} bytes", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file is not TOML, has an unknown key, or a value that is not allowed.
    #[error("{}:{line}:{column}: {message}", file.display())]
    Invalid {
        /// The file.
        file: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// The problem: the value that was found, and the expected one.
        message: String,
    },
}

impl PolicyError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Read { source, .. } if source.kind() != io::ErrorKind::InvalidData => {
                ErrorKind::of_io(source)
            }
            _ => ErrorKind::InvalidInput,
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    allow: Option<Vec<Spanned<String>>>,
    #[serde(default)]
    deny: Vec<DenyTable>,
    minimum_age: Option<Spanned<String>>,
    #[serde(default)]
    any_age: Vec<Spanned<String>>,
    #[serde(default)]
    private: Vec<PrivateTable>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct DenyTable {
    module: Spanned<String>,
    #[serde(default)]
    versions: Vec<Spanned<String>>,
    reason: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct PrivateTable {
    modules: Spanned<Vec<Spanned<String>>>,
    keys: Spanned<Vec<Spanned<String>>>,
    upstream: Option<Spanned<String>>,
    statements: Option<PathBuf>,
}

/// A mistake, and its position in bytes.
struct Mistake(Range<usize>, String);

impl Policy {
    /// Reads a policy from a file.
    ///
    /// # Errors
    /// Returns an error if the file cannot be read, is not TOML, or has an unknown key or a value that is not allowed.
    pub fn load(file: &Path) -> Result<Self, PolicyError> {
        let read_error = |source| PolicyError::Read {
            file: file.to_owned(),
            source,
        };
        let opened = std::fs::File::open(file).map_err(read_error)?;
        let mut text = String::new();
        let mut limited = io::Read::take(opened, MAX_POLICY + 1);
        io::Read::read_to_string(&mut limited, &mut text).map_err(read_error)?;
        Self::parse(&text, file)
    }

    /// Parses the text of a policy. `file` is its path, for errors and for relative paths in it.
    ///
    /// # Errors
    /// Returns an error if the text is not TOML, or has an unknown key or a value that is not allowed.
    pub fn parse(text: &str, file: &Path) -> Result<Self, PolicyError> {
        if text.len() as u64 > MAX_POLICY {
            return Err(PolicyError::TooLarge {
                file: file.to_owned(),
                limit: MAX_POLICY,
            });
        }
        parse(text, file).map_err(|Mistake(span, message)| {
            let before = text.get(..span.start).unwrap_or(text);
            let line_start = before.rfind('\n').map_or(0, |end| end + 1);
            PolicyError::Invalid {
                file: file.to_owned(),
                line: 1 + before.matches('\n').count(),
                column: 1 + before[line_start..].chars().count(),
                message,
            }
        })
    }
}

fn parse(text: &str, path: &Path) -> Result<Policy, Mistake> {
    let file: File = toml::from_str(text).map_err(|error| {
        let message = error.message().replace('\n', ", ");
        Mistake(error.span().unwrap_or_default(), message)
    })?;
    let minimum_age = file.minimum_age.map(duration).transpose()?;
    Ok(Policy {
        allow: file.allow.map(patterns).transpose()?,
        deny: file.deny.into_iter().map(deny).collect::<Result<_, _>>()?,
        minimum_age: minimum_age.filter(|age| !age.is_zero()),
        any_age: patterns(file.any_age)?,
        private: file
            .private
            .into_iter()
            .map(|table| private(table, path))
            .collect::<Result<_, _>>()?,
    })
}

fn deny(table: DenyTable) -> Result<Deny, Mistake> {
    let version = |version: Spanned<String>| {
        let is_canonical =
            |text: &str| Semver::parse(text).is_some_and(|v| v.canonical_in_go_mod() == text);
        match is_canonical(version.get_ref()) {
            true => Ok(version.into_inner()),
            false => Err(mistake(&version, "a version of the form v1.2.3")),
        }
    };
    let reason = |reason: Spanned<String>| {
        let text = reason.get_ref();
        match text.len() <= MAX_REASON && !text.contains(char::is_control) {
            true => Ok(reason.into_inner()),
            false => Err(mistake(&reason, "one line of at most 400 bytes")),
        }
    };
    Ok(Deny {
        pattern: pattern(table.module)?,
        versions: table
            .versions
            .into_iter()
            .map(version)
            .collect::<Result<_, _>>()?,
        reason: table.reason.map(reason).transpose()?,
    })
}

fn private(table: PrivateTable, path: &Path) -> Result<Private, Mistake> {
    let is_key = |text: &str| {
        let bytes = STANDARD.decode(text).ok();
        let bytes: Option<[u8; 32]> = bytes.and_then(|bytes| bytes.try_into().ok());
        bytes.is_some_and(|bytes| VerifyingKey::from_bytes(&bytes).is_ok())
    };
    let key = |key: Spanned<String>| match is_key(key.get_ref()) {
        true => Ok(key.into_inner()),
        false => Err(mistake(&key, "an Ed25519 public key in base64")),
    };
    let upstream = |list: Spanned<String>| match proxy::parse_list(list.get_ref()) {
        Ok(_) => Ok(list.into_inner()),
        Err(error) => Err(Mistake(list.span(), error.to_string())),
    };
    for (list, expected) in [
        (&table.modules, "at least one pattern"),
        (&table.keys, "at least one key"),
    ] {
        if list.get_ref().is_empty() {
            let message = format!("the list is empty, expected {expected}");
            return Err(Mistake(list.span(), message));
        }
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    Ok(Private {
        patterns: patterns(table.modules.into_inner())?,
        keys: table
            .keys
            .into_inner()
            .into_iter()
            .map(key)
            .collect::<Result<_, _>>()?,
        upstream: table.upstream.map(upstream).transpose()?,
        statements: table.statements.map(|path| folder.join(path)),
    })
}

fn patterns(list: Vec<Spanned<String>>) -> Result<Vec<String>, Mistake> {
    list.into_iter().map(pattern).collect()
}

fn pattern(pattern: Spanned<String>) -> Result<String, Mistake> {
    match module_pattern::problem(pattern.get_ref()) {
        None => Ok(pattern.into_inner()),
        Some(problem) => {
            let found = pattern.get_ref().escape_debug();
            let message = format!(
                "`{found}` is not a pattern of module paths: {problem}; expected a path such as example.com/lib, in which `*` stands for any part between two slashes"
            );
            Err(Mistake(pattern.span(), message))
        }
    }
}

/// Parses a number and its unit: `90m`, `12h`, `7d` or `2w`.
fn duration(text: Spanned<String>) -> Result<Duration, Mistake> {
    let parse = |text: &str| {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        let seconds = match unit {
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            "w" => 7 * 24 * 60 * 60,
            _ => return None,
        };
        let is_number = number.bytes().all(|byte| byte.is_ascii_digit());
        let number: u32 = number.parse().ok().filter(|_| is_number)?;
        Some(Duration::from_secs(u64::from(number) * seconds))
    };
    parse(text.get_ref()).ok_or_else(|| mistake(&text, "a number with a unit: 90m, 12h, 7d or 2w"))
}

fn mistake(found: &Spanned<String>, expected: &str) -> Mistake {
    let message = format!(
        "found `{}`, expected {expected}",
        found.get_ref().escape_debug()
    );
    Mistake(found.span(), message)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn error(text: &str) -> String {
        let error = Policy::parse(text, Path::new("policy.toml")).unwrap_err();
        error.to_string()
    }

    #[test]
    fn all_keys() {
        let text = format!(
            "allow = ['github.com', '*.org/x']\nminimum-age = '7d'\nany-age = ['golang.org/x']\n\n\
             [[deny]]\nmodule = 'example.com/lib'\nversions = ['v1.0.0']\nreason = 'CVE-2026-1'\n\n\
             [[private]]\nmodules = ['corp.example.com']\nkeys = ['{KEY}']\n\
             upstream = 'https://proxy.corp.example.com'\nstatements = 'statements'\n"
        );
        let policy = Policy::parse(&text, Path::new("/etc/p/policy.toml")).unwrap();
        assert_eq!(policy.minimum_age, Some(Duration::from_secs(604_800)));
        let statements = policy.private[0].statements.as_deref();
        assert_eq!(statements, Some(Path::new("/etc/p/statements")));
        assert_eq!(policy.deny[0].reason.as_deref(), Some("CVE-2026-1"));
        let empty = Policy::parse("# nothing\n", Path::new("p")).unwrap();
        assert_eq!(empty, Policy::default());
    }

    #[test]
    fn mistakes_have_a_position() {
        insta::assert_snapshot!(error("allow = []\nalow = []\n"), @"policy.toml:2:1: unknown field `alow`, expected one of `allow`, `deny`, `minimum-age`, `any-age`, `private`");
        insta::assert_snapshot!(error("deny = ['a.com']\n"), @r#"policy.toml:1:9: invalid type: string "a.com", expected struct DenyTable"#);
        insta::assert_snapshot!(error("[[deny]]\nversions = []\n"), @"policy.toml:1:1: missing field `module`");
        insta::assert_snapshot!(error("[[deny]]\nmodule = 'a.com'\nversion = ['v1.0.0']\n"), @"policy.toml:3:1: unknown field `version`, expected one of `module`, `versions`, `reason`");
        insta::assert_snapshot!(error("[[deny]]\nmodule = 'a.com'\nversions = ['1.0.0']\n"), @"policy.toml:3:13: found `1.0.0`, expected a version of the form v1.2.3");
        insta::assert_snapshot!(error("allow = [\n  'a.com',\n  'https://b.com',\n]\n"), @"policy.toml:3:3: `https://b.com` is not a pattern of module paths: it has a character that no module path has; expected a path such as example.com/lib, in which `*` stands for any part between two slashes");
        insta::assert_snapshot!(error("minimum-age = '7 days'\n"), @"policy.toml:1:15: found `7 days`, expected a number with a unit: 90m, 12h, 7d or 2w");
        insta::assert_snapshot!(error("minimum-age = 7\n"), @"policy.toml:1:15: invalid type: integer `7`, expected a string");
        insta::assert_snapshot!(error("[[private]]\nmodules = ['a.com']\nkeys = ['AAAA']\n"), @"policy.toml:3:9: found `AAAA`, expected an Ed25519 public key in base64");
        insta::assert_snapshot!(error("[[private]]\nmodules = ['a.com']\nkeys = []\n"), @"policy.toml:3:8: the list is empty, expected at least one key");
        insta::assert_snapshot!(error("[[private]]\nmodules = []\nkeys = []\n"), @"policy.toml:2:11: the list is empty, expected at least one pattern");
        insta::assert_snapshot!(error("[[private]]\nmodules = ['a.com']\n"), @"policy.toml:1:1: missing field `keys`");
        insta::assert_snapshot!(error("allow = ['a.com'\n"), @"policy.toml:1:17: unclosed array, expected `]`");
        insta::assert_snapshot!(error("allow = ['a.com']\nallow = []\n"), @"policy.toml:2:1: duplicate key");
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let error = Policy::load(&folder.path().join("none")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let large = "#".repeat(1 << 20) + "\n";
        let error = Policy::parse(&large, Path::new("p.toml")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the policy p.toml is longer than 1048576 bytes"
        );
    }

    proptest! {
        #[test]
        fn any_text_is_a_policy_or_an_error(text in r#"((allow|deny|any-age|minimum-age|keys|modules|module|\[\[private\]\]|\[\[deny\]\]|=|'|7d|a.com|\[|\]|[ \n,*]|.){0,20}\n?){0,5}"#) {
            if let Err(error) = Policy::parse(&text, Path::new("p")) {
                prop_assert!(!error.to_string().is_empty());
            }
        }
    }
}
