//! The names of commits in Go's module system.

use super::{CommitInfo, CommitKind};
use crate::golang::module_path::major_of_path;
use crate::golang::pseudo_version::pseudo_version;
use crate::golang::toolchain;
use crate::version::GoVersion;

/// The name of a commit in Go's module system: a module and its version.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModuleVersionInfo {
    /// The name of the toolchain in `toolchain` lines and in `GOTOOLCHAIN`: `go1.26.5`; `None` for
    /// modules that are not a release of Go.
    pub toolchain: Option<String>,
    /// The path of the module: `golang.org/toolchain`, or `example.com/lib`.
    pub path: String,
    /// The version of the module: `v0.0.1-go1.26.5.linux-amd64`, or `v1.2.3`. For a module that was
    /// composed from a directory, it is the pseudo-version with the time and the first 12 digits of
    /// the commit: `v0.0.0-20260701212427-abcdef123456`.
    pub version: String,
    /// The `h1:` hash of the module's content; `None` for a module from a directory, and for an SDK
    /// that Go's module form cannot contain.
    pub h1: Option<String>,
    /// The `h1:` hash of the module's `go.mod` file; `None` for a release of Go.
    pub go_mod_h1: Option<String>,
}

impl CommitInfo {
    /// Returns the module and version with the content of this commit: for a release of Go's own
    /// SDK, or a channel that has it, the toolchain module that Go distributes it in; for a commit of
    /// a Go module, this module. Returns `None` for everything else: for layers, std caches and OS
    /// images, and for variants that a site has made, which Go does not distribute.
    #[must_use]
    pub fn module_version(&self) -> Option<ModuleVersionInfo> {
        match self.kind {
            CommitKind::Release | CommitKind::Channel => self.toolchain_version(),
            CommitKind::Module => self.version_of_module(),
            CommitKind::Layer | CommitKind::StdCache | CommitKind::Image | CommitKind::Other => {
                None
            }
        }
    }

    fn toolchain_version(&self) -> Option<ModuleVersionInfo> {
        let version: GoVersion = self.version.as_deref()?.parse().ok()?;
        let arch = self.arch?;
        let is_variant = self.variant.is_some() || version.as_str().contains('-');
        (!is_variant).then(|| ModuleVersionInfo {
            toolchain: Some(format!("go{version}")),
            path: toolchain::MODULE.to_owned(),
            version: toolchain::module_version(&version, arch),
            h1: self.h1.clone(),
            go_mod_h1: None,
        })
    }

    fn version_of_module(&self) -> Option<ModuleVersionInfo> {
        let module = self.module.as_ref()?;
        let version = module.version.clone().unwrap_or_else(|| {
            let major = major_of_path(&module.path);
            pseudo_version(major, None, self.timestamp, &self.id.to_string())
        });
        Some(ModuleVersionInfo {
            toolchain: None,
            path: module.path.clone(),
            version,
            h1: self.h1.clone(),
            go_mod_h1: module.go_mod_h1.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::Arch;
    use crate::golang::h1::H1;
    use crate::id::RefName;
    use crate::metadata::{self, Metadata};
    use crate::object::{Commit, TreeSize};

    const SIZE: TreeSize = TreeSize { bytes: 1, files: 1 };
    const SUM: &str = "h1:/yCM7qVQu6sYYUewQ39rtTtRMYMHdbP9oNjgp+lEV9w=";

    fn version_of(metadata: Metadata) -> Option<ModuleVersionInfo> {
        let commit = Commit {
            metadata,
            parent: None,
            subject: String::new(),
            body: String::new(),
            timestamp: 1_782_941_067,
            tree: [1; 32].into(),
            meta: [2; 32].into(),
        };
        CommitInfo::from_commit([0xab; 32].into(), &commit).module_version()
    }

    fn release(version: &str, variant: Option<&str>, name: &str) -> Option<ModuleVersionInfo> {
        let release = metadata::Release {
            arch: Arch::X86_64,
            version,
            variant,
            layers: &[],
            h1: Some(SUM.to_owned()),
            size: SIZE,
            extra: &Metadata::new(),
        };
        version_of(release.bound_to(&name.parse().unwrap()))
    }

    #[test]
    fn a_release_of_go_is_a_version_of_the_toolchain_module() {
        for name in ["go-sdk/x86_64/1.26.10", "go-sdk/x86_64/stable"] {
            let found = release("1.26.10", None, name).unwrap();
            assert_eq!(found.toolchain.as_deref(), Some("go1.26.10"));
            assert_eq!(found.path, "golang.org/toolchain");
            assert_eq!(found.version, "v0.0.1-go1.26.10.linux-amd64");
            assert_eq!(found.h1.as_deref(), Some(SUM));
        }
        let name = "go-sdk/x86_64/1.26.10-acme1";
        assert_eq!(release("1.26.10-acme1", Some("acme1"), name), None);
        assert_eq!(release("1.26.10-acme1", None, name), None);
        let name: RefName = "go-sdk/layer/std/00".parse().unwrap();
        assert_eq!(version_of(metadata::layer("std", None, &name)), None);
    }

    #[test]
    fn a_module_from_a_directory_has_a_pseudo_version() {
        let h1: H1 = SUM.parse().unwrap();
        let name: RefName = "go-sdk/module/example.com/lib/v1.2.3".parse().unwrap();
        let module = |path, version| metadata::Module {
            path,
            version,
            go_mod_h1: h1,
            size: SIZE,
        };
        let found = version_of(module("example.com/lib", Some(("v1.2.3", h1))).bound_to(&name));
        let found = found.unwrap();
        assert_eq!(
            (found.path.as_str(), found.version.as_str()),
            ("example.com/lib", "v1.2.3")
        );
        assert_eq!(found.toolchain, None);
        for (path, version) in [
            ("example.com/lib", "v0.0.0-20260701212427-abababababab"),
            ("example.com/lib/v2", "v2.0.0-20260701212427-abababababab"),
        ] {
            let found = version_of(module(path, None).bound_to(&name)).unwrap();
            assert_eq!(found.version, version);
            assert_eq!(found.h1, None);
            assert_eq!(found.go_mod_h1.as_deref(), Some(SUM));
        }
    }
}
