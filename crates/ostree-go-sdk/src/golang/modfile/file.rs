//! The directives of `go.mod` and `go.work` files.

use super::error::{ModFileError, Problem};
use super::lines::{DEFAULT_TOOLCHAIN, ModuleVersion, Replace, Require, Retract, Value};
use super::rules;
use super::string::unquote;
use super::syntax::{self, Directive};
use crate::golang::release_number::ReleaseNumber;
use std::collections::{BTreeMap, BTreeSet};

/// The kind of a file, and how much of it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Module,
    /// Only the lines of a module that select a Go.
    ModuleVersions,
    Workspace,
    /// Only the lines of a workspace that select a Go.
    WorkspaceVersions,
}

/// The values of all directives that occur in files of either kind.
#[derive(Debug, Default)]
pub(super) struct File {
    pub(super) module: Option<Value>,
    pub(super) go: Option<Value>,
    pub(super) toolchain: Option<Value>,
    pub(super) godebug: Vec<(String, String)>,
    pub(super) require: Vec<Require>,
    pub(super) exclude: Vec<ModuleVersion>,
    pub(super) replace: Vec<Replace>,
    pub(super) retract: Vec<Retract>,
    pub(super) tool: Vec<Value>,
    pub(super) ignore: Vec<Value>,
    pub(super) uses: Vec<Value>,
}

impl File {
    pub(super) fn parse(bytes: &[u8], form: Form) -> Result<Self, ModFileError> {
        let text = String::from_utf8_lossy(bytes);
        let mut file = Self::default();
        for directive in syntax::parse(&text)? {
            let line = directive.line;
            let added = file.add(&directive, form);
            added.map_err(|problem| ModFileError { line, problem })?;
        }
        file.remove_repetitions()?;
        Ok(file)
    }

    fn add(&mut self, directive: &Directive<'_>, form: Form) -> Result<(), Problem> {
        use Form::{Module, Workspace, WorkspaceVersions};
        match (directive.verb, form) {
            ("go", _) => version(directive, "go", &mut self.go)?,
            ("toolchain", _) => version(directive, "toolchain", &mut self.toolchain)?,
            ("use", Workspace | WorkspaceVersions) => self.uses.push(value(directive, "use")?),
            ("godebug", Module | Workspace) => self.godebug.push(godebug(directive)?),
            ("replace", Module | Workspace) => self.replace.push(rules::replace(directive)?),
            ("module", Module) => {
                if self.module.is_some() {
                    return Err(Problem::Repeated { verb: "module" });
                }
                self.module = Some(value(directive, "module")?);
            }
            ("require", Module) => {
                let (path, version) = rules::module_version(directive, "require")?;
                self.require.push(Require {
                    path,
                    version,
                    is_indirect: rules::is_indirect(directive),
                    line: directive.line,
                });
            }
            ("exclude", Module) => {
                let (path, version) = rules::module_version(directive, "exclude")?;
                let version = Some(version);
                self.exclude.push(ModuleVersion { path, version });
            }
            ("retract", Module) => self.retract.push(rules::retract(directive)?),
            ("tool", Module) => self.tool.push(value(directive, "tool")?),
            ("ignore", Module) => self.ignore.push(value(directive, "ignore")?),
            _ => {}
        }
        Ok(())
    }

    /// Keeps one of equal lines: the last `replace` line, and the first one of the others
    /// (`removeDups`). Two `replace` lines that contradict each other are refused, as
    /// `toReplaceMap` in `src/cmd/go/internal/modload/modfile.go` does.
    fn remove_repetitions(&mut self) -> Result<(), ModFileError> {
        let mut last: BTreeMap<&ModuleVersion, &Replace> = BTreeMap::new();
        for replace in &self.replace {
            if let Some(first) = last.insert(&replace.old, replace)
                && first.new != replace.new
            {
                let old = &replace.old;
                let version = old.version.as_deref().map(|version| format!(" {version}"));
                let problem = Problem::Conflict {
                    found: format!("{}{}", old.path, version.unwrap_or_default()),
                    first: first.line,
                };
                let line = replace.line;
                return Err(ModFileError { line, problem });
            }
        }
        let lines: BTreeSet<usize> = last.values().map(|replace| replace.line).collect();
        self.replace.retain(|replace| lines.contains(&replace.line));
        let mut excluded = BTreeSet::new();
        self.exclude
            .retain(|module| excluded.insert(module.clone()));
        for values in [&mut self.tool, &mut self.ignore] {
            let mut texts = BTreeSet::new();
            values.retain(|value| texts.insert(value.text.clone()));
        }
        Ok(())
    }
}

/// Reads a directive that may occur once and names a version.
fn version(
    directive: &Directive<'_>,
    verb: &'static str,
    value: &mut Option<Value>,
) -> Result<(), Problem> {
    if directive.is_in_block {
        return Err(Problem::Block { verb });
    }
    if value.is_some() {
        return Err(Problem::Repeated { verb });
    }
    let found = argument(directive, verb)?;
    let text = found.to_owned();
    match verb {
        "go" if ReleaseNumber::of_go_line(found).is_none() => {
            return Err(Problem::GoVersion { found: text });
        }
        "toolchain" if !is_toolchain(found) => return Err(Problem::Toolchain { found: text }),
        _ => {}
    }
    *value = Some(Value {
        text,
        line: directive.line,
    });
    Ok(())
}

fn argument<'a>(directive: &Directive<'a>, verb: &'static str) -> Result<&'a str, Problem> {
    match directive.arguments.as_slice() {
        [one] => Ok(one),
        other => Err(Problem::Arguments {
            verb,
            found: other.len(),
        }),
    }
}

/// Reads the argument of a directive that has one.
fn value(directive: &Directive<'_>, verb: &'static str) -> Result<Value, Problem> {
    Ok(Value {
        text: unquote(argument(directive, verb)?)?,
        line: directive.line,
    })
}

fn godebug(directive: &Directive<'_>) -> Result<(String, String), Problem> {
    let found = argument(directive, "godebug")?;
    let is_word = !found.contains(['"', '`', '\'', ',']);
    let pair = found.split_once('=').filter(|_| is_word);
    let (key, value) = pair.ok_or_else(|| Problem::Godebug {
        found: found.to_owned(),
    })?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Returns true for the names that Go accepts in a `toolchain` line. Source: `ToolchainRE`, and
/// `gover.FromToolchain`.
#[must_use]
pub fn is_toolchain(name: &str) -> bool {
    let version = name.strip_prefix("go");
    let is_version = version.is_some_and(|version| {
        (version == "1" || version.starts_with("1."))
            && !name.contains(['/', '\\'])
            && ReleaseNumber::of_version(version).is_some()
    });
    name == DEFAULT_TOOLCHAIN || is_version
}
