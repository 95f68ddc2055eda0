//! The library in another program: it uses only public names, with its own progress and clock.

use ostree_go_sdk::compose::{ChannelState, Compose, ComposeError};
use ostree_go_sdk::treefile::Treefile;
use ostree_go_sdk::{
    Arch, Error, ErrorKind, Event, FixedClock, Phase, Progress, Repo, RepoMode, ostree,
};
use ostree_go_tests::toy::Toy;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

const TREEFILE: &str = "
version: 1.99.1
arches: [x86_64]
channels: [\"go-sdk/${basearch}/1.99\"]
source: [{ path: go }]
layers:
  common: { noarch: true, include: [LICENSE, VERSION, go.env, lib, pkg/include, src] }
  toolchain: { include: [bin, pkg/tool] }
exclude: [api, doc, misc, test]
links: { /usr/bin/go: \"${prefix}/bin/go\" }
";

#[derive(Default)]
struct Recorder {
    bytes: AtomicU64,
    finished: AtomicBool,
    waited: Mutex<Vec<String>>,
    stop_after: Option<u64>,
}

impl Progress for Recorder {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::Advanced {
                phase: Phase::Write,
                item,
                done,
                ..
            } => {
                assert_eq!(*item, "go-sdk/x86_64/1.99.1");
                self.bytes.store(*done, Ordering::Relaxed);
            }
            Event::Finished {
                phase: Phase::Write,
                ..
            } => {
                self.finished.store(true, Ordering::Relaxed);
            }
            Event::Waiting { lock } => {
                self.waited.lock().unwrap().push(lock.display().to_string());
            }
            _ => {}
        }
    }

    fn is_cancelled(&self) -> bool {
        let stop_after = self.stop_after.unwrap_or(u64::MAX);
        self.bytes.load(Ordering::Relaxed) >= stop_after
    }
}

fn toy(folder: &Path) -> (Treefile, Repo) {
    Toy::new(Arch::X86_64).dir(&folder.join("go"));
    std::fs::write(folder.join("go.yaml"), TREEFILE).unwrap();
    let treefile = Treefile::load(folder.join("go.yaml")).unwrap();
    let repo = Repo::create(folder.join("repo"), RepoMode::BareUser).unwrap();
    (treefile, repo)
}

#[test]
fn a_program_composes_from_a_directory() -> Result<(), Error> {
    let folder = tempfile::tempdir().unwrap();
    let (treefile, repo) = toy(folder.path());
    let progress = Arc::new(Recorder::default());
    let compose = Compose::new(treefile)
        .progress(progress.clone())
        .clock(Arc::new(FixedClock::new(1_800_000_000)))
        .threads(1)
        .add_metadata("com.example.build", 7.into());

    let plan = compose.plan(&repo)?;
    assert!(!plan.is_unchanged());
    assert_eq!(plan.releases()[0].current, None);
    let composed = plan.execute()?;
    let release = &composed.releases[0];
    assert!(!composed.is_unchanged() && !release.unchanged);
    assert_eq!(release.channels[0].state, ChannelState::Moved);
    assert!(progress.finished.load(Ordering::Relaxed));
    assert!(progress.bytes.load(Ordering::Relaxed) > 0);
    assert!(progress.waited.lock().unwrap().is_empty());

    let listed = repo.list()?;
    let names: Vec<&str> = listed.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(&names[..2], ["go-sdk/x86_64/1.99.1", "go-sdk/x86_64/1.99"]);
    let (_, info) = &listed[0];
    assert_eq!(info.id, release.commit);
    assert_eq!(info.extra["com.example.build"], 7);
    assert_eq!(info.layers.len(), 3);
    let channel = repo.log(release.channels[0].commit)?;
    assert_eq!(channel.len(), 1);
    assert_eq!(
        (channel[0].timestamp, channel[0].content),
        (1_800_000_000, info.content)
    );
    assert!(repo.fsck(&ostree_go_sdk::NoProgress)?.damaged.is_empty());

    // What the library does not do, its libostree does.
    let repo: &ostree::Repo = repo.as_ostree();
    assert_eq!(repo.mode(), ostree::RepoMode::BareUser);
    Ok(())
}

#[test]
fn a_program_can_cancel_an_operation() {
    let folder = tempfile::tempdir().unwrap();
    let (treefile, repo) = toy(folder.path());
    let stopping = Arc::new(Recorder {
        stop_after: Some(1),
        ..Recorder::default()
    });
    let compose = Compose::new(treefile.clone()).progress(stopping);
    let error = compose.plan(&repo).unwrap().execute().unwrap_err();
    assert!(matches!(error, ComposeError::Cancelled));
    assert_eq!(Error::from(error).kind(), ErrorKind::Cancelled);
    assert!(repo.list().unwrap().is_empty());
    // Nothing is left to clean up by hand.
    Compose::new(treefile)
        .plan(&repo)
        .unwrap()
        .execute()
        .unwrap();
    assert_eq!(repo.list().unwrap().len(), 5);
}

#[test]
fn the_options_can_be_sent_to_a_thread() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is_send::<Compose>();
    is_sync::<Compose>();
    is_send::<Repo>();
    is_send::<Error>();
    is_sync::<Error>();
}
