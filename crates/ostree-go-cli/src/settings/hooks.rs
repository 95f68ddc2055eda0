//! Settings of hooks from the environment.

use super::{SYSTEM_ROOT, Settings};
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The directories with the hooks of the system's root directory: those of packages, and those of the
/// administrator.
const SYSTEM_DIRS: [&str; 2] = ["/usr/lib/ostree-go", "/etc/ostree-go"];

impl Settings {
    /// Returns the directories with the hooks of a root directory: those of the system for the system's root
    /// directory, and the user's own one for every other.
    pub fn hook_dirs(&self, root: &Path) -> Vec<PathBuf> {
        if is_system(root) {
            return SYSTEM_DIRS.map(PathBuf::from).to_vec();
        }
        let home = self.home.as_ref().map(|home| home.join(".config"));
        let config = self.config_home.clone().or(home);
        let dir = config.map(|config| config.join("ostree-go"));
        dir.into_iter().collect()
    }

    /// Returns the variables of the environment that hooks get.
    pub fn hook_environment(&self) -> Vec<(OsString, OsString)> {
        let home = self.home.clone();
        let home = home.map(|home| ("HOME".into(), home.into_os_string()));
        home.into_iter().collect()
    }

    /// Returns true if this process was started by a hook, directly or indirectly.
    pub fn is_inside_hook(&self) -> bool {
        self.inside_hook
    }
}

/// Returns true for the path of the system's root directory, and for other paths to it.
fn is_system(root: &Path) -> bool {
    let system = Path::new(SYSTEM_ROOT);
    let found = |path: &Path| path.canonicalize().ok();
    root == system || found(root).is_some_and(|root| found(system) == Some(root))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_root_directory_of_the_system_has_its_hooks() {
        let mut settings = Settings::from_env();
        settings.config_home = Some("/home/me/config".into());
        settings.home = Some("/home/me".into());
        let dirs = settings.hook_dirs(Path::new(SYSTEM_ROOT));
        assert_eq!(dirs, SYSTEM_DIRS.map(PathBuf::from));
        let dirs = settings.hook_dirs(Path::new("/srv/go"));
        assert_eq!(dirs, [Path::new("/home/me/config/ostree-go")]);
        settings.config_home = None;
        let dirs = settings.hook_dirs(Path::new("/srv/go"));
        assert_eq!(dirs, [Path::new("/home/me/.config/ostree-go")]);
        settings.home = None;
        assert!(settings.hook_dirs(Path::new("/srv/go")).is_empty());
        assert!(settings.hook_environment().is_empty());
    }
}
