//! Reads what programs tell about themselves: how they are loaded, and how Go has built them.
//!
//! A program is never executed. Only the parts of the file that are needed are read, so that the size
//! of a program hardly matters. Everything in the file is checked before it is used: sizes and numbers
//! are limited, and a damaged file is an error.
//!
//! ```no_run
//! use ostree_go_sdk::inspect::{Binary, Requirement};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let binary = Binary::open("app")?;
//! println!("built with {}", binary.build.go_version);
//! for unmet in binary.unmet(&[Requirement::Static, "sdk=1.26.5".parse()?]) {
//!     println!("{}: expected {}, found {}", unmet.requirement, unmet.expected, unmet.found);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The information is the builder's own statement. It shows mistakes in a build, such as a forgotten
//! `-trimpath`; whoever builds a program with the intention to deceive can write anything into it.

mod binary;
pub(crate) mod build_info;
pub(crate) mod contents;
mod error;
mod functions;
pub(crate) mod image;
mod loading;
mod requirement;
#[cfg(test)]
mod tests;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod toy;

pub use crate::golang::build_info::{BuildInfo, BuildModule, InvalidBuildInfo};
pub use binary::Binary;
pub use error::InspectError;
pub use loading::{BinaryKind, Loading, Relro, WritableCode};
pub use requirement::{Requirement, UnknownRequirement, Unmet};
