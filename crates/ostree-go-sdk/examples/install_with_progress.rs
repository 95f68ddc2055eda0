//! Adds a remote to a root, and installs an SDK from it with progress reports.
//!
//! ```sh
//! cargo run --example install_with_progress -- ROOT URL KEY REF
//! ```

use ostree_go_sdk::deploy::{Install, Installed, Root};
use ostree_go_sdk::remote::NewRemote;
use ostree_go_sdk::{Error, ErrorKind, Event, NoProgress, Progress, RefName, remote};
use std::sync::Arc;

// ANCHOR: progress
/// Prints events. It is called from several threads and often, so it must be fast: a program with
/// a user interface would only store the numbers.
struct Printer;

impl Progress for Printer {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Advanced {
                phase,
                item,
                done,
                total: Some(total),
            } => eprintln!("{} {item}: {done} of {total}", phase.as_str()),
            Event::Finished { phase, item } => eprintln!("{} {item}: finished", phase.as_str()),
            Event::Waiting { lock } => eprintln!("waiting for {}", lock.display()),
            // New events may be added.
            _ => {}
        }
    }
}
// ANCHOR_END: progress

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [root, url, key, name] = args.as_slice() else {
        return Err("usage: install_with_progress ROOT URL KEY REF".into());
    };
    let root = Root::create(root)?;
    let repo = root.create_repo(&NoProgress)?;
    if remote::list(&repo)?.is_empty() {
        let new = NewRemote::new("go", url).keys(std::fs::read(key)?);
        remote::add(&repo, &new)?;
    }
    match install(&root, name.parse()?) {
        Ok(installed) => {
            for one in installed.deployed {
                println!("go {} is installed", one.deployment.version);
            }
            println!("add {} to PATH", root.bin().display());
            Ok(())
        }
        Err(error) => {
            report(&error);
            Err(error.into())
        }
    }
}

// ANCHOR: install
fn install(root: &Root, name: RefName) -> Result<Installed, Error> {
    let install = Install::new([name]).progress(Arc::new(Printer));
    // The SDK is fetched, verified, deployed and activated, or nothing changes.
    Ok(install.plan(root)?.execute()?)
}
// ANCHOR_END: install

// ANCHOR: errors
fn report(error: &Error) {
    match error.kind() {
        ErrorKind::Mismatch => eprintln!("the signature or the content is not the expected one"),
        ErrorKind::NotFound => eprintln!("the remote does not have this SDK"),
        kind if kind.is_temporary() => eprintln!("try again later: {}", kind.as_str()),
        kind => eprintln!("failed: {}", kind.as_str()),
    }
}
// ANCHOR_END: errors
