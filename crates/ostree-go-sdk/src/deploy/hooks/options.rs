//! Options of hooks, and their environment.

use crate::deploy::activation::Activation;
use crate::deploy::root::Root;
use crate::deploy::state::Deployment;
use crate::golang::toolchain;
use crate::setters::setters;
use crate::version::GoVersion;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// The time after which a hook is ended.
const TIMEOUT: Duration = Duration::from_secs(300);
/// The programs that a hook finds: those of the system. Source: the path of root in Debian's `login.defs`.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Options of hooks. They run after a deployment has become active, and not after a rollback.
///
/// A hook gets an environment of its own: `PATH` with the directories of the system, `LANG=C.UTF-8`, the
/// variables of [`Hooks::environment`], and `OSTREE_GO_HOOK=1`, `OSTREE_GO_EVENT=post-deploy`,
/// `OSTREE_GO_OPERATION` (`install`, `upgrade` or `use`), `OSTREE_GO_ROOT`, `OSTREE_GO_VERSION`,
/// `OSTREE_GO_COMMIT`, `OSTREE_GO_PREVIOUS_VERSION` and `OSTREE_GO_PREVIOUS_COMMIT` (empty if no deployment
/// was active), `OSTREE_GO_GOROOT`, and `OSTREE_GO_MODULE_VERSION`. Its working directory is `/`.
#[derive(Debug, Clone)]
pub struct Hooks {
    pub(super) dirs: Vec<PathBuf>,
    pub(super) timeout: Duration,
    environment: Vec<(OsString, OsString)>,
}

impl Hooks {
    /// Creates options with the directories that contain `hooks/post-deploy`, for example `/usr/lib/ostree-go`
    /// and `/etc/ostree-go`. A file in a later directory replaces one with the same name in an earlier one. A
    /// directory that does not exist contains no hooks.
    ///
    /// These directories, those below them, and the hooks must belong to root or to the user of the process,
    /// and only the owner may have write permission. So must every directory above the target of a symbolic
    /// link, except directories with the sticky bit.
    #[must_use]
    pub fn new(dirs: impl IntoIterator<Item = PathBuf>) -> Self {
        Self {
            dirs: dirs.into_iter().collect(),
            timeout: TIMEOUT,
            environment: Vec::new(),
        }
    }

    setters! {
        /// Sets the time after which a hook and the processes of its group get SIGTERM, and SIGKILL 5 seconds
        /// later. It counts as failed. Default: 300 seconds.
        timeout: Duration;
        /// Sets more environment variables, such as `HOME`. Default: none.
        environment: Vec<(OsString, OsString)>;
    }

    /// Returns the environment of a hook.
    pub(super) fn variables(
        &self,
        root: &Root,
        deployment: &Deployment,
        operation: &str,
        previous: Option<&Activation>,
    ) -> Vec<(OsString, OsString)> {
        let text = |name: &str, value: String| (name.into(), value.into());
        let mut variables = vec![
            text("PATH", PATH.to_owned()),
            text("LANG", "C.UTF-8".to_owned()),
        ];
        variables.extend(self.environment.iter().cloned());
        let goroot = root.goroot(deployment).unwrap_or_default();
        let previous_commit = previous.map(|previous| previous.commit.to_string());
        variables.extend([
            text("OSTREE_GO_HOOK", "1".to_owned()),
            text("OSTREE_GO_EVENT", "post-deploy".to_owned()),
            text("OSTREE_GO_OPERATION", operation.to_owned()),
            ("OSTREE_GO_ROOT".into(), root.path().into()),
            text("OSTREE_GO_VERSION", deployment.version.clone()),
            text("OSTREE_GO_COMMIT", deployment.commit.to_string()),
            text(
                "OSTREE_GO_PREVIOUS_VERSION",
                previous.map_or_else(String::new, |previous| previous.version.clone()),
            ),
            text(
                "OSTREE_GO_PREVIOUS_COMMIT",
                previous_commit.unwrap_or_default(),
            ),
            ("OSTREE_GO_GOROOT".into(), goroot.into()),
            text("OSTREE_GO_MODULE_VERSION", module(root, deployment)),
        ]);
        variables
    }
}

/// Returns the module with the toolchain, `golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64`; an empty text if
/// the SDK has no version of Go.
fn module(root: &Root, deployment: &Deployment) -> String {
    let version = root.toolchain_version(deployment).parse::<GoVersion>();
    version.map_or_else(
        |_| String::new(),
        |version| toolchain::module_folder(&version, deployment.arch),
    )
}
