//! The supported machine architectures, and their names in various naming schemes.

use std::fmt;
use std::str::FromStr;

/// A machine architecture that Go SDKs are composed for.
///
/// [`fmt::Display`] and [`FromStr`] use the name of OSTree and RPM ([`Arch::basearch`]); methods
/// return the other names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Arch {
    /// All architectures, in the order in which releases are composed and listed.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// Returns the name in OSTree and RPM (`$basearch`): `x86_64`, `aarch64`.
    #[must_use]
    pub const fn basearch(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Returns the name in Go (`GOARCH`): `amd64`, `arm64`. Debian and OCI use the same.
    #[must_use]
    pub const fn goarch(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// Returns the `architecture` of the OCI image specification, which is Go's name.
    #[must_use]
    pub const fn oci(self) -> &'static str {
        self.goarch()
    }

    /// Returns the name in systemd, as in `ConditionArchitecture=`: `x86-64`, `arm64`.
    #[must_use]
    pub const fn systemd(self) -> &'static str {
        match self {
            Self::X86_64 => "x86-64",
            Self::Aarch64 => "arm64",
        }
    }

    /// Returns `e_machine` of the ELF header (System V ABI: `EM_X86_64`, `EM_AARCH64`).
    #[must_use]
    pub const fn elf_machine(self) -> u16 {
        match self {
            Self::X86_64 => 62,
            Self::Aarch64 => 183,
        }
    }

    /// Returns the architecture with a name that people use: that of OSTree and RPM (`aarch64`), or
    /// that of Go, Debian and OCI (`arm64`). [`FromStr`] accepts only the first one, which is the
    /// only one in refs and metadata.
    ///
    /// # Errors
    /// Returns an error if no architecture has this name.
    pub fn from_any_name(name: &str) -> Result<Self, UnknownArch> {
        let of_go = Self::ALL.into_iter().find(|arch| arch.goarch() == name);
        of_go.map_or_else(|| name.parse(), Ok)
    }

    /// Returns the architecture that this program was built for, if it is in [`Arch::ALL`].
    #[must_use]
    pub fn host() -> Option<Self> {
        std::env::consts::ARCH.parse().ok()
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.basearch())
    }
}

/// The error for a name that is not the [`Arch::basearch`] of an architecture.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown architecture `{found}`, expected x86_64 or aarch64")]
pub struct UnknownArch {
    /// The unknown name.
    pub found: String,
}

impl FromStr for Arch {
    type Err = UnknownArch;

    fn from_str(name: &str) -> Result<Self, UnknownArch> {
        Self::ALL
            .into_iter()
            .find(|arch| arch.basearch() == name)
            .ok_or_else(|| UnknownArch {
                found: name.to_owned(),
            })
    }
}
