//! The context of a verb: everything that it uses besides its own arguments.

use crate::args::global::GlobalArgs;
use crate::authfile;
use crate::error::CliError;
use crate::output::Output;
use crate::progress::Terminal;
use crate::report::Report;
use crate::settings::{Settings, share_if_root};
use ostree_go_sdk::deploy::Root;
use ostree_go_sdk::registry::{ImageReference, RegistryAuth};
use ostree_go_sdk::{FixedClock, Repo};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

/// Context of a verb: global options, settings, output and progress.
#[derive(Debug)]
pub struct Context {
    pub global: GlobalArgs,
    pub settings: Settings,
    pub output: Output,
    progress: OnceLock<Arc<Terminal>>,
}

impl Context {
    pub fn new(global: GlobalArgs, settings: Settings) -> Self {
        let output = Output::new(&global, &settings);
        Self {
            global,
            settings,
            output,
            progress: OnceLock::new(),
        }
    }

    /// Returns the progress reports, which all operations of the process share. The first call
    /// installs the signal handlers. Verbs that cannot be cancelled never call this, so that a signal
    /// ends them at once.
    pub fn progress(&self) -> Arc<Terminal> {
        let terminal = || Arc::new(Terminal::new(&self.global, self.output.clone()));
        self.progress.get_or_init(terminal).clone()
    }

    /// Prints a message on standard error.
    pub fn say(&self, text: &str) {
        self.output.say(text);
    }

    /// Prints the result of the verb, and returns the exit code.
    pub fn report(&self, report: &impl Report) -> Result<ExitCode, CliError> {
        self.output.report(report)
    }

    /// Returns the path of the repository that was given on the command line.
    pub fn repo_path(&self) -> Result<&Path, CliError> {
        self.global.repo.as_deref().ok_or_else(|| CliError::Usage {
            message: "no repository given".to_owned(),
            hint: Some(
                "specify one with --repo PATH or OSTREE_REPO; `ostree-go status` shows what is \
                 installed on this machine, and `ostree-go remote refs` what its remotes offer"
                    .to_owned(),
            ),
        })
    }

    /// Opens the repository that was given on the command line.
    pub fn repo(&self) -> Result<Repo, CliError> {
        Ok(Repo::open(self.repo_path()?)?)
    }

    /// Prints the message about a new repository.
    pub fn say_created(&self, repo: &Repo) {
        let (path, mode) = (repo.path().display(), repo.mode());
        self.say(&format!("created repository {path} in {mode} mode"));
    }

    /// Opens the repository that remotes belong to: the one given on the command line, or that of
    /// the root directory.
    pub fn client_repo(&self) -> Result<Repo, CliError> {
        match &self.global.repo {
            Some(path) => Ok(Repo::open(path)?),
            None => Ok(self.root()?.repo()?),
        }
    }

    /// Opens the root directory, which must exist.
    pub fn root(&self) -> Result<Root, CliError> {
        Ok(Root::open(self.root_path()?)?)
    }

    /// Opens the root directory, and creates it if it does not exist.
    pub fn open_or_create_root(&self) -> Result<Root, CliError> {
        Ok(Root::create(self.root_path()?)?)
    }

    /// Returns the path of the root directory, which may not exist.
    pub fn root_path(&self) -> Result<PathBuf, CliError> {
        share_if_root();
        match &self.global.root {
            Some(path) => std::path::absolute(path).map_err(CliError::file("find", path)),
            None => self.settings.root(),
        }
    }

    /// Returns the credentials for the registry of an image.
    pub fn registry_auth(&self, image: Option<&ImageReference>) -> Result<RegistryAuth, CliError> {
        let found = image.map(|image| authfile::credentials(&self.settings, None, image));
        found.unwrap_or(Ok(RegistryAuth::Anonymous))
    }

    /// Returns a clock with the time in `SOURCE_DATE_EPOCH`, if that is set.
    pub fn fixed_clock(&self) -> Result<Option<Arc<FixedClock>>, CliError> {
        let epoch = self.settings.source_date_epoch()?;
        Ok(epoch.map(|epoch| Arc::new(FixedClock::new(epoch))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;
    use ostree_go_sdk::Progress;
    use signal_hook::consts::SIGINT;
    use signal_hook::low_level::raise;

    #[derive(Parser)]
    struct OnlyGlobalArgs {
        #[command(flatten)]
        global: GlobalArgs,
    }

    #[test]
    fn a_signal_between_two_operations_cancels_the_second_one() {
        let global = OnlyGlobalArgs::parse_from(["ostree-go"]).global;
        let context = Context::new(global, Settings::from_env());
        let first = context.progress();
        assert!(!first.is_cancelled());
        drop(first);
        raise(SIGINT).unwrap();
        assert!(context.progress().is_cancelled());
    }
}
