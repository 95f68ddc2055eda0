//! Errors as people and scripts see them: a message, a hint, an exit code.

use ostree_go_sdk::{
    BootError, ComposeError, ContainerfileError, CredentialError, DeployError, Error, ErrorKind,
    ExportError, FragmentError, LayerError, OciError, OverlayDifference, OverlayError, PullError,
    RegistryError, RemoteError, RepoError, RpmProblem, SourceError, SysextError, UpstreamError,
};
use std::path::PathBuf;

/// Why a command failed.
#[derive(Debug)]
pub enum CliError {
    /// The library failed.
    Library(Error),
    /// The library failed to deploy; what was active is active still.
    NotDeployed {
        error: Box<Error>,
        active: Option<String>,
    },
    /// The command line asks for something that makes no sense.
    Usage {
        message: String,
        hint: Option<String>,
    },
    /// A file that the command line names cannot be read or written.
    File {
        action: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// Standard output cannot be written.
    Output(std::io::Error),
}

impl<E: Into<Error>> From<E> for CliError {
    fn from(error: E) -> Self {
        Self::Library(error.into())
    }
}

impl CliError {
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: None,
        }
    }

    /// What clap found wrong, in our form: its first paragraph, and its tip.
    pub fn of_arguments(error: &clap::Error) -> Self {
        let text = error.to_string();
        let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
        let tip = rest
            .lines()
            .find_map(|line| line.trim().strip_prefix("tip: "));
        let usage = rest.lines().find_map(|line| line.strip_prefix("Usage: "));
        let hint = match (tip, usage) {
            (Some(tip), _) => tip.to_owned(),
            (None, Some(usage)) => format!("usage: {usage}"),
            (None, None) => "`--help` shows what may stand there".to_owned(),
        };
        Self::Usage {
            message: one_line(message.strip_prefix("error: ").unwrap_or(message)),
            hint: Some(hint),
        }
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Library(error) => error.kind(),
            Self::NotDeployed { error, .. } => error.kind(),
            Self::Usage { .. } => ErrorKind::InvalidInput,
            Self::File { source, .. } | Self::Output(source) => ErrorKind::of_io(source),
        }
    }

    /// 1 failed, 2 usage, 3 refused, 75 worth another try, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            _ => match self.kind() {
                ErrorKind::Mismatch => 3,
                ErrorKind::Cancelled => 130,
                kind if kind.is_temporary() => 75,
                _ => 1,
            },
        }
    }

    /// What went wrong, in one line.
    pub fn message(&self) -> String {
        match self {
            Self::Library(error) => error.to_string(),
            Self::NotDeployed { error, .. } => error.to_string(),
            Self::Usage { message, .. } => message.clone(),
            Self::File { action, path, .. } => format!("cannot {action} {}", path.display()),
            Self::Output(_) => "cannot write to standard output".to_owned(),
        }
    }

    /// Why, in one line, where the message does not say it all.
    pub fn cause(&self) -> Option<String> {
        let mut source: Option<&dyn std::error::Error> = match self {
            Self::Library(error) => std::error::Error::source(error),
            Self::NotDeployed { error, .. } => std::error::Error::source(&**error),
            Self::Usage { .. } => None,
            Self::File { source, .. } | Self::Output(source) => Some(source),
        };
        let mut causes: Vec<String> = Vec::new();
        while let Some(error) = source {
            let text = one_line(&error.to_string());
            // A wrapped error often says what its cause says.
            if !causes.last().is_some_and(|last| last.contains(&text)) {
                causes.push(text);
            }
            source = error.source();
        }
        (!causes.is_empty()).then(|| causes.join(": "))
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => hint.clone(),
            Self::Library(error) => library_hint(error),
            Self::NotDeployed { error, active } => {
                let stays = match active {
                    Some(version) => format!("nothing was deployed; go {version} stays active"),
                    None => "nothing was deployed".to_owned(),
                };
                let more = library_hint(error).or_else(|| kind_hint(error.kind()));
                Some(more.map_or(stays.clone(), |more| format!("{stays}; {more}")))
            }
            Self::File { .. } | Self::Output(_) => None,
        }
        .or_else(|| kind_hint(self.kind()))
    }
}

fn library_hint(error: &Error) -> Option<String> {
    match error {
        Error::Treefile(error) => error.hint(),
        Error::Repo(error) => repo_hint(error),
        Error::Compose(error) => compose_hint(error),
        Error::Deploy(error) => deploy_hint(error),
        Error::Remote(error) => remote_hint(error),
        Error::Pull(error) => pull_hint(error),
        Error::Upstream(error) => upstream_hint(error),
        Error::Overlay(error) => overlay_hint(error),
        Error::Export(error)
        | Error::Containerfile(ContainerfileError::Export(error))
        | Error::Fragment(FragmentError::Export(error)) => export_hint(error),
        Error::Oci(error) => oci_hint(error),
        Error::Boot(error) => boot_hint(error),
        Error::Sysext(error) => sysext_hint(error),
        Error::Credential(CredentialError::Helper { .. }) => {
            let hint = "the file with the credentials names it in `credHelpers` or `credsStore`";
            Some(hint.to_owned())
        }
        _ => None,
    }
}

fn repo_hint(error: &RepoError) -> Option<String> {
    match error {
        RepoError::NotFound { path } => Some(format!(
            "`ostree-go compose` makes one, or `ostree-go init --repo {}`",
            path.display()
        )),
        RepoError::NotARepo { .. } => {
            Some("a repository is made in a folder that is empty or does not exist".to_owned())
        }
        RepoError::NoSuchRev { nearest, .. } => Some(match nearest {
            Some(name) => format!("did you mean `{name}`?"),
            None => "`ostree-go list` shows what there is".to_owned(),
        }),
        _ => None,
    }
}

fn compose_hint(error: &ComposeError) -> Option<String> {
    let hint = match error {
        ComposeError::Treefile(error) => return error.hint(),
        ComposeError::Repo(error) => return repo_hint(error),
        ComposeError::ReleaseExists { .. } => {
            "a release never moves; compose another version, or use --replace if nobody has it yet"
        }
        ComposeError::VersionMismatch { .. } => {
            "set `version` in the treefile to what the source is, or point `source` elsewhere"
        }
        ComposeError::ReservedMetadata { .. } => "use a key under a domain of your own",
        ComposeError::NoTimestamp { .. } => "set `timestamp` in the treefile, or SOURCE_DATE_EPOCH",
        ComposeError::Layer(LayerError::Unmatched { .. }) => {
            "add it to a layer's `include` or to `exclude`"
        }
        ComposeError::Layer(LayerError::Conflict { upper, .. }) => {
            return Some(format!("`override: true` on layer `{upper}` lets it win"));
        }
        ComposeError::Layer(LayerError::NotNoarch { .. }) => {
            "keep what differs in a layer that is not noarch"
        }
        ComposeError::Layer(LayerError::SameContent { .. }) => {
            "mark the layer `noarch: true`, so that it exists once for all architectures"
        }
        ComposeError::Source(error) => return source_hint(error),
        _ => return None,
    };
    Some(hint.to_owned())
}

fn source_hint(error: &SourceError) -> Option<String> {
    let hint = match error {
        SourceError::NoGoroot { .. } => {
            "`rpm` takes all packages of an SDK together: golang, golang-bin and golang-src"
        }
        SourceError::RpmPin { .. } => "pin an h1 as well, or give each RPM a `sha256` instead",
        SourceError::Rpm { problem, .. } => match **problem {
            RpmProblem::Version { .. } => "take all packages from one build",
            RpmProblem::Source => "take the packages that are built from it",
            RpmProblem::Refused { .. } => "`rpmkeys -Kv` shows who signed a package",
            _ => return None,
        },
        _ => return None,
    };
    Some(hint.to_owned())
}

fn deploy_hint(error: &DeployError) -> Option<String> {
    let hint = match error {
        DeployError::Repo(error) => return repo_hint(error),
        DeployError::NoRoot { .. } => "`ostree-go install` makes a root",
        DeployError::NewerState { .. } => "use the ostree-go that wrote it, or a newer one",
        DeployError::WrongArch { found, .. } => {
            return found
                .map(|arch| format!("`install --arch {arch}` installs it without activating it"));
        }
        DeployError::Downgrade { .. } => "--allow-downgrade takes it",
        DeployError::NoSuchDeployment { .. } => "`ostree-go status` shows what there is",
        DeployError::NoRollback { .. } => "`ostree-go use VERSION` takes any that is installed",
        DeployError::Active { .. } => "`use` another first, or give --active",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn remote_hint(error: &RemoteError) -> Option<String> {
    let hint = match error {
        RemoteError::Repo(error) => return repo_hint(error),
        RemoteError::NotFound { known, .. } if known.is_empty() => {
            "`ostree-go remote add` adds one"
        }
        RemoteError::NotFound { known, .. } => {
            return Some(format!("there is {}", known.join(", ")));
        }
        RemoteError::Exists { .. } => {
            "`ostree-go remote delete` deletes it, `ostree-go remote import-key` gives it more keys"
        }
        RemoteError::InvalidPlace { source, .. } if source.found.starts_with("oci:") => {
            "a folder is named from the root on, as oci:/srv/images"
        }
        RemoteError::Tagged { .. } => "leave the tag out, and install it: `install TAG`",
        RemoteError::NoKeys { .. } => "`ostree-go remote import-key` gives it keys",
        RemoteError::Unsigned { .. } => {
            "delete it, and add it again with --gpg-import instead of --no-gpg-verify"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// What to do where a remote's certificate is not believed.
const DISTRUST: &str = "an authority of your own is an option of the remote: `ostree config set 'remote \"NAME\".tls-ca-path' FILE`";

fn pull_hint(error: &PullError) -> Option<String> {
    let hint = match error {
        PullError::Repo(error) => return repo_hint(error),
        PullError::Remote(error) => return remote_hint(error),
        PullError::Signature { remote, .. } => {
            return Some(format!(
                "`ostree-go remote show-keys {remote}` shows the keys that are trusted"
            ));
        }
        PullError::Delta { .. } => {
            "`pull --no-deltas` does without; every object is checked either way"
        }
        PullError::Older { .. } => "--allow-downgrade takes it",
        PullError::TooLarge { .. } => "--max-bytes allows more",
        PullError::NoSummary { .. } => {
            "name the refs, or have the publisher run `ostree-go publish`"
        }
        PullError::ImagesOnly {
            what: "summary", ..
        } => "name the refs",
        PullError::SeveralImages { .. } => "name one, as in oci:FOLDER:TAG",
        PullError::NoSuchPlatform { .. } => "--arch names another machine",
        PullError::Registry { source, .. } if source.is_distrust() => DISTRUST,
        PullError::Http { source, .. } if source.is_distrust() => DISTRUST,
        PullError::Encapsulated { .. } => {
            "`ostree container unencapsulate` and `ostree container image pull` read it; \
             `export oci` without --encapsulate writes the other form"
        }
        PullError::Registry { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
            "`podman login` or `skopeo login` says who you are"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn upstream_hint(error: &UpstreamError) -> Option<String> {
    let hint = match error {
        UpstreamError::Repo(error) => return repo_hint(error),
        UpstreamError::Unknown { .. } => "a toolchain of one's own is in no public database",
        UpstreamError::Differs { .. } => {
            "do not use it as Go's own; `ostree-go show` says where it comes from"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn overlay_hint(error: &OverlayError) -> Option<String> {
    let hint = match error {
        OverlayError::Repo(error) => return repo_hint(error),
        OverlayError::Conflict {
            difference: OverlayDifference::Kind,
            ..
        } => return None,
        OverlayError::Conflict { .. } => "--override lets files of the SDK take the others' place",
        OverlayError::Arch { .. } => "name the SDK by its whole ref: go-sdk/ARCH/VERSION",
        OverlayError::Partial { .. } => "pull it whole, without --commit-metadata-only",
        OverlayError::NotAnSdk { .. } => "`ostree-go list` shows the releases",
        OverlayError::NoLabels { .. } => "use a repository of mode archive, bare-user or bare",
        OverlayError::Moved { .. } => "run the command again",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn export_hint(error: &ExportError) -> Option<String> {
    match error {
        ExportError::Repo(error) => repo_hint(error),
        ExportError::NotARelease { .. } => {
            Some("`ostree-go list` shows releases and channels".to_owned())
        }
        _ => None,
    }
}

fn oci_hint(error: &OciError) -> Option<String> {
    let hint = match error {
        OciError::Export(error) => return export_hint(error),
        OciError::NoLayer { .. } => {
            "export from the repository that the release was composed in, or pull the layer's ref"
        }
        OciError::Encapsulated { .. } => "without --encapsulate it makes an image",
        OciError::SameArch { .. } => "one image holds one release for each architecture",
        OciError::Tag { .. } => "give the image a tag: `IMAGE:TAG`",
        OciError::NoLayout { .. } => "name another directory, one that is empty or does not exist",
        OciError::Registry(RegistryError::Refused {
            status: 401 | 403, ..
        }) => {
            "`podman login` keeps credentials where they are found; --authfile names another file"
        }
        OciError::Registry(error) if error.is_distrust() => {
            "--cert-dir names a folder with authorities of your own in `*.crt`"
        }
        OciError::Registry(RegistryError::Unreachable { .. }) => {
            "check the address; --tls-verify=false takes a registry without encryption"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn boot_hint(error: &BootError) -> Option<String> {
    match error {
        BootError::Export(error) => export_hint(error),
        BootError::Remote(error) => remote_hint(error),
        BootError::OtherArch { .. } => {
            Some("write a configuration for each architecture".to_owned())
        }
        _ => None,
    }
}

fn sysext_hint(error: &SysextError) -> Option<String> {
    match error {
        SysextError::Export(error) => export_hint(error),
        SysextError::MissingTool { package, .. } => Some(format!("install {package}")),
        SysextError::Path { path, .. } if !path.as_str().starts_with("usr/") => {
            Some("--leave-out-other leaves out what is elsewhere".to_owned())
        }
        _ => None,
    }
}

fn kind_hint(kind: ErrorKind) -> Option<String> {
    let hint = match kind {
        ErrorKind::DiskFull => "make room on the file system and run the command again",
        ErrorKind::Network => "check the connection and run the command again",
        ErrorKind::PermissionDenied => "check who owns the path and how it is mounted",
        _ => return None,
    };
    Some(hint.to_owned())
}

fn one_line(text: &str) -> String {
    text.split('\n')
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
}
