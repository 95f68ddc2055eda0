//! Cancels a compose that takes longer than a given time.
//!
//! ```sh
//! cargo run --example cancel -- go.yaml build/repo 10
//! ```

use ostree_go_sdk::compose::{Compose, ComposeError};
use ostree_go_sdk::treefile::Treefile;
use ostree_go_sdk::{ErrorKind, Progress, Repo, RepoMode};
use std::sync::Arc;
use std::time::{Duration, Instant};

// ANCHOR: deadline
/// Cancels the operation at a point in time. A program that is stopped by a signal or a button
/// would return the value of an `AtomicBool` instead.
struct Deadline(Instant);

impl Progress for Deadline {
    fn is_cancelled(&self) -> bool {
        Instant::now() >= self.0
    }
}
// ANCHOR_END: deadline

// ANCHOR: cancel
fn compose_until(deadline: Instant, treefile: Treefile, repo: &Repo) -> Result<(), ComposeError> {
    let compose = Compose::new(treefile).progress(Arc::new(Deadline(deadline)));
    match compose.plan(repo)?.execute() {
        Ok(composed) => println!("{} releases", composed.releases.len()),
        // No ref has moved. The next compose starts from the same state.
        Err(error) if error.kind() == ErrorKind::Cancelled => println!("cancelled: {error}"),
        Err(error) => return Err(error),
    }
    Ok(())
}
// ANCHOR_END: cancel

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [treefile, path, seconds] = args.as_slice() else {
        return Err("usage: cancel TREEFILE REPO SECONDS".into());
    };
    let treefile = Treefile::load(treefile)?;
    let repo = Repo::create(path, RepoMode::Archive)?;
    let deadline = Instant::now() + Duration::from_secs(seconds.parse()?);
    Ok(compose_until(deadline, treefile, &repo)?)
}
