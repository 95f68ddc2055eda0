//! Finds units that use different versions, or different replacements, of one module.
//!
//! In a workspace, the go command selects the highest version that any unit requires. A unit that requires a lower one is
//! built from another version as soon as it is built alone, with `GOWORK=off` or in a container. `go work sync`
//! writes the selected versions into all `go.mod` files.

use super::drift::{Drift, DriftKind};
use super::error::WorkspaceError;
use super::modules::replace_of;
use super::replacement;
use super::units::{Project, Survey, Unit};
use crate::golang::modfile::{ModuleVersion, Require};
use crate::golang::semver;
use crate::toolchains::clean_path;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The use of a module by a unit.
#[derive(Debug, Clone)]
struct Use<'a> {
    unit: &'a str,
    /// The file and the line that decide.
    path: &'a str,
    line: usize,
    identity: Identity,
}

/// The version or replacement that is used for a module.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Identity {
    /// The version of the module itself.
    Version(String),
    /// The path and the version of another module.
    Module(String),
    /// A directory.
    Directory {
        /// The content and the commit.
        content: Content,
        shown: String,
    },
}

/// The content of a directory and the commit of its checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Content {
    h1: Option<String>,
    commit: Option<String>,
}

impl Identity {
    /// Returns true if both stand for the same files. Two directories may be checkouts of one commit.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Directory { content, .. }, Self::Directory { content: other, .. }) => {
                content == other
            }
            _ => self == other,
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Version(text) | Self::Module(text) => text.clone(),
            Self::Directory { content, shown } => {
                let state = content.commit.as_ref().or(content.h1.as_ref());
                let state = state.map(|state| format!(" at {state}"));
                format!("{shown}{}", state.unwrap_or_default())
            }
        }
    }
}

/// Returns the units that use another version or replacement of a module than others.
pub(super) fn find(survey: &Survey) -> Result<Vec<Drift>, WorkspaceError> {
    let mut contents = Contents::default();
    let mut modules: BTreeMap<&str, Vec<Use<'_>>> = BTreeMap::new();
    for project in &survey.projects {
        let units = project.units.iter();
        let mains: BTreeSet<&str> = units
            .filter_map(|unit| Some(&*unit.file.module.as_ref()?.text))
            .collect();
        for unit in &project.units {
            for require in &unit.file.require {
                // The workspace has it as a unit.
                if !mains.contains(&*require.path) {
                    let one = use_of(survey, project, unit, require, &mut contents)?;
                    modules.entry(&require.path).or_default().push(one);
                }
            }
        }
    }
    let drift = modules.iter().flat_map(|(path, uses)| compare(path, uses));
    Ok(drift.collect())
}

/// Compares how units use a module.
fn compare(module: &str, uses: &[Use<'_>]) -> Vec<Drift> {
    let version = |one: &&Use<'_>| match &one.identity {
        Identity::Version(version) => Some(version.clone()),
        _ => None,
    };
    let all_versions: Option<Vec<String>> = uses.iter().map(|one| version(&one)).collect();
    let highest = all_versions.map(|mut versions| {
        versions.sort_by(|one, other| semver::compare(one, other));
        versions.pop()
    });
    let (what, expected) = match (highest, uses.first()) {
        (Some(Some(highest)), _) => (DriftKind::ModuleVersionConflict, Identity::Version(highest)),
        (_, Some(first)) => (DriftKind::ReplacementConflict, first.identity.clone()),
        (_, None) => return Vec::new(),
    };
    let others = uses.iter().filter(|one| !one.identity.is_same(&expected));
    let drift = others.map(|one| {
        let drift = Drift::new(one.unit, what).at(one.path, one.line);
        let shown = |identity: &Identity| format!("{module} {}", identity.shown());
        let found = shown(&one.identity);
        drift.expected(shown(&expected)).found(found)
    });
    drift.collect()
}

/// The contents of directories, each of which is read once.
#[derive(Default)]
struct Contents(BTreeMap<PathBuf, Content>);

impl Contents {
    fn of(&mut self, directory: &Path, base: &Path) -> Result<Content, WorkspaceError> {
        if let Some(known) = self.0.get(directory) {
            return Ok(known.clone());
        }
        let h1 = directory
            .is_dir()
            .then(|| replacement::content_h1(directory));
        let content = Content {
            h1: h1.transpose()?,
            commit: replacement::commit(directory, base),
        };
        self.0.insert(directory.to_owned(), content.clone());
        Ok(content)
    }
}

fn use_of<'a>(
    survey: &Survey,
    project: &'a Project,
    unit: &'a Unit,
    require: &'a Require,
    contents: &mut Contents,
) -> Result<Use<'a>, WorkspaceError> {
    let work = project.work.as_ref();
    let of_work = work.and_then(|work| {
        let line = replace_of(&work.file.replace, require)?;
        Some((line, &*work.shown, &*project.directory))
    });
    let of_unit = || {
        let line = replace_of(&unit.file.replace, require)?;
        Some((line, &*unit.shown, &*unit.directory))
    };
    let one = |path, line, identity| Use {
        unit: &unit.name,
        path,
        line,
        identity,
    };
    let Some((replace, path, directory)) = of_work.or_else(of_unit) else {
        let identity = Identity::Version(require.version.clone());
        return Ok(one(&unit.shown, require.line, identity));
    };
    let identity = match &replace.new {
        ModuleVersion {
            path,
            version: Some(version),
        } => Identity::Module(format!("=> {path} {version}")),
        ModuleVersion { path, .. } => {
            let directory = clean_path(&directory.join(path));
            Identity::Directory {
                content: contents.of(&directory, &survey.base)?,
                shown: format!("=> {}", survey.shown(&directory)),
            }
        }
    };
    Ok(one(path, replace.line, identity))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uses(identities: &[Identity]) -> Vec<Use<'static>> {
        let numbered = identities.iter().zip(["a", "b", "c"]);
        let uses = numbered.map(|(identity, unit)| Use {
            unit,
            path: "go.mod",
            line: 3,
            identity: identity.clone(),
        });
        uses.collect()
    }

    fn shown(identities: &[Identity]) -> Vec<String> {
        let drift = compare("x.example/m", &uses(identities));
        let shown = drift.into_iter().map(|one| {
            let text = |text: Option<String>| text.unwrap_or_default();
            format!(
                "{} {}: {}, not {}",
                one.unit,
                one.what.as_str(),
                text(one.found),
                text(one.expected)
            )
        });
        shown.collect()
    }

    #[test]
    fn units_with_a_lower_version_than_the_highest_are_found() {
        let version = |text: &str| Identity::Version(text.to_owned());
        assert!(shown(&[version("v1.2.0"), version("v1.2.0")]).is_empty());
        let found = shown(&[
            version("v1.9.0"),
            version("v1.10.0"),
            version("v1.10.0-rc.1"),
        ]);
        assert_eq!(
            found,
            [
                "a module-version-conflict: x.example/m v1.9.0, not x.example/m v1.10.0",
                "c module-version-conflict: x.example/m v1.10.0-rc.1, not x.example/m v1.10.0",
            ]
        );
    }

    #[test]
    fn units_with_other_replacements_are_found() {
        let directory = |shown: &str, commit: &str| Identity::Directory {
            content: Content {
                h1: Some("h1:x".to_owned()),
                commit: Some(commit.to_owned()),
            },
            shown: format!("=> {shown}"),
        };
        // Two checkouts of one commit.
        assert!(shown(&[directory("../m", "1"), directory("../n", "1")]).is_empty());
        let fork = Identity::Module("=> x.example/fork v1.0.0".to_owned());
        let found = shown(&[directory("../m", "1"), directory("../m2", "2"), fork]);
        assert_eq!(
            found,
            [
                "b replacement-conflict: x.example/m => ../m2 at 2, not x.example/m => ../m at 1",
                "c replacement-conflict: x.example/m => x.example/fork v1.0.0, not x.example/m => ../m at 1",
            ]
        );
    }
}
