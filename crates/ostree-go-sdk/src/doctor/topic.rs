//! The severities and subjects of findings.

/// The severity of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Severity {
    /// The check found nothing wrong.
    Good,
    /// The finding may explain something, and nothing needs to be done.
    Note,
    /// Something works differently than expected, or will stop working.
    Warning,
    /// Something does not work.
    Problem,
}

impl Severity {
    /// Returns a stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Problem => "problem",
        }
    }
}

/// The subject of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Topic {
    /// The root directory and its permissions.
    Root,
    /// The file system of the root directory.
    FileSystem,
    /// The clock of the machine.
    Clock,
    /// The trusted keys of the remotes.
    Keys,
    /// The connection to the remotes.
    Remotes,
    /// The compiled standard library of the active SDK.
    StdCache,
    /// The variables that decide which Go is run, and which build cache it uses.
    Environment,
    /// The sandboxes for commands of `run` and of a compose.
    Sandbox,
    /// The hooks that run after an upgrade.
    Hooks,
    /// The programs and libraries that are used.
    Software,
}

impl Topic {
    /// Returns a stable lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::FileSystem => "file-system",
            Self::Clock => "clock",
            Self::Keys => "keys",
            Self::Remotes => "remotes",
            Self::StdCache => "std-cache",
            Self::Environment => "environment",
            Self::Sandbox => "sandbox",
            Self::Hooks => "hooks",
            Self::Software => "software",
        }
    }
}
