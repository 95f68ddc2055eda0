//! Pulling commits from a remote.
//!
//! The commits are fetched first, without their content, into a temporary repository. Everything
//! that can be checked on a commit alone is checked there: its signature, the ref that it is bound
//! to, its architecture and its age. Then the content of exactly these commits is fetched in one
//! transaction of the repository, and checked against the commits before the transaction is
//! committed. No decision depends on other data from the server, for example on an unsigned
//! summary.
//!
//! Data flows one way: the options ([`Pull`]) open a session, the session opens an origin, the
//! origin finds the commits for the plan ([`PullPlan`]), and the plan is executed. A file uses only
//! files that are listed before it:
//!
//! 1. `error` and `bounds`: errors, and limits on the content of commits
//! 2. `options`: the options of a pull; `monitor` watches its transfers
//! 3. `scratch`: the temporary repository; `session`: the state that all parts of one pull share
//! 4. `planned`: refs with their commits and downloads; `offered`: refs that a remote offers
//! 5. `origin`: the interface of the origins; `client` connects to them
//! 6. `libostree`, `http`, `image`: the origins, which do not use each other
//! 7. `check`: the checks of commits
//! 8. `plan`: chooses the origin, and plans the downloads
//! 9. `execute`: fetches the content, and updates the refs
//!
//! Within `http`, the order is `fetchers`, `server`, `summary`, `delta`, `commits`, `receive` and
//! `sweep`, `contents`, and the origin in `mod`. Within `image`, it is `manifest`, `std_caches`, `layout`
//! and `registry`, `labels` and `store`, `documents` and `blob`, `trees`, `ingest`, and the origin in `mod`.

mod bounds;
mod check;
mod client;
mod error;
mod execute;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod http;
mod image;
mod libostree;
mod monitor;
mod offered;
mod options;
mod origin;
mod plan;
mod planned;
mod scratch;
mod session;

pub use error::PullError;
pub use execute::Pulled;
pub use image::{ImageLabels, image_labels};
pub use offered::OfferedRef;
pub use options::{Depth, Pull};
pub use plan::PullPlan;
pub use planned::{Download, PlannedRef, RefusedRef};
