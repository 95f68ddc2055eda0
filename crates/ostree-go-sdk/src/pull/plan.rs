//! The plan of a pull: the checked commits, and the size of their content.

use super::check;
use super::http::WebRepository;
use super::image::Images;
use super::libostree::Libostree;
use super::offered::{self, OfferedRef};
use super::origin::{FoundCommit, Origin};
use super::planned::{Cost, Download, PlannedRef, PlannedStdCaches, RefusedRef, deduplicated};
use super::session::Session;
use super::{Pull, PullError};
use crate::catalog::CommitInfo;
use crate::golang::std_cache::{StdCacheId, std_cache_ref};
use crate::id::RefName;
use crate::kind::ErrorKind;
use crate::object::sorted_dict;
use crate::oci::format;
use crate::remote::{self, Remote};
use crate::repo::{Completeness, Repo, RepoError};
use crate::sign::Verified;

/// The refs of a pull. Their commits are checked, and their content is not fetched yet.
#[derive(Debug)]
pub struct PullPlan {
    pub(super) session: Session,
    pub(super) origin: Box<dyn Origin>,
    refs: Vec<PlannedRef>,
    refused: Vec<RefusedRef>,
    std_caches: Vec<PlannedStdCaches>,
    cost: Cost,
}

impl Pull {
    /// Fetches the commits and checks them. Nothing is written into the repository.
    ///
    /// # Errors
    /// Returns an error if the remote is not configured, cannot be reached or does not have a
    /// requested ref, or if a commit is refused: because it is not signed by a trusted key, is not
    /// bound to the ref, is for another architecture, or is older than the current commit of the
    /// ref. A [mirror](Pull::mirror) of all refs leaves out refused refs, unless all are refused.
    pub fn plan(&self, repo: &Repo) -> Result<PullPlan, PullError> {
        PullPlan::new(self, repo)
    }
}

impl Pull {
    /// Returns the refs that the remote offers, sorted by name and version: those of its summary, or
    /// the tags of its images. The refs and conditions of the pull do not matter.
    ///
    /// # Errors
    /// Returns an error if the remote is not configured, cannot be reached, or has no summary.
    pub fn list(&self, repo: &Repo) -> Result<Vec<OfferedRef>, PullError> {
        let mut options = self.clone();
        (options.mirror, options.subpaths) = (false, Vec::new());
        options.pins.clear();
        let mut offered = open_origin(&Session::for_listing(&options, repo)?)?.offered()?;
        offered.sort_by(|a, b| offered::order(&a.name).cmp(&offered::order(&b.name)));
        Ok(offered)
    }
}

impl PullPlan {
    fn new(pull: &Pull, repo: &Repo) -> Result<Self, PullError> {
        let session = Session::start(pull, repo)?;
        let mut origin = open_origin(&session)?;
        let found = origin.find_commits()?;
        let complete = Completeness::of(repo)?;
        let (mut refs, mut refused) = (Vec::new(), Vec::new());
        for found in found {
            let name = found.name.clone();
            match plan_ref(&session, origin.as_ref(), found, &complete) {
                Ok(planned) => refs.push(planned),
                Err(error) if pull.pulls_all_refs() && error.kind() == ErrorKind::Mismatch => {
                    refused.push(RefusedRef { name, error });
                }
                Err(error) => return Err(error),
            }
        }
        if refs.is_empty() && !refused.is_empty() {
            return Err(refused.swap_remove(0).error);
        }
        let std_caches = plan_std_caches(&session, origin.as_mut(), &mut refs, &complete)?;
        let cost = origin.cost(&deduplicated(&refs), &complete)?;
        Ok(Self {
            session,
            origin,
            refs,
            refused,
            std_caches,
            cost,
        })
    }

    /// Returns the refs in the order in which they were requested, and after them the refs of the
    /// std caches.
    #[must_use]
    pub fn refs(&self) -> &[PlannedRef] {
        &self.refs
    }

    /// Returns the std caches of the releases and channels for which some were requested.
    pub(crate) fn std_caches(&self) -> &[PlannedStdCaches] {
        &self.std_caches
    }

    /// Returns the refs that are not pulled because their commits were refused. Only a
    /// [mirror](Pull::mirror) of all refs continues without them; they are left as they are.
    #[must_use]
    pub fn refused(&self) -> &[RefusedRef] {
        &self.refused
    }

    /// Returns the remote; `None` for an [image](Pull::image) that no remote verifies.
    #[must_use]
    pub fn remote(&self) -> Option<&Remote> {
        self.session.remote.as_ref()
    }

    /// Returns the number of bytes to download, if it is known from static deltas or image layers.
    /// Content that several refs share counts once.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.cost.is_known.then_some(self.cost.bytes)
    }

    /// Checks the size of the download against the caller's limit and the free disk space.
    ///
    /// # Errors
    /// Returns an error if the size according to static deltas or image layers exceeds
    /// [`Pull::max_bytes`], or the file system of the repository has less free space than the new
    /// content needs.
    pub fn check_limits(&self) -> Result<(), PullError> {
        let options = &self.session.options;
        let found = self.cost.bytes;
        if let Some(limit) = options.max_bytes.filter(|limit| found > *limit) {
            return Err(PullError::TooLarge {
                remote: self.session.label().to_owned(),
                found,
                limit,
            });
        }
        // Part of a tree needs less space, and the amount is unknown.
        if !options.subpaths.is_empty() {
            return Ok(());
        }
        let path = self.session.repo.path();
        let free = rustix::fs::statvfs(path).map_err(|error| RepoError::Io {
            action: "get the free space of",
            path: path.to_owned(),
            source: error.into(),
        })?;
        let available = free.f_bavail.saturating_mul(free.f_frsize);
        let needed = self.cost.unpacked;
        if needed > available {
            return Err(PullError::NoSpace {
                path: path.to_owned(),
                available,
                needed,
            });
        }
        Ok(())
    }
}

/// Opens the origin of a pull: the images that the caller or the remote names, or the repository of
/// the remote, through libostree if only that can access it.
fn open_origin(session: &Session) -> Result<Box<dyn Origin>, PullError> {
    let source = match (session.options.requested_image(), &session.remote) {
        (Some(image), _) => Some(image.clone()),
        (None, Some(remote)) => remote::image_source(&session.repo, &remote.name)?,
        (None, None) => None,
    };
    if let Some(source) = source {
        return Ok(Box::new(Images::open(session.clone(), source)?));
    }
    if let Some(pin) = session.options.pins.values().next() {
        return Err(PullError::NotAnImageSource {
            remote: session.label().to_owned(),
            pin: format::digest(*pin),
        });
    }
    Ok(match WebRepository::open(session.clone())? {
        Some(repository) => Box::new(repository),
        None => Box::new(Libostree::new(session.clone())),
    })
}

/// Checks a commit, and determines its download.
fn plan_ref(
    session: &Session,
    origin: &dyn Origin,
    found: FoundCommit,
    complete: &Completeness<'_>,
) -> Result<PlannedRef, PullError> {
    let FoundCommit {
        name,
        commit,
        history,
    } = found;
    let scratch = &session.scratch.repo;
    let proof = check::signatures(session, scratch, &name, commit)?;
    for parent in &history {
        check::signatures(session, scratch, &name, *parent)?;
    }
    let metadata = scratch.commit(commit)?.metadata;
    check::ref_binding(session, &name, commit, &metadata)?;
    let info = CommitInfo::read(scratch, commit)?;
    check::architecture(session, &name, &info, &metadata)?;
    let current = session.current(&name)?;
    let download = match complete.is_complete(commit)? {
        true => Download::Nothing,
        false => origin.download(&info, complete)?,
    };
    let detached = sorted_dict(&scratch.detached(commit)?);
    check::age(session, &name, &info, current)?;
    Ok(PlannedRef {
        verified: Verified::new(commit, proof),
        name,
        info,
        current,
        download,
        detached,
        history,
    })
}

/// Finds the std caches of the planned releases, and plans those that are requested and offered.
fn plan_std_caches(
    session: &Session,
    origin: &mut dyn Origin,
    refs: &mut Vec<PlannedRef>,
    complete: &Completeness<'_>,
) -> Result<Vec<PlannedStdCaches>, PullError> {
    let mut all = Vec::new();
    for (of, wanted) in &session.options.std_caches {
        let release = refs.iter().find(|planned| planned.name == *of);
        let Some(version) = release.and_then(|release| release.info.version.clone()) else {
            continue;
        };
        // A version that no ref can contain has no std cache.
        let known = StdCacheId::all().into_iter();
        let known = known.filter_map(|id| Some((id, std_cache_ref(of, &version, id).ok()?)));
        let known: Vec<(StdCacheId, RefName)> = known.collect();
        let names: Vec<RefName> = known.iter().map(|(_, name)| name.clone()).collect();
        let existing = origin.existing(&names)?;
        let mut offered = known;
        offered.retain(|(_, name)| existing.contains(name));
        let pulled = offered.iter().filter(|(id, _)| wanted.contains(id));
        let pulled: Vec<_> = pulled.cloned().collect();
        let new = pulled.iter().map(|(_, name)| name);
        // A release and a channel of the same version share their std caches.
        let new = new.filter(|name| refs.iter().all(|planned| planned.name != **name));
        let new: Vec<RefName> = new.cloned().collect();
        if !new.is_empty() {
            for found in origin.find_more(&new)? {
                refs.push(plan_ref(session, origin, found, complete)?);
            }
        }
        all.push(PlannedStdCaches {
            of: of.clone(),
            offered: offered.into_iter().map(|(id, _)| id).collect(),
            pulled,
        });
    }
    Ok(all)
}
