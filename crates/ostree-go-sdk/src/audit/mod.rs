//! Known vulnerabilities of Go releases, and the end of their support.
//!
//! [`Database`] reads a Go vulnerability database, a folder or a URL with the layout of
//! <https://vuln.go.dev>, and finds the entries about the standard library and the tools of Go.
//! [`DownloadIndex`] reads Go's download index, which tells the minor releases that Go supports: the
//! two newest ones (<https://go.dev/doc/devel/release#policy>). [`Advisories`] holds what was read, and
//! assesses releases without I/O.
//!
//! Documents from a URL are kept in a cache with their validators. If the server cannot be reached, the
//! copy in the cache is used, and [`Origin`] says so.
//!
//! ```no_run
//! use ostree_go_sdk::audit::{Advisories, Database, Platform};
//! use ostree_go_sdk::{Arch, GoVersion};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let version: GoVersion = "1.26.4".parse()?;
//! let database = Database::new("https://vuln.go.dev").load([&version])?;
//! let advisories = Advisories::new().vulnerabilities(database);
//! let assessment = advisories.assess(&version, &Platform::linux(Arch::X86_64));
//! for one in assessment.vulnerabilities.iter().flatten() {
//!     println!("{} is fixed in {:?}: {}", one.id, one.fixed, one.summary);
//! }
//! # Ok(())
//! # }
//! ```

mod advisories;
mod database;
mod documents;
mod error;
mod fetch;
mod releases;
#[cfg(test)]
mod tests;

pub use crate::golang::osv::{OsvError, Platform};
pub use advisories::{Advisories, Assessment};
pub use database::{Database, Scope, Vulnerabilities, Vulnerability};
pub use documents::Origin;
pub use error::AuditError;
pub use releases::{DownloadIndex, Support, UpstreamReleases};

/// The URL of Go's vulnerability database.
pub const DATABASE: &str = "https://vuln.go.dev";
/// The URL of Go's download index.
pub const INDEX: &str = "https://go.dev/dl/";
