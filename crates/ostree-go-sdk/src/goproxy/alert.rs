//! Alerts: what a module proxy has refused to serve, or found damaged, and why.

use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// The reason for an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum AlertKind {
    /// No pattern of the policy allows the module.
    NotAllowed,
    /// The policy denies the module or the version.
    Denied,
    /// The version is younger than the policy allows, or its age is unknown.
    TooYoung,
    /// The `.info` names another version than the requested one.
    WrongVersion,
    /// The `go.mod` file has another hash than the checksum database or the signed statement.
    ModMismatch,
    /// The zip file has another hash than the checksum database or the signed statement.
    ZipMismatch,
    /// The zip file is damaged, or has content that no module may have.
    InvalidZip,
    /// The checksum database does not have the version.
    NotInDatabase,
    /// An answer of the checksum database is not signed, or not proven.
    InvalidDatabase,
    /// The checksum database has shown two histories that contradict each other.
    ForkedDatabase,
    /// A private module has no signed statement.
    NoStatement,
    /// The statement of a private module is not signed by a key of the policy.
    ForeignStatement,
    /// The statement of a private module is malformed, or is about something else.
    InvalidStatement,
    /// A client asked the checksum database for a private module.
    PrivateLookup,
    /// A file of the cache has been changed or damaged. It was fetched again.
    CacheChanged,
}

impl AlertKind {
    /// Returns a stable lower-case word, such as `zip-mismatch`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotAllowed => "not-allowed",
            Self::Denied => "denied",
            Self::TooYoung => "too-young",
            Self::WrongVersion => "wrong-version",
            Self::ModMismatch => "mod-mismatch",
            Self::ZipMismatch => "zip-mismatch",
            Self::InvalidZip => "invalid-zip",
            Self::NotInDatabase => "not-in-database",
            Self::InvalidDatabase => "invalid-database",
            Self::ForkedDatabase => "forked-database",
            Self::NoStatement => "no-statement",
            Self::ForeignStatement => "foreign-statement",
            Self::InvalidStatement => "invalid-statement",
            Self::PrivateLookup => "private-lookup",
            Self::CacheChanged => "cache-changed",
        }
    }
}

impl Serialize for AlertKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// An alert. Serialized, it is a JSON object; absent values are left out.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Alert {
    /// The time, in the form `2026-11-02T20:36:21Z`.
    pub time: String,
    /// The reason for the alert.
    pub alert: AlertKind,
    /// The path of the module.
    pub module: String,
    /// The version of the module.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The requested file: `info`, `mod`, `zip`, `list`, `latest` or `sumdb`.
    pub file: &'static str,
    /// True if the request was answered with status 403. Otherwise the damage was repaired.
    pub blocked: bool,
    /// The value that was found and the expected one, for people.
    pub message: String,
    /// The expected hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The hash that was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// The file with the evidence, such as two heads of a database that contradict each other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<PathBuf>,
}

/// Receives the alerts of a module proxy.
///
/// Called from several threads at once, before the client gets its answer: return quickly.
pub trait AlertSink: Send + Sync {
    /// Handles an alert.
    fn alert(&self, alert: &Alert);
}

impl fmt::Debug for dyn AlertSink + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AlertSink")
    }
}

/// Ignores all alerts.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAlerts;

impl AlertSink for NoAlerts {
    fn alert(&self, _: &Alert) {}
}
