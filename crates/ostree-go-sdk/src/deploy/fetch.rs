//! Fetches commits into a root's repository, before they are deployed.

use super::error::DeployError;
use super::local;
use crate::arch::Arch;
use crate::catalog::CommitInfo;
use crate::clock::Clock;
use crate::golang::version_rule::VersionRule;
use crate::http::HttpOptions;
use crate::id::{CommitId, RefName, Sha256};
use crate::progress::{Event, Progress};
use crate::pull::{Download, Pull};
use crate::registry::{ImageReference, RegistryAuth};
use crate::remote;
use crate::repo::{Completeness, Repo};
use crate::sign::{TrustedKeys, Verified};
use crate::version::GoVersion;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// The source of SDKs to install.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum InstallSource {
    /// The only remote of the root's repository; if it has no remotes, the repository itself, to
    /// which the user copied the SDK in another way.
    #[default]
    Default,
    /// A remote of the root's repository.
    Remote(String),
    /// An OSTree repository on this machine.
    Repo {
        /// The path of the repository.
        path: PathBuf,
        /// The keys, one of which must have signed each commit. Without keys, commits are trusted
        /// because of their location and count as unsigned.
        keys: Option<TrustedKeys>,
    },
}

/// Refs that are fetched together from one source.
#[derive(Debug)]
pub(super) struct Job {
    /// The refs, and the digests that their images must have, if given.
    pub(super) refs: Vec<(RefName, Option<Sha256>)>,
    /// A rule that selects one more release of those that the origin offers.
    pub(super) rule: Option<VersionRule>,
    pub(super) origin: Origin,
    pub(super) arch: Arch,
    pub(super) allow_downgrade: bool,
}

/// A resolved [`InstallSource`].
#[derive(Debug, Clone)]
pub(super) enum Origin {
    Remote(String),
    Repo {
        path: PathBuf,
        keys: Option<TrustedKeys>,
    },
    /// The root's own repository.
    Local,
}

impl Origin {
    /// Resolves a source.
    ///
    /// # Errors
    /// Returns an error if the remote does not exist, or if none was given and there are several.
    pub(super) fn of(source: &InstallSource, repo: &Repo) -> Result<Self, DeployError> {
        match source {
            InstallSource::Remote(name) => Ok(Self::Remote(remote::get(repo, name)?.name)),
            InstallSource::Repo { path, keys } => Ok(Self::Repo {
                path: path.clone(),
                keys: keys.clone(),
            }),
            InstallSource::Default => {
                let known = remote::list(repo)?.into_iter().map(|remote| remote.name);
                match known.collect::<Vec<_>>().as_slice() {
                    [] => Ok(Self::Local),
                    [only] => Ok(Self::Remote(only.clone())),
                    names => Err(DeployError::SeveralRemotes {
                        path: repo.path().to_owned(),
                        names: names.to_vec(),
                    }),
                }
            }
        }
    }
}

/// The verified commit of a ref, without its content.
pub(super) struct FoundSdk {
    pub(super) name: RefName,
    pub(super) commit: Verified<CommitId>,
    pub(super) info: CommitInfo,
    pub(super) download: Download,
}

/// Fetches jobs into the root's repository.
#[derive(Debug)]
pub(super) struct Fetcher {
    pub(super) repo: Repo,
    pub(super) http: HttpOptions,
    /// The credentials for registries, by name of the remote.
    pub(super) auth: BTreeMap<String, RegistryAuth>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) progress: Arc<dyn Progress>,
}

impl Fetcher {
    /// Returns the registries that jobs fetch from, with the names of their remotes. The caller
    /// finds the credentials for them.
    pub(super) fn registries(
        &self,
        jobs: &[Job],
    ) -> Result<Vec<(String, ImageReference)>, DeployError> {
        let mut registries = BTreeMap::new();
        for job in jobs {
            if let Origin::Remote(name) = &job.origin
                && let Some(image) = remote::registry(&self.repo, name)?
            {
                registries.insert(name.clone(), image);
            }
        }
        Ok(registries.into_iter().collect())
    }

    /// Fetches refs into the root's repository and verifies their commits.
    pub(super) fn fetch(
        &self,
        job: &Job,
    ) -> Result<Vec<(RefName, Verified<CommitId>)>, DeployError> {
        let refs = self.requested(job)?;
        let names = refs.iter().map(|(name, _)| name);
        let now = self.clock.now();
        match &job.origin {
            Origin::Remote(remote) => {
                let pulled = self.pull(job, &refs, remote).plan(&self.repo)?.execute()?;
                if pulled.bytes > 0 {
                    self.progress.event(&Event::Downloaded {
                        bytes: pulled.bytes,
                        elapsed: pulled.elapsed,
                        used_delta: pulled.used_delta,
                    });
                }
                Ok(pulled.commits)
            }
            Origin::Repo { path, keys } => {
                require_no_digest(job)?;
                let source = Repo::open(path)?;
                let import = |name: &RefName| {
                    let commit = {
                        let progress = &*self.progress;
                        local::import(&self.repo, &source, name, keys.as_ref(), now, progress)?
                    };
                    Ok((name.clone(), commit))
                };
                names.map(import).collect()
            }
            Origin::Local => {
                require_no_digest(job)?;
                let resolve = |name: &RefName| {
                    let commit = local::resolve_local(&self.repo, name, now)?;
                    Ok((name.clone(), commit))
                };
                names.map(resolve).collect()
            }
        }
    }

    /// Finds the commits of refs and verifies them, without their content.
    pub(super) fn look_up(&self, job: &Job) -> Result<Vec<FoundSdk>, DeployError> {
        let refs = self.requested(job)?;
        let now = self.clock.now();
        let (source, keys) = match &job.origin {
            Origin::Remote(remote) => {
                let plan = self.pull(job, &refs, remote).plan(&self.repo)?;
                plan.check_limits()?;
                let found = plan.refs().iter().map(|planned| FoundSdk {
                    name: planned.name.clone(),
                    commit: planned.verified.clone(),
                    info: planned.info.clone(),
                    download: planned.download,
                });
                return Ok(found.collect());
            }
            Origin::Repo { path, keys } => (Some(Repo::open(path)?), keys.as_ref()),
            Origin::Local => (None, None),
        };
        require_no_digest(job)?;
        let complete = Completeness::of(&self.repo)?;
        let found = refs.into_iter().map(|(name, _)| {
            let commit = match &source {
                Some(source) => local::find(source, &name, keys, now)?,
                None => local::resolve_local(&self.repo, &name, now)?,
            };
            let info = CommitInfo::read(source.as_ref().unwrap_or(&self.repo), *commit.value())?;
            let download = match complete.is_complete(info.id)? {
                true => Download::Nothing,
                false => Download::Objects { tree: info.bytes },
            };
            Ok(FoundSdk {
                name,
                commit,
                info,
                download,
            })
        });
        found.collect()
    }

    fn pull(&self, job: &Job, refs: &[(RefName, Option<Sha256>)], remote: &str) -> Pull {
        let names = refs.iter().map(|(name, _)| name.clone());
        let pull = self
            .pull_from(remote, names)
            .expect_arch(Some(job.arch))
            .allow_downgrade(job.allow_downgrade);
        let pins = refs
            .iter()
            .filter_map(|(name, pin)| Some((name.clone(), (*pin)?)));
        pins.fold(pull, |pull, (name, pin)| pull.pin(name, pin))
    }

    fn pull_from(&self, remote: &str, names: impl IntoIterator<Item = RefName>) -> Pull {
        let auth = self.auth.get(remote).cloned();
        Pull::new(remote, names)
            .http(self.http.clone())
            .auth(auth.unwrap_or(RegistryAuth::Anonymous))
            .clock(self.clock.clone())
            .progress(self.progress.clone())
    }

    /// Returns the refs of a job, with the release that its rule selects. A ref whose last component
    /// is [`LATEST`] and that the origin does not have is replaced by the newest release.
    fn requested(&self, job: &Job) -> Result<Vec<(RefName, Option<Sha256>)>, DeployError> {
        let has_latest = job.refs.iter().any(|(name, _)| latest_of(name).is_some());
        if !has_latest && job.rule.is_none() {
            return Ok(job.refs.clone());
        }
        let offered: Vec<RefName> = match &job.origin {
            Origin::Remote(remote) => {
                let offered = self.pull_from(remote, []).list(&self.repo)?;
                offered.into_iter().map(|offered| offered.name).collect()
            }
            Origin::Repo { path, .. } => Repo::open(path)?.refs()?.into_keys().collect(),
            Origin::Local => self.repo.refs()?.into_keys().collect(),
        };
        let requested = job.refs.iter().map(|(name, pin)| {
            let found = match latest_of(name) {
                Some(prefix) => newest(name, prefix, &offered)
                    .ok_or_else(|| self.no_release(&job.origin, name))?,
                None => name.clone(),
            };
            Ok((found, *pin))
        });
        let mut requested = requested.collect::<Result<Vec<_>, DeployError>>()?;
        if let Some(rule) = &job.rule {
            let found = select_offered(rule, job.arch, &offered);
            requested.push((
                found.ok_or_else(|| not_offered(rule, job.arch, &offered))?,
                None,
            ));
        }
        Ok(requested)
    }

    /// Returns the error for an origin that has no release.
    fn no_release(&self, origin: &Origin, name: &RefName) -> DeployError {
        let name = name.clone();
        match origin {
            Origin::Local => DeployError::NoRemote {
                name,
                path: self.repo.path().to_owned(),
                nearest: Vec::new(),
            },
            _ => DeployError::NoRelease { name },
        }
    }
}

/// The last component of a ref that stands for the newest release.
const LATEST: &str = "latest";

/// Returns the prefix of a ref that stands for the newest release: `go-sdk/x86_64/`.
fn latest_of(name: &RefName) -> Option<&str> {
    let prefix = name.as_str().strip_suffix(LATEST)?;
    prefix.ends_with('/').then_some(prefix)
}

/// Returns the prefix of the refs of releases: `go-sdk/x86_64/`. Source: the default of `ref` in
/// treefiles.
fn release_prefix(arch: Arch) -> String {
    format!("go-sdk/{arch}/")
}

/// Returns the ref of the release that a rule selects.
fn select_offered(rule: &VersionRule, arch: Arch, offered: &[RefName]) -> Option<RefName> {
    let prefix = release_prefix(arch);
    let selected = rule.select_offered(&versions(&prefix, offered))?;
    format!("{prefix}{selected}").parse().ok()
}

/// Returns the error for a rule that no offered release fulfils.
fn not_offered(rule: &VersionRule, arch: Arch, offered: &[RefName]) -> DeployError {
    let mut offered = versions(&release_prefix(arch), offered);
    offered.retain(|version| !version.is_minor());
    offered.sort();
    let newest = offered.iter().rev().take(MAX_OFFERED).rev();
    DeployError::NotOffered {
        rule: rule.clone(),
        arch,
        newest: newest.map(ToString::to_string).collect(),
    }
}

/// The maximum number of versions that an error names.
const MAX_OFFERED: usize = 5;

/// Returns the versions in the refs with a prefix, and in the tags of images, which have none.
fn versions(prefix: &str, offered: &[RefName]) -> Vec<GoVersion> {
    let short = offered.iter().filter_map(|offered| {
        let text = offered.as_str();
        let tag = (!text.contains('/')).then_some(text);
        text.strip_prefix(prefix).or(tag)
    });
    short.filter_map(|version| version.parse().ok()).collect()
}

/// Returns the newest of the offered releases with a prefix. Channels, beta versions and release
/// candidates do not count, unless the ref itself is offered.
fn newest(name: &RefName, prefix: &str, offered: &[RefName]) -> Option<RefName> {
    let is_latest = |offered: &RefName| offered == name || offered.as_str() == LATEST;
    if offered.iter().any(is_latest) {
        return Some(name.clone());
    }
    let releases = versions(prefix, offered).into_iter();
    let releases = releases.filter(|version| !version.is_prerelease() && !version.is_minor());
    let newest = releases.max()?;
    format!("{prefix}{newest}").parse().ok()
}

/// Checks that no image digest is given, because only registries have images.
fn require_no_digest(job: &Job) -> Result<(), DeployError> {
    match job.refs.iter().find(|(_, pin)| pin.is_some()) {
        Some((name, _)) => Err(DeployError::NoImage { name: name.clone() }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn newest_of(offered: &[&str]) -> Option<String> {
        let name: RefName = "go-sdk/x86_64/latest".parse().unwrap();
        let offered: Vec<RefName> = offered.iter().map(|name| name.parse().unwrap()).collect();
        let found = newest(&name, latest_of(&name).unwrap(), &offered);
        found.map(|name| name.to_string())
    }

    #[test]
    fn the_latest_release_is_the_highest_version_for_the_architecture() {
        let offered = [
            "go-sdk/x86_64/1.26",
            "go-sdk/x86_64/1.26.9",
            "go-sdk/x86_64/1.26.10",
            "go-sdk/x86_64/1.27rc1",
            "go-sdk/aarch64/1.27.1",
            "go-sdk/layer/stdlib/1.99.1",
        ];
        assert_eq!(
            newest_of(&offered).as_deref(),
            Some("go-sdk/x86_64/1.26.10")
        );
        // The tags of images.
        let tags = ["1.26", "1.26.10", "1.27rc1"];
        assert_eq!(newest_of(&tags).as_deref(), Some("go-sdk/x86_64/1.26.10"));
        assert_eq!(
            newest_of(&["go-sdk/x86_64/1.27rc1", "go-sdk/x86_64/1.26"]),
            None
        );
    }

    #[test]
    fn a_rule_selects_a_release_for_the_architecture() {
        let offered = [
            "go-sdk/x86_64/1.26",
            "go-sdk/x86_64/1.26.9",
            "go-sdk/aarch64/1.27.1",
        ];
        let offered: Vec<RefName> = offered.iter().map(|name| name.parse().unwrap()).collect();
        let rule = VersionRule::AtLeast("1.26".to_owned());
        let found = select_offered(&rule, Arch::X86_64, &offered).unwrap();
        assert_eq!(found.as_str(), "go-sdk/x86_64/1.26.9");
        let rule = VersionRule::AtLeast("1.27".to_owned());
        assert_eq!(select_offered(&rule, Arch::X86_64, &offered), None);
        let error = not_offered(&rule, Arch::X86_64, &offered).to_string();
        assert_eq!(
            error,
            "the source offers no SDK for x86_64 that is go 1.27 or newer; its newest are 1.26.9"
        );
    }

    #[test]
    fn a_ref_with_the_name_latest_comes_first() {
        let offered = ["go-sdk/x86_64/latest", "go-sdk/x86_64/1.26.10"];
        assert_eq!(newest_of(&offered).as_deref(), Some("go-sdk/x86_64/latest"));
        let other = "go-sdk/x86_64/notlatest".parse().unwrap();
        assert_eq!(latest_of(&other), None);
    }
}
