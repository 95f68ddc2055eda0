//! A Containerfile for the container that programs are built in.
//!
//! The image of a release has nothing but the SDK in it: no shell and no `mkdir`. `WORKDIR`
//! makes folders without any, in a stage of its own, and `COPY --chown` gives them away.

use super::ExportError;
use super::oci::goroot;
use super::release::release;
use super::tree::Tree;
use crate::id::CommitId;
use crate::kind::ErrorKind;
use crate::repo::Repo;

/// The home of who builds.
const HOME: &str = "/home/builder";
/// Where the sources are.
const SOURCES: &str = "/src";

/// What the container is made of.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ContainerfileOptions {
    image: String,
    base: Option<String>,
    user: u32,
}

impl ContainerfileOptions {
    /// A container with the SDK of an image, by the name that a `FROM` line gives it.
    #[must_use]
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            base: None,
            user: 1000,
        }
    }

    /// An image to put the SDK into. Default: none, so that there is nothing but the SDK.
    #[must_use]
    pub fn base(mut self, base: Option<String>) -> Self {
        self.base = base;
        self
    }

    /// The number of the user, and of the group, that builds. Default: 1000.
    #[must_use]
    pub fn user(mut self, user: u32) -> Self {
        self.user = user;
        self
    }
}

/// Why a Containerfile could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerfileError {
    /// Reading the release.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// A name cannot be that of an image in a Containerfile.
    #[error("`{}` cannot be the name of an image", found.escape_debug())]
    ImageName {
        /// The name.
        found: String,
    },
    /// The user that builds would be root.
    #[error("the user that builds is 0, which is root")]
    RootUser,
}

impl ContainerfileError {
    /// The kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Export(error) => error.kind(),
            Self::ImageName { .. } | Self::RootUser => ErrorKind::InvalidInput,
        }
    }
}

/// Writes the Containerfile of a build container for a release: a user that is not root, the SDK
/// from the image, volumes for the caches. podman, buildah and docker build it.
///
/// # Errors
/// When the commit is no release with an SDK, a name of an image could be none, or the user is
/// root.
pub fn containerfile(
    repo: &Repo,
    commit: CommitId,
    options: &ContainerfileOptions,
) -> Result<String, ContainerfileError> {
    let info = release(repo, commit)?;
    let tree = Tree::read(repo, commit)?;
    let (Some(version), Some(goroot)) = (info.version, goroot(&tree)) else {
        let kind = info.kind;
        return Err(ExportError::NotARelease { commit, kind }.into());
    };
    for name in [Some(&options.image), options.base.as_ref()]
        .into_iter()
        .flatten()
    {
        if name.is_empty() || !name.chars().all(|c| c.is_ascii_graphic() && c != '$') {
            return Err(ContainerfileError::ImageName {
                found: name.clone(),
            });
        }
    }
    if options.user == 0 {
        return Err(ContainerfileError::RootUser);
    }
    let image = short(&options.image);
    let owner = format!("{0}:{0}", options.user);
    let cache = format!("{HOME}/.cache/go-build");
    let modules = format!("{HOME}/go/pkg/mod");
    let mut text = format!(
        "# A container to build with Go {version} in, by ostree-go.\n\
         # Release {commit}\n\
         \n\
         # There is no mkdir in the image: WORKDIR makes the folders that are written to.\n\
         FROM {image} AS folders\n\
         WORKDIR /new{cache}\n\
         WORKDIR /new{modules}\n\
         WORKDIR /new{SOURCES}\n\
         WORKDIR /new/tmp\n\
         \n"
    );
    match options.base.as_deref().map(short) {
        None => text.push_str(&format!(
            "FROM {image}\n\
             COPY --from=folders --chown={owner} /new/tmp /tmp\n\
             # There is no C compiler.\n\
             ENV CGO_ENABLED=0\n"
        )),
        Some(base) => text.push_str(&format!(
            "FROM {base}\n\
             COPY --from=folders /{goroot} /{goroot}\n\
             ENV PATH=/{goroot}/bin:$PATH\n"
        )),
    }
    text.push_str(&format!(
        "COPY --from=folders --chown={owner} /new/home /home\n\
         COPY --from=folders --chown={owner} /new{SOURCES} {SOURCES}\n\
         ENV HOME={HOME} GOPATH={HOME}/go GOCACHE={cache} GOMODCACHE={modules}\n\
         USER {owner}\n\
         VOLUME [\"{cache}\", \"{modules}\"]\n\
         WORKDIR {SOURCES}\n"
    ));
    Ok(text)
}

/// A registry's image without the transport, which docker does not know.
fn short(image: &str) -> &str {
    image.strip_prefix("docker://").unwrap_or(image)
}
