//! `vendor/modules.txt` files.
//!
//! Source of the rules: `readVendorList` in `src/cmd/go/internal/modload/vendor.go`, and
//! `modulesTextIsForWorkspace` in `init.go` beside it. Go ignores lines that it does not understand.
//! This parser refuses them, because `go mod vendor` writes none, and a check of vendored modules
//! would miss what they stand for.

use super::modfile::ModuleVersion;
use super::module_path::is_import_path;
use super::semver::Semver;
use crate::kind::ErrorKind;
use std::collections::BTreeMap;

/// A `vendor/modules.txt` file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ModulesTxt {
    /// True if `go work vendor` has written the file.
    pub is_workspace: bool,
    /// The modules in the order of their first line. A module without a version stands for the
    /// replacement of all of its versions; it has no packages.
    pub modules: Vec<VendoredModule>,
}

/// A module in a `vendor/modules.txt` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VendoredModule {
    /// The path of the module.
    pub path: String,
    /// The version; `None` if the module stands for the replacement of all of its versions.
    pub version: Option<String>,
    /// The module or directory that replaces this one.
    pub replacement: Option<ModuleVersion>,
    /// True if a `go.mod` file of the project requires the module.
    pub is_explicit: bool,
    /// The version in the `go` line of the module.
    pub go: Option<String>,
    /// The import paths of the packages that are vendored.
    pub packages: Vec<String>,
    /// The number of the first line, from 1.
    pub line: usize,
}

/// The reason why a `vendor/modules.txt` file is rejected, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ModulesTxtError {
    /// The number of the line, from 1.
    pub line: usize,
    /// The problem of the line.
    pub problem: ModulesTxtProblem,
}

impl ModulesTxtError {
    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::InvalidInput
    }
}

/// The problem of a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModulesTxtProblem {
    /// A line of a module has another form.
    #[error("`{}` names no module, expected the form `# example.com/a v1.2.3 [=> …]`", .found.escape_debug())]
    Module {
        /// The line.
        found: String,
    },
    /// A package or an annotation comes before the first module.
    #[error("`{}` belongs to no module, expected a line `# example.com/a v1.2.3` before it", .found.escape_debug())]
    NoModule {
        /// The line.
        found: String,
    },
    /// A line is none of the known forms.
    #[error("`{}` is not the import path of a package", .found.escape_debug())]
    Package {
        /// The line.
        found: String,
    },
    /// A package is listed twice.
    #[error("the package `{found}` is already listed in line {first}")]
    Repeated {
        /// The import path.
        found: String,
        /// The number of the line where it is listed first, from 1.
        first: usize,
    },
}

impl ModulesTxt {
    /// Parses a file.
    ///
    /// # Errors
    /// Returns an error with the line if it is not one of the forms that Go writes, or lists a package
    /// again.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModulesTxtError> {
        let text = String::from_utf8_lossy(bytes);
        let mut parser = Parser::default();
        for (index, text) in text.split('\n').enumerate() {
            let line = index + 1;
            let text = text.trim_end();
            let parsed = match text.strip_prefix("# ") {
                _ if text.is_empty() => Ok(()),
                Some(module) => parser.module(module, line),
                None => match text.strip_prefix("## ") {
                    // Annotations of the whole file.
                    Some(annotations) if line == 1 => {
                        let mut entries = annotations.split(';').map(str::trim);
                        parser.file.is_workspace = entries.any(|entry| entry == "workspace");
                        Ok(())
                    }
                    Some(annotations) => parser.annotations(annotations),
                    None => parser.package(text, line),
                },
            };
            parsed.map_err(|problem| ModulesTxtError { line, problem })?;
        }
        Ok(parser.file)
    }
}

#[derive(Default)]
struct Parser {
    file: ModulesTxt,
    /// The indices of modules.
    by_name: BTreeMap<ModuleVersion, usize>,
    /// The lines of packages.
    packages: BTreeMap<String, usize>,
    /// The index of the module that the next lines belong to.
    current: Option<usize>,
}

impl Parser {
    /// Reads a line of a module, without `# `.
    fn module(&mut self, text: &str, line: usize) -> Result<(), ModulesTxtProblem> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let parsed = match fields.as_slice() {
            [path, "=>", new @ ..] if !new.is_empty() => {
                replacement(new).map(|new| (*path, None, Some(new)))
            }
            [path, version] if is_version(version) => Some((*path, Some(*version), None)),
            [path, version, "=>", new @ ..] if is_version(version) => {
                replacement(new).map(|new| (*path, Some(*version), Some(new)))
            }
            _ => None,
        };
        let (path, version, replacement) = parsed.ok_or_else(|| ModulesTxtProblem::Module {
            found: format!("# {text}"),
        })?;
        let name = ModuleVersion {
            path: path.to_owned(),
            version: version.map(str::to_owned),
        };
        let modules = &mut self.file.modules;
        let index = *self.by_name.entry(name.clone()).or_insert_with(|| {
            modules.push(VendoredModule {
                path: name.path,
                version: name.version,
                replacement: None,
                is_explicit: false,
                go: None,
                packages: Vec::new(),
                line,
            });
            modules.len() - 1
        });
        if replacement.is_some()
            && let Some(module) = self.file.modules.get_mut(index)
        {
            module.replacement = replacement;
        }
        self.current = Some(index);
        Ok(())
    }

    fn current(&mut self, found: &str) -> Result<&mut VendoredModule, ModulesTxtProblem> {
        let current = self.current;
        let module = current.and_then(|index| self.file.modules.get_mut(index));
        module.ok_or_else(|| ModulesTxtProblem::NoModule {
            found: found.to_owned(),
        })
    }

    /// Reads an annotation of the module, without `## `. As in Go, unknown words are reserved for
    /// newer versions and ignored.
    fn annotations(&mut self, text: &str) -> Result<(), ModulesTxtProblem> {
        let module = self.current(text)?;
        for entry in text.split(';').map(str::trim) {
            if entry == "explicit" {
                module.is_explicit = true;
            } else if let Some(version) = entry.strip_prefix("go ") {
                module.go = Some(version.to_owned());
            }
        }
        Ok(())
    }

    fn package(&mut self, text: &str, line: usize) -> Result<(), ModulesTxtProblem> {
        let found = text.to_owned();
        self.current(text)?;
        if !is_import_path(text) {
            return Err(ModulesTxtProblem::Package { found });
        }
        if let Some(first) = self.packages.insert(found.clone(), line) {
            return Err(ModulesTxtProblem::Repeated { found, first });
        }
        self.current(text)?.packages.push(found);
        Ok(())
    }
}

/// Reads what follows `=>`: a directory, or a module and its version.
fn replacement(fields: &[&str]) -> Option<ModuleVersion> {
    let (path, version) = match fields {
        [path] => (path, None),
        [path, version] if is_version(version) => (path, Some((*version).to_owned())),
        _ => return None,
    };
    let path = (*path).to_owned();
    Some(ModuleVersion { path, version })
}

fn is_version(text: &str) -> bool {
    Semver::parse(text).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FILE: &str = "## workspace\n# example.com/a v1.2.3\n## explicit; go 1.21.0\nexample.com/a\n\
        example.com/a/b\n# example.com/c v0.0.0 => ./c\n## explicit\nexample.com/c\n\
        # example.com/d v1.0.0 => example.com/e v1.1.0\n## go 1.20; future\n# example.com/c => ./c\n";

    #[test]
    fn modules_are_read_with_their_packages() {
        let file = ModulesTxt::parse(FILE.as_bytes()).unwrap();
        assert!(file.is_workspace);
        let lines: Vec<String> = file.modules.iter().map(said).collect();
        insta::assert_snapshot!(lines.join("\n"), @r"
        2: example.com/a v1.2.3, explicit, go 1.21.0, example.com/a, example.com/a/b
        6: example.com/c v0.0.0 => ./c, explicit, example.com/c
        9: example.com/d v1.0.0 => example.com/e v1.1.0, go 1.20
        11: example.com/c => ./c
        ");
        assert_eq!(ModulesTxt::parse(b"").unwrap(), ModulesTxt::default());
    }

    fn said(module: &VendoredModule) -> String {
        let name = |path: &str, version: &Option<String>| match version {
            Some(version) => format!("{path} {version}"),
            None => path.to_owned(),
        };
        let mut text = format!("{}: {}", module.line, name(&module.path, &module.version));
        if let Some(new) = &module.replacement {
            text += &format!(" => {}", name(&new.path, &new.version));
        }
        if module.is_explicit {
            text += ", explicit";
        }
        if let Some(go) = &module.go {
            text += &format!(", go {go}");
        }
        for package in &module.packages {
            text += &format!(", {package}");
        }
        text
    }

    #[test]
    fn other_lines_are_refused() {
        let error = |text: &str| ModulesTxt::parse(text.as_bytes()).unwrap_err().to_string();
        insta::assert_snapshot!(error("# a\n"), @"line 1: `# a` names no module, expected the form `# example.com/a v1.2.3 [=> …]`");
        insta::assert_snapshot!(error("\n# a v1.0.0 =>\n"), @"line 2: `# a v1.0.0 =>` names no module, expected the form `# example.com/a v1.2.3 [=> …]`");
        insta::assert_snapshot!(error("# a master\n"), @"line 1: `# a master` names no module, expected the form `# example.com/a v1.2.3 [=> …]`");
        insta::assert_snapshot!(error("# a => b c\n"), @"line 1: `# a => b c` names no module, expected the form `# example.com/a v1.2.3 [=> …]`");
        insta::assert_snapshot!(error("a/b\n"), @"line 1: `a/b` belongs to no module, expected a line `# example.com/a v1.2.3` before it");
        insta::assert_snapshot!(error("\n## explicit\n"), @"line 2: `explicit` belongs to no module, expected a line `# example.com/a v1.2.3` before it");
        insta::assert_snapshot!(error("# a v1.0.0\n../b\n"), @"line 2: `../b` is not the import path of a package");
        insta::assert_snapshot!(error("# a v1.0.0\na\n# b v1.0.0\na\n"), @"line 4: the package `a` is already listed in line 2");
    }

    proptest! {
        #[test]
        fn any_text_is_a_file_or_an_error(text in "(#{1,2} |[a-c/.]{1,3}|v1\\.0\\.0|=>|explicit|[ ;\n]|.){0,30}") {
            if let Err(error) = ModulesTxt::parse(text.as_bytes()) {
                prop_assert!(error.line >= 1 && error.line <= text.split('\n').count());
            }
        }
    }
}
