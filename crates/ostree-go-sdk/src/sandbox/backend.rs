//! The mechanisms that isolate a command.

use std::fmt;
use std::str::FromStr;

/// A mechanism that isolates a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// bubblewrap.
    Bwrap,
    /// A transient service of systemd.
    Systemd,
    /// Landlock and seccomp.
    Landlock,
    /// No isolation at all: only the environment, the caches and the limits are those of a sandbox.
    None,
}

impl Backend {
    /// The backends that isolate, in the order of preference.
    pub const ISOLATING: [Self; 3] = [Self::Bwrap, Self::Systemd, Self::Landlock];

    /// Returns the name on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bwrap => "bwrap",
            Self::Systemd => "systemd",
            Self::Landlock => "landlock",
            Self::None => "none",
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The network of a sandbox.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Network {
    /// No network. bubblewrap and systemd give a loopback interface of its own; with Landlock, sockets
    /// cannot be created at all.
    #[default]
    None,
    /// The network of the host, with its abstract Unix sockets.
    Host,
}

/// The error for a text that is not the name of a backend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown sandbox `{found}`, expected bwrap, systemd, landlock or none")]
pub struct UnknownBackend {
    /// The text.
    pub found: String,
}

impl FromStr for Backend {
    type Err = UnknownBackend;

    fn from_str(text: &str) -> Result<Self, UnknownBackend> {
        let mut all = Self::ISOLATING.into_iter().chain([Self::None]);
        let found = all.find(|backend| backend.as_str() == text);
        found.ok_or_else(|| UnknownBackend {
            found: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_backends() {
        for name in ["bwrap", "systemd", "landlock", "none"] {
            assert_eq!(name.parse::<Backend>().unwrap().as_str(), name);
        }
        let error = "docker".parse::<Backend>().unwrap_err();
        insta::assert_snapshot!(error, @"unknown sandbox `docker`, expected bwrap, systemd, landlock or none");
    }
}
