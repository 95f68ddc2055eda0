//! The `ostree-go` command-line program.

fn main() -> std::process::ExitCode {
    ostree_go_cli::main()
}
