//! The `ostree-go` command with failpoints, for the tests.

fn main() -> std::process::ExitCode {
    ostree_go_cli::main()
}
