//! Pulling commits from a remote.
//!
//! First the commits alone are fetched, into a repository of the moment, and everything that can
//! be said of them is checked there: the signature, the ref each is bound to, the architecture,
//! the age. Then the content is fetched for exactly these commits, in one transaction of the
//! repository, and checked once more before the transaction shows anything. What the server
//! says in between, or a summary that somebody else wrote, decides nothing.

mod arrive;
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
mod limits;
mod message;
mod preflight;
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

/// A pull of refs from a remote: which ones, and what has to hold.
#[derive(Clone)]
pub struct Pull {
    remote: String,
    refs: Vec<RefName>,
    /// Images that are no remote's.
    place: Option<ImageSource>,
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

/// What a pull did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Pulled {
    /// The refs and the commits they name now, in the order they were asked for.
    pub commits: Vec<(RefName, Verified<CommitId>)>,
    /// Bytes that came over the network. Nothing is counted for `file` URLs.
    pub bytes: u64,
    /// The refs of the layers that images have, and the commits they name.
    pub layers: Vec<(RefName, CommitId)>,
    /// Objects that were fetched or imported one by one, and parts of deltas; of images, objects
    /// that were not here.
    pub objects: u64,
    /// Whether any part of a static delta was used.
    pub used_delta: bool,
    /// How long it took.
    pub elapsed: Duration,
}

impl Pull {
    /// A pull of refs from a remote, by the remote's name. Without refs there is nothing to pull,
    /// unless it is a [mirror](Pull::mirror).
    #[must_use]
    pub fn new(remote: impl Into<String>, refs: impl IntoIterator<Item = RefName>) -> Self {
        let mut refs: Vec<RefName> = refs.into_iter().collect();
        let mut seen = std::collections::BTreeSet::new();
        refs.retain(|name| seen.insert(name.clone()));
        Self {
            remote: remote.into(),
            refs,
            place: None,
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

    /// A pull of what an image has, or the images of an index: `oci:FOLDER[:TAG]`,
    /// `oci-archive:FILE[:TAG]`, `docker://REGISTRY/NAME[:TAG][@sha256:DIGEST]`, or the same with
    /// `oci+https://`, or `oci+http://` where the way is safe.
    ///
    /// The refs are those that the images name, and become local ones; nobody's signature is
    /// asked for. Both is otherwise after [`Pull::verified_by`].
    ///
    /// # Errors
    /// When the text names no image.
    pub fn image(place: &str) -> Result<Self, InvalidImageSource> {
        let place = ImageSource::parse(place)?;
        let mut pull = Self::new(place.to_string(), []).mirror(true);
        pull.place = Some(place);
        Ok(pull)
    }

    /// Takes what an [image](Pull::image) has as if it came from a remote: signatures by the
    /// remote's keys are needed, and the refs become the remote's.
    #[must_use]
    pub fn verified_by(mut self, remote: impl Into<String>) -> Self {
        self.remote = remote.into();
        self.mirror = false;
        self
    }

    /// Takes the image with this digest for a ref, whatever its tag leads to. Default: the tag
    /// decides.
    #[must_use]
    pub fn pin(mut self, name: RefName, digest: Sha256) -> Self {
        self.pins.insert(name, digest);
        self
    }

    /// Refuses commits that are not for this architecture. Default: any will do.
    #[must_use]
    pub fn expect_arch(mut self, arch: Option<Arch>) -> Self {
        self.expect_arch = arch;
        self
    }

    /// Takes a commit that is older than the one the ref names here. Default: no.
    #[must_use]
    pub fn allow_downgrade(mut self, allow: bool) -> Self {
        self.allow_downgrade = allow;
        self
    }

    /// How many commits before each one to fetch too; -1 for all of them. Default: 0.
    #[must_use]
    pub fn depth(mut self, depth: i32) -> Self {
        self.depth = depth.max(-1);
        self
    }

    /// Only these paths of the tree, and what is below them. The commits stay partial: they
    /// cannot be checked out as a whole. Default: everything.
    #[must_use]
    pub fn subpaths(mut self, paths: impl IntoIterator<Item = String>) -> Self {
        // libostree wants them from the root.
        self.subpaths = paths
            .into_iter()
            .map(|path| format!("/{}", path.trim_matches('/')))
            .collect();
        self
    }

    /// Moves local refs, as a mirror has them, instead of the remote's. If no ref was named it takes
    /// every one that the remote's summary has, and that summary, with its signature, becomes the
    /// repository's own. Refs that the remote has no more stay. Default: no.
    #[must_use]
    pub fn mirror(mut self, mirror: bool) -> Self {
        self.mirror = mirror;
        self
    }

    /// Fetches the commits and their signatures only, and moves no ref. Default: no.
    #[must_use]
    pub fn commit_metadata_only(mut self, only: bool) -> Self {
        self.commit_metadata_only = only;
        self
    }

    /// Whether to use static deltas where there are any. Default: yes.
    #[must_use]
    pub fn deltas(mut self, deltas: bool) -> Self {
        self.deltas = deltas;
        self
    }

    /// The most bytes to download. Where deltas or layers say how large they are, more is an error
    /// before it starts; what several refs share comes once and counts once. Else the pull ends
    /// when that many have come. Default: no limit.
    #[must_use]
    pub fn max_bytes(mut self, bytes: Option<u64>) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How requests are made. What the remote's own options say about proxy and certificates
    /// (`proxy`, `tls-ca-path`, `tls-client-cert-path`, `tls-client-key-path`, `tls-permissive`)
    /// comes before. Default: [`HttpOptions::new`].
    #[must_use]
    pub fn http(mut self, options: HttpOptions) -> Self {
        self.http = options;
        self
    }

    /// What a registry knows one by, where the URL does not say it. Default: nothing.
    #[must_use]
    pub fn auth(mut self, auth: RegistryAuth) -> Self {
        self.auth = auth;
        self
    }

    /// The repository of a registry that it is an [image](Pull::image) of, if credentials for it
    /// are to be found elsewhere than in the text.
    #[must_use]
    pub fn registry(&self) -> Option<&ImageReference> {
        self.place.as_ref()?.unknown_registry()
    }

    /// The place of an [image](Pull::image), without credentials.
    #[must_use]
    pub fn place(&self) -> Option<String> {
        self.place.as_ref().map(ToString::to_string)
    }

    setters! {
        /// The time that a [proof](crate::Proof) bears. Default: [`SystemClock`].
        clock;
        /// Receives progress events. Default: [`NoProgress`].
        progress;
    }

    /// Fetches the commits and checks them; writes nothing into the repository.
    ///
    /// # Errors
    /// When the remote is not set up, cannot be reached or has no such ref, or a commit is
    /// refused: it is not signed by a trusted key, is not bound to the ref, is for another
    /// architecture, or is older than the one that is there.
    pub fn preflight<'a>(&'a self, repo: &'a Repo) -> Result<Preflight<'a>, PullError> {
        Preflight::new(self, repo)
    }

    /// The remote that is asked, or what stands for one.
    fn remote(&self, repo: &Repo) -> Result<Remote, RemoteError> {
        match &self.place {
            Some(place) if place.to_string() == self.remote => Ok(Remote {
                name: self.remote.clone(),
                url: self.remote.clone(),
                verification: Verification::Unsigned,
            }),
            _ => remote::get(repo, &self.remote),
        }
    }

    /// Whether it takes every ref that the remote has.
    fn takes_all(&self) -> bool {
        self.mirror && self.refs.is_empty() && self.place.is_none()
    }

    /// The name a ref has here.
    fn local_name(&self, name: &RefName) -> String {
        if self.mirror {
            name.to_string()
        } else {
            format!("{}:{name}", self.remote)
        }
    }
}
