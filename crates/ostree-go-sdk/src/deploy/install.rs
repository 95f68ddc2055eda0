//! Installs SDKs: fetches them without the root's lock, and deploys them with it.

use super::activation::Action;
use super::error::DeployError;
use super::fetch::Fetcher;
use super::found::FoundSdk;
use super::hooks::{self, HookPlan, HookResult, Hooks, require_outside_hook};
use super::job::{InstallSource, Job, Origin};
use super::locked::{Deployed, LockedRoot, Outcome};
use super::root::Root;
use super::selection::{StdCacheChoice, StdCacheSelection};
use super::state::Deployment;
use super::verify::DamagedFile;
use crate::arch::Arch;
use crate::golang::version_rule::VersionRule;
use crate::http::HttpOptions;
use crate::id::{CommitId, RefName, Sha256};
use crate::parallel;
use crate::progress::{Event, NoProgress, Progress};
use crate::registry::{ImageReference, RegistryAuth};
use crate::remote::FollowResult;
use crate::repo::RepoError;
use crate::setters::setters;
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::Arc;

/// An installation of SDKs. Either all or none are installed.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Install {
    refs: Vec<(RefName, Option<Sha256>)>,
    rule: Option<VersionRule>,
    arch: Option<Arch>,
    activate: bool,
    source: InstallSource,
    std_caches: Option<StdCacheSelection>,
    allow_downgrade: bool,
    hooks: Option<Hooks>,
    inside_hook: bool,
    http: HttpOptions,
    progress: Arc<dyn Progress>,
}

impl Install {
    /// Creates an installation of the SDKs that refs point to.
    #[must_use]
    pub fn new(refs: impl IntoIterator<Item = RefName>) -> Self {
        Self {
            refs: refs.into_iter().map(|name| (name, None)).collect(),
            rule: None,
            arch: None,
            activate: true,
            source: InstallSource::Default,
            std_caches: None,
            allow_downgrade: false,
            hooks: None,
            inside_hook: false,
            http: HttpOptions::new(),
            progress: Arc::new(NoProgress),
        }
    }

    /// Creates an installation of the release that a rule selects of those that the source offers on
    /// refs `go-sdk/<basearch>/<version>`: the one that the rule names, or else the newest patch
    /// release of the lowest minor version that fulfils it.
    #[must_use]
    pub fn for_version(rule: VersionRule) -> Self {
        Self {
            rule: Some(rule),
            ..Self::new([])
        }
    }

    /// Requires the image of a ref to have this digest. The SDK has to come from a registry then.
    /// Default: the image that the registry's tag points to.
    #[must_use]
    pub fn pin(mut self, name: &RefName, digest: Sha256) -> Self {
        for (_, pin) in self.refs.iter_mut().filter(|(found, _)| found == name) {
            *pin = Some(digest);
        }
        self
    }

    setters! {
        /// Sets the required architecture of the SDKs. Default: that of this machine.
        arch: Option<Arch>;
        /// Activates the last SDK, if it is for this machine. Default: yes.
        activate: bool;
        /// Sets the source of the SDKs. Default: [`InstallSource::Default`].
        source: InstallSource;
        /// Sets the std caches to install with the SDKs. They are recorded, and upgrades install
        /// the same. Default: those of the last deployment of the same ref, otherwise
        /// [`StdCacheSelection::native`].
        std_caches: Option<StdCacheSelection>;
        /// Accepts a commit that is older than the last deployed one of the same ref. Default: no.
        allow_downgrade: bool;
        /// Sets the hooks that run if an SDK is activated, or if the hooks of the active one have not
        /// finished. Default: none.
        hooks: Option<Hooks>;
        /// Refuses an installation that activates an SDK, because the process was started by a hook.
        /// Default: no.
        inside_hook: bool;
        /// Sets the options of HTTP requests. Default: [`HttpOptions::new`].
        http: HttpOptions;
        /// Sets the receiver of events, which may cancel the operation. Default: [`NoProgress`].
        progress;
    }

    /// Resolves the source of the SDKs. Uses no network. Creates the root's repository if it does
    /// not exist.
    ///
    /// # Errors
    /// Returns an error if the root cannot be written, no SDKs are composed for this machine, the
    /// remote is ambiguous, or a hook is refused.
    pub fn plan(&self, root: &Root) -> Result<InstallPlan, DeployError> {
        let arch = self.arch.or_else(Arch::host);
        let arch = arch.ok_or(DeployError::UnknownMachine)?;
        let locked = root.lock(&*self.progress)?;
        let repo = locked.repo.clone();
        let job = Job {
            refs: self.refs.clone(),
            rule: self.rule.clone(),
            origin: Origin::of(&self.source, &repo)?,
            arch,
            allow_downgrade: self.allow_downgrade,
            std_caches: StdCacheChoice {
                requested: self.std_caches.clone(),
                recorded: locked.state.std_cache_selections(arch),
            },
        };
        let activation = match self.activate && Some(arch) == Arch::host() {
            true => ActivationRule::Last,
            false => ActivationRule::None,
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
            hooks: activation.plan_hooks(self.hooks.as_ref())?,
            inside_hook: self.inside_hook,
            activation,
        })
    }
}

/// The rule that selects the deployment to activate.
#[derive(Debug)]
pub(super) enum ActivationRule {
    /// No deployment is activated.
    None,
    /// The last installed deployment is activated.
    Last,
    /// The new deployment with the same ref and architecture as this one is activated, if this one
    /// is still active.
    Replace(Box<Deployment>),
}

impl ActivationRule {
    /// Finds the hooks, if a deployment may be activated.
    pub(super) fn plan_hooks(
        &self,
        hooks: Option<&Hooks>,
    ) -> Result<Option<HookPlan>, DeployError> {
        let hooks = hooks.filter(|_| !matches!(self, Self::None));
        Ok(hooks.map(Hooks::plan).transpose()?)
    }
}

/// The SDKs of a job.
type Fetched = Vec<FoundSdk>;

/// A planned installation or upgrade.
#[derive(Debug)]
pub struct InstallPlan {
    pub(super) root: Root,
    pub(super) fetcher: Fetcher,
    pub(super) jobs: Vec<Job>,
    pub(super) activation: ActivationRule,
    pub(super) hooks: Option<HookPlan>,
    pub(super) inside_hook: bool,
}

/// The result of an installation or an upgrade.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Installed {
    /// The deployments, in the requested order.
    pub deployed: Vec<Deployed>,
    /// True if one of them was activated and was not active before.
    pub activated: bool,
    /// The deployment that is active now, read from the link `current`.
    pub active: Option<Deployment>,
    /// The hooks, if some ran.
    pub hooks: Vec<HookResult>,
}

impl InstallPlan {
    /// Returns the registries that SDKs come from, with the names of their remotes. They may need
    /// [credentials](InstallPlan::auth).
    ///
    /// # Errors
    /// Returns an error if the configuration of a remote cannot be read.
    pub fn registries(&self) -> Result<Vec<(String, ImageReference)>, DeployError> {
        self.fetcher.registries(&self.jobs)
    }

    /// Follows the keys of the remotes that are [configured](crate::remote::set_follow_keys) for it, which
    /// is to be done before the execution. Returns the result for each of these remotes; after an error,
    /// the keys are as they were.
    ///
    /// # Errors
    /// Returns an error if the configuration of a remote cannot be read.
    pub fn follow_keys(&self) -> Result<Vec<(String, FollowResult)>, DeployError> {
        self.fetcher.follow_keys(&self.jobs)
    }

    /// Sets the credentials for the registry of a remote. Default: none.
    #[must_use]
    pub fn auth(mut self, remote: impl Into<String>, auth: RegistryAuth) -> Self {
        self.fetcher.auth.insert(remote.into(), auth);
        self
    }

    /// Fetches, verifies and deploys the SDKs, activates one of them as planned, and runs the hooks.
    ///
    /// Other processes may change the root while SDKs are fetched: its lock is taken only
    /// afterwards. Fetched commits are protected from a garbage collection until they are deployed.
    /// If the root's repository turns out to be damaged, the damaged objects are fetched again,
    /// once.
    ///
    /// # Errors
    /// Returns an error if an SDK cannot be fetched or is refused. Nothing is deployed then, and
    /// the active deployment is unchanged. In the cases of [`DeployError::NotActivated`] and
    /// [`HookError::Failed`](super::HookError::Failed) the SDKs are deployed.
    pub fn execute(self) -> Result<Installed, DeployError> {
        if !matches!(self.activation, ActivationRule::None) {
            require_outside_hook(self.inside_hook)?;
        }
        let (mut installed, active) = self.deploy_and_switch()?;
        // The hooks may use the root, so that its locks are not held any more.
        if let (Some(hooks), Some(active)) = (&self.hooks, active) {
            let progress = &*self.fetcher.progress;
            installed.hooks = hooks.run(&self.root, active, progress)?;
        }
        if !installed.hooks.is_empty() {
            installed.active = self.root.active()?;
        }
        Ok(installed)
    }

    /// Does everything except the hooks. Also returns the deployment that is active as planned.
    fn deploy_and_switch(&self) -> Result<(Installed, Option<CommitId>), DeployError> {
        let _protected = self.root.protect(&*self.fetcher.progress)?;
        let fetched = self.fetch_all()?;
        let mut deployed = Vec::new();
        let result = self.deploy_all(fetched, &mut deployed);
        let mut locked = result.inspect_err(|_| self.undo(&deployed))?;
        locked.drop_std_caches(&mut deployed)?;
        let switched = self.switch(&mut locked, &deployed)?;
        let installed = Installed {
            activated: switched.is_some_and(|(_, activated)| activated),
            active: locked.active()?.cloned(),
            deployed,
            hooks: Vec::new(),
        };
        Ok((installed, switched.map(|(commit, _)| commit)))
    }

    /// Fetches all jobs. If the active deployment is to be replaced, it is checked at the same
    /// time.
    fn fetch_all(&self) -> Result<Vec<Fetched>, DeployError> {
        let fetch = || {
            let jobs = self.jobs.iter();
            jobs.map(|job| self.fetcher.fetch(job)).collect()
        };
        let ActivationRule::Replace(active) = &self.activation else {
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
            // The system could not start a thread.
            Err(_) => root.compare(&self.fetcher.repo, commit, progress),
        };
        let fetched = fetched?;
        if let Some(damaged) = found? {
            self.report_damage(active, &damaged)?;
        }
        Ok(fetched)
    }

    /// Reports damage to the active deployment, and records it in the state.
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

    /// Deploys the fetched commits and appends them to `deployed`, which is also valid after an
    /// error.
    fn deploy_all(
        &self,
        fetched: Vec<Fetched>,
        deployed: &mut Vec<Deployed>,
    ) -> Result<LockedRoot<'_>, DeployError> {
        let progress = &*self.fetcher.progress;
        if progress.is_cancelled() {
            return Err(RepoError::Cancelled.into());
        }
        let mut locked = self.lock(progress)?;
        for (job, sdks) in self.jobs.iter().zip(fetched) {
            match deploy(&mut locked, job, &sdks) {
                Ok(done) => deployed.extend(done),
                // The damaged objects have been deleted.
                Err(DeployError::Damaged { .. }) => {
                    drop(locked);
                    let sdks = self.fetcher.fetch(job)?;
                    locked = self.lock(progress)?;
                    deployed.extend(deploy(&mut locked, job, &sdks)?);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(locked)
    }

    /// Removes the new deployments and the new std caches of others.
    fn undo(&self, deployed: &[Deployed]) {
        if deployed.is_empty() {
            return;
        }
        // The first error is the one to report. A deployment that remains is complete.
        if let Ok(mut locked) = self.lock(&NoProgress) {
            undo(&mut locked, deployed);
        }
    }

    /// Activates a deployment as planned. Returns it, and true if this changed the active deployment.
    fn switch(
        &self,
        locked: &mut LockedRoot<'_>,
        deployed: &[Deployed],
    ) -> Result<Option<(CommitId, bool)>, DeployError> {
        let (new, action) = match &self.activation {
            ActivationRule::None => return Ok(None),
            ActivationRule::Last => (deployed.last(), Action::Install),
            ActivationRule::Replace(old) => {
                // A process that switched meanwhile takes precedence.
                let active = locked.active()?;
                if active.is_none_or(|active| active.commit != old.commit) {
                    return Ok(None);
                }
                let is_next = |one: &&Deployed| one.deployment.is_same_channel(old);
                (deployed.iter().find(is_next), Action::Upgrade)
            }
        };
        let Some(new) = new else {
            return Ok(None);
        };
        let commit = new.deployment.commit;
        let activated = locked.activate(commit, hooks::cause(action, self.hooks.as_ref()));
        let activated = activated.map_err(|source| DeployError::NotActivated {
            version: new.deployment.version.clone(),
            source: Box::new(source),
        })?;
        Ok(Some((commit, activated)))
    }
}

/// Deploys all SDKs of a job, or none.
fn deploy(
    locked: &mut LockedRoot<'_>,
    job: &Job,
    sdks: &[FoundSdk],
) -> Result<Vec<Deployed>, DeployError> {
    let mut deployed = Vec::new();
    for sdk in sdks {
        let placed = locked.place_std_caches(&sdk.std_caches);
        let done = placed.and_then(|std_caches| locked.deploy(sdk, std_caches, job));
        deployed.push(done.inspect_err(|_| undo(locked, &deployed))?);
    }
    Ok(deployed)
}

/// Removes new deployments, and makes the std caches of others those that they had before.
fn undo(locked: &mut LockedRoot<'_>, deployed: &[Deployed]) {
    for one in deployed {
        let _ = match one.outcome {
            Outcome::New => locked.uninstall(one.deployment.commit, false).map(drop),
            _ => locked.restore_std_caches(one),
        };
    }
    // Removes the trees of std caches that no SDK has.
    let _ = locked.clean_up();
}
