//! Runs for `ostree container …`, which passes on the word `container` as well.

fn main() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(ostree_ext::cli::run_from_iter(std::env::args_os()))
}
