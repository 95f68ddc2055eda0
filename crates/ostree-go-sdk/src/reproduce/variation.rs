//! The conditions that differ between two builds.

use super::error::ReproduceError;
use crate::fs::context::IoContext;
use crate::sandbox::{Backend, Bind};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

/// A property of the surroundings of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Variation {
    /// The path of the sources.
    Source,
    /// The path of the SDK, and so `GOROOT`.
    Goroot,
    /// The path of the module cache.
    ModuleCache,
    /// The name of the user.
    User,
    /// The ID of the user and of the group.
    UserId,
    /// The home directory.
    Home,
    /// The directory for temporary files.
    TemporaryDirectory,
    /// The time zone.
    TimeZone,
    /// The locale.
    Locale,
    /// The umask.
    Umask,
    /// The number of threads that run Go code, which is also the number of programs that the go command starts at once.
    Cpus,
    /// The compiled standard library: whether each build has compiled it.
    StandardLibrary,
}

impl Variation {
    /// Returns a stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Goroot => "goroot",
            Self::ModuleCache => "module-cache",
            Self::User => "user",
            Self::UserId => "uid",
            Self::Home => "home",
            Self::TemporaryDirectory => "tmpdir",
            Self::TimeZone => "time-zone",
            Self::Locale => "locale",
            Self::Umask => "umask",
            Self::Cpus => "cpus",
            Self::StandardLibrary => "standard-library",
        }
    }
}

impl fmt::Display for Variation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A property that differed between the first two builds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Varied {
    /// The property.
    pub what: Variation,
    /// Its value in the first build.
    pub first: String,
    /// Its value in the second build.
    pub second: String,
}

/// A property that was the same in all builds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NotVaried {
    /// The property.
    pub what: Variation,
    /// The reason why it was not varied.
    pub reason: String,
}

/// The files of the host that a build uses.
#[derive(Debug, Clone)]
pub(super) struct Inputs {
    /// The directory of the sources.
    pub project: PathBuf,
    /// The directory of the SDK.
    pub sdk: PathBuf,
    /// The module cache, if there is one.
    pub modules: Option<PathBuf>,
}

/// The surroundings of a build.
#[derive(Debug, Clone)]
pub(super) struct Surroundings {
    pub project: Bind,
    pub sdk: Bind,
    pub modules: Option<Bind>,
    /// The home directory and the directory for temporary files.
    pub home: PathBuf,
    pub temporary: PathBuf,
    pub user: &'static str,
    pub uid: Option<u32>,
    pub time_zone: &'static str,
    pub locale: &'static str,
    pub umask: u32,
    pub cpus: usize,
}

/// The user ID of the second build, which no system gives to a service or to the first users.
const OTHER_UID: u32 = 43_210;
/// The directories of the second build in a sandbox that can show files at other paths. The first one that is no
/// directory of the first build is used.
const MOVED: [&str; 2] = ["/reproduce", "/rebuilt"];

impl Surroundings {
    /// Returns those of the first build: all files have their own paths. `folder` is a directory for its temporary
    /// files.
    ///
    /// # Errors
    /// Returns an error if the directories cannot be created.
    pub fn first(inputs: &Inputs, folder: &Path) -> Result<Self, ReproduceError> {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        let surroundings = Self {
            project: Bind::from(inputs.project.clone()),
            sdk: Bind::from(inputs.sdk.clone()),
            modules: inputs.modules.clone().map(Bind::from),
            home: folder.join("home"),
            temporary: folder.join("tmp"),
            user: "sandbox",
            uid: None,
            time_zone: "UTC",
            locale: "C.UTF-8",
            umask: 0o022,
            // The second build has one.
            cpus: cpus.max(2),
        };
        surroundings.create()
    }

    /// Returns those of the second build, which differ as far as the backend allows it. `source` is a copy of the
    /// sources for a backend that cannot show them at another path.
    ///
    /// # Errors
    /// Returns an error if the directories cannot be created.
    pub fn second(
        inputs: &Inputs,
        folder: &Path,
        source: Option<&Path>,
    ) -> Result<Self, ReproduceError> {
        let used = |top: &str| {
            let modules = inputs.modules.iter();
            let mut all = [&inputs.project, &inputs.sdk].into_iter().chain(modules);
            all.any(|path| path.starts_with(top))
        };
        let top = MOVED.into_iter().find(|top| !used(top));
        let top = Path::new(top.unwrap_or("/reproduce-again"));
        let moved = |path: &Path, name: &str| Bind {
            source: path.to_owned(),
            dest: match source {
                None => top.join(name),
                Some(_) => path.to_owned(),
            },
        };
        let own = rustix::process::getuid().as_raw();
        let surroundings = Self {
            project: match source {
                Some(copy) => Bind::from(copy),
                None => moved(&inputs.project, "source"),
            },
            sdk: moved(&inputs.sdk, "sdk"),
            modules: inputs.modules.as_deref().map(|path| moved(path, "modules")),
            home: folder.join("users/other"),
            temporary: folder.join("temporary"),
            user: "other",
            uid: Some(if own == OTHER_UID { own + 1 } else { OTHER_UID }),
            time_zone: "Asia/Kathmandu",
            locale: "tr_TR.UTF-8",
            umask: 0o077,
            cpus: 1,
        };
        surroundings.create()
    }

    fn create(self) -> Result<Self, ReproduceError> {
        for path in [&self.home, &self.temporary] {
            std::fs::create_dir_all(path).context("make directory", path)?;
        }
        Ok(self)
    }

    /// Returns the variables of the environment.
    pub fn variables(&self) -> Vec<(OsString, OsString)> {
        let mut variables: Vec<(OsString, OsString)> = vec![
            ("HOME".into(), self.home.clone().into()),
            ("TMPDIR".into(), self.temporary.clone().into()),
            ("USER".into(), self.user.into()),
            ("LOGNAME".into(), self.user.into()),
            ("TZ".into(), self.time_zone.into()),
            ("LANG".into(), self.locale.into()),
            ("LC_ALL".into(), self.locale.into()),
            ("GOMAXPROCS".into(), self.cpus.to_string().into()),
        ];
        if let Some(modules) = &self.modules {
            variables.push(("GOMODCACHE".into(), modules.dest.clone().into()));
        }
        variables
    }

    /// Returns a path in the sources, whose directory is `project` on the host, as it is in this build.
    pub fn path(&self, path: &Path, project: &Path) -> PathBuf {
        match path.strip_prefix(project) {
            Ok(rest) => join(&self.project.dest, rest),
            Err(_) => path.to_owned(),
        }
    }
}

/// Joins paths, without a slash at the end for an empty one.
pub(super) fn join(top: &Path, rest: &Path) -> PathBuf {
    match rest.as_os_str().is_empty() {
        true => top.to_owned(),
        false => top.join(rest),
    }
}

/// Returns true if a backend can show files at other paths than on the host.
pub(super) const fn can_move(backend: Backend) -> bool {
    matches!(backend, Backend::Bwrap | Backend::Systemd)
}

/// Returns what differed between two builds with a backend, and what did not.
pub(super) fn compare(
    first: &Surroundings,
    second: &Surroundings,
    backend: Backend,
) -> (Vec<Varied>, Vec<NotVaried>) {
    let (mut varied, mut same) = (Vec::new(), Vec::new());
    let path = |path: &Path| path.display().to_string();
    let mut add = |what, first: String, second: String| match first == second {
        false => varied.push(Varied {
            what,
            first,
            second,
        }),
        true => same.push(NotVaried {
            what,
            reason: format!("the sandbox {backend} cannot change it"),
        }),
    };
    let both = |of: &dyn Fn(&Surroundings) -> String| (of(first), of(second));
    let own = rustix::process::getuid().as_raw();
    let uid = |one: &Surroundings| match backend {
        Backend::Bwrap => one.uid.unwrap_or(own).to_string(),
        _ => own.to_string(),
    };
    let has_modules = first.modules.is_some();
    let modules = |one: &Surroundings| {
        let modules = one.modules.as_ref();
        modules.map_or_else(String::new, |bind| path(&bind.dest))
    };
    let properties: [(Variation, (String, String)); 11] = [
        (Variation::Source, both(&|one| path(&one.project.dest))),
        (Variation::Goroot, both(&|one| path(&one.sdk.dest))),
        (Variation::ModuleCache, both(&modules)),
        (Variation::User, both(&|one| one.user.to_owned())),
        (Variation::UserId, both(&uid)),
        (Variation::Home, both(&|one| path(&one.home))),
        (
            Variation::TemporaryDirectory,
            both(&|one| path(&one.temporary)),
        ),
        (Variation::TimeZone, both(&|one| one.time_zone.to_owned())),
        (Variation::Locale, both(&|one| one.locale.to_owned())),
        (Variation::Umask, both(&|one| format!("{:03o}", one.umask))),
        (Variation::Cpus, both(&|one| one.cpus.to_string())),
    ];
    for (what, (first, second)) in properties {
        if what != Variation::ModuleCache || has_modules {
            add(what, first, second);
        }
    }
    (varied, same)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inputs() -> Inputs {
        Inputs {
            project: "/home/me/app".into(),
            sdk: "/var/lib/sdk".into(),
            modules: None,
        }
    }

    #[test]
    fn bubblewrap_varies_everything() {
        let dir = tempfile::tempdir().unwrap();
        let first = Surroundings::first(&inputs(), &dir.path().join("1")).unwrap();
        let second = Surroundings::second(&inputs(), &dir.path().join("2"), None).unwrap();
        let (varied, same) = compare(&first, &second, Backend::Bwrap);
        assert_eq!((varied.len(), same.len()), (10, 0));
        assert_eq!(
            second.path(Path::new("/home/me/app/cmd/a"), Path::new("/home/me/app")),
            Path::new("/reproduce/source/cmd/a")
        );
        assert!(second.home.is_dir() && first.temporary.is_dir());
    }

    #[test]
    fn what_landlock_cannot_vary_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let first = Surroundings::first(&inputs(), &dir.path().join("1")).unwrap();
        let copy = Some(Path::new("/tmp/copy"));
        let second = Surroundings::second(&inputs(), &dir.path().join("2"), copy).unwrap();
        let (varied, same) = compare(&first, &second, Backend::Landlock);
        assert_eq!(varied[0].what, Variation::Source);
        let same: Vec<&str> = same.iter().map(|one| one.what.as_str()).collect();
        assert_eq!(same, ["goroot", "uid"]);
    }

    #[test]
    fn the_moved_directories_are_no_directories_of_the_first_build() {
        let dir = tempfile::tempdir().unwrap();
        let inputs = Inputs {
            project: "/reproduce/source".into(),
            ..inputs()
        };
        let second = Surroundings::second(&inputs, dir.path(), None).unwrap();
        assert_eq!(second.project.dest, Path::new("/rebuilt/source"));
    }
}
