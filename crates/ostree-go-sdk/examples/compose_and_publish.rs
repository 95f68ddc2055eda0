//! Composes the releases of a treefile, and publishes the repository for a web server.
//!
//! ```sh
//! cargo run --example compose_and_publish -- go.yaml build/repo
//! ```

use ostree_go_sdk::compose::Compose;
use ostree_go_sdk::publish::Publish;
use ostree_go_sdk::sign::SigningKey;
use ostree_go_sdk::treefile::Treefile;
use ostree_go_sdk::{Cache, Error, Repo, RepoMode};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args_os().skip(1);
    let (Some(treefile), Some(path)) = (args.next(), args.next()) else {
        return Err("usage: compose_and_publish TREEFILE REPO".into());
    };
    let treefile = Treefile::load(treefile)?;
    let repo = Repo::create(path, RepoMode::Archive)?;
    // Without keys, nothing is signed.
    Ok(compose_and_publish(treefile, &repo, Vec::new())?)
}

// ANCHOR: compose_and_publish
fn compose_and_publish(
    treefile: Treefile,
    repo: &Repo,
    keys: Vec<SigningKey>,
) -> Result<(), Error> {
    // 1. Options: every setter has a default.
    let compose = Compose::new(treefile)
        .cache(Cache::new("build/cache"))
        .sign_with(keys.clone());

    // 2. The plan says what is to be done, and writes nothing.
    let plan = compose.plan(repo)?;
    for release in plan.releases() {
        let state = if release.unchanged {
            "unchanged"
        } else {
            "to do"
        };
        println!("{}: {state}", release.spec.release_ref);
    }

    // 3. Everything is durable when this returns; after an error, no ref has moved.
    let composed = plan.execute()?;
    for release in &composed.releases {
        println!("{} is commit {}", release.ref_name, release.commit);
    }

    // Writes static deltas, the summary and its signature.
    let published = Publish::new().sign_with(keys).plan(repo)?.execute()?;
    println!("{} refs, {} deltas", published.refs, published.deltas.len());
    Ok(())
}
// ANCHOR_END: compose_and_publish
