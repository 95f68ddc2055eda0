//! The operations of a campaign: every command that changes something.

/// A command of `ostree-go` that changes a repository, a root or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the command of that name")]
pub enum Operation {
    Compose,
    Promote,
    Publish,
    Prune,
    Sign,
    Pull,
    /// `pull --mirror`.
    Mirror,
    Import,
    Install,
    Upgrade,
    Use,
    Rollback,
    Uninstall,
    Gc,
    RemoteAdd,
    Overlay,
    /// `export oci`.
    Export,
}

impl Operation {
    /// All operations.
    pub const ALL: [Self; 17] = [
        Self::Compose,
        Self::Promote,
        Self::Publish,
        Self::Prune,
        Self::Sign,
        Self::Pull,
        Self::Mirror,
        Self::Import,
        Self::Install,
        Self::Upgrade,
        Self::Use,
        Self::Rollback,
        Self::Uninstall,
        Self::Gc,
        Self::RemoteAdd,
        Self::Overlay,
        Self::Export,
    ];

    /// Name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compose => "compose",
            Self::Promote => "promote",
            Self::Publish => "publish",
            Self::Prune => "prune",
            Self::Sign => "sign",
            Self::Pull => "pull",
            Self::Mirror => "pull --mirror",
            Self::Import => "import",
            Self::Install => "install",
            Self::Upgrade => "upgrade",
            Self::Use => "use",
            Self::Rollback => "rollback",
            Self::Uninstall => "uninstall",
            Self::Gc => "gc",
            Self::RemoteAdd => "remote add",
            Self::Overlay => "overlay",
            Self::Export => "export",
        }
    }

    /// Returns the operation of a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|operation| operation.name() == name)
    }

    /// Returns the paths that the operation changes, relative to the directory of the world.
    pub fn target(self) -> Target {
        match self {
            Self::Compose
            | Self::Promote
            | Self::Publish
            | Self::Prune
            | Self::Sign
            | Self::Overlay => Target::Repo("repo"),
            Self::Pull => Target::Repo("host"),
            Self::Mirror => Target::Repo("mirror"),
            Self::Import => Target::Repo("imported"),
            Self::Install | Self::Upgrade => Target::Root("online"),
            Self::Use | Self::Rollback | Self::Uninstall | Self::Gc => Target::Root("local"),
            Self::RemoteAdd => Target::Root("new"),
            Self::Export => Target::Folder("exported"),
        }
    }

    /// Returns true if a second run after a complete one succeeds and changes nothing.
    pub fn is_repeatable(self) -> bool {
        !matches!(self, Self::Rollback | Self::Uninstall)
    }

    /// The arguments. `KEY`, `HOME` and `URL` stand for the GPG key, the GnuPG home and the server.
    pub(super) fn args(self) -> &'static str {
        match self {
            Self::Compose => "--repo repo compose go.yaml --gpg-sign KEY --gpg-homedir HOME",
            Self::Promote => {
                "--repo repo promote go-sdk/x86_64/1.99.1 beta --gpg-sign KEY --gpg-homedir HOME"
            }
            Self::Publish => "--repo repo publish --gpg-sign KEY --gpg-homedir HOME",
            Self::Prune => "--repo repo prune --keep 1 --older-than 0d",
            Self::Sign => {
                "--repo repo sign go-sdk/x86_64/1.99.1 go-sdk/x86_64/1.99.2 \
                 --gpg-sign KEY --gpg-homedir HOME --sign-from-file keys/secret.ed25519"
            }
            Self::Pull => "--repo host pull acme go-sdk/x86_64/1.99 go-sdk/x86_64/1.99.1",
            Self::Mirror => "--repo mirror pull --mirror acme",
            Self::Import => "--repo imported import oci:image",
            Self::Install => "--root online install 1.99.2",
            Self::Upgrade => "--root online upgrade",
            Self::Use => "--root local use 1.99.1",
            Self::Rollback => "--root local rollback",
            Self::Uninstall => "--root local uninstall 1.99.1",
            Self::Gc => "--root local gc",
            Self::RemoteAdd => {
                "--root new remote add acme URL --gpg-import keys/acme.asc --if-not-exists"
            }
            Self::Overlay => {
                "--repo repo overlay os/x86_64/base go-sdk/x86_64/1.99.2 --ref os/x86_64/go"
            }
            Self::Export => "--repo repo export oci 1.99.2 oci:exported:go",
        }
    }
}

/// The part of the world that an operation changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A repository.
    Repo(&'static str),
    /// A root of deployments.
    Root(&'static str),
    /// An OCI layout.
    Folder(&'static str),
}
