//! What is checked before anything is fetched but the commits.

use super::bounds;
use super::commits::{self, Found};
use super::delta::Delta;
use super::image::{Image, Images};
use super::libostree::{self, item};
use super::limits::Cost;
use super::server::Server;
use super::{Pull, PullError};
use crate::catalog::{CommitInfo, CommitKind};
use crate::id::{CommitId, RefName};
use crate::kind::ErrorKind;
use crate::metadata as keys;
use crate::object::sorted_dict;
use crate::progress::Progress;
use crate::remote::{self, Remote, RemoteError, Verification};
use crate::repo::{Completeness, Repo, RepoError, RepoMode, ScratchFolder};
use crate::sign::{self, Proof, TrustedKeys, Verified};
use std::time::Instant;

/// What a pull would fetch; checked, and not fetched yet.
#[derive(Debug)]
pub struct Preflight<'a> {
    pub(super) pull: &'a Pull,
    pub(super) repo: &'a Repo,
    pub(super) remote: Remote,
    pub(super) refs: Vec<PlannedRef>,
    pub(super) started: Instant,
    pub(super) origin: Origin,
    pub(super) cost: Cost,
    /// Bytes that libostree has fetched.
    pub(super) bytes: u64,
    /// The commits, as they came.
    pub(super) scratch: Scratch,
}

/// What a remote is, and who fetches from it.
#[derive(Debug)]
pub(super) enum Origin {
    /// A repository on a web server.
    Server(Server),
    /// Images in a registry or on this machine.
    Images(Images),
    /// A repository on this machine, or one that only libostree knows the way to.
    Libostree,
}

impl Origin {
    fn of(pull: &Pull, repo: &Repo, remote: &Remote) -> Result<Self, PullError> {
        let place = match &pull.place {
            Some(place) => Some(place.clone()),
            None => remote::image_source(repo, &remote.name)?,
        };
        let Some(place) = place else {
            if let Some(pin) = pull.pins.values().next() {
                return Err(PullError::NoImages {
                    remote: remote.name.clone(),
                    pin: crate::oci::format::digest(*pin),
                });
            }
            let server = Server::of(pull, repo, remote)?;
            return Ok(server.map_or(Self::Libostree, Self::Server));
        };
        let lacks = [
            (!pull.subpaths.is_empty(), "subpaths"),
            (pull.takes_all(), "summary"),
        ];
        if let Some((_, what)) = lacks.into_iter().find(|(asked, _)| *asked) {
            let remote = remote.name.clone();
            return Err(PullError::ImagesOnly { remote, what });
        }
        Images::at(pull, repo, remote, place).map(Self::Images)
    }
}

/// A temporary repository, with the remote's address and keys.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) repo: Repo,
    _folder: ScratchFolder,
}

/// One ref of a pull.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlannedRef {
    /// The ref, as the remote has it.
    pub name: RefName,
    /// The commit on it, checked.
    pub verified: Verified<CommitId>,
    /// What the commit says.
    pub info: CommitInfo,
    /// The commit that the ref names here now.
    pub current: Option<CommitId>,
    /// What is left to download.
    pub download: Download,
    pub(super) detached: glib::Variant,
    /// The commits before it that are wanted too, checked, newest first.
    pub(super) history: Vec<CommitId>,
    pub(super) delta: Option<Delta>,
    pub(super) image: Option<Box<Image>>,
}

/// How much there is to download for a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Download {
    /// Nothing: the whole commit is there.
    Nothing,
    /// A static delta.
    Delta {
        /// Bytes over the network.
        bytes: u64,
        /// Bytes of new content on the disk.
        unpacked: u64,
    },
    /// The layers of an image that are not there.
    Layers {
        /// Bytes over the network.
        bytes: u64,
        /// Bytes of their content, of which some may be there.
        unpacked: u64,
    },
    /// The objects that are not there, one by one.
    Objects {
        /// Bytes of the whole tree, as the commit says; the download is compressed and leaves
        /// out what is there already.
        tree: Option<u64>,
    },
}

impl Download {
    /// Bytes over the network, as far as that is known before.
    #[must_use]
    pub const fn bytes(self) -> Option<u64> {
        match self {
            Self::Nothing => Some(0),
            Self::Delta { bytes, .. } | Self::Layers { bytes, .. } => Some(bytes),
            Self::Objects { .. } => None,
        }
    }

    /// Bytes that may be needed on the disk, as far as that is known before.
    #[must_use]
    pub const fn unpacked(self) -> Option<u64> {
        match self {
            Self::Nothing => Some(0),
            Self::Delta { unpacked, .. } | Self::Layers { unpacked, .. } => Some(unpacked),
            Self::Objects { tree } => tree,
        }
    }
}

impl<'a> Preflight<'a> {
    pub(super) fn new(pull: &'a Pull, repo: &'a Repo) -> Result<Self, PullError> {
        let started = Instant::now();
        let remote = pull.remote(repo)?;
        if pull.refs.is_empty() && pull.place.is_none() && !pull.takes_all() {
            return Err(PullError::NoRefs {
                remote: remote.name,
            });
        }
        let keyed = remote::has_keyring(repo, &remote.name);
        if remote.verification == Verification::Signed && !keyed {
            return Err(RemoteError::NoKeys { name: remote.name }.into());
        }
        let origin = Origin::of(pull, repo, &remote)?;
        let mut preflight = Self {
            scratch: scratch(repo, &remote, pull.progress.as_ref())?,
            pull,
            repo,
            remote,
            refs: Vec::new(),
            started,
            origin,
            cost: Cost::default(),
            bytes: 0,
        };
        let found = preflight.fetch_commits()?;
        let complete = Completeness::of(repo)?;
        for (name, found) in found {
            let planned = preflight.look(&name, found, &complete)?;
            preflight.refs.push(planned);
        }
        preflight.cost = Cost::of(&complete, &preflight.refs)?;
        Ok(preflight)
    }

    /// The refs, in the order they were asked for.
    #[must_use]
    pub fn refs(&self) -> &[PlannedRef] {
        &self.refs
    }

    /// The remote.
    #[must_use]
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Bytes that have come so far.
    pub(super) fn arrived(&self) -> u64 {
        match &self.origin {
            Origin::Server(server) => server.meter.bytes(),
            Origin::Images(images) => images.meter.bytes(),
            Origin::Libostree => self.bytes,
        }
    }

    pub(super) fn request(&self, what: Vec<String>) -> libostree::Request<'_> {
        libostree::Request {
            remote: &self.remote.name,
            url: &self.remote.url,
            item: item(self.pull),
            what,
            commit_only: false,
            in_transaction: false,
            depth: 0,
            subpaths: &[],
            verify: false,
            before: self.bytes,
        }
    }

    /// Fetches the commits on the refs into the scratch repository.
    fn fetch_commits(&mut self) -> Result<Vec<(RefName, Found)>, PullError> {
        let (pull, scratch) = (self.pull, &self.scratch.repo);
        match &self.origin {
            Origin::Server(server) => commits::fetch(server, pull, self.repo, scratch),
            Origin::Images(images) if pull.place.is_some() => images.all(pull, scratch),
            Origin::Images(images) => {
                let names = pull.refs.iter();
                let found = names.map(|name| Ok((name.clone(), images.find(pull, name, scratch)?)));
                found.collect()
            }
            Origin::Libostree => self.commits_by_libostree(),
        }
    }

    fn commits_by_libostree(&mut self) -> Result<Vec<(RefName, Found)>, PullError> {
        let names = self.pull.refs.iter().map(ToString::to_string).collect();
        let mut request = self.request(names);
        request.commit_only = true;
        let fetched = libostree::run(self.pull, &self.scratch.repo, &request);
        let no_such = |name: &RefName| PullError::NoSuchRef {
            name: name.clone(),
            url: self.remote.url.clone(),
        };
        let stats = fetched.map_err(|error| match &error {
            PullError::Transfer { source, .. } => {
                let said = source.message();
                if self.pull.takes_all() && said.contains("does not have a summary") {
                    return PullError::NoSummary {
                        remote: self.remote.name.clone(),
                        url: self.remote.url.clone(),
                    };
                }
                let missing = self.pull.refs.iter().find(|name| {
                    said.contains(&format!("No such branch '{name}'"))
                        || (error.kind() == ErrorKind::NotFound
                            && said.contains(&format!("/refs/heads/{name}:")))
                        || said.contains(&format!("Refspec '{name}' not found"))
                });
                missing.map_or(error, no_such)
            }
            _ => error,
        })?;
        let scratch = &self.scratch.repo;
        let found = if self.pull.takes_all() {
            let found = scratch.refs()?.into_iter();
            found
                .map(|(name, commit)| (name, Found::commit(commit)))
                .collect()
        } else {
            let found = self.pull.refs.iter().map(|name| {
                let fetched = format!("{}:{name}", self.remote.name);
                let commit = current(scratch, &fetched)?.ok_or_else(|| no_such(name))?;
                Ok((name.clone(), Found::commit(commit)))
            });
            found.collect::<Result<_, PullError>>()?
        };
        self.bytes += stats.bytes;
        Ok(found)
    }

    /// Checks everything a commit can be checked for before its content is there.
    fn look(
        &self,
        name: &RefName,
        found: Found,
        complete: &Completeness<'_>,
    ) -> Result<PlannedRef, PullError> {
        let (commit, scratch) = (found.commit, &self.scratch.repo);
        let proof = self
            .proof(scratch, commit)
            .map_err(|source| self.refused(name, source))?;
        for before in &found.history {
            self.proof(scratch, *before)
                .map_err(|source| self.refused(name, source))?;
        }
        let parsed = scratch.commit(commit)?;
        let metadata = &parsed.metadata;
        let bound: Vec<String> = metadata
            .get(keys::OSTREE_REF_BINDING)
            .and_then(glib::Variant::get)
            .unwrap_or_default();
        if !bound.iter().any(|bound| bound == name.as_str()) {
            return Err(PullError::RefBinding {
                name: name.clone(),
                remote: self.remote.name.clone(),
                commit,
                found: bound,
            });
        }
        let info = CommitInfo::read(scratch, commit)?;
        if let Some(expected) = self.pull.expect_arch {
            let found = metadata
                .get(keys::OSTREE_ARCHITECTURE)
                .and_then(glib::Variant::get::<String>);
            // A layer that is for every architecture says none.
            let any = found.is_none() && info.kind == CommitKind::Layer;
            if !any && found.as_deref() != Some(expected.basearch()) {
                return Err(PullError::Arch {
                    name: name.clone(),
                    remote: self.remote.name.clone(),
                    commit,
                    found,
                    expected,
                });
            }
        }
        let planned = PlannedRef {
            name: name.clone(),
            verified: Verified::new(commit, proof),
            current: current(self.repo, &self.pull.local_name(name))?,
            download: self.measure(&info, &found, complete)?,
            detached: sorted_dict(&scratch.detached(commit)?),
            history: found.history,
            delta: found.delta,
            image: found.image,
            info,
        };
        self.check_age(&planned, planned.current)?;
        Ok(planned)
    }

    pub(super) fn check_age(
        &self,
        planned: &PlannedRef,
        current: Option<CommitId>,
    ) -> Result<(), PullError> {
        let commit = *planned.verified.value();
        let Some(current) = current.filter(|current| *current != commit) else {
            return Ok(());
        };
        if self.pull.allow_downgrade {
            return Ok(());
        }
        let expected = self.repo.commit(current)?.timestamp;
        if planned.info.timestamp >= expected {
            return Ok(());
        }
        Err(PullError::Older {
            name: planned.name.clone(),
            commit,
            found: planned.info.timestamp,
            current,
            expected,
        })
    }

    /// Returns how much there is to download of a commit.
    fn measure(
        &self,
        info: &CommitInfo,
        found: &Found,
        complete: &Completeness<'_>,
    ) -> Result<Download, PullError> {
        if complete.is_complete(info.id)? {
            return Ok(Download::Nothing);
        }
        if let Some(image) = &found.image {
            let (bytes, unpacked) = Images::missing(complete, [&**image])?;
            // A header and padding for each file: a small one takes more than its own size.
            let allowed = bounds::allowed(info.bytes.map(|size| size.saturating_add(size / 2)));
            if unpacked > allowed {
                return Err(PullError::Unsafe {
                    remote: self.remote.name.clone(),
                    url: self.remote.url.clone(),
                    problem: format!(
                        "its layers make {unpacked} bytes, and commit {} allows {allowed}",
                        info.id
                    ),
                });
            }
            return Ok(Download::Layers { bytes, unpacked });
        }
        let Some(delta) = &found.delta else {
            return Ok(Download::Objects { tree: info.bytes });
        };
        let download = delta.download();
        let (allowed, found) = (bounds::allowed(info.bytes), download.unpacked());
        match found {
            Some(found) if found > allowed => Err(PullError::Unsafe {
                remote: self.remote.name.clone(),
                url: self.remote.url.clone(),
                problem: format!(
                    "the static delta {} makes {found} bytes, and commit {} allows {allowed}",
                    delta.name, info.id
                ),
            }),
            _ => Ok(download),
        }
    }

    pub(super) fn proof(&self, repo: &Repo, commit: CommitId) -> Result<Proof, sign::SignError> {
        let name = &self.remote.name;
        let unsigned = self.remote.verification == Verification::Unsigned;
        let signatures = if unsigned {
            Vec::new()
        } else {
            sign::verify(repo, commit, &TrustedKeys::Remote(name.clone()))?
        };
        Ok(Proof {
            remote: name.clone(),
            signatures,
            unsigned,
            at: self.pull.clock.now(),
        })
    }

    pub(super) fn refused(&self, name: &RefName, source: sign::SignError) -> PullError {
        match source {
            sign::SignError::Repo(error) => error.into(),
            source => PullError::Signature {
                name: name.clone(),
                remote: self.remote.name.clone(),
                source: Box::new(source),
            },
        }
    }
}

/// The commit that a ref or `REMOTE:REF` names.
pub(super) fn current(repo: &Repo, name: &str) -> Result<Option<CommitId>, RepoError> {
    let found = repo
        .as_ostree()
        .resolve_rev_ext(name, true, ostree::RepoResolveRevExtFlags::LOCAL_ONLY)
        .map_err(|source| repo.failed(&format!("read ref {name}"), source))?;
    Ok(found.and_then(|checksum| checksum.parse().ok()))
}

/// Makes a temporary repository with the remote's address and keys.
fn scratch(repo: &Repo, remote: &Remote, progress: &dyn Progress) -> Result<Scratch, PullError> {
    let folder = repo.scratch_folder(progress)?;
    let io = |source| RepoError::Io {
        action: "make a folder in",
        path: folder.path().to_owned(),
        source,
    };
    let scratch = Repo::create_temporary(&folder.path().join("repo"), RepoMode::BareUserOnly)?;
    let name = &remote.name;
    if !remote::exists(repo, name) {
        return Ok(Scratch {
            repo: scratch,
            _folder: folder,
        });
    }
    let options = glib::VariantDict::new(None);
    options.insert("gpg-verify", false);
    // What `ostree remote add --set` may have set about the way there.
    for key in [
        "proxy",
        "tls-permissive",
        "tls-ca-path",
        "tls-client-cert-path",
        "tls-client-key-path",
        "http2",
    ] {
        if let Ok(Some(value)) = repo.as_ostree().remote_option(name, key, None) {
            options.insert(key, value.as_str());
        }
    }
    repo.as_ostree()
        .remote_get_url(name)
        .and_then(|url| {
            let options = options.end();
            let scratch = scratch.as_ostree();
            scratch.remote_add(name, Some(&url), Some(&options), gio::Cancellable::NONE)
        })
        .map_err(|source| repo.failed(&format!("read remote `{name}`"), source))?;
    if remote.verification == Verification::Signed {
        let keyring = remote::keyring_path(&scratch, name);
        std::fs::copy(remote::keyring_path(repo, name), keyring).map_err(io)?;
    }
    Ok(Scratch {
        repo: scratch,
        _folder: folder,
    })
}
