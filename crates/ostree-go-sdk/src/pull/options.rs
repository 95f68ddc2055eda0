//! The options of a pull.

use crate::arch::Arch;
use crate::clock::{Clock, SystemClock};
use crate::fs::path::TreePath;
use crate::golang::std_cache::StdCacheId;
use crate::http::HttpOptions;
use crate::id::{RefName, Sha256};
use crate::oci::image_source::{ImageSource, InvalidImageSource};
use crate::progress::{NoProgress, Progress};
use crate::registry::{ImageReference, RegistryAuth};
use crate::setters::setters;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// The number of parents of a commit that are fetched with it. Default: none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// At most this many parents.
    Parents(u32),
    /// All parents that the remote has.
    All,
}

impl Default for Depth {
    fn default() -> Self {
        Self::Parents(0)
    }
}

impl Depth {
    /// Returns whether another parent is fetched after this many.
    pub(super) fn exceeds(self, parents: u32) -> bool {
        match self {
            Self::Parents(limit) => parents < limit,
            Self::All => true,
        }
    }

    /// Returns the value of libostree's option `depth` (`ostree_repo_pull_with_options`).
    pub(super) fn to_libostree(self) -> i32 {
        match self {
            Self::Parents(limit) => limit.try_into().unwrap_or(i32::MAX),
            Self::All => -1,
        }
    }
}

/// A pull of refs from a remote, with the conditions that the commits have to meet.
#[derive(Clone)]
pub struct Pull {
    source: Source,
    pub(super) refs: Vec<RefName>,
    pub(super) pins: BTreeMap<RefName, Sha256>,
    pub(super) std_caches: BTreeMap<RefName, Vec<StdCacheId>>,
    pub(super) expect_arch: Option<Arch>,
    pub(super) allow_downgrade: bool,
    pub(super) depth: Depth,
    pub(super) subpaths: Vec<String>,
    pub(super) mirror: bool,
    pub(super) commit_metadata_only: bool,
    pub(super) deltas: bool,
    pub(super) max_bytes: Option<u64>,
    pub(super) http: HttpOptions,
    pub(super) auth: RegistryAuth,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) progress: Arc<dyn Progress>,
}

/// The place that commits come from.
#[derive(Debug, Clone)]
enum Source {
    /// A configured remote.
    Remote(String),
    /// An image.
    Image {
        image: ImageSource,
        /// The configured remote whose keys verify the commits and whose refs are updated; `None`
        /// for unverified commits and local refs.
        remote: Option<String>,
    },
}

impl fmt::Debug for Pull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pull")
            .field("source", &self.source)
            .field("refs", &self.refs)
            .finish_non_exhaustive()
    }
}

impl Pull {
    /// Creates a pull of refs from the named remote. Duplicate refs are ignored. An empty list is
    /// an error in [`Pull::plan`], except for a [mirror](Pull::mirror).
    #[must_use]
    pub fn new(remote: impl Into<String>, refs: impl IntoIterator<Item = RefName>) -> Self {
        let mut refs: Vec<RefName> = refs.into_iter().collect();
        let mut seen = BTreeSet::new();
        refs.retain(|name| seen.insert(name.clone()));
        Self::of(Source::Remote(remote.into()), refs)
    }

    fn of(source: Source, refs: Vec<RefName>) -> Self {
        Self {
            source,
            refs,
            pins: BTreeMap::new(),
            std_caches: BTreeMap::new(),
            expect_arch: None,
            allow_downgrade: false,
            depth: Depth::default(),
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
        let image = ImageSource::parse(source)?;
        let source = Source::Image {
            image,
            remote: None,
        };
        Ok(Self::of(source, Vec::new()))
    }

    /// Verifies the commits of an [image](Pull::image) with the keys of a remote, and stores the
    /// refs as refs of that remote.
    #[must_use]
    pub fn verified_by(mut self, remote: impl Into<String>) -> Self {
        match &mut self.source {
            Source::Remote(name) => *name = remote.into(),
            Source::Image { remote: name, .. } => *name = Some(remote.into()),
        }
        self
    }

    /// Pulls the image with this digest for a ref, even if its tag points to another image.
    /// Default: the image that the tag points to.
    #[must_use]
    pub fn pin(mut self, name: RefName, digest: Sha256) -> Self {
        self.pins.insert(name, digest);
        self
    }

    /// Also pulls these std caches of the release or channel on a ref, as far as the remote has them
    /// for its version. Their refs follow from the version, so they are known only to the plan.
    /// Default: none.
    #[must_use]
    pub(crate) fn std_caches(mut self, name: RefName, wanted: Vec<StdCacheId>) -> Self {
        if !wanted.is_empty() {
            self.std_caches.insert(name, wanted);
        }
        self
    }

    /// Refuses commits that are not for this architecture. Std caches and layers for all
    /// architectures are accepted. Default: every architecture is accepted.
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

    /// Sets how many parents of each commit to fetch as well. Default: none.
    #[must_use]
    pub fn depth(mut self, depth: Depth) -> Self {
        self.depth = depth;
        self
    }

    /// Fetches only these paths of the tree and everything below them. The commits stay partial and
    /// cannot be checked out as a whole. Default: the whole tree.
    #[must_use]
    pub fn subpaths(mut self, paths: impl IntoIterator<Item = TreePath>) -> Self {
        // libostree expects absolute paths.
        self.subpaths = paths.into_iter().map(|path| format!("/{path}")).collect();
        self
    }

    /// Updates local refs instead of the remote's refs, as for a mirror. If no ref was given, every
    /// ref in the remote's summary is pulled, and the summary and its signature are copied into the
    /// repository. Refs that were deleted on the remote are kept locally, and so are refs whose commits
    /// on the remote are [refused](crate::pull::PullPlan::refused). Default: no.
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
        self.requested_image()?.unknown_registry()
    }

    /// Returns the source of an [image](Pull::image), without credentials.
    #[must_use]
    pub fn image_source(&self) -> Option<String> {
        self.requested_image().map(ToString::to_string)
    }

    setters! {
        /// Provides the time that is recorded in a [proof](crate::sign::Proof). Default: [`SystemClock`].
        clock;
        /// Receives progress events. Default: [`NoProgress`].
        progress;
    }

    /// Returns the image that is pulled instead of a remote's refs.
    pub(super) fn requested_image(&self) -> Option<&ImageSource> {
        match &self.source {
            Source::Image { image, .. } => Some(image),
            Source::Remote(_) => None,
        }
    }

    /// Returns the name of the configured remote whose keys verify the commits; `None` for an image
    /// that is not verified.
    pub(super) fn remote_name(&self) -> Option<&str> {
        match &self.source {
            Source::Remote(name) => Some(name),
            Source::Image { remote, .. } => remote.as_deref(),
        }
    }

    /// Returns the name of the remote for messages; without a remote, the source of the image.
    pub(super) fn label(&self) -> String {
        match &self.source {
            Source::Remote(name) => name.clone(),
            Source::Image { image, remote } => remote.clone().unwrap_or_else(|| image.to_string()),
        }
    }

    /// Returns true if every ref of the remote is to be pulled.
    pub(super) fn pulls_all_refs(&self) -> bool {
        self.mirror && self.refs.is_empty() && self.requested_image().is_none()
    }

    /// Returns true if the whole trees of the commits are to be pulled.
    pub(super) fn pulls_whole_trees(&self) -> bool {
        !self.commit_metadata_only && self.subpaths.is_empty()
    }
}
