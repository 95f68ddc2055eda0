//! The build information that the linker writes into every program: the version of Go, the modules,
//! and the settings of the build.
//!
//! Source of the format: `src/runtime/debug/mod.go`, `ParseBuildInfo` and `BuildInfo.String`.

use super::modfile::string::unescape;

/// The build information of a program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildInfo {
    /// The version of Go as the program's `runtime.Version` returns it: `go1.26.5`,
    /// `go1.26.5-X:jsonv2`, `devel go1.27-…`.
    pub go_version: String,
    /// The import path of the main package; `None` if the program was built without modules.
    pub package: Option<String>,
    /// The module of the main package; `None` if it belongs to no module.
    pub module: Option<BuildModule>,
    /// The modules of all other packages, in the order of the file.
    pub dependencies: Vec<BuildModule>,
    /// The settings of the build by their keys, in the order of the file: `-trimpath`, `CGO_ENABLED`,
    /// `vcs.revision` and others.
    pub settings: Vec<(String, String)>,
}

/// A module in the build information.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BuildModule {
    /// The path of the module.
    pub path: String,
    /// The version: `v1.2.3`, or `(devel)` for a module that was built from a directory.
    pub version: String,
    /// The `h1:` sum of the content; `None` for a module that was built from a directory.
    pub sum: Option<String>,
    /// The module that was built in its place, because of a `replace` line.
    pub replacement: Option<Box<Self>>,
}

/// The reason why build information cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the build information {problem}")]
pub struct InvalidBuildInfo {
    /// The number of the line, from 1.
    pub line: usize,
    /// The problem.
    pub problem: &'static str,
}

impl BuildInfo {
    /// Parses the lines of the build information, which do not contain the version of Go. Lines of an
    /// unknown kind are ignored, as is a last line without its end.
    ///
    /// # Errors
    /// Returns an error if a line is not one that the go command writes.
    pub fn parse(go_version: &str, text: &str) -> Result<Self, InvalidBuildInfo> {
        let mut info = Self {
            go_version: go_version.to_owned(),
            ..Self::default()
        };
        // The module that a replacement in the next line belongs to.
        let mut last = Last::None;
        let lines = text.split_inclusive('\n').enumerate();
        for (index, line) in lines {
            let Some((word, rest)) = line
                .strip_suffix('\n')
                .and_then(|line| line.split_once('\t'))
            else {
                continue;
            };
            let invalid = |problem| InvalidBuildInfo {
                line: index + 1,
                problem,
            };
            match word {
                "path" => info.package = Some(rest.to_owned()),
                "mod" => {
                    info.module = Some(module(rest).map_err(invalid)?);
                    last = Last::Main;
                }
                "dep" => {
                    info.dependencies.push(module(rest).map_err(invalid)?);
                    last = Last::Dependency;
                }
                "=>" => {
                    let replaced = match last {
                        Last::None => None,
                        Last::Main => info.module.as_mut(),
                        Last::Dependency => info.dependencies.last_mut(),
                    };
                    let replaced = replaced
                        .ok_or_else(|| invalid("is a replacement, but no module is before it"))?;
                    if rest.split('\t').count() != 3 {
                        return Err(invalid("is a replacement, but has not three columns"));
                    }
                    replaced.replacement = Some(Box::new(module(rest).map_err(invalid)?));
                    last = Last::None;
                }
                "build" => info.settings.push(setting(rest).map_err(invalid)?),
                _ => {}
            }
        }
        Ok(info)
    }

    /// Returns the value of a setting; `None` if the build information does not have it.
    #[must_use]
    pub fn setting(&self, key: &str) -> Option<&str> {
        let found = self.settings.iter().find(|(found, _)| found == key);
        found.map(|(_, value)| value.as_str())
    }

    /// Returns the default `GODEBUG` settings of the program, which follow from the `go` line and the
    /// `godebug` lines of its `go.mod`.
    #[must_use]
    pub fn godebug(&self) -> Vec<(&str, &str)> {
        let text = self.setting("DefaultGODEBUG").unwrap_or_default();
        text.split(',')
            .filter_map(|word| word.split_once('='))
            .collect()
    }

    /// Returns the release in [`go_version`](Self::go_version), without the prefix `go`: `1.26.5`, also
    /// for `go1.26.5-X:jsonv2` and `go1.26.5 (Red Hat 1.26.5-2.el10) X:strictfipsruntime`. `None` if
    /// that is not a release.
    ///
    /// Experiments are appended by `src/cmd/link/internal/ld/main.go`.
    #[must_use]
    pub fn version(&self) -> Option<crate::version::GoVersion> {
        let first = self.go_version.split([' ', '\t']).next()?;
        let first = first.split_once("-X:").map_or(first, |(first, _)| first);
        first.strip_prefix("go")?.parse().ok()
    }

    /// Returns the experiments in [`go_version`](Self::go_version), for example `jsonv2`.
    #[must_use]
    pub fn experiments(&self) -> Vec<&str> {
        let text = self.go_version.split([' ', '-']);
        let list = text.filter_map(|word| word.strip_prefix("X:")).next();
        let words = list.into_iter().flat_map(|list| list.split(','));
        words.filter(|word| !word.is_empty()).collect()
    }
}

/// The kind of the module in the line before.
enum Last {
    None,
    Main,
    Dependency,
}

/// Parses the columns of a module: path, version, and the sum, which may be missing.
fn module(text: &str) -> Result<BuildModule, &'static str> {
    let columns: Vec<&str> = text.split('\t').collect();
    let (path, version, sum) = match columns[..] {
        [path, version] => (path, version, ""),
        [path, version, sum] => (path, version, sum),
        _ => return Err("is a module, but has not two or three columns"),
    };
    Ok(BuildModule {
        path: path.to_owned(),
        version: version.to_owned(),
        sum: Some(sum.to_owned()).filter(|sum| !sum.is_empty()),
        replacement: None,
    })
}

/// Parses `key=value`, each of which is quoted if it has to be.
fn setting(text: &str) -> Result<(String, String), &'static str> {
    let no_key = "is a build setting without a key";
    let no_value = "is a build setting without `=`";
    let (key, value) = match text.chars().next() {
        None | Some('=') => return Err(no_key),
        Some('"' | '`') => {
            let end = end_of_string(text).ok_or("has a key without its closing quote")?;
            let value = text[end..].strip_prefix('=').ok_or(no_value)?;
            (string(&text[..end]).ok_or("has an invalid key")?, value)
        }
        Some(_) => {
            let (key, value) = text.split_once('=').ok_or(no_value)?;
            if key.contains([' ', '\t', '\r', '"', '`']) {
                return Err("has a key that should be quoted");
            }
            (key.to_owned(), value)
        }
    };
    let value = match value.chars().next() {
        Some('"' | '`') => string(value).ok_or("has an invalid value")?,
        _ if value.contains([' ', '\t', '\r', '"', '`']) => {
            return Err("has a value that should be quoted");
        }
        _ => value.to_owned(),
    };
    Ok((key, value))
}

/// Returns the length of the string at the start of a text, with its quotes.
fn end_of_string(text: &str) -> Option<usize> {
    let mut chars = text.char_indices();
    let (_, quote) = chars.next()?;
    while let Some((at, found)) = chars.next() {
        match found {
            _ if found == quote => return Some(at + 1),
            // The escaped character may be the quote.
            '\\' if quote == '"' => {
                chars.next();
            }
            _ => {}
        }
    }
    None
}

/// Returns the value of a string. Bytes that are not UTF-8 become U+FFFD.
fn string(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix('`') {
        let raw = rest.strip_suffix('`')?;
        return (!raw.contains('`')).then(|| raw.replace('\r', ""));
    }
    let inner = text.strip_prefix('"')?.strip_suffix('"')?;
    let bytes = unescape(inner)?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As the go command 1.26.5 writes it, but with shorter sums.
    const TEXT: &str = "path\texample.com/app/cmd/app\n\
        mod\texample.com/app\tv1.2.3\th1:AAAA=\n\
        dep\texample.com/b\tv1.0.0\n\
        =>\texample.com/fork\tv1.0.1\th1:BBBB=\n\
        dep\texample.com/c\tv0.1.0\th1:CCCC=\n\
        dep\texample.com/d\tv0.0.0\n\
        =>\t./d\t(devel)\t\n\
        build\t-buildmode=exe\n\
        build\t-ldflags=\"-s -w -X main.version=\\\"1\\\"\"\n\
        build\tDefaultGODEBUG=asynctimerchan=1,gotypesalias=0\n\
        build\tCGO_CFLAGS=\n\
        build\tvcs.modified=false\n";

    fn parse(text: &str) -> Result<BuildInfo, String> {
        BuildInfo::parse("go1.26.5", text).map_err(|error| error.to_string())
    }

    #[test]
    fn modules_replacements_and_settings_are_read() {
        let info = parse(TEXT).unwrap();
        assert_eq!(info.package.as_deref(), Some("example.com/app/cmd/app"));
        let main = info.module.as_ref().unwrap();
        assert_eq!((&*main.path, &*main.version), ("example.com/app", "v1.2.3"));
        assert_eq!(main.sum.as_deref(), Some("h1:AAAA="));
        let [b, c, d] = &info.dependencies[..] else {
            panic!("{info:?}");
        };
        assert_eq!((&*b.path, b.sum.as_deref()), ("example.com/b", None));
        let fork = b.replacement.as_ref().unwrap();
        assert_eq!(fork.path, "example.com/fork");
        assert_eq!(fork.sum.as_deref(), Some("h1:BBBB="));
        assert_eq!(c.replacement, None);
        let local = d.replacement.as_ref().unwrap();
        assert_eq!((&*local.path, local.sum.as_deref()), ("./d", None));
        assert_eq!(
            info.setting("-ldflags"),
            Some("-s -w -X main.version=\"1\"")
        );
        assert_eq!(info.setting("CGO_CFLAGS"), Some(""));
        assert_eq!(info.setting("vcs.revision"), None);
        assert_eq!(
            info.godebug(),
            [("asynctimerchan", "1"), ("gotypesalias", "0")]
        );
    }

    #[test]
    fn lines_that_go_refuses_are_refused() {
        let refused = |text: &str| parse(text).unwrap_err();
        insta::assert_snapshot!(refused("mod\ta\n"), @"line 1 of the build information is a module, but has not two or three columns");
        insta::assert_snapshot!(refused("path\ta\ndep\ta\tb\tc\td\n"), @"line 2 of the build information is a module, but has not two or three columns");
        insta::assert_snapshot!(refused("=>\ta\tv1\t\n"), @"line 1 of the build information is a replacement, but no module is before it");
        insta::assert_snapshot!(refused("dep\ta\tv1\n=>\tb\tv1\t\n=>\tc\tv1\t\n"), @"line 3 of the build information is a replacement, but no module is before it");
        insta::assert_snapshot!(refused("dep\ta\tv1\n=>\tb\tv1\n"), @"line 2 of the build information is a replacement, but has not three columns");
        insta::assert_snapshot!(refused("build\t=x\n"), @"line 1 of the build information is a build setting without a key");
        insta::assert_snapshot!(refused("build\t\n"), @"line 1 of the build information is a build setting without a key");
        insta::assert_snapshot!(refused("build\tx\n"), @"line 1 of the build information is a build setting without `=`");
        insta::assert_snapshot!(refused("build\ta b=x\n"), @"line 1 of the build information has a key that should be quoted");
        insta::assert_snapshot!(refused("build\t\"a=x\n"), @"line 1 of the build information has a key without its closing quote");
        insta::assert_snapshot!(refused("build\t\"a\"x\n"), @"line 1 of the build information is a build setting without `=`");
        insta::assert_snapshot!(refused("build\t\"\\q\"=x\n"), @"line 1 of the build information has an invalid key");
        insta::assert_snapshot!(refused("build\ta=x y\n"), @"line 1 of the build information has a value that should be quoted");
        insta::assert_snapshot!(refused("build\ta=\"x\n"), @"line 1 of the build information has an invalid value");
    }

    #[test]
    fn quotes_of_all_kinds_are_read() {
        let setting = |text: &str| setting(text).unwrap();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(setting("\"a b\\\"\"=c"), pair("a b\"", "c"));
        assert_eq!(setting("a=`b\\ c`"), pair("a", "b\\ c"));
        assert_eq!(setting("a=b=c"), pair("a", "b=c"));
        assert_eq!(setting("a=\"\\xff\\u00e4\""), pair("a", "\u{fffd}ä"));
    }

    #[test]
    fn the_release_is_found_in_the_version() {
        let read = |text: &str| {
            let info = BuildInfo::parse(text, "").unwrap();
            let version = info.version().map(|version| version.to_string());
            let experiments = info.experiments().join(",");
            (version.unwrap_or_default(), experiments)
        };
        let cases = [
            ("go1.26.5", "1.26.5", ""),
            ("go1.27rc1", "1.27rc1", ""),
            ("go1.26.5-acme1", "1.26.5-acme1", ""),
            ("go1.26.5-X:jsonv2,nodwarf5", "1.26.5", "jsonv2,nodwarf5"),
            ("go1.22.3 X:boringcrypto", "1.22.3", "boringcrypto"),
            ("go1.26.5-acme1 X:jsonv2", "1.26.5-acme1", "jsonv2"),
            (
                "go1.26.5 (Red Hat 1.26.5-2.el10) X:strictfipsruntime",
                "1.26.5",
                "strictfipsruntime",
            ),
            ("devel go1.27-0123abcd Thu Jan 1", "", ""),
            ("", "", ""),
        ];
        for (text, version, experiments) in cases {
            let expected = (version.to_owned(), experiments.to_owned());
            assert_eq!(read(text), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_panic(text in "(path|mod|dep|=>|build)\t[\"`\\\\=\ta-z\n]{0,20}\n?") {
            let _ = BuildInfo::parse("go1.26.5", &text);
        }
    }
}
