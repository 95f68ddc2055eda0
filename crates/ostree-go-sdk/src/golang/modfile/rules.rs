//! The directives that name modules: `require`, `exclude`, `replace` and `retract`.
//!
//! Source: `golang.org/x/mod/modfile`, `rule.go`.

use super::error::Problem;
use super::lines::{ModuleVersion, Replace, Retract};
use super::string::unquote;
use super::syntax::Directive;
use crate::golang::module_path::{other_major, split_major};
use crate::golang::semver::Semver;

/// Reads the arguments of `require` and `exclude`: a path and a version.
pub(super) fn module_version(
    directive: &Directive<'_>,
    verb: &'static str,
) -> Result<(String, String), Problem> {
    let [path, version] = directive.arguments.as_slice() else {
        return Err(Problem::ModuleArguments {
            verb,
            found: directive.arguments.len(),
        });
    };
    let path = unquote(path)?;
    let version = self::version(version)?;
    check_major(&path, Some(&version))?;
    Ok((path, version))
}

/// Reads a `replace` line.
pub(super) fn replace(directive: &Directive<'_>) -> Result<Replace, Problem> {
    let (path, version, new) = match directive.arguments.as_slice() {
        [path, "=>", new @ ..] => (path, None, new),
        [path, version, "=>", new @ ..] => (path, Some(version), new),
        _ => return Err(Problem::ReplaceForm),
    };
    let (new_path, new_version) = match new {
        [path] => (path, None),
        [path, version] => (path, Some(version)),
        _ => return Err(Problem::ReplaceForm),
    };
    let path = unquote(path)?;
    let version = version.map(|text| self::version(text)).transpose()?;
    check_major(&path, version.as_deref())?;
    let found = unquote(new_path)?;
    let new_version = new_version.map(|text| self::version(text)).transpose()?;
    match (is_directory(&found), new_version.is_some()) {
        (false, false) => return Err(Problem::NoVersion { found }),
        (true, true) => return Err(Problem::DirectoryVersion { found }),
        (true, false) if found.contains('\\') => return Err(Problem::Backslash { found }),
        _ => {}
    }
    Ok(Replace {
        old: ModuleVersion { path, version },
        new: ModuleVersion {
            path: found,
            version: new_version,
        },
        line: directive.line,
    })
}

/// Reads a `retract` line. As in Go, the versions stay as they are written and are not checked
/// (`dontFixRetract`).
pub(super) fn retract(directive: &Directive<'_>) -> Result<Retract, Problem> {
    let (low, high) = match directive.arguments.as_slice() {
        ["[", low, ",", high, "]"] => (low, high),
        [one] if !["[", "("].contains(one) => (one, one),
        _ => return Err(Problem::RetractForm),
    };
    Ok(Retract {
        low: unquote(low)?,
        high: unquote(high)?,
        line: directive.line,
    })
}

/// Returns true for a `require` line that ends in `// indirect` or `// indirect; …`.
pub(super) fn is_indirect(directive: &Directive<'_>) -> bool {
    let mut words = directive.comment.split_whitespace();
    match (words.next(), words.next()) {
        (Some("indirect"), None) => true,
        (Some("indirect;"), more) => more.is_some(),
        _ => false,
    }
}

/// Returns true for a path that names a directory. The forms of Windows are included, because Go does
/// not take them for module paths on any system (`IsDirectoryPath`).
fn is_directory(path: &str) -> bool {
    let starts = ["./", ".\\", "../", "..\\", "/", "\\"];
    let mut bytes = path.bytes();
    let has_drive =
        bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic()) && bytes.next() == Some(b':');
    [".", ".."].contains(&path) || starts.iter().any(|start| path.starts_with(start)) || has_drive
}

/// Returns the canonical form of a version, as Go does.
fn version(token: &str) -> Result<String, Problem> {
    let found = unquote(token)?;
    match Semver::parse(&found) {
        Some(version) => Ok(version.canonical_in_go_mod()),
        None => Err(Problem::Version { found }),
    }
}

/// Checks that the path of a module ends in a valid major version, and that this is the one of
/// `version`.
fn check_major(path: &str, version: Option<&str>) -> Result<(), Problem> {
    let Some((_, major)) = split_major(path) else {
        let found = path.to_owned();
        return Err(Problem::ModulePath { found });
    };
    match version.and_then(|version| Some((version, other_major(version, major)?))) {
        Some((version, expected)) => Err(Problem::Major {
            found: format!("{path} {version}"),
            expected: expected.to_owned(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use crate::golang::modfile::{GoMod, GoWork, ModuleVersion};

    fn module(path: &str, version: Option<&str>) -> ModuleVersion {
        ModuleVersion {
            path: path.to_owned(),
            version: version.map(str::to_owned),
        }
    }

    fn parse(text: &str) -> GoMod {
        GoMod::parse(text.as_bytes()).unwrap()
    }

    fn error(text: &str) -> String {
        GoMod::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn modules_are_read_with_their_canonical_versions() {
        let file = parse(
            "module (\n\t\"example.com/m\"\n)\n\ngodebug default=go1.21\ngodebug (\n\ta=b=c\n)\n\
             require example.com/a v1.2 // indirect\nrequire (\n\texample.com/b/v3 v3.0.0-rc.1+meta//indirect; because\n\
             \texample.com/c v2.0.0+incompatible // direct\n\texample.com/d v0.0.0 // indirect;\n)\n\
             exclude example.com/a v1.1.0\nexclude example.com/a v1.1.0\ntool example.com/t/cmd\ntool example.com/t/cmd\nignore ./node_modules\n",
        );
        assert_eq!(file.module.unwrap().text, "example.com/m");
        let pairs = [("default", "go1.21"), ("a", "b=c")];
        assert_eq!(
            file.godebug,
            pairs.map(|(key, value)| (key.to_owned(), value.to_owned()))
        );
        let required: Vec<_> = file
            .require
            .iter()
            .map(|one| {
                (
                    one.path.as_str(),
                    one.version.as_str(),
                    one.is_indirect,
                    one.line,
                )
            })
            .collect();
        let expected = [
            ("example.com/a", "v1.2.0", true, 9),
            ("example.com/b/v3", "v3.0.0-rc.1", true, 11),
            ("example.com/c", "v2.0.0+incompatible", false, 12),
            ("example.com/d", "v0.0.0", false, 13),
        ];
        assert_eq!(required, expected);
        assert_eq!(file.exclude, [module("example.com/a", Some("v1.1.0"))]);
        assert_eq!((file.tool.len(), file.ignore.len()), (1, 1));
        assert_eq!(file.ignore[0].text, "./node_modules");
    }

    #[test]
    fn replacements_have_all_forms() {
        let text = "replace a => ./b\nreplace a v1.0.0 => ../b\nreplace (\n\ta/v2 => b/v2 v2.1.0\n\
                    \ta/v2 v2.0.0 => \"/b c\"\n\tgopkg.in/a.v1 => . // here\n)\nreplace a => ./b\n";
        let expected = [
            (module("a", Some("v1.0.0")), module("../b", None), 2),
            (module("a/v2", None), module("b/v2", Some("v2.1.0")), 4),
            (module("a/v2", Some("v2.0.0")), module("/b c", None), 5),
            (module("gopkg.in/a.v1", None), module(".", None), 6),
            (module("a", None), module("./b", None), 8),
        ];
        for found in [
            parse(text).replace,
            GoWork::parse(text.as_bytes()).unwrap().replace,
        ] {
            let found: Vec<_> = found
                .into_iter()
                .map(|one| (one.old, one.new, one.line))
                .collect();
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn retracted_versions_are_intervals() {
        let file = parse(
            "retract v1.0.0 // published by mistake\nretract [v1.1, v1.2.3]\nretract (\n\t[ v2.0.0 , v2.1.0 ]\n)\n",
        );
        let found: Vec<_> = file
            .retract
            .iter()
            .map(|one| (one.low.as_str(), one.high.as_str(), one.line))
            .collect();
        let expected = [
            ("v1.0.0", "v1.0.0", 1),
            ("v1.1", "v1.2.3", 2),
            ("v2.0.0", "v2.1.0", 4),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn malformed_directives_are_refused() {
        insta::assert_snapshot!(error("module a\nmodule b\n"), @"line 2: second `module` line");
        insta::assert_snapshot!(error("require a\n"), @"line 1: `require` has 1 arguments, expected a module path and a version");
        insta::assert_snapshot!(error("exclude a v1.0.0 v1.1.0\n"), @"line 1: `exclude` has 3 arguments, expected a module path and a version");
        insta::assert_snapshot!(error("require a master\n"), @"line 1: `master` is not a module version, expected the form `v1.2.3`");
        insta::assert_snapshot!(error("require a/v1 v1.0.0\n"), @"line 1: the module path `a/v1` ends in an invalid major version, expected the form `example.com/a/v2` or `gopkg.in/a.v1`");
        insta::assert_snapshot!(error("require a v2.0.0\n"), @"line 1: `a v2.0.0` has a path for v0 or v1");
        insta::assert_snapshot!(error("require a/v2 v3.0.0\n"), @"line 1: `a/v2 v3.0.0` has a path for v2");
        insta::assert_snapshot!(error("require 'a' v1.0.0\n"), @r"line 1: `\'a\'` is not a valid string");
        insta::assert_snapshot!(error("replace a b\n"), @"line 1: malformed `replace`, expected the form `replace example.com/a [v1.2.3] => example.com/b v1.4.0` or `replace example.com/a [v1.2.3] => ../b`");
        insta::assert_snapshot!(error("replace a => b v1 v2\n"), @"line 1: malformed `replace`, expected the form `replace example.com/a [v1.2.3] => example.com/b v1.4.0` or `replace example.com/a [v1.2.3] => ../b`");
        insta::assert_snapshot!(error("replace a => b\n"), @"line 1: the replacement `b` has no version and is not a directory, which starts with `/`, `./` or `../`");
        insta::assert_snapshot!(error("replace a => ./b v1.0.0\n"), @"line 1: the replacement directory `./b` has a version, expected none");
        insta::assert_snapshot!(error("replace a => .\\b\n"), @r"line 1: the replacement directory `.\\b` contains `\`, expected `/`");
        insta::assert_snapshot!(error("replace a => ./b\n\nreplace a => ./c\n"), @"line 3: `a` is already replaced by another module or directory in line 1");
        insta::assert_snapshot!(error("replace a v1.0.0 => ./b\nreplace a v1.0.0 => c v1.0.0\n"), @"line 2: `a v1.0.0` is already replaced by another module or directory in line 1");
        for text in [
            "retract\n",
            "retract [v1.0.0]\n",
            "retract v1.0.0 v1.1.0\n",
            "retract [v1.0.0, v1.1.0] x\n",
        ] {
            let text = error(text);
            assert_eq!(
                text,
                "line 1: malformed `retract`, expected the form `retract v1.2.3` or `retract [v1.2.0, v1.2.9]`"
            );
        }
        insta::assert_snapshot!(error("godebug a\n"), @"line 1: `godebug a` is malformed, expected the form `godebug key=value`");
        insta::assert_snapshot!(error("tool a b\n"), @"line 1: `tool` has 2 arguments, expected one");
        insta::assert_snapshot!(error("require a \"v1\\\n.0.0\"\n"), @"line 1: the string has no closing quote");
        // The lines that select a Go can be read nevertheless.
        let file = GoMod::parse_versions(b"require a master\nreplace a\ngo 1.26\n").unwrap();
        assert_eq!(file.go.unwrap().text, "1.26");
        assert!(file.require.is_empty());
    }
}
