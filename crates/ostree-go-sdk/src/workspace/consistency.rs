//! Compares `vendor/modules.txt` with the `go.mod` and `go.work` files.
//!
//! Source: `checkVendorConsistency` in `src/cmd/go/internal/modload/vendor.go`. The go command does the same before a
//! build, but not for the vendored modules of a unit that `go.work` uses.

use super::drift::{Drift, DriftKind};
use super::units::{Project, Unit};
use super::vendor::{MODULES_TXT, Vendor};
use crate::golang::modfile::{ModuleVersion, Replace};
use crate::golang::modules_txt::VendoredModule;
use crate::golang::release_number::ReleaseNumber;
use crate::toolchains::clean_path;
use std::path::Path;

/// The version since which `modules.txt` says which modules are explicit.
const FIRST: &str = "1.14";

/// Returns the contradictions.
pub(super) fn compare(project: &Project, vendor: &Vendor) -> Vec<Drift> {
    let is_of_work = project.work.is_some() && vendor.beside == project.directory;
    let units: Vec<&Unit> = match is_of_work {
        true => project.units.iter().collect(),
        false => {
            let own = project.units.iter();
            own.filter(|unit| unit.directory == vendor.beside).collect()
        }
    };
    let is_old = |unit: &&Unit| {
        let number = |text| ReleaseNumber::of_version(text);
        let go = unit.file.go.as_ref();
        go.is_none_or(|go| number(&go.text) < number(FIRST))
    };
    if !is_of_work && units.iter().any(is_old) {
        return Vec::new();
    }
    let check = Check {
        project,
        vendor,
        units,
        is_of_work,
    };
    let mut drift = check.requirements();
    drift.extend(check.explicit());
    drift.extend(check.replacements());
    drift
}

struct Check<'a> {
    project: &'a Project,
    vendor: &'a Vendor,
    units: Vec<&'a Unit>,
    is_of_work: bool,
}

/// A `replace` line, with the directory that its paths are relative to.
struct Replacing<'a> {
    line: &'a Replace,
    directory: &'a Path,
    shown: &'a str,
}

impl<'a> Check<'a> {
    fn drift(&self, path: &str, line: usize) -> Drift {
        let drift = Drift::new(&self.vendor.owner, DriftKind::VendorInconsistent);
        drift.at(path, line)
    }

    fn listed(&self, path: &str, version: Option<&str>) -> Option<&VendoredModule> {
        let mut all = self.vendor.list.modules.iter();
        all.find(|module| module.path == path && module.version.as_deref() == version)
    }

    /// Each required version has to be explicit in the list.
    fn requirements(&self) -> Vec<Drift> {
        let mut drift = Vec::new();
        for unit in &self.units {
            for require in &unit.file.require {
                let (path, version) = (&*require.path, &*require.version);
                let listed = self.listed(path, Some(version));
                if listed.is_some_and(|module| module.is_explicit) {
                    continue;
                }
                let others = self.vendor.list.modules.iter();
                let other = others
                    .filter(|module| module.path == path)
                    .find_map(name_of);
                let expected = Some(format!("{path} {version}"));
                drift.push(
                    self.drift(&unit.shown, require.line)
                        .values(expected, other),
                );
            }
        }
        drift
    }

    /// Each explicit module of the list with packages has to be required.
    fn explicit(&self) -> Vec<Drift> {
        let mut drift = Vec::new();
        for module in &self.vendor.list.modules {
            if !module.is_explicit || module.packages.is_empty() {
                continue;
            }
            let is_required = self.units.iter().any(|unit| {
                let mut requires = unit.file.require.iter();
                requires.any(|require| {
                    require.path == module.path
                        && Some(&*require.version) == module.version.as_deref()
                })
            });
            if !is_required {
                let path = self.vendor.path_of(MODULES_TXT);
                drift.push(self.drift(&path, module.line).values(None, name_of(module)));
            }
        }
        drift
    }

    /// The replacements have to be the same.
    fn replacements(&self) -> Vec<Drift> {
        let (mut drift, replacing) = (Vec::new(), self.replacing());
        for one in &replacing {
            let old = &one.line.old;
            if self.project.is_main(&old.path) {
                continue;
            }
            let expected = self.target(one.directory, &one.line.new);
            let listed = self.listed(&old.path, old.version.as_deref());
            let found = listed.and_then(|module| module.replacement.as_ref());
            let found = found.map(|new| self.target(&self.vendor.beside, new));
            if found.as_ref() != Some(&expected) {
                let shown = |with: String| format!("{} => {with}", old.path);
                let different = self.drift(one.shown, one.line.line);
                drift.push(different.values(Some(shown(expected)), found.map(shown)));
            }
        }
        for module in &self.vendor.list.modules {
            let Some(new) = &module.replacement else {
                continue;
            };
            let is_replaced = replacing.iter().any(|one| {
                let old = &one.line.old;
                old.path == module.path && (old.version.is_none() || old.version == module.version)
            });
            if !is_replaced {
                let path = self.vendor.path_of(MODULES_TXT);
                let target = self.target(&self.vendor.beside, new);
                let found = Some(format!("{} => {target}", module.path));
                drift.push(self.drift(&path, module.line).values(None, found));
            }
        }
        drift
    }

    /// Returns the `replace` lines that count: those of `go.work` replace those of the units for the same module.
    fn replacing(&self) -> Vec<Replacing<'a>> {
        let mut all: Vec<Replacing<'a>> = Vec::new();
        if let Some(work) = &self.project.work
            && self.is_of_work
        {
            all.extend(work.file.replace.iter().map(|line| Replacing {
                line,
                directory: &self.project.directory,
                shown: &work.shown,
            }));
        }
        for unit in &self.units {
            for line in &unit.file.replace {
                let hides = |one: &Replacing<'_>| {
                    one.line.old.path == line.old.path
                        && (one.line.old.version.is_none() || one.line.old == line.old)
                };
                if !all.iter().any(hides) {
                    all.push(Replacing {
                        line,
                        directory: &unit.directory,
                        shown: &unit.shown,
                    });
                }
            }
        }
        all
    }

    /// Returns the text of a replacement: a module and its version, or a directory.
    fn target(&self, directory: &Path, new: &ModuleVersion) -> String {
        match &new.version {
            Some(version) => format!("{} {version}", new.path),
            None => {
                let path = clean_path(&directory.join(&new.path));
                super::units::relative(&self.vendor.beside, &path)
            }
        }
    }
}

fn name_of(module: &VendoredModule) -> Option<String> {
    let version = module.version.as_ref()?;
    Some(format!("{} {version}", module.path))
}
