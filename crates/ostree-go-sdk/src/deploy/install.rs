//! Installing SDKs: fetched without the root's lock, deployed with it.

use super::Root;
use super::error::DeployError;
use super::fetch::{Fetcher, InstallSource, Job, Origin};
use super::locked::{DeployOptions, Deployed, LockedRoot, Outcome};
use super::state::{Action, Deployment};
use super::verify::DamagedFile;
use crate::arch::Arch;
use crate::http::HttpOptions;
use crate::id::{CommitId, RefName, Sha256};
use crate::parallel;
use crate::progress::{Event, NoProgress, Progress};
use crate::registry::{ImageReference, RegistryAuth};
use crate::setters::setters;
use crate::sign::Verified;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::resume_unwind;
use std::sync::Arc;

/// An installation of SDKs: all of them, or none.
#[derive(Clone)]
pub struct Install {
    refs: Vec<(RefName, Option<Sha256>)>,
    arch: Option<Arch>,
    activate: bool,
    source: InstallSource,
    allow_downgrade: bool,
    http: HttpOptions,
    progress: Arc<dyn Progress>,
}

impl fmt::Debug for Install {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Install")
            .field("refs", &self.refs)
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

impl Install {
    /// An installation of the SDKs that refs name.
    #[must_use]
    pub fn new(refs: impl IntoIterator<Item = RefName>) -> Self {
        Self {
            refs: refs.into_iter().map(|name| (name, None)).collect(),
            arch: None,
            activate: true,
            source: InstallSource::Default,
            allow_downgrade: false,
            http: HttpOptions::new(),
            progress: Arc::new(NoProgress),
        }
    }

    /// Requires the image of a ref to have this digest. The SDK has to come from a registry then.
    /// Default: the registry's tag decides.
    #[must_use]
    pub fn pin(mut self, name: &RefName, digest: Sha256) -> Self {
        for (_, pin) in self.refs.iter_mut().filter(|(found, _)| found == name) {
            *pin = Some(digest);
        }
        self
    }

    /// The machine that the SDKs have to be for. Default: this one.
    #[must_use]
    pub fn arch(mut self, arch: Option<Arch>) -> Self {
        self.arch = arch;
        self
    }

    /// Makes the last SDK the active one, if it is for this machine. Default: yes.
    #[must_use]
    pub fn activate(mut self, activate: bool) -> Self {
        self.activate = activate;
        self
    }

    /// The place that the SDKs come from. Default: [`InstallSource::Default`].
    #[must_use]
    pub fn source(mut self, source: InstallSource) -> Self {
        self.source = source;
        self
    }

    /// Accepts a commit that is older than the last deployed one of the same ref. Default: no.
    #[must_use]
    pub fn allow_downgrade(mut self, allow: bool) -> Self {
        self.allow_downgrade = allow;
        self
    }

    /// Sets the options of HTTP requests. Default: [`HttpOptions::new`].
    #[must_use]
    pub fn http(mut self, options: HttpOptions) -> Self {
        self.http = options;
        self
    }

    setters! {
        /// Receives events, and may ask for a stop. Default: [`NoProgress`].
        progress;
    }

    /// Finds out where the SDKs come from. Uses no network; makes the root's repository where there
    /// is none.
    ///
    /// # Errors
    /// When the root cannot be written, no SDK is for this machine, or it is not clear which remote
    /// is meant.
    pub fn plan(&self, root: &Root) -> Result<InstallPlan, DeployError> {
        let arch = self.arch.or_else(Arch::host);
        let arch = arch.ok_or(DeployError::UnknownMachine)?;
        let repo = root.lock(&*self.progress)?.repo().clone();
        let job = Job {
            refs: self.refs.clone(),
            origin: Origin::of(&self.source, &repo)?,
            arch,
            allow_downgrade: self.allow_downgrade,
        };
        let activation = match self.activate && Some(arch) == Arch::host() {
            true => Activation::Last,
            false => Activation::None,
        };
        let fetcher = Fetcher {
            repo,
            http: self.http.clone(),
            auth: BTreeMap::new(),
            clock: root.clock.clone(),
            progress: self.progress.clone(),
        };
        Ok(InstallPlan {
            root: root.clone(),
            fetcher,
            jobs: vec![job],
            activation,
        })
    }
}

/// The deployment that becomes the active one.
#[derive(Debug)]
pub(super) enum Activation {
    /// The active one stays.
    None,
    /// The last that is installed.
    Last,
    /// The one that is of the same ref and for the same machine as this one, if this one is active
    /// still.
    After(Box<Deployment>),
}

/// The commits of a job, and the refs that name them.
type Fetched = Vec<(RefName, Verified<CommitId>)>;

/// SDKs that are to be fetched and deployed.
#[derive(Debug)]
pub struct InstallPlan {
    pub(super) root: Root,
    pub(super) fetcher: Fetcher,
    pub(super) jobs: Vec<Job>,
    pub(super) activation: Activation,
}

/// The result of an installation or an upgrade.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Installed {
    /// The deployments, in the order they were asked for.
    pub deployed: Vec<Deployed>,
    /// True if one of them became the active one and was not before.
    pub activated: bool,
    /// The deployment that is active now, read back from the link that decides it.
    pub active: Option<Deployment>,
}

impl InstallPlan {
    /// Returns the registries that SDKs come from and that need [credentials](InstallPlan::auth),
    /// with the names of their remotes.
    ///
    /// # Errors
    /// When the configuration of a remote cannot be read.
    pub fn registries(&self) -> Result<Vec<(String, ImageReference)>, DeployError> {
        self.fetcher.registries(&self.jobs)
    }

    /// Sets the credentials for the registry that a remote is. Default: none.
    #[must_use]
    pub fn auth(mut self, remote: impl Into<String>, auth: RegistryAuth) -> Self {
        self.fetcher.auth.insert(remote.into(), auth);
        self
    }

    /// Fetches the SDKs, checks them, deploys them and switches.
    ///
    /// While SDKs are fetched, others may change the root: its lock is taken only afterwards. What
    /// was fetched is protected from a garbage collection until it is deployed. Where the root's
    /// repository turns out to be damaged, the damaged objects are fetched anew, once.
    ///
    /// # Errors
    /// When an SDK cannot be fetched or is refused. Nothing was deployed then, and the active
    /// deployment is the same. After [`DeployError::NotActivated`] the SDKs are deployed.
    pub fn execute(self) -> Result<Installed, DeployError> {
        let _protected = self.root.protect(&*self.fetcher.progress)?;
        let fetched = self.fetch_all()?;
        let mut deployed = Vec::new();
        let result = self.deploy_all(fetched, &mut deployed);
        let mut locked = result.inspect_err(|_| self.undo(&deployed))?;
        let activated = self.switch(&mut locked, &deployed)?;
        Ok(Installed {
            activated,
            active: locked.active()?.cloned(),
            deployed,
        })
    }

    /// Fetches everything. An active deployment that is to be replaced is checked meanwhile.
    fn fetch_all(&self) -> Result<Vec<Fetched>, DeployError> {
        let fetch = || {
            let jobs = self.jobs.iter();
            jobs.map(|job| self.fetcher.fetch(job)).collect()
        };
        let Activation::After(active) = &self.activation else {
            return fetch();
        };
        let (root, progress) = (&self.root, &*self.fetcher.progress);
        let (repo, commit) = (self.fetcher.repo.clone(), active.commit);
        let check = move || root.compare(&repo, commit, progress);
        let (fetched, found) = std::thread::scope(|scope| {
            let thread = parallel::spawn_scoped(scope, check);
            let fetched = fetch();
            let found = thread.map(std::thread::ScopedJoinHandle::join);
            (fetched, found)
        });
        let found = match found {
            Ok(found) => found.unwrap_or_else(|panic| resume_unwind(panic)),
            // There is no thread to be had.
            Err(_) => root.compare(&self.fetcher.repo, commit, progress),
        };
        let fetched = fetched?;
        if let Some(damaged) = found? {
            self.report_damage(active, &damaged)?;
        }
        Ok(fetched)
    }

    /// Tells of damage to the active deployment, and remembers it.
    fn report_damage(
        &self,
        active: &Deployment,
        damaged: &[DamagedFile],
    ) -> Result<(), DeployError> {
        if let Some(first) = damaged.first() {
            self.fetcher.progress.event(&Event::ActiveDamaged {
                version: &active.version,
                arch: active.arch,
                first: &first.to_string(),
                files: damaged.len() as u64,
            });
        }
        if damaged.is_empty() && active.damaged_at.is_none() {
            return Ok(());
        }
        let mut locked = self.lock(&*self.fetcher.progress)?;
        if locked.get(active.commit).is_ok() {
            locked.check(active.commit)?;
        }
        Ok(())
    }

    fn lock<'r>(&'r self, progress: &'r dyn Progress) -> Result<LockedRoot<'r>, DeployError> {
        LockedRoot::new(&self.root, Some(&self.fetcher.repo), progress)
    }

    /// Deploys what was fetched; `deployed` has what was done, be it all or not.
    fn deploy_all(
        &self,
        fetched: Vec<Fetched>,
        deployed: &mut Vec<Deployed>,
    ) -> Result<LockedRoot<'_>, DeployError> {
        let progress = &*self.fetcher.progress;
        let mut locked = self.lock(progress)?;
        for (job, commits) in self.jobs.iter().zip(fetched) {
            match deploy(&mut locked, job, &commits) {
                Ok(done) => deployed.extend(done),
                // The damaged objects are gone now.
                Err(DeployError::Damaged { .. }) => {
                    drop(locked);
                    let commits = self.fetcher.fetch(job)?;
                    locked = self.lock(progress)?;
                    deployed.extend(deploy(&mut locked, job, &commits)?);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(locked)
    }

    /// Removes what was not there before.
    fn undo(&self, deployed: &[Deployed]) {
        if deployed.iter().all(|one| one.outcome != Outcome::New) {
            return;
        }
        // The first error is the one to report; what stays is whole.
        if let Ok(mut locked) = self.lock(&NoProgress) {
            remove_new(&mut locked, deployed);
        }
    }

    /// Makes a deployment the active one. Returns whether that changed anything.
    fn switch(
        &self,
        locked: &mut LockedRoot<'_>,
        deployed: &[Deployed],
    ) -> Result<bool, DeployError> {
        let (new, action) = match &self.activation {
            Activation::None => return Ok(false),
            Activation::Last => (deployed.last(), Action::Install),
            Activation::After(old) => {
                // Whoever has switched meanwhile wants another one.
                let active = locked.active()?;
                if active.is_none_or(|active| active.commit != old.commit) {
                    return Ok(false);
                }
                let is_next = |one: &&Deployed| one.deployment.is_of_channel(old);
                (deployed.iter().find(is_next), Action::Upgrade)
            }
        };
        let Some(new) = new else {
            return Ok(false);
        };
        let activated = locked.activate(new.deployment.commit, action);
        activated.map_err(|source| DeployError::NotActivated {
            version: new.deployment.version.clone(),
            source: Box::new(source),
        })
    }
}

/// Deploys the commits of a job: all of them, or none.
fn deploy(
    locked: &mut LockedRoot<'_>,
    job: &Job,
    commits: &[(RefName, Verified<CommitId>)],
) -> Result<Vec<Deployed>, DeployError> {
    let options = DeployOptions::default()
        .arch(Some(job.arch))
        .allow_downgrade(job.allow_downgrade);
    let mut deployed = Vec::new();
    for (name, commit) in commits {
        let done = locked.deploy(name, commit, &options);
        deployed.push(done.inspect_err(|_| remove_new(locked, &deployed))?);
    }
    Ok(deployed)
}

fn remove_new(locked: &mut LockedRoot<'_>, deployed: &[Deployed]) {
    for one in deployed.iter().filter(|one| one.outcome == Outcome::New) {
        let _ = locked.uninstall(one.deployment.commit, false);
    }
}
