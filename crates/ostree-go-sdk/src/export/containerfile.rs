//! Generates a Containerfile for a build container.
//!
//! The image of a release contains only the SDK: no shell and no `mkdir`. `WORKDIR` creates
//! folders without them, in a separate stage, and `COPY --chown` sets their owner.

use super::ExportError;
use super::oci::goroot;
use super::release::release;
use super::std_cache::std_caches;
use super::tree::Tree;
use crate::id::CommitId;
use crate::kind::ErrorKind;
use crate::oci::go_cache::GO_CACHE;
use crate::repo::Repo;
use crate::setters::setters;

/// Home directory of the build user.
const HOME: &str = "/home/builder";
/// Working directory with the sources.
const SOURCES: &str = "/src";

/// Options of a Containerfile.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ContainerfileOptions {
    image: String,
    base: Option<String>,
    user: u32,
    std_caches: bool,
}

impl ContainerfileOptions {
    /// Creates options for a container with the SDK of an image, named as in a `FROM` line.
    #[must_use]
    pub fn new(image: impl Into<String>) -> Self {
        Self {
            image: image.into(),
            base: None,
            user: 1000,
            std_caches: true,
        }
    }

    setters! {
        /// Sets the base image that the SDK is added to. Default: none, for an image with only the
        /// SDK.
        base: Option<String>;
        /// Sets the user and group ID of the build user. Default: 1000.
        user: u32;
        /// Sets whether the build cache is the one that the image has if it was exported with std
        /// caches. Default: yes, if the repository has std caches of the version and architecture.
        std_caches: bool;
    }
}

/// The reason why a Containerfile could not be generated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ContainerfileError {
    /// The release cannot be read.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// An image name is not allowed in a Containerfile.
    #[error("`{}` is not a valid image name", found.escape_debug())]
    ImageName {
        /// The invalid name.
        found: String,
    },
    /// The build user would be root.
    #[error("the build user has the ID 0, which is root, expected another")]
    RootUser,
}

impl ContainerfileError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Export(error) => error.kind(),
            Self::ImageName { .. } | Self::RootUser => ErrorKind::InvalidInput,
        }
    }
}

/// Generates the Containerfile of a build container for a release, with a user other than root,
/// the SDK from the image, and volumes for the caches. podman, buildah and docker can build it.
///
/// # Errors
/// Returns an error if the commit is not a release with an SDK, an image name is invalid, or the
/// build user is root.
pub fn containerfile(
    repo: &Repo,
    commit: CommitId,
    options: &ContainerfileOptions,
) -> Result<String, ContainerfileError> {
    let info = release(repo, commit)?;
    let tree = Tree::read(repo, commit)?;
    let caches = match info.arch.filter(|_| options.std_caches) {
        Some(arch) => std_caches(repo, &info, arch)?,
        None => Vec::new(),
    };
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
    let is_warm = !caches.is_empty();
    let cache = match is_warm {
        true => format!("/{GO_CACHE}"),
        false => format!("{HOME}/.cache/go-build"),
    };
    let modules = format!("{HOME}/go/pkg/mod");
    let own_cache = match is_warm {
        true => String::new(),
        false => format!("WORKDIR /new{cache}\n"),
    };
    let mut text = format!(
        "# A container to build with Go {version} in, by ostree-go.\n\
         # Release {commit}\n\
         \n\
         # There is no mkdir in the image: WORKDIR makes the folders that are written to.\n\
         FROM {image} AS folders\n\
         {own_cache}\
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
    if is_warm && options.base.is_some() {
        text.push_str(&format!("COPY --from=folders {cache} {cache}\n"));
    }
    // A volume at the cache of the image would be a copy of it in each container.
    let volumes = match is_warm {
        true => format!("[\"{modules}\"]"),
        false => format!("[\"{cache}\", \"{modules}\"]"),
    };
    text.push_str(&format!(
        "COPY --from=folders --chown={owner} /new/home /home\n\
         COPY --from=folders --chown={owner} /new{SOURCES} {SOURCES}\n\
         ENV HOME={HOME} GOPATH={HOME}/go GOCACHE={cache} GOMODCACHE={modules}\n\
         USER {owner}\n\
         VOLUME {volumes}\n\
         WORKDIR {SOURCES}\n"
    ));
    Ok(text)
}

/// Removes the transport from a registry's image name, because docker does not accept it.
fn short(image: &str) -> &str {
    image.strip_prefix("docker://").unwrap_or(image)
}
