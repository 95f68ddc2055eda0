//! The two machine architectures, and each one's name in every naming scheme.

use std::fmt;
use std::str::FromStr;

/// A machine architecture that Go SDKs are composed for.
///
/// [`fmt::Display`] and [`FromStr`] use OSTree's and RPM's name
/// ([`Arch::basearch`]); the others are given by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Arch {
    /// 64-bit x86.
    X86_64,
    /// 64-bit Arm.
    Aarch64,
}

impl Arch {
    /// Every architecture, in the order releases are composed and listed.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// OSTree's and RPM's name (`$basearch`): `x86_64`, `aarch64`.
    #[must_use]
    pub const fn basearch(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// Go's name (`GOARCH`): `amd64`, `arm64`. Debian and OCI use the same.
    #[must_use]
    pub const fn goarch(self) -> &'static str {
        match self {
            Self::X86_64 => "amd64",
            Self::Aarch64 => "arm64",
        }
    }

    /// The OCI image specification's `architecture`, which is Go's name.
    #[must_use]
    pub const fn oci(self) -> &'static str {
        self.goarch()
    }

    /// systemd's name, as in `ConditionArchitecture=`: `x86-64`, `arm64`.
    #[must_use]
    pub const fn systemd(self) -> &'static str {
        match self {
            Self::X86_64 => "x86-64",
            Self::Aarch64 => "arm64",
        }
    }

    /// The ELF header's `e_machine` (System V ABI: `EM_X86_64`, `EM_AARCH64`).
    #[must_use]
    pub const fn elf_machine(self) -> u16 {
        match self {
            Self::X86_64 => 62,
            Self::Aarch64 => 183,
        }
    }

    /// The architecture this program was built for, if it is one of [`Arch::ALL`].
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

/// A name that is no architecture's [`Arch::basearch`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown architecture `{found}`, expected x86_64 or aarch64")]
pub struct UnknownArch {
    /// The name as given.
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
