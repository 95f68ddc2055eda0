//! What Go's own tools write and read.

mod h1;

pub use h1::{H1, InvalidH1};
