//! The variables of `env --cache`.

use crate::context::Context;
use crate::error::CliError;
use ostree_go_sdk::GoVersion;
use ostree_go_sdk::stdcache::{BuildFolders, FolderKind, cacheprog_variable, std_cache_dirs};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The place of Go's caches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CachePlace {
    /// In a place of this kind.
    Kind(FolderKind),
    /// In a directory.
    Dir(PathBuf),
}

/// Parses the value of `--cache`.
pub fn parse(text: &str) -> Result<CachePlace, String> {
    match text {
        "tmpfs" => Ok(CachePlace::Kind(FolderKind::Tmpfs)),
        "persistent" => Ok(CachePlace::Kind(FolderKind::Persistent)),
        dir if dir.contains('/') => Ok(CachePlace::Dir(dir.into())),
        _ => Err("expected `tmpfs`, `persistent`, or a directory with a `/`".to_owned()),
    }
}

/// Variables to set, and what the user should know about them.
#[derive(Debug)]
pub struct Variables {
    pub set: Vec<(&'static str, PathBuf)>,
    pub warnings: Vec<String>,
}

/// Creates the folders for the caches, and returns the variables that name them. `version` is the version
/// of the SDK, and `root` the root directory that it is installed in.
pub fn variables(
    context: &Context,
    place: &CachePlace,
    version: &str,
    root: &Path,
) -> Result<Variables, CliError> {
    let settings = &context.settings;
    let (kind, places) = match place {
        CachePlace::Kind(kind) => (*kind, settings.cache_places(*kind)),
        CachePlace::Dir(dir) => {
            let dir = std::path::absolute(dir).map_err(CliError::file("find", dir))?;
            let places = vec![(dir.join("go-build"), dir.join("go-mod"))];
            (FolderKind::Persistent, places)
        }
    };
    let folders = BuildFolders::prepare(kind, &places, &settings.go_temporary())?;
    let warnings = folders.warnings.iter().map(ToString::to_string);
    let mut variables = Variables {
        warnings: warnings.collect(),
        set: Vec::new(),
    };
    if settings.needs_gopath() {
        let gopath = folders.build.with_file_name("go");
        variables.set.push(("GOPATH", gopath));
    }
    variables.set.push(("GOCACHE", folders.build));
    variables.set.push(("GOMODCACHE", folders.modules));
    if let Some(path) = folders.temporary {
        variables.set.push(("GOTMPDIR", path));
    }
    variables.add_cacheprog(version, root)?;
    Ok(variables)
}

impl Variables {
    fn add_cacheprog(&mut self, version: &str, root: &Path) -> Result<(), CliError> {
        let parsed: Option<GoVersion> = version.parse().ok();
        let first: Option<GoVersion> = "1.24rc1".parse().ok();
        if parsed < first {
            self.warnings.push(format!(
                "go {version} cannot use std caches, which need Go 1.24 or newer: it compiles the standard library \
                 once for each build cache"
            ));
            return Ok(());
        }
        let minor = parsed.map(|version| format!("go-{}", version.minor()));
        let is_for_sdk = |dir: &PathBuf| {
            let found = dir.parent().and_then(Path::file_name);
            found == minor.as_deref().map(OsStr::new)
        };
        if !std_cache_dirs(&[root.to_owned()]).iter().any(is_for_sdk) {
            self.warnings.push(format!(
                "there is no std cache for go {version}: it compiles the standard library once for each build cache"
            ));
        }
        let program = std::env::current_exe();
        let program = program.map_err(CliError::file("find", Path::new("/proc/self/exe")))?;
        let words = [
            program.as_os_str(),
            "cacheprog".as_ref(),
            "--root".as_ref(),
            root.as_os_str(),
        ];
        match cacheprog_variable(words) {
            Some(value) => self.set.push(("GOCACHEPROG", value.into())),
            None => self.warnings.push(format!(
                "std caches are not used, because there is no form of GOCACHEPROG for paths with both kinds of quotes: {}, {}",
                program.display(),
                root.display()
            )),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_has_a_slash() {
        assert_eq!(parse("tmpfs"), Ok(CachePlace::Kind(FolderKind::Tmpfs)));
        assert_eq!(parse("./tmpfs"), Ok(CachePlace::Dir("./tmpfs".into())));
        assert!(parse("disk").is_err());
    }
}
