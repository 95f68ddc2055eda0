//! Pulling commits from a remote.
//!
//! The commits are fetched first, without their content, into a temporary repository. Everything
//! that can be checked on a commit alone is checked there: its signature, the ref that it is bound
//! to, its architecture and its age. Then the content of exactly these commits is fetched in one
//! transaction of the repository, and checked against the commits before the transaction is
//! committed. No decision depends on other data from the server, for example on an unsigned
//! summary.

mod bounds;
mod commits;
mod contents;
mod delta;
mod error;
mod execute;
mod fetchers;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod image;
mod libostree;
mod libostree_error;
mod limits;
mod preflight;
mod receive;
mod server;
mod sweep;

pub use error::PullError;
pub use preflight::{Download, PlannedRef, Preflight};

use crate::arch::Arch;
use crate::clock::{Clock, SystemClock};
use crate::http::HttpOptions;
use crate::id::{CommitId, RefName, Sha256};
use crate::oci::image_source::{ImageSource, InvalidImageSource};
use crate::progress::{NoProgress, Progress};
use crate::registry::{ImageReference, RegistryAuth};
use crate::remote::{self, Remote, RemoteError, Verification};
use crate::repo::Repo;
use crate::setters::setters;
use crate::sign::Verified;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A pull of refs from a remote, with the conditions that the commits have to meet.
#[derive(Clone)]
pub struct Pull {
    remote: String,
    refs: Vec<RefName>,
    /// The image source of [`Pull::image`]; `None` for a configured remote.
    image_source: Option<ImageSource>,
    pins: BTreeMap<RefName, Sha256>,
    expect_arch: Option<Arch>,
    allow_downgrade: bool,
    depth: i32,
    subpaths: Vec<String>,
    mirror: bool,
    commit_metadata_only: bool,
    deltas: bool,
    max_bytes: Option<u64>,
    http: HttpOptions,
    auth: RegistryAuth,
    clock: Arc<dyn Clock>,
    progress: Arc<dyn Progress>,
}

impl fmt::Debug for Pull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pull")
            .field("remote", &self.remote)
            .field("refs", &self.refs)
            .finish_non_exhaustive()
    }
}

/// The result of a pull.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Pulled {
    /// The refs with the commits that they point to now, in the order in which the refs were
    /// requested.
    pub commits: Vec<(RefName, Verified<CommitId>)>,
    /// Bytes received over the network. Transfers from `file` URLs are not counted.
    pub bytes: u64,
    /// The refs of the images' layers, with the commits that they point to.
    pub layers: Vec<(RefName, CommitId)>,
    /// The number of objects that were fetched or imported one by one, plus the number of delta
    /// parts. For images, the number of objects that were not in the repository before.
    pub objects: u64,
    /// Set if at least one part of a static delta was applied.
    pub used_delta: bool,
    /// The duration of the pull, from preflight to commit.
    pub elapsed: Duration,
}

impl Pull {
    /// Creates a pull of refs from the named remote. Duplicate refs are ignored. An empty list is
    /// an error in [`Pull::preflight`], except for a [mirror](Pull::mirror).
    #[must_use]
    pub fn new(remote: impl Into<String>, refs: impl IntoIterator<Item = RefName>) -> Self {
        let mut refs: Vec<RefName> = refs.into_iter().collect();
        let mut seen = std::collections::BTreeSet::new();
        refs.retain(|name| seen.insert(name.clone()));
        Self {
            remote: remote.into(),
            refs,
            image_source: None,
            pins: BTreeMap::new(),
            expect_arch: None,
            allow_downgrade: false,
            depth: 0,
            subpaths: Vec::new(),
            mirror: false,
            commit_metadata_only: false,
            deltas: true,
            max_bytes: None,
            http: HttpOptions::new(),
            auth: RegistryAuth::Anonymous,
            clock: Arc::new(SystemClock),
            progress: Arc::new(NoProgress),
        }
    }

    /// Creates a pull of the commits in an image, or in all images of an index. The source is
    /// written as `oci:FOLDER[:TAG]`, `oci-archive:FILE[:TAG]`,
    /// `docker://REGISTRY/NAME[:TAG][@sha256:DIGEST]`, or the last form with `oci+https://` instead
    /// of `docker://`, or `oci+http://` for an unencrypted connection over a trusted network.
    ///
    /// The refs are taken from the images' annotations and are stored as local refs. Signatures are
    /// not verified. [`Pull::verified_by`] changes both.
    ///
    /// # Errors
    /// Returns an error if the text is not a valid image source.
    pub fn image(source: &str) -> Result<Self, InvalidImageSource> {
        let source = ImageSource::parse(source)?;
        let mut pull = Self::new(source.to_string(), []).mirror(true);
        pull.image_source = Some(source);
        Ok(pull)
    }

    /// Verifies the commits of an [image](Pull::image) with the keys of a remote, and stores the
    /// refs as refs of that remote.
    #[must_use]
    pub fn verified_by(mut self, remote: impl Into<String>) -> Self {
        self.remote = remote.into();
        self.mirror = false;
        self
    }

    /// Pulls the image with this digest for a ref, even if its tag points to another image.
    /// Default: the image that the tag points to.
    #[must_use]
    pub fn pin(mut self, name: RefName, digest: Sha256) -> Self {
        self.pins.insert(name, digest);
        self
    }

    /// Refuses commits that are not for this architecture. Default: every architecture is accepted.
    #[must_use]
    pub fn expect_arch(mut self, arch: Option<Arch>) -> Self {
        self.expect_arch = arch;
        self
    }

    /// Accepts a commit that is older than the one that the local ref points to. Default: no.
    #[must_use]
    pub fn allow_downgrade(mut self, allow: bool) -> Self {
        self.allow_downgrade = allow;
        self
    }

    /// Sets how many parents of each commit to fetch as well; -1 for all. Default: 0.
    #[must_use]
    pub fn depth(mut self, depth: i32) -> Self {
        self.depth = depth.max(-1);
        self
    }

    /// Fetches only these paths of the tree and everything below them. The commits stay partial and
    /// cannot be checked out as a whole. Default: the whole tree.
    #[must_use]
    pub fn subpaths(mut self, paths: impl IntoIterator<Item = String>) -> Self {
        // libostree expects absolute paths.
        self.subpaths = paths
            .into_iter()
            .map(|path| format!("/{}", path.trim_matches('/')))
            .collect();
        self
    }

    /// Updates local refs instead of the remote's refs, as for a mirror. If no ref was given, every
    /// ref in the remote's summary is pulled, and the summary and its signature are copied into the
    /// repository. Refs that were deleted on the remote are kept locally. Default: no.
    #[must_use]
    pub fn mirror(mut self, mirror: bool) -> Self {
        self.mirror = mirror;
        self
    }

    /// Fetches only the commits and their signatures, and updates no refs. Default: no.
    #[must_use]
    pub fn commit_metadata_only(mut self, only: bool) -> Self {
        self.commit_metadata_only = only;
        self
    }

    /// Enables the use of static deltas. Default: yes.
    #[must_use]
    pub fn deltas(mut self, deltas: bool) -> Self {
        self.deltas = deltas;
        self
    }

    /// Sets the maximum number of bytes to download. If the sizes are known from static deltas or
    /// image layers, a larger download fails before it starts; content that several refs share is
    /// counted once. Otherwise the pull fails as soon as the limit is exceeded. Default: no limit.
    #[must_use]
    pub fn max_bytes(mut self, bytes: Option<u64>) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets the HTTP options. The remote's own options for proxy and certificates (`proxy`,
    /// `tls-ca-path`, `tls-client-cert-path`, `tls-client-key-path`, `tls-permissive`) take
    /// precedence. Default: [`HttpOptions::new`].
    #[must_use]
    pub fn http(mut self, options: HttpOptions) -> Self {
        self.http = options;
        self
    }

    /// Sets the registry credentials, which are used if the URL contains none. Default: anonymous
    /// access.
    #[must_use]
    pub fn auth(mut self, auth: RegistryAuth) -> Self {
        self.auth = auth;
        self
    }

    /// Returns the registry repository of an [image](Pull::image) for which credentials have to be
    /// provided with [`Pull::auth`]; `None` if there is no registry, or if the image source
    /// contains credentials.
    #[must_use]
    pub fn registry(&self) -> Option<&ImageReference> {
        self.image_source.as_ref()?.unknown_registry()
    }

    /// Returns the source of an [image](Pull::image), without credentials.
    #[must_use]
    pub fn image_source(&self) -> Option<String> {
        self.image_source.as_ref().map(ToString::to_string)
    }

    setters! {
        /// Provides the time that is recorded in a [proof](crate::Proof). Default: [`SystemClock`].
        clock;
        /// Receives progress events. Default: [`NoProgress`].
        progress;
    }

    /// Fetches the commits and checks them. Nothing is written into the repository.
    ///
    /// # Errors
    /// Returns an error if the remote is not configured, cannot be reached or does not have a
    /// requested ref, or if a commit is refused: because it is not signed by a trusted key, is not
    /// bound to the ref, is for another architecture, or is older than the current commit of the
    /// ref.
    pub fn preflight<'a>(&'a self, repo: &'a Repo) -> Result<Preflight<'a>, PullError> {
        Preflight::new(self, repo)
    }

    /// Returns the configured remote, or an unsigned one that represents the image source.
    fn remote(&self, repo: &Repo) -> Result<Remote, RemoteError> {
        match &self.image_source {
            Some(source) if source.to_string() == self.remote => Ok(Remote {
                name: self.remote.clone(),
                url: self.remote.clone(),
                verification: Verification::Unsigned,
            }),
            _ => remote::get(repo, &self.remote),
        }
    }

    /// Returns true if every ref of the remote is to be pulled.
    fn pulls_all_refs(&self) -> bool {
        self.mirror && self.refs.is_empty() && self.image_source.is_none()
    }

    /// Returns the local name of a ref.
    fn local_name(&self, name: &RefName) -> String {
        if self.mirror {
            name.to_string()
        } else {
            format!("{}:{name}", self.remote)
        }
    }
}
