//! Moves refs in order, atomically and durably.
//!
//! A single ref is moved by one rename. If several refs move, the moves are first recorded in
//! `state/ostree-go.refs`, which is removed after all refs have been moved durably. The next
//! process that takes the repository's lock completes the moves of a killed process.

use super::{Repo, RepoError};
use crate::failpoint;
use crate::fs::atomic;
use crate::fs::context::{IoContext, IoFailure};
use crate::id::{CommitId, RefName};
use rustix::fs::AtFlags;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A ref, and the commit that it will point to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RefMove {
    /// The remote of the ref; `None` for a local ref.
    pub(crate) remote: Option<String>,
    /// The name of the ref, without the remote.
    pub(crate) name: String,
    /// The commit; `None` removes the ref.
    pub(crate) to: Option<CommitId>,
}

impl RefMove {
    /// Returns the move of a local ref.
    pub(crate) fn local(name: &RefName, to: Option<CommitId>) -> Self {
        Self {
            remote: None,
            name: name.to_string(),
            to,
        }
    }

    /// Returns `remote:name`, or `name` for a local ref.
    fn refspec(&self) -> String {
        match &self.remote {
            Some(remote) => format!("{remote}:{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Returns the path of the ref's file, relative to the repository. Source:
    /// `_ostree_repo_write_ref`.
    fn path(&self) -> PathBuf {
        let folder = match &self.remote {
            Some(remote) => Path::new("refs/remotes").join(remote),
            None => PathBuf::from("refs/heads"),
        };
        folder.join(&self.name)
    }
}

/// A move, with the commit that the ref pointed to before.
#[derive(Debug, Clone, PartialEq, Eq)]
struct RecordedMove {
    from: Option<CommitId>,
    moved: RefMove,
}

/// The first line of a record.
const HEADER: &str = "ostree-go refs 1";

/// The text for a ref that does not exist.
const NONE: &str = "-";

impl Repo {
    /// Moves refs in the given order, durably. The [lock](Repo::lock) must be held.
    ///
    /// If an error occurs, the refs that were already moved are moved back. If this fails too, and
    /// after a crash, the next process that takes the lock moves the remaining refs.
    pub(crate) fn move_refs(&self, moves: &[RefMove]) -> Result<(), RepoError> {
        let mut recorded: Vec<RecordedMove> = Vec::new();
        for moved in moves {
            let from = self.find_any(moved)?;
            // A ref that is set twice keeps its position, unless the commit differs.
            let is_same = |other: &RecordedMove| {
                other.moved.remote == moved.remote && other.moved.name == moved.name
            };
            recorded.retain(|other| !is_same(other) || other.moved.to == moved.to);
            if from != moved.to && !recorded.iter().any(is_same) {
                let moved = moved.clone();
                recorded.push(RecordedMove { from, moved });
            }
        }
        match recorded.as_slice() {
            [] => return Ok(()),
            [_] => return self.move_all(&recorded),
            all => self.record(all)?,
        }
        failpoint::hit("refs.recorded");
        let mut done = self.move_all(&recorded);
        if done.is_err() && self.revert_moves(&recorded).is_err() {
            // The record is kept for the next process that can write.
            return done;
        }
        if let Err(error) = self.remove_record() {
            done = done.and(Err(error));
        }
        done
    }

    /// Moves one ref, durably.
    pub(crate) fn move_ref(&self, moved: &RefMove) -> Result<(), RepoError> {
        self.set(moved)?;
        self.sync_refs([moved])
    }

    /// Completes the moves that another process has recorded and begun. A ref that has been moved
    /// to a third commit since, or whose new commit no longer exists, is not moved. The lock must
    /// be held.
    pub(super) fn finish_moves(&self) -> Result<(), RepoError> {
        let path = self.record_path();
        // A process that was killed while it wrote the record has not moved any refs.
        let _ = fs::remove_file(self.new_record_path());
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            text => text.context("read", &path)?,
        };
        let recorded = parse(&text).ok_or_else(|| {
            let what = format!("expected `{HEADER}` and lines `FROM TO REF`");
            IoFailure::new(
                "understand the recorded moves of refs in",
                path,
                io::Error::new(io::ErrorKind::InvalidData, what),
            )
        })?;
        for RecordedMove { from, moved } in &recorded {
            let is_there = match moved.to {
                Some(commit) => self.has_commit(commit)?,
                None => true,
            };
            if is_there && self.find_any(moved)? == *from {
                self.set(moved)?;
            }
        }
        self.sync_refs(recorded.iter().map(|recorded| &recorded.moved))?;
        self.remove_record()
    }

    fn move_all(&self, recorded: &[RecordedMove]) -> Result<(), RepoError> {
        for RecordedMove { moved, .. } in recorded {
            self.set(moved)?;
            failpoint::hit("transaction.ref-moved");
        }
        self.sync_refs(recorded.iter().map(|recorded| &recorded.moved))
    }

    fn revert_moves(&self, recorded: &[RecordedMove]) -> Result<(), RepoError> {
        for RecordedMove { from, moved } in recorded.iter().rev() {
            let reverse = RefMove {
                to: *from,
                ..moved.clone()
            };
            if self.find_any(&reverse)? != reverse.to {
                self.set(&reverse)?;
            }
        }
        self.sync_refs(recorded.iter().map(|recorded| &recorded.moved))
    }

    fn find_any(&self, moved: &RefMove) -> Result<Option<CommitId>, RepoError> {
        let refspec = moved.refspec();
        let flags = ostree::RepoResolveRevExtFlags::LOCAL_ONLY;
        let found = self.inner.resolve_rev_ext(&refspec, true, flags);
        let found = found.map_err(|e| self.failed(&format!("read ref {refspec}"), e))?;
        Ok(found.and_then(|checksum| checksum.parse().ok()))
    }

    fn set(&self, moved: &RefMove) -> Result<(), RepoError> {
        match moved.to {
            Some(commit) => {
                let path = self.path.join(moved.path());
                Ok(self.write_ref(&path, commit).context("write ref", path)?)
            }
            None => {
                let (remote, name) = (moved.remote.as_deref(), moved.name.as_str());
                let none = gio::Cancellable::NONE;
                let removed = self.inner.set_ref_immediate(remote, name, None, none);
                removed.map_err(|source| {
                    self.failed(&format!("remove ref {}", moved.refspec()), source)
                })
            }
        }
    }

    /// Replaces the file of a ref. The function of libostree creates its temporary file beside the
    /// ref, where it would be listed as a ref if the process were killed.
    fn write_ref(&self, path: &Path, commit: CommitId) -> io::Result<()> {
        fs::create_dir_all(atomic::folder_of(path))?;
        // Source: `_ostree_repo_write_ref`.
        self.replace_file(path, format!("{commit}\n").as_bytes())?;
        // Programs that watch the repository detect the change by its modification time
        // (`_ostree_repo_update_mtime`).
        let now = rustix::fs::Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_NOW,
        };
        let times = rustix::fs::Timestamps {
            last_access: now,
            last_modification: now,
        };
        rustix::fs::utimensat(rustix::fs::CWD, &self.path, &times, AtFlags::empty())?;
        Ok(())
    }

    /// Makes the directory entries of refs durable. Their files have been synced before.
    fn sync_refs<'m>(&self, moves: impl IntoIterator<Item = &'m RefMove>) -> Result<(), RepoError> {
        if !self.is_sync_enabled() {
            return Ok(());
        }
        let mut folders = BTreeSet::new();
        for moved in moves {
            // Parent folders may be new too.
            let path = moved.path();
            let above = path.ancestors().skip(1);
            folders.extend(
                above
                    .take_while(|at| *at != Path::new(""))
                    .map(Path::to_owned),
            );
        }
        for folder in folders.iter().rev() {
            let path = self.path.join(folder);
            match atomic::sync_directory(Some(&path)) {
                // The ref to remove did not exist.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                synced => synced.context("sync", path)?,
            }
        }
        Ok(())
    }

    fn record_path(&self) -> PathBuf {
        self.state().join("ostree-go.refs")
    }

    /// Returns the path of a record while it is being written.
    fn new_record_path(&self) -> PathBuf {
        self.record_path().with_extension("refs.new")
    }

    fn record(&self, recorded: &[RecordedMove]) -> Result<(), RepoError> {
        let path = self.record_path();
        // The lock is held, so only a killed process may have left a file with this name.
        let new = self.new_record_path();
        let write = || {
            fs::create_dir_all(self.state())?;
            let mut file = File::create(&new)?;
            file.write_all(render(recorded).as_bytes())?;
            atomic::rename(&file, &new, &path)
        };
        write().map_err(|source| {
            let _ = fs::remove_file(&new);
            let _ = fs::remove_file(&path);
            IoFailure::new("write", &path, source).into()
        })
    }

    fn remove_record(&self) -> Result<(), RepoError> {
        let path = self.record_path();
        fs::remove_file(&path).context("remove", path)?;
        // A record that reappeared after a power failure would revert later moves.
        self.sync_state()
    }
}

fn render(recorded: &[RecordedMove]) -> String {
    let text = |commit: Option<CommitId>| match commit {
        Some(commit) => commit.to_string(),
        None => NONE.to_owned(),
    };
    let lines = recorded.iter().map(|RecordedMove { from, moved }| {
        format!("{} {} {}\n", text(*from), text(moved.to), moved.refspec())
    });
    format!("{HEADER}\n{}", lines.collect::<String>())
}

fn parse(text: &str) -> Option<Vec<RecordedMove>> {
    let commit = |text: &str| match text {
        NONE => Some(None),
        text => text.parse().ok().map(Some),
    };
    let mut lines = text.lines();
    if lines.next() != Some(HEADER) {
        return None;
    }
    let parse = |line: &str| {
        let mut words = line.split(' ');
        let (from, to, refspec) = (words.next()?, words.next()?, words.next()?);
        let (remote, name) = match refspec.split_once(':') {
            Some((remote, name)) => (Some(remote.to_owned()), name),
            None => (None, refspec),
        };
        Some(RecordedMove {
            from: commit(from)?,
            moved: RefMove {
                remote,
                name: name.to_owned(),
                to: commit(to)?,
            },
        })
    };
    lines.map(parse).collect()
}
