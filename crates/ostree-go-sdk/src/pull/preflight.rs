//! Checks of the commits, before their content is fetched.

use super::bounds;
use super::commits::{self, FoundCommit};
use super::delta::Delta;
use super::image::{Image, Images};
use super::libostree;
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

/// A pull whose commits are checked, and whose content is not fetched yet.
#[derive(Debug)]
pub struct Preflight<'a> {
    pub(super) pull: &'a Pull,
    pub(super) repo: &'a Repo,
    pub(super) remote: Remote,
    pub(super) refs: Vec<PlannedRef>,
    pub(super) started: Instant,
    pub(super) origin: Origin,
    pub(super) cost: Cost,
    /// The number of bytes that libostree has fetched.
    pub(super) bytes: u64,
    /// The commits as received.
    pub(super) scratch: Scratch,
}

/// The kind of a remote, which determines how it is fetched from.
#[derive(Debug)]
pub(super) enum Origin {
    /// A repository on a web server.
    Server(Server),
    /// Images in a registry or on this machine.
    Images(Images),
    /// A repository on this machine, or one that only libostree can access.
    Libostree,
}

impl Origin {
    fn of(pull: &Pull, repo: &Repo, remote: &Remote) -> Result<Self, PullError> {
        let source = match &pull.image_source {
            Some(source) => Some(source.clone()),
            None => remote::image_source(repo, &remote.name)?,
        };
        let Some(source) = source else {
            if let Some(pin) = pull.pins.values().next() {
                return Err(PullError::NotAnImageSource {
                    remote: remote.name.clone(),
                    pin: crate::oci::format::digest(*pin),
                });
            }
            let server = Server::of(pull, repo, remote)?;
            return Ok(server.map_or(Self::Libostree, Self::Server));
        };
        let unsupported = [
            (!pull.subpaths.is_empty(), "subpaths"),
            (pull.pulls_all_refs(), "summary"),
        ];
        if let Some((_, feature)) = unsupported.into_iter().find(|(requested, _)| *requested) {
            let remote = remote.name.clone();
            return Err(PullError::UnsupportedByImages { remote, feature });
        }
        Images::open(pull, repo, remote, source).map(Self::Images)
    }
}

/// A temporary repository with the remote's URL and keys.
#[derive(Debug)]
pub(super) struct Scratch {
    pub(super) repo: Repo,
    _folder: ScratchFolder,
}

/// A ref of a pull.
#[derive(Debug)]
#[non_exhaustive]
pub struct PlannedRef {
    /// The ref's name on the remote.
    pub name: RefName,
    /// The verified commit that the remote's ref points to.
    pub verified: Verified<CommitId>,
    /// Information from the commit's metadata.
    pub info: CommitInfo,
    /// The commit that the local ref points to now.
    pub current: Option<CommitId>,
    /// The content that has to be downloaded.
    pub download: Download,
    pub(super) detached: glib::Variant,
    /// The verified parent commits that are pulled too, newest first.
    pub(super) history: Vec<CommitId>,
    pub(super) delta: Option<Delta>,
    pub(super) image: Option<Box<Image>>,
}

/// The download for a ref.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Download {
    /// Nothing: the commit is complete.
    Nothing,
    /// A static delta.
    Delta {
        /// The number of bytes to download.
        bytes: u64,
        /// The size of the new content on disk in bytes.
        unpacked: u64,
    },
    /// The missing layers of an image.
    Layers {
        /// The number of bytes to download.
        bytes: u64,
        /// The size of their content in bytes, some of which may exist in the repository.
        unpacked: u64,
    },
    /// The missing objects, one by one.
    Objects {
        /// The size of the whole tree in bytes, if the commit declares it. The download is smaller,
        /// because it is compressed and excludes existing objects.
        tree: Option<u64>,
    },
}

impl Download {
    /// Returns the number of bytes to download, if known in advance.
    #[must_use]
    pub const fn bytes(self) -> Option<u64> {
        match self {
            Self::Nothing => Some(0),
            Self::Delta { bytes, .. } | Self::Layers { bytes, .. } => Some(bytes),
            Self::Objects { .. } => None,
        }
    }

    /// Returns the maximum disk space that is needed in bytes, if known in advance.
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
        if pull.refs.is_empty() && pull.image_source.is_none() && !pull.pulls_all_refs() {
            return Err(PullError::NoRefs {
                remote: remote.name,
            });
        }
        let has_keys = remote::has_keyring(repo, &remote.name);
        if remote.verification == Verification::Signed && !has_keys {
            return Err(RemoteError::NoKeys { name: remote.name }.into());
        }
        let origin = Origin::of(pull, repo, &remote)?;
        let mut preflight = Self {
            scratch: create_scratch(repo, &remote, pull.progress.as_ref())?,
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
            let planned = preflight.check_commit(&name, found, &complete)?;
            preflight.refs.push(planned);
        }
        preflight.cost = Cost::of(&complete, &preflight.refs)?;
        Ok(preflight)
    }

    /// Returns the refs in the order in which they were requested.
    #[must_use]
    pub fn refs(&self) -> &[PlannedRef] {
        &self.refs
    }

    /// Returns the remote.
    #[must_use]
    pub fn remote(&self) -> &Remote {
        &self.remote
    }

    /// Returns the number of bytes received so far.
    pub(super) fn bytes_received(&self) -> u64 {
        match &self.origin {
            Origin::Server(server) => server.meter.bytes(),
            Origin::Images(images) => images.meter.bytes(),
            Origin::Libostree => self.bytes,
        }
    }

    pub(super) fn request(&self, targets: Vec<String>) -> libostree::Request<'_> {
        libostree::Request {
            remote: &self.remote.name,
            url: &self.remote.url,
            item: libostree::progress_item(self.pull),
            targets,
            commit_only: false,
            in_transaction: false,
            depth: 0,
            subpaths: &[],
            verify: false,
            bytes_before: self.bytes,
        }
    }

    /// Fetches the commits of the refs into the scratch repository.
    fn fetch_commits(&mut self) -> Result<Vec<(RefName, FoundCommit)>, PullError> {
        let (pull, scratch) = (self.pull, &self.scratch.repo);
        match &self.origin {
            Origin::Server(server) => commits::fetch(server, pull, self.repo, scratch),
            Origin::Images(images) if pull.image_source.is_some() => images.find_all(pull, scratch),
            Origin::Images(images) => {
                let names = pull.refs.iter();
                let found = names.map(|name| Ok((name.clone(), images.find(pull, name, scratch)?)));
                found.collect()
            }
            Origin::Libostree => self.commits_with_libostree(),
        }
    }

    fn commits_with_libostree(&mut self) -> Result<Vec<(RefName, FoundCommit)>, PullError> {
        let names = self.pull.refs.iter().map(ToString::to_string).collect();
        let mut request = self.request(names);
        request.commit_only = true;
        let fetched = libostree::run(self.pull, &self.scratch.repo, &request);
        let no_such_ref = |name: &RefName| PullError::NoSuchRef {
            name: name.clone(),
            url: self.remote.url.clone(),
        };
        let stats = fetched.map_err(|error| match &error {
            PullError::Transfer { source, .. } => {
                let message = source.message();
                if self.pull.pulls_all_refs() && message.contains("does not have a summary") {
                    return PullError::NoSummary {
                        remote: self.remote.name.clone(),
                        url: self.remote.url.clone(),
                    };
                }
                let missing = self.pull.refs.iter().find(|name| {
                    message.contains(&format!("No such branch '{name}'"))
                        || (error.kind() == ErrorKind::NotFound
                            && message.contains(&format!("/refs/heads/{name}:")))
                        || message.contains(&format!("Refspec '{name}' not found"))
                });
                missing.map_or(error, no_such_ref)
            }
            _ => error,
        })?;
        let scratch = &self.scratch.repo;
        let found = if self.pull.pulls_all_refs() {
            let found = scratch.refs()?.into_iter();
            found
                .map(|(name, commit)| (name, FoundCommit::new(commit)))
                .collect()
        } else {
            let found = self.pull.refs.iter().map(|name| {
                let fetched = format!("{}:{name}", self.remote.name);
                let commit = current_commit(scratch, &fetched)?.ok_or_else(|| no_such_ref(name))?;
                Ok((name.clone(), FoundCommit::new(commit)))
            });
            found.collect::<Result<_, PullError>>()?
        };
        self.bytes += stats.bytes;
        Ok(found)
    }

    /// Makes all checks of a commit that are possible without its content.
    fn check_commit(
        &self,
        name: &RefName,
        found: FoundCommit,
        complete: &Completeness<'_>,
    ) -> Result<PlannedRef, PullError> {
        let (commit, scratch) = (found.commit, &self.scratch.repo);
        let proof = self
            .proof(scratch, commit)
            .map_err(|source| self.signature_error(name, source))?;
        for parent in &found.history {
            self.proof(scratch, *parent)
                .map_err(|source| self.signature_error(name, source))?;
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
            // A layer for all architectures declares none.
            let is_any_arch = found.is_none() && info.kind == CommitKind::Layer;
            if !is_any_arch && found.as_deref() != Some(expected.basearch()) {
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
            current: current_commit(self.repo, &self.pull.local_name(name))?,
            download: self.download_of(&info, &found, complete)?,
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

    /// Returns the download for a commit.
    fn download_of(
        &self,
        info: &CommitInfo,
        found: &FoundCommit,
        complete: &Completeness<'_>,
    ) -> Result<Download, PullError> {
        if complete.is_complete(info.id)? {
            return Ok(Download::Nothing);
        }
        if let Some(image) = &found.image {
            let (bytes, unpacked) = Images::missing_bytes(complete, [&**image])?;
            // An archive has a header and padding for each file, so that small files need more than
            // their size.
            let allowed =
                bounds::max_unpacked(info.bytes.map(|size| size.saturating_add(size / 2)));
            if unpacked > allowed {
                return Err(PullError::Unsafe {
                    remote: self.remote.name.clone(),
                    url: self.remote.url.clone(),
                    problem: format!(
                        "its layers have {unpacked} bytes unpacked, but commit {} allows {allowed}",
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
        let (allowed, found) = (bounds::max_unpacked(info.bytes), download.unpacked());
        match found {
            Some(found) if found > allowed => Err(PullError::Unsafe {
                remote: self.remote.name.clone(),
                url: self.remote.url.clone(),
                problem: format!(
                    "the static delta {} has {found} bytes unpacked, but commit {} allows {allowed}",
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
            repo.verify(commit, &TrustedKeys::Remote(name.clone()))?
        };
        Ok(Proof {
            remote: name.clone(),
            signatures,
            unsigned,
            at: self.pull.clock.now(),
        })
    }

    pub(super) fn signature_error(&self, name: &RefName, source: sign::SignError) -> PullError {
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

/// Returns the commit that a ref or `REMOTE:REF` points to.
pub(super) fn current_commit(repo: &Repo, name: &str) -> Result<Option<CommitId>, RepoError> {
    let found = repo
        .as_ostree()
        .resolve_rev_ext(name, true, ostree::RepoResolveRevExtFlags::LOCAL_ONLY)
        .map_err(|source| repo.failed(&format!("read ref {name}"), source))?;
    Ok(found.and_then(|checksum| checksum.parse().ok()))
}

/// Creates a temporary repository with the remote's URL and keys.
fn create_scratch(
    repo: &Repo,
    remote: &Remote,
    progress: &dyn Progress,
) -> Result<Scratch, PullError> {
    let folder = repo.scratch_folder(progress)?;
    let io = |source| RepoError::Io {
        action: "create a folder in",
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
    // Connection options that `ostree remote add --set` may have set.
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
