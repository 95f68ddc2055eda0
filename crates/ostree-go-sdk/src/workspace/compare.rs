//! Compares the files and modules of a lock with the present ones. Pure functions, except that `locked` describes files.

use super::drift::{Drift, DriftKind};
use super::lock::{
    LockedModule, LockedProject, LockedReplace, LockedReplacement, LockedUnit, LockedVendor,
    LockedWork,
};
use super::settings;
use super::units::{Project, Survey, Unit, WorkFile};
use super::vendor::Vendor;
use crate::golang::modfile::{Replace, Value};
use crate::toolchains::clean_path;
use std::collections::BTreeMap;
use std::path::Path;

/// Describes a `go.work` file for a lock.
pub(super) fn locked_work(
    survey: &Survey,
    project: &Project,
    work: &WorkFile,
    vendor: &[Vendor],
) -> LockedWork {
    let replace = work.file.replace.iter();
    let replace = replace.map(|line| locked_replace(survey, &project.directory, line));
    let mut replace: Vec<LockedReplace> = replace.collect();
    replace.sort();
    LockedWork {
        go: text(work.file.go.as_ref()),
        godebug: work.file.godebug.iter().cloned().collect(),
        replace,
        sha256: work.sha256.clone(),
        toolchain: text(work.file.toolchain.as_ref()),
        uses: project.units.iter().map(|unit| unit.name.clone()).collect(),
        vendor: vendor_beside(vendor, &project.directory).map(Vendor::locked),
    }
}

/// Describes a `go.mod` file for a lock. The vendored modules beside a `go.work` file are its own.
pub(super) fn locked_unit(project: &Project, unit: &Unit, vendor: &[Vendor]) -> LockedUnit {
    let is_of_work = project.work.is_some() && unit.directory == project.directory;
    let vendor = vendor_beside(vendor, &unit.directory).filter(|_| !is_of_work);
    LockedUnit {
        directory: unit.name.clone(),
        go: text(unit.file.go.as_ref()),
        godebug: unit.file.godebug.iter().cloned().collect(),
        module: text(unit.file.module.as_ref()),
        sha256: unit.sha256.clone(),
        toolchain: text(unit.file.toolchain.as_ref()),
        vendor: vendor.map(Vendor::locked),
    }
}

fn text(value: Option<&Value>) -> Option<String> {
    value.map(|value| value.text.clone())
}

pub(super) fn vendor_beside<'a>(vendor: &'a [Vendor], directory: &Path) -> Option<&'a Vendor> {
    vendor.iter().find(|vendor| vendor.beside == directory)
}

fn locked_replace(survey: &Survey, directory: &Path, line: &Replace) -> LockedReplace {
    let version = |version: &Option<String>, between: &str| {
        let version = version
            .as_ref()
            .map(|version| format!("{between}{version}"));
        version.unwrap_or_default()
    };
    let new = &line.new;
    LockedReplace {
        module: format!("{}{}", line.old.path, version(&line.old.version, "@")),
        with: match &new.version {
            Some(_) => format!("{}{}", new.path, version(&new.version, " ")),
            None => survey.shown(&clean_path(&directory.join(&new.path))),
        },
    }
}

/// The vendored modules of a lock that belong to a directory.
pub(super) fn locked_vendor<'a>(
    locked: &'a LockedProject,
    project: &Project,
    vendor: &Vendor,
) -> Option<&'a LockedVendor> {
    if project.work.is_some() && vendor.beside == project.directory {
        return locked.work.as_ref()?.vendor.as_ref();
    }
    let mut units = locked.units.iter();
    let unit = units.find(|unit| unit.directory == vendor.owner)?;
    unit.vendor.as_ref()
}

/// Compares the `go.work` and `go.mod` files of a project.
pub(super) fn files(
    survey: &Survey,
    locked: &LockedProject,
    now: &LockedProject,
    project: &Project,
) -> Vec<Drift> {
    let mut drift = Vec::new();
    if locked.file != now.file {
        let changed = Drift::new(&now.directory, DriftKind::GoWorkChanged);
        let changed = changed.at(survey.shown(&project.directory.join(&project.file)), None);
        drift.push(changed.expected(&locked.file).found(&now.file));
    }
    if let (Some(locked), Some(now), Some(work)) = (&locked.work, &now.work, &project.work) {
        drift.extend(work_file(&project.name, locked, now, work));
    }
    let old: BTreeMap<&str, &LockedUnit> = locked
        .units
        .iter()
        .map(|unit| (&*unit.directory, unit))
        .collect();
    for (unit, now) in project.units.iter().zip(&now.units) {
        match old.get(&*unit.name) {
            Some(locked) => drift.extend(unit_file(locked, now, unit)),
            None => {
                let added = Drift::new(&unit.name, DriftKind::UnitAdded);
                drift.push(
                    added
                        .at(&*unit.shown, None)
                        .values(None, now.module.clone()),
                );
            }
        }
    }
    for locked in &locked.units {
        if !now
            .units
            .iter()
            .any(|unit| unit.directory == locked.directory)
        {
            let removed = Drift::new(&locked.directory, DriftKind::UnitRemoved);
            let removed = removed.at(&*locked.directory, None);
            drift.push(removed.values(locked.module.clone(), None));
        }
    }
    drift
}

/// The `go` and `toolchain` lines of a file.
struct Lines<'a> {
    unit: &'a str,
    path: &'a str,
    go: Option<&'a Value>,
    toolchain: Option<&'a Value>,
}

impl Lines<'_> {
    fn compare(&self, go: Option<&String>, toolchain: Option<&String>) -> Vec<Drift> {
        let kinds = [DriftKind::GoLineChanged, DriftKind::ToolchainLineChanged];
        let values = [(go, self.go), (toolchain, self.toolchain)];
        let mut drift = Vec::new();
        for (what, (expected, found)) in kinds.into_iter().zip(values) {
            if expected != found.map(|value| &value.text) {
                let changed = Drift::new(self.unit, what);
                let changed = changed.at(self.path, found.map(|value| value.line));
                drift.push(changed.values(expected.cloned(), text(found)));
            }
        }
        drift
    }
}

fn work_file(name: &str, locked: &LockedWork, now: &LockedWork, work: &WorkFile) -> Vec<Drift> {
    let lines = Lines {
        unit: name,
        path: &work.shown,
        go: work.file.go.as_ref(),
        toolchain: work.file.toolchain.as_ref(),
    };
    let mut drift = lines.compare(locked.go.as_ref(), locked.toolchain.as_ref());
    drift.extend(godebug(name, &work.shown, &locked.godebug, &now.godebug));
    drift.extend(replaced(name, &work.shown, &locked.replace, &now.replace));
    let is_explained = !drift.is_empty() || locked.uses != now.uses;
    if locked.sha256 != now.sha256 && !is_explained {
        let changed = Drift::new(name, DriftKind::GoWorkChanged).at(&*work.shown, None);
        drift.push(changed.expected(&locked.sha256).found(&now.sha256));
    }
    drift
}

fn unit_file(locked: &LockedUnit, now: &LockedUnit, unit: &Unit) -> Vec<Drift> {
    let lines = Lines {
        unit: &unit.name,
        path: &unit.shown,
        go: unit.file.go.as_ref(),
        toolchain: unit.file.toolchain.as_ref(),
    };
    let mut drift = lines.compare(locked.go.as_ref(), locked.toolchain.as_ref());
    drift.extend(godebug(
        &unit.name,
        &unit.shown,
        &locked.godebug,
        &now.godebug,
    ));
    // What else was changed is found in the list of modules, or else it is reported there as a change of the file.
    drift
}

fn godebug(
    unit: &str,
    path: &str,
    locked: &BTreeMap<String, String>,
    now: &BTreeMap<String, String>,
) -> Vec<Drift> {
    let drift = settings::compare(unit, DriftKind::GodebugChanged, locked, now);
    drift.into_iter().map(|one| one.at(path, None)).collect()
}

fn replaced(unit: &str, path: &str, locked: &[LockedReplace], now: &[LockedReplace]) -> Vec<Drift> {
    let shown = |one: &LockedReplace| format!("{} => {}", one.module, one.with);
    let drift = |expected, found| {
        let changed = Drift::new(unit, DriftKind::ReplacementChanged);
        changed.at(path, None).values(expected, found)
    };
    let mut all = Vec::new();
    for old in locked {
        let new = now.iter().find(|new| new.module == old.module);
        if new != Some(old) {
            all.push(drift(Some(shown(old)), new.map(shown)));
        }
    }
    let added = now
        .iter()
        .filter(|new| !locked.iter().any(|old| old.module == new.module));
    all.extend(added.map(|new| drift(None, Some(shown(new)))));
    all
}

/// Returns the `go.mod` files that differ, and of whose units nothing else is known to differ.
pub(super) fn unexplained(
    locked: &LockedProject,
    project: &Project,
    drift: &[Drift],
) -> Vec<Drift> {
    let mut found = Vec::new();
    for unit in &project.units {
        let mut old = locked.units.iter();
        let Some(old) = old.find(|old| old.directory == unit.name) else {
            continue;
        };
        let is_explained = drift
            .iter()
            .any(|one| one.path.as_deref() == Some(Path::new(&unit.shown)));
        if old.sha256 != unit.sha256 && !is_explained {
            let changed = Drift::new(&unit.name, DriftKind::GoModChanged);
            let changed = changed.at(&*unit.shown, None);
            found.push(changed.expected(&old.sha256).found(&unit.sha256));
        }
    }
    found
}

/// Compares the modules of a project, which are sorted by path.
pub(super) fn modules(
    project: &Project,
    locked: &[LockedModule],
    now: &[LockedModule],
) -> Vec<Drift> {
    let by_path = |modules| -> BTreeMap<&str, &LockedModule> {
        let modules: &[LockedModule] = modules;
        modules
            .iter()
            .map(|module| (&*module.path, module))
            .collect()
    };
    let (old, new) = (by_path(locked), by_path(now));
    let mut drift = Vec::new();
    for (path, module) in &new {
        match old.get(path) {
            Some(locked) => drift.extend(one_module(project, locked, module)),
            None => {
                let added = at_require(project, module, DriftKind::ModuleAdded);
                drift.push(added.values(None, Some(name(module))));
            }
        }
    }
    for (path, module) in &old {
        if !new.contains_key(path) {
            let removed = Drift::new(&project.name, DriftKind::ModuleRemoved);
            let removed = removed.at(file_of(project), None);
            drift.push(removed.values(Some(name(module)), None));
        }
    }
    drift
}

fn one_module(project: &Project, locked: &LockedModule, now: &LockedModule) -> Vec<Drift> {
    let mut drift = Vec::new();
    if locked.version != now.version {
        let changed = at_require(project, now, DriftKind::ModuleVersionChanged);
        drift.push(changed.values(Some(name(locked)), Some(name(now))));
    }
    let target = |module: &LockedModule| {
        let new = module.replacement.as_ref()?;
        Some((new.path.clone(), new.version.clone()))
    };
    if target(locked) != target(now) {
        let changed = at_require(project, now, DriftKind::ReplacementChanged);
        drift.push(changed.values(Some(replacing(locked)), Some(replacing(now))));
    } else if let (Some(locked), Some(new)) = (&locked.replacement, &now.replacement) {
        drift.extend(replacement(project, locked, new));
    }
    if drift.is_empty() {
        let hashes = [
            (&locked.h1, &now.h1, ""),
            (&locked.go_mod_h1, &now.go_mod_h1, "/go.mod"),
        ];
        for (expected, found, suffix) in hashes {
            if expected != found {
                let changed = Drift::new(&project.name, DriftKind::ModuleSumChanged);
                let shown = |h1: &Option<String>| {
                    let h1 = h1.as_ref()?;
                    Some(format!("{}{suffix} {h1}", name(now)))
                };
                let changed = changed.at(sum_file(project), None);
                drift.push(changed.values(shown(expected), shown(found)));
            }
        }
    }
    drift
}

fn replacement(
    project: &Project,
    locked: &LockedReplacement,
    now: &LockedReplacement,
) -> Vec<Drift> {
    let changed = |what| Drift::new(&project.name, what).at(&*now.path, None);
    let mut drift = Vec::new();
    if now.version.is_none() && now.h1.is_none() {
        return vec![changed(DriftKind::ReplacementMissing).values(locked.h1.clone(), None)];
    }
    if locked.h1 != now.h1 {
        let changed = changed(DriftKind::ReplacementContentChanged);
        drift.push(changed.values(locked.h1.clone(), now.h1.clone()));
    }
    if locked.commit != now.commit {
        let changed = changed(DriftKind::ReplacementCommitChanged);
        drift.push(changed.values(locked.commit.clone(), now.commit.clone()));
    }
    drift
}

/// Returns the name of a module and its version.
fn name(module: &LockedModule) -> String {
    match &module.version {
        Some(version) => format!("{} {version}", module.path),
        None => module.path.clone(),
    }
}

fn replacing(module: &LockedModule) -> String {
    let Some(new) = &module.replacement else {
        return name(module);
    };
    let version = new.version.as_ref().map(|version| format!(" {version}"));
    format!(
        "{} => {}{}",
        module.path,
        new.path,
        version.unwrap_or_default()
    )
}

/// Returns drift at the line that requires a module, or else at the file of the project.
fn at_require(project: &Project, module: &LockedModule, what: DriftKind) -> Drift {
    for unit in &project.units {
        for require in &unit.file.require {
            if require.path == module.path && Some(&require.version) == module.version.as_ref() {
                return Drift::new(&unit.name, what).at(&*unit.shown, require.line);
            }
        }
    }
    Drift::new(&project.name, what).at(file_of(project), None)
}

/// Returns the path of the `go.work` or `go.mod` file of a project, relative to the directory of the lock.
fn file_of(project: &Project) -> String {
    let unit = project.units.first();
    let work = project.work.as_ref().map(|work| work.shown.clone());
    work.or_else(|| unit.map(|unit| unit.shown.clone()))
        .unwrap_or_default()
}

fn sum_file(project: &Project) -> String {
    let file = file_of(project);
    match file.strip_suffix(".mod") {
        Some(name) => format!("{name}.sum"),
        None => format!("{file}.sum"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toolchains::Workspace;

    fn project(go_mod: &str) -> Project {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("go.mod"), go_mod).unwrap();
        let directories = [folder.path().to_owned()];
        let mut survey = Survey::read(&directories, &Workspace::Auto).unwrap();
        survey.projects.remove(0)
    }

    fn module(path: &str, version: &str, h1: &str) -> LockedModule {
        LockedModule {
            go_mod_h1: None,
            h1: Some(h1.to_owned()),
            path: path.to_owned(),
            replacement: None,
            version: Some(version.to_owned()),
        }
    }

    fn shown(drift: &[Drift]) -> Vec<String> {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let one = |one: &Drift| {
            let path = one.path.as_deref().unwrap_or(Path::new("-"));
            let (line, what) = (one.line.unwrap_or(0), one.what.as_str());
            let (expected, found) = (text(&one.expected), text(&one.found));
            format!("{what} {}:{line} `{expected}` `{found}`", path.display())
        };
        drift.iter().map(one).collect()
    }

    #[test]
    fn modules_are_compared_by_path() {
        let project = project("module m\n\ngo 1.26\n\nrequire x.example/b v1.1.0\n");
        let old = [
            module("x.example/a", "v1.0.0", "h1:a"),
            module("x.example/b", "v1.0.0", "h1:b"),
            module("x.example/c", "v1.0.0", "h1:c"),
        ];
        let new = [
            module("x.example/b", "v1.1.0", "h1:other"),
            module("x.example/c", "v1.0.0", "h1:other"),
            module("x.example/d", "v1.0.0", "h1:d"),
        ];
        assert!(modules(&project, &old, &old).is_empty());
        assert_eq!(
            shown(&modules(&project, &old, &new)),
            [
                "module-version-changed go.mod:5 `x.example/b v1.0.0` `x.example/b v1.1.0`",
                "module-sum-changed go.sum:0 `x.example/c v1.0.0 h1:c` `x.example/c v1.0.0 h1:other`",
                "module-added go.mod:0 `` `x.example/d v1.0.0`",
                "module-removed go.mod:0 `x.example/a v1.0.0` ``",
            ]
        );
    }

    #[test]
    fn lines_that_replace_modules_are_compared() {
        let line = |module: &str, with: &str| LockedReplace {
            module: module.to_owned(),
            with: with.to_owned(),
        };
        let old = [line("a", "../a"), line("b@v1.0.0", "c v1.0.0")];
        let new = [line("a", "../other"), line("d", "../d")];
        assert_eq!(
            shown(&replaced(".", "go.work", &old, &new)),
            [
                "replacement-changed go.work:0 `a => ../a` `a => ../other`",
                "replacement-changed go.work:0 `b@v1.0.0 => c v1.0.0` ``",
                "replacement-changed go.work:0 `` `d => ../d`",
            ]
        );
    }
}
