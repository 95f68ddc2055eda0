//! Compares vendored files with the modules that `go.sum` names. The go command compares neither.

use super::constraint;
use super::drift::{Drift, DriftKind};
use super::error::WorkspaceError;
use super::lock::LockedVendor;
use super::module_source::{self, Found, ModuleSource};
use super::modules::{UsedModule, target};
use super::sums::Sums;
use super::vendor::Vendor;
use crate::golang::modules_txt::VendoredModule;
use crate::parallel;
use std::collections::BTreeMap;
use std::path::Path;

/// A vendored module that could not be compared with its zip.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Uncompared {
    /// The directory of the unit or project, relative to the directory of the lock.
    pub unit: String,
    /// The path of the module.
    pub module: String,
    /// The version that is missing in the module cache, of the replacement if that is a module.
    pub version: Option<String>,
}

/// The known content of a module, with which its vendored files are compared.
struct Compared {
    position: usize,
    found: Found,
}

/// Compares the files of all modules of a directory `vendor`.
pub(super) fn compare(
    vendor: &Vendor,
    locked: Option<&LockedVendor>,
    cache: Option<&Path>,
    sums: &Sums,
) -> Result<(Vec<Drift>, Vec<Uncompared>), WorkspaceError> {
    let modules: Vec<(usize, &VendoredModule)> = vendor.with_packages().collect();
    let find = |(): &mut (), (position, module): &(usize, &VendoredModule)| {
        let found = module_source::find(cache, sums, &used(vendor, module))?;
        let position = *position;
        Ok::<_, WorkspaceError>(Compared { position, found })
    };
    let mut all = parallel::map(&modules, || (), find)?;
    all.sort_by_key(|one| one.position);
    let (mut drift, mut uncompared, mut sources) = (Vec::new(), Vec::new(), BTreeMap::new());
    for one in all {
        let module = &vendor.list.modules[one.position];
        match one.found {
            Found::Source(source) => {
                sources.insert(one.position, source);
            }
            Found::Missing => uncompared.push(of_module(vendor, module)),
            Found::NoSum => drift.push(no_sum(vendor, module)),
            Found::Changed {
                what,
                path,
                expected,
                found,
            } => {
                let changed = Drift::new(&vendor.owner, what).at(path, None);
                drift.push(changed.values(expected, Some(found)));
            }
        }
    }
    drift.extend(changed_or_added(vendor, &sources));
    for (position, source) in &sources {
        drift.extend(removed(vendor, *position, source)?);
    }
    if let Some(locked) = locked {
        let more = other_than_locked(vendor, locked, &drift);
        drift.extend(more);
    }
    Ok((drift, uncompared))
}

/// Returns the module that a line of `modules.txt` stands for.
pub(super) fn used(vendor: &Vendor, module: &VendoredModule) -> UsedModule {
    let new = module.replacement.as_ref();
    UsedModule {
        path: module.path.clone(),
        version: module.version.clone(),
        target: new.map(|new| target(&vendor.beside, new)),
    }
}

fn of_module(vendor: &Vendor, module: &VendoredModule) -> Uncompared {
    let used = used(vendor, module);
    Uncompared {
        unit: vendor.owner.clone(),
        version: used.in_go_sum().map(|(_, version)| version.to_owned()),
        module: used.path,
    }
}

fn no_sum(vendor: &Vendor, module: &VendoredModule) -> Drift {
    let used = used(vendor, module);
    let name = used
        .in_go_sum()
        .map(|(path, version)| format!("{path} {version}"));
    let path = vendor.path_of(super::vendor::MODULES_TXT);
    let drift = Drift::new(&vendor.owner, DriftKind::ModuleNotInGoSum);
    drift.at(path, module.line).values(name, None)
}

/// Returns the files that have another content than in their module, or are in none.
fn changed_or_added(vendor: &Vendor, sources: &BTreeMap<usize, ModuleSource>) -> Vec<Drift> {
    let mut drift = Vec::new();
    let added = |name: &str| {
        let path = vendor.path_of(name);
        Drift::new(&vendor.owner, DriftKind::VendoredFileAdded).at(path, None)
    };
    for name in &vendor.tree.others {
        drift.push(added(name).found("not a regular file"));
    }
    for (name, sha256) in &vendor.tree.files {
        let Some(position) = vendor.module_of(name) else {
            drift.push(added(name).found(sha256.to_string()));
            continue;
        };
        let Some(source) = sources.get(&position) else {
            continue;
        };
        let module = &vendor.list.modules[position];
        let inside = name.strip_prefix(&*module.path);
        let inside = inside.map(|name| name.trim_start_matches('/'));
        match inside.and_then(|inside| source.files.get(inside)) {
            Some(expected) if expected == sha256 => {}
            Some(expected) => {
                let changed = Drift::new(&vendor.owner, DriftKind::VendoredFileChanged);
                let changed = changed.at(vendor.path_of(name), None);
                drift.push(
                    changed
                        .expected(expected.to_string())
                        .found(sha256.to_string()),
                );
            }
            None => drift.push(added(name).found(sha256.to_string())),
        }
    }
    drift
}

/// Returns the files of the vendored packages that are in the module and should have been copied. Source:
/// `matchPotentialSourceFile` in `src/cmd/go/internal/modcmd/vendor.go`.
fn removed(
    vendor: &Vendor,
    position: usize,
    source: &ModuleSource,
) -> Result<Vec<Drift>, WorkspaceError> {
    let module = &vendor.list.modules[position];
    let mut drift = Vec::new();
    for (inside, sha256) in &source.files {
        let (folder, file) = inside.rsplit_once('/').unwrap_or(("", inside));
        let package = match folder {
            "" => module.path.clone(),
            folder => format!("{}/{folder}", module.path),
        };
        let name = format!("{package}/{file}");
        if !module.packages.contains(&package) || vendor.tree.files.contains_key(&name) {
            continue;
        }
        // Before Go 1.17, `go.mod` and `go.sum` were copied.
        if file.ends_with("_test.go") || file == "go.mod" || file == "go.sum" {
            continue;
        }
        if is_go(file) && !constraint::is_ever_built(&source.read(inside)?) {
            continue;
        }
        let removed = Drift::new(&vendor.owner, DriftKind::VendoredFileRemoved);
        drift.push(
            removed
                .at(vendor.path_of(&name), None)
                .expected(sha256.to_string()),
        );
    }
    Ok(drift)
}

fn is_go(file: &str) -> bool {
    Path::new(file).extension().is_some_and(|end| end == "go")
}

/// Returns the modules whose files are not those of the lock, if nothing in `drift` is about one of their files.
fn other_than_locked(vendor: &Vendor, locked: &LockedVendor, drift: &[Drift]) -> Vec<Drift> {
    let now = vendor.locked();
    let mut found = Vec::new();
    for module in &now.modules {
        let is_same = |other: &&super::lock::LockedVendoredModule| {
            (&other.path, &other.version) == (&module.path, &module.version)
        };
        // Modules that were added, removed or have another version are found as such.
        let Some(before) = locked.modules.iter().find(is_same) else {
            continue;
        };
        let path = vendor.path_of(&module.path);
        let is_known = drift.iter().any(|one| {
            let at = one.path.as_deref();
            at.is_some_and(|at| at.starts_with(&path))
        });
        if before.h1 == module.h1 || is_known {
            continue;
        }
        let shown = |module: &super::lock::LockedVendoredModule| {
            format!("{} ({} files)", module.h1, module.files)
        };
        let changed = Drift::new(&vendor.owner, DriftKind::VendoredModuleChanged);
        found.push(
            changed
                .at(path, None)
                .expected(shown(before))
                .found(shown(module)),
        );
    }
    found
}
