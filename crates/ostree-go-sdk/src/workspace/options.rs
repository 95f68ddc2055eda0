//! The options of locking and checking a workspace.

use crate::deploy::Root;
use crate::setters::setters;
use crate::toolchains;
use std::path::PathBuf;

/// The options of locking and checking a workspace.
#[derive(Debug, Clone)]
pub struct Workspace {
    pub(super) root: Root,
    pub(super) directory: PathBuf,
    pub(super) units: Vec<PathBuf>,
    pub(super) go_work: toolchains::Workspace,
    pub(super) home: Option<PathBuf>,
    pub(super) module_cache: Option<PathBuf>,
    pub(super) temporary: Option<PathBuf>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) fetch: bool,
}

impl Workspace {
    /// Describes the workspace of the project in a directory, which has to be an absolute [clean](toolchains::clean_path)
    /// path. The lock belongs into the directory of the `go.work` or `go.mod` file of this project.
    #[must_use]
    pub fn new(root: Root, directory: impl Into<PathBuf>) -> Self {
        Self {
            root,
            directory: directory.into(),
            units: Vec::new(),
            go_work: toolchains::Workspace::Auto,
            home: None,
            module_cache: None,
            temporary: None,
            environment: Vec::new(),
            fetch: false,
        }
    }

    setters! {
        /// Sets the directories of more projects, as absolute clean paths. They share the lock. Default: none; a check
        /// includes those of the lock.
        units: Vec<PathBuf>;
        /// Sets the workspace file, as `GOWORK` selects it. Default: the nearest `go.work`.
        go_work: toolchains::Workspace;
        /// Sets the home directory of the user, which the go command uses only with [`fetch`](Self::fetch).
        home: Option<PathBuf>;
        /// Sets the module cache.
        module_cache: Option<PathBuf>;
        /// Sets the directory for temporary files. Default: `/tmp`.
        temporary: Option<PathBuf>;
        /// Sets the variables of the environment and of the file of `go env -w`, of those that
        /// [`uses_variable`](super::uses_variable) names.
        environment: Vec<(String, String)>;
        /// Sets whether modules that are missing are downloaded into the module cache. Default: false, no network.
        fetch: bool;
    }
}
