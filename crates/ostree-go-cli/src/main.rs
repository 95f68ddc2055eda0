//! The `ostree-go` command.
fn main() {}
