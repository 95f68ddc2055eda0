//! Describes the present state, and compares it with a lock.

use super::compare;
use super::conflicts;
use super::consistency;
use super::drift::{Drift, DriftKind};
use super::error::WorkspaceError;
use super::go_list::GoCommand;
use super::lock::{LOCK_FILE_NAME, Lock, LockedProject};
use super::module_source::{self, Cached};
use super::modules::{self, UsedModule};
use super::options::Workspace;
use super::sdk;
use super::settings;
use super::sums::Sums;
use super::units::{self, Project, Survey};
use super::vendor::{self, Vendor};
use super::vendored_files;
use crate::deploy::Deployment;
use crate::parallel;
use crate::toolchains::clean_path;
use std::path::PathBuf;

pub use super::vendored_files::Uncompared;

/// The result of comparing the present state with a lock.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Examination {
    /// The differences, sorted by unit, kind and path.
    pub drift: Vec<Drift>,
    /// The vendored modules that could not be compared with the modules that `go.sum` names, because the module cache
    /// does not have them. Their files were only compared with the lock.
    pub uncompared: Vec<Uncompared>,
    /// The number of units.
    pub units: usize,
    /// The number of modules, of all projects together.
    pub modules: usize,
}

/// The files of a project, and what they say.
struct Read<'a> {
    project: &'a Project,
    sums: Sums,
    vendor: Vec<Vendor>,
}

impl<'a> Read<'a> {
    fn new(survey: &Survey, project: &'a Project) -> Result<Self, WorkspaceError> {
        Ok(Self {
            project,
            sums: Sums::read(project)?,
            vendor: vendor::of_project(survey, project)?,
        })
    }

    /// Returns the vendored modules that the project is built from.
    fn own_vendor(&self) -> Option<&Vendor> {
        compare::vendor_beside(&self.vendor, &self.project.directory)
    }

    /// Returns the modules that files list; `None` if only the go command knows them.
    fn known_modules(&self) -> Option<Vec<UsedModule>> {
        match self.own_vendor() {
            Some(vendor) => Some(modules::vendored(self.project, &vendor.list)),
            None => modules::required(self.project),
        }
    }

    fn locked(
        &self,
        survey: &Survey,
        used: &[UsedModule],
    ) -> Result<LockedProject, WorkspaceError> {
        let project = self.project;
        let work = project.work.as_ref();
        let units = project.units.iter();
        Ok(LockedProject {
            directory: project.name.clone(),
            file: project.file.clone(),
            modules: modules::describe(survey, &self.sums, used)?,
            units: units
                .map(|unit| compare::locked_unit(project, unit, &self.vendor))
                .collect(),
            work: work.map(|work| compare::locked_work(survey, project, work, &self.vendor)),
        })
    }
}

/// Describes the present state.
fn lock(options: &Workspace) -> Result<Lock, WorkspaceError> {
    let survey = Survey::read(&options.directories(), &options.go_work)?;
    let selected = sdk::select(options, &survey)?.deployment;
    let settings = settings::settings(&options.environment);
    let go = options.go_command(&selected, settings.get("GOFLAGS"));
    let mut projects = Vec::new();
    for project in &survey.projects {
        let read = Read::new(&survey, project)?;
        let used = match read.known_modules() {
            Some(used) => used,
            None => go.list(project)?,
        };
        let locked = read.locked(&survey, &used)?;
        modules::require_directories(&survey, &locked.modules)?;
        projects.push(locked);
    }
    let sdk = sdk::locked(&options.root, &selected)?;
    Ok(Lock::new(sdk, settings, projects))
}

/// Compares the present state with a lock.
fn check(options: &Workspace, lock: &Lock) -> Result<Examination, WorkspaceError> {
    let survey = survey_with(options, lock)?;
    let (mut drift, deployment) = sdk::compare(options, &survey, &lock.sdk)?;
    drift.extend(sdk::above(&survey, &lock.sdk));
    let settings = settings::settings(&options.environment);
    let what = DriftKind::BuildSettingChanged;
    drift.extend(settings::compare(".", what, &lock.settings, &settings));
    drift.extend(conflicts::find(&survey)?);
    let mut result = Examination::default();
    let flags = lock.settings.get("GOFLAGS");
    let go = deployment.map(|deployment| options.go_command(&deployment, flags));
    for project in &survey.projects {
        let of_lock = lock
            .projects
            .iter()
            .find(|one| one.directory == project.name);
        let check = Check {
            options,
            survey: &survey,
            go: go.as_ref(),
            read: Read::new(&survey, project)?,
        };
        check.run(of_lock, &mut result)?;
    }
    for locked in &lock.projects {
        if !survey
            .projects
            .iter()
            .any(|project| project.name == locked.directory)
        {
            let removed = Drift::new(&locked.directory, DriftKind::UnitRemoved);
            let path = std::path::Path::new(&locked.directory).join(&locked.file);
            drift.push(removed.at(path, None).expected(&locked.file));
        }
    }
    result.drift.append(&mut drift);
    result.drift.sort();
    result.drift.dedup();
    result.uncompared.sort();
    Ok(result)
}

/// Reads the projects that were given and those of the lock that still exist.
fn survey_with(options: &Workspace, lock: &Lock) -> Result<Survey, WorkspaceError> {
    let mut directories = options.directories();
    let base = options.lock_path()?;
    let base = base.parent().map(PathBuf::from).unwrap_or_default();
    for project in &lock.projects {
        let directory = clean_path(&base.join(&project.directory));
        if directory.join(&project.file).exists() {
            directories.push(directory);
        }
    }
    Survey::read(&directories, &options.go_work)
}

impl Workspace {
    /// Returns the path of the lock file: beside the `go.work` or `go.mod` file of the project.
    ///
    /// # Errors
    /// Returns an error if the directory belongs to no project, or its files cannot be read.
    pub fn lock_path(&self) -> Result<PathBuf, WorkspaceError> {
        let found = units::file_of(&self.directory, &self.go_work)?;
        Ok(found.with_file_name(LOCK_FILE_NAME))
    }

    /// Describes the present state. Writes nothing.
    ///
    /// # Errors
    /// Returns an error if a directory belongs to no project, no installed SDK fulfils its requirement, a file is
    /// malformed or cannot be read, or the go command fails.
    pub fn lock(&self) -> Result<Lock, WorkspaceError> {
        lock(self)
    }

    /// Compares the present state with a lock, and returns the differences, sorted.
    ///
    /// # Errors
    /// Returns the same errors as [`lock`](Self::lock), except that a missing SDK, and project files that the
    /// go command refuses, are drift.
    pub fn check(&self, lock: &Lock) -> Result<Vec<Drift>, WorkspaceError> {
        Ok(self.examine(lock)?.drift)
    }

    /// Compares the present state with a lock, as [`check`](Self::check), and also returns what could not be compared.
    ///
    /// # Errors
    /// Returns the same errors as [`check`](Self::check).
    pub fn examine(&self, lock: &Lock) -> Result<Examination, WorkspaceError> {
        check(self, lock)
    }

    fn directories(&self) -> Vec<PathBuf> {
        let more = self.units.iter().cloned();
        std::iter::once(self.directory.clone())
            .chain(more)
            .collect()
    }

    fn go_command(&self, deployment: &Deployment, flags: Option<&String>) -> GoCommand<'_> {
        // The link with the version may belong to another commit.
        let deployed = self.root.deployment_path(deployment.commit);
        GoCommand {
            go: deployed.join("usr/bin/go"),
            options: self,
            flags: flags.cloned().unwrap_or_default(),
        }
    }
}

/// The check of one project.
struct Check<'a> {
    options: &'a Workspace,
    survey: &'a Survey,
    go: Option<&'a GoCommand<'a>>,
    read: Read<'a>,
}

impl Check<'_> {
    fn run(
        &self,
        locked: Option<&LockedProject>,
        result: &mut Examination,
    ) -> Result<(), WorkspaceError> {
        let project = self.read.project;
        result.units += project.units.len();
        let mut drift = Vec::new();
        let used = match self.used(locked) {
            Err(WorkspaceError::Go { message, .. }) => {
                drift.push(self.not_listed(&message));
                None
            }
            used => used?,
        };
        match (locked, &used) {
            (Some(locked), Some(used)) => {
                let now = self.read.locked(self.survey, used)?;
                drift.extend(compare::files(self.survey, locked, &now, project));
                drift.extend(compare::modules(project, &locked.modules, &now.modules));
            }
            (Some(locked), None) => {
                let now = self.read.locked(self.survey, &[])?;
                drift.extend(compare::files(self.survey, locked, &now, project));
            }
            (None, _) => {
                let added = Drift::new(&project.name, DriftKind::UnitAdded);
                let path = self.survey.shown(&project.directory.join(&project.file));
                drift.push(added.at(path, None).found(&project.file));
            }
        }
        if let Some(locked) = locked {
            drift.extend(compare::unexplained(locked, project, &drift));
        }
        let used = used.unwrap_or_default();
        result.modules += used.len();
        self.fetch(&used)?;
        for vendor in &self.read.vendor {
            self.vendor(vendor, locked, &mut drift, result)?;
        }
        drift.extend(self.removed_vendor(locked));
        if self.read.own_vendor().is_none() {
            drift.extend(self.cached(&used)?);
        }
        result.drift.append(&mut drift);
        Ok(())
    }

    /// A project whose files the go command refuses has changed since it was locked: the other differences
    /// say how.
    fn not_listed(&self, message: &str) -> Drift {
        let project = self.read.project;
        let path = self.survey.shown(&project.directory.join(&project.file));
        let message: Vec<&str> = message.split_whitespace().collect();
        let not_listed = Drift::new(&project.name, DriftKind::ModulesNotListed);
        not_listed.at(path, None).found(message.join(" "))
    }

    /// Returns the modules of the project; `None` if only the go command knows them, and no SDK is installed.
    fn used(
        &self,
        locked: Option<&LockedProject>,
    ) -> Result<Option<Vec<UsedModule>>, WorkspaceError> {
        let project = self.read.project;
        if let Some(used) = self.read.known_modules() {
            return Ok(Some(used));
        }
        if let Some(locked) = locked.filter(|locked| is_same_files(locked, project)) {
            return Ok(Some(modules::of_lock(self.survey, &locked.modules)));
        }
        self.go.map(|go| go.list(project)).transpose()
    }

    /// Downloads the modules that the module cache does not have, if that is allowed.
    fn fetch(&self, used: &[UsedModule]) -> Result<(), WorkspaceError> {
        let (true, Some(go), Some(cache)) =
            (self.options.fetch, self.go, &self.options.module_cache)
        else {
            return Ok(());
        };
        let of_vendor = self.read.vendor.iter().flat_map(|vendor| {
            let modules = vendor.with_packages();
            modules.map(|(_, module)| vendored_files::used(vendor, module))
        });
        let all: Vec<UsedModule> = of_vendor.chain(used.iter().cloned()).collect();
        let mut missing: Vec<(String, String)> = Vec::new();
        for module in &all {
            if let Some((path, version)) = module.in_go_sum()
                && self.read.sums.h1(path, version).is_some()
                && !Cached::new(cache, path, version).is_some_and(|cached| cached.exists())
            {
                missing.push((path.to_owned(), version.to_owned()));
            }
        }
        missing.sort();
        missing.dedup();
        match missing.is_empty() {
            true => Ok(()),
            false => go.download(&missing),
        }
    }

    fn vendor(
        &self,
        vendor: &Vendor,
        locked: Option<&LockedProject>,
        drift: &mut Vec<Drift>,
        result: &mut Examination,
    ) -> Result<(), WorkspaceError> {
        let project = self.read.project;
        let of_lock = locked.and_then(|locked| compare::locked_vendor(locked, project, vendor));
        let cache = self.options.module_cache.as_deref();
        let mut found = consistency::compare(project, vendor);
        let (files, uncompared) = vendored_files::compare(vendor, of_lock, cache, &self.read.sums)?;
        found.extend(files);
        result.uncompared.extend(uncompared);
        match of_lock {
            None if locked.is_some() => {
                let added = Drift::new(&vendor.owner, DriftKind::VendorAdded);
                found.push(added.at(&*vendor.shown, None).found(vendor.locked().h1));
            }
            Some(of_lock) => {
                let now = vendor.locked();
                let is_explained = !found.is_empty() || drift.iter().any(is_about_modules);
                if of_lock.modules_txt != now.modules_txt && !is_explained {
                    let changed = Drift::new(&vendor.owner, DriftKind::ModulesTxtChanged);
                    let changed = changed.at(vendor.path_of(vendor::MODULES_TXT), None);
                    found.push(
                        changed
                            .expected(&of_lock.modules_txt)
                            .found(now.modules_txt),
                    );
                }
            }
            None => {}
        }
        drift.extend(found);
        Ok(())
    }

    /// Returns the directories `vendor` of the lock that do not exist any more.
    fn removed_vendor(&self, locked: Option<&LockedProject>) -> Vec<Drift> {
        let project = self.read.project;
        let Some(locked) = locked else {
            return Vec::new();
        };
        let of_work = locked.work.as_ref().and_then(|work| work.vendor.as_ref());
        let of_work = of_work.map(|vendor| (&project.name, &project.directory, vendor));
        let of_units = locked.units.iter().filter_map(|old| {
            let unit = project
                .units
                .iter()
                .find(|unit| unit.name == old.directory)?;
            Some((&unit.name, &unit.directory, old.vendor.as_ref()?))
        });
        let mut drift = Vec::new();
        for (name, directory, vendor) in of_work.into_iter().chain(of_units) {
            if compare::vendor_beside(&self.read.vendor, directory).is_none() {
                let removed = Drift::new(name, DriftKind::VendorRemoved);
                let path = self.survey.shown(&directory.join("vendor"));
                drift.push(removed.at(path, None).expected(&vendor.h1));
            }
        }
        drift
    }

    /// Returns the extracted modules in the module cache that are not those that `go.sum` names. The go command builds
    /// from them without comparing them.
    fn cached(&self, used: &[UsedModule]) -> Result<Vec<Drift>, WorkspaceError> {
        let Some(cache) = &self.options.module_cache else {
            return Ok(Vec::new());
        };
        let check = |(): &mut (), module: &UsedModule| {
            let Some((path, version)) = module.in_go_sum() else {
                return Ok(None);
            };
            let cached = Cached::new(cache, path, version);
            let cached = cached.filter(|cached| cached.folder.is_dir());
            let (Some(cached), Some(expected)) = (cached, self.read.sums.h1(path, version)) else {
                return Ok(None);
            };
            let prefix = format!("{path}@{version}/");
            let (_, found) = module_source::folder(&cached.folder, &prefix)?;
            if self.read.sums.allows(path, version, &found) {
                return Ok(None);
            }
            let changed = Drift::new(&self.read.project.name, DriftKind::ModuleCacheChanged);
            let changed = changed.at(cached.folder, None).expected(expected);
            Ok::<_, WorkspaceError>(Some(changed.found(found)))
        };
        let drift = parallel::map(used, || (), check)?;
        Ok(drift.into_iter().flatten().collect())
    }
}

/// Returns true if all files that decide which modules are selected are those of the lock.
fn is_same_files(locked: &LockedProject, project: &Project) -> bool {
    let work = |sha256: &str| {
        project
            .work
            .as_ref()
            .is_some_and(|work| work.sha256 == sha256)
    };
    let is_same_work = match &locked.work {
        Some(locked) => work(&locked.sha256),
        None => project.work.is_none(),
    };
    let old = locked
        .units
        .iter()
        .map(|unit| (&unit.directory, &unit.sha256));
    let new = project.units.iter().map(|unit| (&unit.name, &unit.sha256));
    is_same_work && old.eq(new)
}

fn is_about_modules(drift: &Drift) -> bool {
    matches!(
        drift.what,
        DriftKind::ModuleAdded
            | DriftKind::ModuleRemoved
            | DriftKind::ModuleVersionChanged
            | DriftKind::ReplacementChanged
    )
}
