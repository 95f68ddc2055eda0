//! Sandboxes: runs one command so that it can read only what it is given, write only where it is allowed
//! to, and reach no network.
//!
//! A [`Sandbox`] describes the command; [`Sandbox::start`] starts it, [`Sandbox::run`] also waits for its
//! end. What isolates it is a [`Backend`]:
//!
//! - bubblewrap: namespaces of a user, without a daemon;
//! - systemd: a transient service of the system's or the user's service manager;
//! - Landlock and seccomp: where namespaces are not allowed, as in containers.
//!
//! No backend is used that isolates less than was asked for: what it cannot isolate on this machine is a
//! [`Gap`], and gaps have to be [accepted](Sandbox::accept_gaps).
//!
//! The files, lowest first: `backend`, `error`, `limits`, `options`, `seed`, `places`, `environment`, `program`, `scratch`,
//! `detect`, `seccomp`, `landlock`, `unit`, `processes`, `supervise`, `running`, `helper`, `bwrap`, `start`, `examine`.

mod backend;
mod bwrap;
mod detect;
mod environment;
mod error;
mod examine;
mod helper;
mod landlock;
mod limits;
mod options;
mod places;
mod processes;
mod program;
mod running;
mod scratch;
mod seccomp;
mod seed;
mod start;
mod supervise;
mod unit;

pub use backend::{Backend, Network, UnknownBackend};
pub use environment::keep_variable;
pub use error::{Gap, Reason, SandboxError, Unavailable};
pub use examine::examine;
pub use limits::Limits;
pub use options::{Bind, Host, Sandbox};
pub use running::{Cause, Control, Ended, Running};
pub use supervise::supervise;
