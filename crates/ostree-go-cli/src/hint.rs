//! Suggestions for errors of the library.

use crate::{
    audit_hint, build_hint, go_module_hint, go_proxy_hint, hook_hint, http_hint, sandbox_hint,
    sign_hint, source_hint, workspace_hint,
};
use ostree_go_sdk::attest::AttestError;
use ostree_go_sdk::compose::ComposeError;
use ostree_go_sdk::deploy::DeployError;
use ostree_go_sdk::export::ExportError;
use ostree_go_sdk::export::boot::BootError;
use ostree_go_sdk::export::containerfile::ContainerfileError;
use ostree_go_sdk::export::oci::OciError;
use ostree_go_sdk::export::sysext::SysextError;
use ostree_go_sdk::export::treefile::FragmentError;
use ostree_go_sdk::export::unit::UnitError;
use ostree_go_sdk::http::HttpError;
use ostree_go_sdk::inspect::InspectError;
use ostree_go_sdk::metadata::SDK_WORKSPACE;
use ostree_go_sdk::overlay::{OverlayDifference, OverlayError};
use ostree_go_sdk::prune::PruneError;
use ostree_go_sdk::publish::PublishError;
use ostree_go_sdk::pull::PullError;
use ostree_go_sdk::rebuild::RebuildError;
use ostree_go_sdk::registry::{CredentialError, RegistryError};
use ostree_go_sdk::remote::RemoteError;
use ostree_go_sdk::sign::SignError;
use ostree_go_sdk::source::SourceError;
use ostree_go_sdk::stdcache::StdCacheBuildError;
use ostree_go_sdk::toolchains::ToolchainError;
use ostree_go_sdk::upstream::UpstreamError;
use ostree_go_sdk::workspace::WorkspaceError;
use ostree_go_sdk::{Error, ErrorKind, LayerError, RefName, RepoError};

/// Returns a suggestion for an error of the library, if there is one that fits its cause.
pub fn library_hint(error: &Error) -> Option<String> {
    let http = || http_hint::hint(error).map(str::to_owned);
    module_hint(error).or_else(http)
}

/// Returns the suggestion for an error of a module of the library.
fn module_hint(error: &Error) -> Option<String> {
    match error {
        Error::Treefile(error) => error.hint(),
        Error::Repo(error) => repo_hint(error),
        Error::Compose(ComposeError::Sign(error))
        | Error::Deploy(DeployError::Sign(error))
        | Error::Overlay(OverlayError::Sign(error))
        | Error::Publish(PublishError::Sign(error))
        | Error::Sign(error) => sign_hint(error),
        Error::Compose(error) => compose_hint(error),
        Error::Deploy(error) => deploy_hint(error),
        Error::Toolchain(error) => match error {
            ToolchainError::Deploy(error) => deploy_hint(error),
            error => build_hint::toolchain(error),
        },
        Error::GoMod(error) => build_hint::gomod(error),
        Error::GoProxy(error) => go_proxy_hint::hint(error),
        Error::Remote(error) => remote_hint(error),
        Error::Pull(error) => pull_hint(error),
        Error::Upstream(error) => upstream_hint(error),
        Error::Audit(error) => audit_hint::hint(error).map(str::to_owned),
        Error::Overlay(error) => overlay_hint(error),
        Error::Export(error)
        | Error::Containerfile(ContainerfileError::Export(error))
        | Error::Fragment(FragmentError::Export(error)) => export_hint(error),
        Error::Fragment(FragmentError::OutdatedSummary { .. }) => Some(
            "rpm-ostree finds layers by the summary; run `ostree-go publish`, with the key of a signed summary"
                .to_owned(),
        ),
        Error::Prune(PruneError::Publish(_)) => Some(SUMMARY_HINT.to_owned()),
        Error::Oci(error) => oci_hint(error),
        Error::Attest(error) => attest_hint(error).map(str::to_owned),
        Error::Boot(error) => boot_hint(error),
        Error::Run(error) => sandbox_hint::run_hint(error),
        Error::Reproduce(error) => sandbox_hint::reproduce_hint(error),
        Error::Sandbox(error) => sandbox_hint::sandbox_hint(error),
        Error::Sysext(error) => sysext_hint(error),
        Error::StdCache(error) => build_hint::std_cache(error),
        Error::Unit(error) => unit_hint(error).map(str::to_owned),
        Error::Inspect(InspectError::NotAProgram { .. }) => Some(PROGRAM_HINT.to_owned()),
        Error::Workspace(WorkspaceError::Sign(error)) => sign_hint(error),
        Error::Workspace(error) => match workspace_hint::deploy_error(error) {
            Some(error) => deploy_hint(error),
            None => workspace_hint::hint(error),
        },
        Error::Rebuild(RebuildError::Repo(error)) => repo_hint(error),
        Error::Rebuild(RebuildError::Compose { source, .. }) => {
            build_hint::recompose(source).or_else(|| compose_hint(source))
        }
        Error::Rebuild(error) => build_hint::rebuild(error),
        Error::Credential(CredentialError::Helper { .. }) => {
            let hint =
                "it is configured in the credentials file under `credHelpers` or `credsStore`";
            Some(hint.to_owned())
        }
        _ => None,
    }
}

/// Returns a hint for an error of signing, or of reading signatures.
fn sign_hint(error: &SignError) -> Option<String> {
    match error {
        SignError::Repo(error) => repo_hint(error),
        SignError::Sign { source, .. }
        | SignError::SignSummary { source, .. }
        | SignError::SignFile { source, .. }
        | SignError::SignData { source, .. } => sign_hint(source),
        error => sign_hint::hint(error),
    }
}

fn repo_hint(error: &RepoError) -> Option<String> {
    match error {
        RepoError::NoXattrs { path } => Some(format!(
            "use another file system, or a repository of another mode: \
             `ostree-go init --mode bare-user-only --repo {}`",
            path.display()
        )),
        RepoError::NotFound { path } => Some(format!(
            "create one with `ostree-go compose` or `ostree-go init --repo {}`",
            path.display()
        )),
        RepoError::NotARepo { .. } => Some(
            "a repository can only be created in a directory that is empty or does not exist"
                .to_owned(),
        ),
        RepoError::NoSuchRev { nearest, .. } => Some(
            nearest_hint(nearest)
                .unwrap_or_else(|| "`ostree-go list` shows the existing refs".to_owned()),
        ),
        _ => None,
    }
}

/// Returns the hint for a ref that does not exist, if there are similar ones.
fn nearest_hint(nearest: &[RefName]) -> Option<String> {
    let names: Vec<String> = nearest.iter().map(|name| format!("`{name}`")).collect();
    match names.split_last()? {
        (only, []) => Some(format!("did you mean {only}?")),
        (last, others) => Some(format!("did you mean {} or {last}?", others.join(", "))),
    }
}

/// The hint for a std cache that is refused.
const WITHOUT_STD_CACHES: &str = "--no-stdcache installs the SDK without its std caches";

/// Returns true for the ref of a std cache: `go-sdk/stdcache/1.26.5/x86_64-trimpath`.
fn is_std_cache(name: &RefName) -> bool {
    let mut parts = name.as_str().split('/').skip(1);
    parts.next() == Some("stdcache")
}

fn compose_hint(error: &ComposeError) -> Option<String> {
    let hint = match error {
        ComposeError::Treefile(error) => return error.hint(),
        ComposeError::Repo(error) => return repo_hint(error),
        ComposeError::ReleaseExists { .. } => {
            "the ref of a release never moves; compose another version, or use --replace if the release has not been published"
        }
        ComposeError::StdCacheExists { .. } => {
            "the ref of a std cache never moves; use --replace if it has not been published"
        }
        ComposeError::Module(error) => return go_module_hint::hint(error),
        ComposeError::StdCache(error) => {
            return match &**error {
                StdCacheBuildError::Repo(error) => repo_hint(error),
                error => build_hint::std_cache_build(error),
            };
        }
        ComposeError::Rebuild(error) => return build_hint::toolchain_build(error),
        ComposeError::VersionMismatch {
            found, expected, ..
        } if expected.as_str().starts_with(&format!("{found}-")) => {
            let variant = &expected.as_str()[found.as_str().len() + 1..];
            return Some(format!(
                "for a release of your own, set `version: {found}` and `variant: {variant}` in the treefile"
            ));
        }
        ComposeError::VersionMismatch { .. } => {
            "set `version` in the treefile to the version of the source, or use another `source`"
        }
        ComposeError::Partial { .. } => "compose or pull the release again",
        ComposeError::Downgrade { .. } => {
            "no channel was moved; use --allow-downgrade to move it to the older version"
        }
        ComposeError::NotAChannel { .. } => "name a channel, for example `stable`",
        ComposeError::Publish(_) => SUMMARY_HINT,
        ComposeError::ReservedMetadata { key } if key == SDK_WORKSPACE => {
            "--workspace-lock records the lock of a workspace"
        }
        ComposeError::ReservedMetadata { .. } => "use a key that starts with your own domain name",
        ComposeError::NoTimestamp { .. } => "set `timestamp` in the treefile, or SOURCE_DATE_EPOCH",
        ComposeError::Layer(LayerError::Unmatched { .. }) => {
            "add it to a layer's `include` or to `exclude`"
        }
        ComposeError::Layer(LayerError::Conflict { upper, .. }) => {
            return Some(format!(
                "set `override: true` on layer `{upper}` to let its files replace those of lower layers"
            ));
        }
        ComposeError::Layer(LayerError::NotNoarch { .. }) => {
            "move the files that differ to a layer that is not noarch"
        }
        ComposeError::Layer(LayerError::SameContent { .. }) => {
            "set `noarch: true` on the layer, so that all architectures share it"
        }
        ComposeError::Source(error) => return source_hint::hint(error),
        ComposeError::NoSource { failures, .. } => {
            let is_no_proxy = |error: &&SourceError| matches!(error, SourceError::NoProxy { .. });
            return failures
                .errors()
                .iter()
                .find(is_no_proxy)
                .and_then(source_hint::hint);
        }
        ComposeError::NotUpstream { .. } => {
            "the module proxy does not serve Go's own SDK; do not use it, or name its hash in `pin`"
        }
        ComposeError::Upstream(UpstreamError::Http(error))
            if error.kind() != ErrorKind::Cancelled =>
        {
            "name a reachable mirror with --sumdb, pin an h1 in the treefile, or accept the module unchecked with --no-sumdb"
        }
        ComposeError::Upstream(error) => return upstream_hint(error),
        _ => return None,
    };
    Some(hint.to_owned())
}

fn deploy_hint(error: &DeployError) -> Option<String> {
    let hint = match error {
        DeployError::Repo(RepoError::NoXattrs { path }) => {
            return Some(format!(
                "name a directory on another file system with --root, or first create a repository that needs no xattrs: \
                 `ostree-go init --mode bare-user-only --repo {}`",
                path.display()
            ));
        }
        DeployError::Repo(error) => return repo_hint(error),
        DeployError::Remote(error) => return remote_hint(error),
        DeployError::Pull(
            PullError::Signature { name, .. } | PullError::RefBinding { name, .. },
        ) if is_std_cache(name) => WITHOUT_STD_CACHES,
        DeployError::StdCacheMismatch { .. } => WITHOUT_STD_CACHES,
        DeployError::Pull(error) => return pull_hint(error),
        DeployError::NotActivated { source, .. } => return deploy_hint(source),
        DeployError::Hook(error) => return hook_hint::hint(error),
        DeployError::HooksUnfinished { version, .. } => {
            return Some(format!(
                "`ostree-go use {version}` runs the hooks that have not finished"
            ));
        }
        DeployError::NoRemote { nearest, .. } => {
            return Some(nearest_hint(nearest).unwrap_or_else(|| {
                "add a remote with `ostree-go remote add NAME URL --gpg-import KEY-FILE`, or copy \
                 from a repository on this machine with --from-repo"
                    .to_owned()
            }));
        }
        DeployError::NoRelease { .. } | DeployError::NotOffered { .. } => {
            "`ostree-go remote refs` shows what a remote offers"
        }
        DeployError::NoStdCache { .. } => {
            "leave out this --stdcache; the publisher adds std caches with `stdcache` in the treefile"
        }
        DeployError::NotARoot { .. } => {
            "specify a directory that is empty or does not exist with --root or OSTREE_GO_ROOT"
        }
        DeployError::Io {
            action: "make directory",
            source,
            ..
        } if ErrorKind::of_io(source) == ErrorKind::PermissionDenied => {
            "specify a root directory that can be written with --root or OSTREE_GO_ROOT"
        }
        DeployError::Colon { .. } => "specify another directory with --root or OSTREE_GO_ROOT",
        DeployError::NewerRoot { .. } => {
            "use the version of ostree-go that created it, or a newer one"
        }
        DeployError::UnexpectedEntry { path, .. } if path.ends_with("current") => {
            "move it away, and activate an SDK with `ostree-go use VERSION`"
        }
        DeployError::UnexpectedEntry { .. } => "move it away and run the command again",
        DeployError::InvalidState { .. } => {
            "restore a backup, or move the file away: installed SDKs are then found again and count as unsigned"
        }
        DeployError::NotSwitched { .. } => "`ostree-go status` shows the active SDK",
        DeployError::NoRoot { .. } => {
            "`ostree-go remote add` and `ostree-go install` create the root directory"
        }
        DeployError::NewerState { .. } => {
            "use the version of ostree-go that wrote it, or a newer one"
        }
        DeployError::WrongArch { found, .. } => {
            return found
                .map(|arch| format!("`install --arch {arch}` installs it without activating it"));
        }
        DeployError::Downgrade { .. } => "use --allow-downgrade to accept it",
        DeployError::NoSuchDeployment { .. } => "`ostree-go status` shows the installed SDKs",
        DeployError::NoRollback { .. } => "`ostree-go use VERSION` activates any installed SDK",
        DeployError::Active { .. } => {
            "activate another SDK first with `ostree-go use`, or give --active"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns a hint for an error of selecting an SDK for a project.
/// Returns the command that installs the SDK of a project.
fn remote_hint(error: &RemoteError) -> Option<String> {
    let hint = match error {
        RemoteError::Repo(error) => return repo_hint(error),
        RemoteError::NotFound { known, .. } if known.is_empty() => {
            "add one with `ostree-go remote add`"
        }
        RemoteError::NotFound { known, .. } => {
            return Some(format!("existing remotes: {}", known.join(", ")));
        }
        RemoteError::Exists { .. } => {
            "delete it with `ostree-go remote delete`, or add keys to it with `ostree-go remote import-key`"
        }
        RemoteError::InvalidImageSource { source, .. } if source.found.starts_with("oci:") => {
            "use an absolute path, for example oci:/srv/images"
        }
        RemoteError::Tagged { .. } => {
            "omit the tag here, and install it by name: `ostree-go install TAG`"
        }
        RemoteError::SignTransition { source } => return sign_hint(source),
        RemoteError::NotSignedBy { .. } => {
            "name the old and the new key with --gpg-sign, --sign-from-file, --sign-command or --sign-pkcs11"
        }
        RemoteError::NoKeys { .. } => "add keys with `ostree-go remote import-key`",
        RemoteError::Unsigned { .. } => {
            "delete it, and add it again with --gpg-import instead of --no-gpg-verify"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Hint for a summary that could not be written after refs had moved.
const SUMMARY_HINT: &str = "refresh it with `ostree-go publish`, with the key of a signed summary";

/// Hint for a server certificate that cannot be verified.
const CERTIFICATE_HINT: &str = "to use your own certificate authority, set an option of the remote: `ostree config set 'remote \"NAME\".tls-ca-path' FILE`";

/// Returns the hint for a certificate that cannot be verified: it is from the future if the clock of this
/// machine is behind.
fn certificate_hint(error: &dyn std::error::Error) -> Option<String> {
    let mut causes = std::iter::successors(Some(error), |error| error.source());
    let is_from_the_future = causes.any(|error| {
        let text = error.to_string();
        // The messages of rustls, which are not available as types.
        text.contains("not valid yet") || text.contains("NotValidYet")
    });
    match is_from_the_future {
        true => kind_hint(ErrorKind::Clock),
        false => Some(CERTIFICATE_HINT.to_owned()),
    }
}

fn pull_hint(error: &PullError) -> Option<String> {
    let hint = match error {
        PullError::Repo(error) => return repo_hint(error),
        PullError::Remote(error) => return remote_hint(error),
        PullError::Signature { source, .. } if sign_hint(source).is_some() => {
            return sign_hint(source);
        }
        PullError::NoSuchRef { nearest, .. } => return nearest_hint(nearest),
        PullError::Signature { source, .. } if source.kind() == ErrorKind::Clock => return None,
        PullError::Signature { remote, .. } => {
            return Some(format!(
                "`ostree-go remote show-keys {remote}` shows the keys that are trusted"
            ));
        }
        PullError::Delta { .. } => {
            "use `pull --no-deltas` to pull without deltas; every object is verified either way"
        }
        PullError::Older { .. } => "use --allow-downgrade to accept it",
        PullError::Publish(_) => SUMMARY_HINT,
        PullError::TooLarge { .. } => "use a larger value for --max-bytes",
        PullError::NoSuchCommit { .. } | PullError::MissingObject { .. } => {
            "try again later; the publisher can update the summary with `ostree-go publish`"
        }
        PullError::Http { source, .. } if matches!(**source, HttpError::TooSlow { .. }) => {
            "use a lower value for --min-rate, or 0 to accept any rate"
        }
        PullError::NotARepository { .. } => {
            "use the URL of the folder that contains `config` and `objects`; `ostree-go remote list` shows the URLs"
        }
        PullError::NoSummary { .. } => {
            "name the refs, or ask the publisher to run `ostree-go publish`"
        }
        PullError::UnsupportedByImages {
            feature: "summary", ..
        } => "name the refs",
        PullError::SeveralImages { .. } => "select one by its tag, for example oci:DIRECTORY:TAG",
        PullError::NoSuchPlatform { found, .. } if !found.is_empty() => {
            "select another architecture with --arch"
        }
        PullError::Registry { source, .. } if source.is_certificate_error() => {
            return certificate_hint(&**source);
        }
        PullError::Http { source, .. } if source.is_certificate_error() => {
            return certificate_hint(&**source);
        }
        PullError::Encapsulated { .. } => {
            "pull it with `ostree container unencapsulate` or `ostree container image pull`, \
             or export the image without --encapsulate"
        }
        PullError::Repacked { .. } => {
            "the image was changed when it was copied; copy it unchanged, \
             for example with `skopeo copy --all --preserve-digests`"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn upstream_hint(error: &UpstreamError) -> Option<String> {
    let hint = match error {
        UpstreamError::Repo(error) => return repo_hint(error),
        UpstreamError::Unknown { .. } => "Go's checksum database contains only official releases",
        UpstreamError::NoProof { .. } => {
            "verify it with a connection, without --offline, or ask the publisher for \
             `ostree-go publish --upstream-proof`"
        }
        UpstreamError::Fork { .. } => {
            "trust neither tree; send the file to the maintainers of the database, who cannot deny their signatures"
        }
        UpstreamError::StdCache { .. } => {
            "verify the release with --upstream, and the std cache with the keys of its publisher"
        }
        UpstreamError::Differs { .. } => {
            "do not use it as Go's own; `ostree-go show` shows its source"
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
        OverlayError::Conflict { .. } => {
            "use --override to let files of the SDK replace the others"
        }
        OverlayError::Arch { .. } => "use the full ref of the SDK: go-sdk/ARCH/VERSION",
        OverlayError::Partial { .. } => "pull it completely, without --commit-metadata-only",
        OverlayError::NotAnSdk { .. } => "`ostree-go list` shows the releases",
        OverlayError::NoLabels { .. } => "use a repository of mode archive, bare-user or bare",
        OverlayError::Moved { .. } => "run the command again",
        OverlayError::Publish(_) => SUMMARY_HINT,
        OverlayError::Var { .. } => {
            "let the SDK have its files in /usr, and create those in /var with tmpfiles.d"
        }
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
        ExportError::StdCache { .. } => {
            Some("pull its ref completely, or use --no-stdcache to leave it out".to_owned())
        }
        _ => None,
    }
}

fn oci_hint(error: &OciError) -> Option<String> {
    let hint = match error {
        OciError::Export(error) => return export_hint(error),
        OciError::NoLayer { .. } => {
            "export from the repository in which the release was composed, or pull the layer's ref"
        }
        OciError::Encapsulated { .. } => "it can only be exported without --encapsulate",
        OciError::SameArch { .. } => "an image can contain only one release for each architecture",
        OciError::Tag { .. } => "give the image a tag: `IMAGE:TAG`",
        OciError::NoLayout { .. } => "use a directory that is empty or does not exist",
        OciError::OtherImage { .. } => {
            "name the release that was exported; a channel and its release are different commits"
        }
        OciError::NoImage { .. } => "write the image with `ostree-go export oci` first",
        OciError::Sign { source, .. } => return sign_hint(source),
        OciError::Registry(RegistryError::Refused {
            status: 401 | 403, ..
        }) => "log in with `podman login`, or name a credentials file with --authfile",
        OciError::Registry(error) if error.is_certificate_error() => {
            "to use your own certificate authority, put its `*.crt` file into a directory and name that with --cert-dir"
        }
        OciError::Registry(RegistryError::Unreachable { .. }) => {
            "check the address; use --tls-verify=false for a registry without encryption"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

fn attest_hint(error: &AttestError) -> Option<&'static str> {
    match error {
        AttestError::InFile { source, .. } => attest_hint(source),
        AttestError::Key { .. } => Some("sign with an Ed25519 key: --sign-from-file FILE"),
        AttestError::Unsigned => Some("`ostree-go export attest --sign-from-file FILE` signs it"),
        AttestError::Envelope { .. } => Some(
            "a document that was written without a key has no envelope, and cannot be verified",
        ),
        AttestError::OtherSubject { .. } => {
            Some("a channel and its release are different commits: name the one that was attested")
        }
        AttestError::NotARelease { .. } => Some("`ostree-go list` shows the releases"),
        _ => None,
    }
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
            Some("use --leave-out-other to omit files outside of /usr and /opt".to_owned())
        }
        _ => None,
    }
}

/// The hint for a file that is not a program.
const PROGRAM_HINT: &str = "name the file that `go build` wrote for a main package";

fn unit_hint(error: &UnitError) -> Option<&'static str> {
    let hint = match error {
        UnitError::Name { found, .. } if found.contains('@') => {
            "write one unit for each instance, with a name like `app-1`"
        }
        UnitError::InstallPath { .. } => {
            "name the absolute path of the program on the host with --install-path, for example /usr/local/bin/app"
        }
        UnitError::NotAProgram { .. } => PROGRAM_HINT,
        UnitError::Arch {
            expected: Some(_), ..
        } => "build the program with GOARCH, or name its architecture with --arch",
        UnitError::InvalidWord {
            what: "the user", ..
        } => "omit --run-as, so that systemd allocates a user",
        _ => return None,
    };
    Some(hint)
}

/// Returns a suggestion that fits every error of a kind.
pub fn kind_hint(kind: ErrorKind) -> Option<String> {
    let hint = match kind {
        ErrorKind::DiskFull => "free space on the file system and run the command again",
        ErrorKind::Clock => {
            "set the clock, for example with `timedatectl set-ntp true`, and run the command again"
        }
        ErrorKind::Network => "check the connection and run the command again",
        ErrorKind::PermissionDenied => {
            "check the owner and mode of the path, and the mount options"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}
