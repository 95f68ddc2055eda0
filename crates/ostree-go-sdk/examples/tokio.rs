//! Composes in an async program, which stays responsive and can cancel the compose.
//!
//! ```sh
//! cargo run --example tokio -- go.yaml build/repo
//! ```

use ostree_go_sdk::compose::{Compose, Composed};
use ostree_go_sdk::treefile::Treefile;
use ostree_go_sdk::{Error, Progress, Repo, RepoMode};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::{JoinError, spawn_blocking};

/// Cancels the operation after [`Flag::set`].
#[derive(Default)]
struct Flag(AtomicBool);

impl Flag {
    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Progress for Flag {
    fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

// ANCHOR: cancel_on_drop
/// Cancels the operation when it is dropped: when the future that owns it is dropped, for example
/// by `tokio::select!` or a timeout. A blocking task does not end by itself then.
struct CancelOnDrop(Arc<Flag>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}
// ANCHOR_END: cancel_on_drop

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(treefile), Some(path)) = (args.next(), args.next()) else {
        return Err("usage: tokio TREEFILE REPO".into());
    };
    let treefile = Treefile::load(treefile)?;
    let repo = Repo::create(path, RepoMode::Archive)?;
    let composed = compose(treefile, repo).await??;
    println!("{} releases", composed.releases.len());
    Ok(())
}

// ANCHOR: spawn_blocking
async fn compose(treefile: Treefile, repo: Repo) -> Result<Result<Composed, Error>, JoinError> {
    let flag = Arc::new(Flag::default());
    let _cancel = CancelOnDrop(flag.clone());
    let compose = Compose::new(treefile).progress(flag);
    // A plan is fast, but it reads files: in a program that must not block for milliseconds, move
    // `compose` and `repo` into the task and plan there.
    let plan = match compose.plan(&repo) {
        Ok(plan) => plan,
        Err(error) => return Ok(Err(error.into())),
    };
    // The plan owns everything that it needs.
    spawn_blocking(move || Ok(plan.execute()?)).await
}
// ANCHOR_END: spawn_blocking
