//! Making static deltas that libostree applies.
//!
//! What libostree's own generator does, on every core and with two differences that make it
//! smaller: patches are made for every file that has a likely predecessor, and programs go
//! through xz's filter for x86 code. No object is left to be fetched on its own, so a delta
//! applies offline.
//!
//! 1. [`reach`]: which objects the new commit has that the old one has not.
//! 2. [`pair`]: which old file each new one may be a version of.
//! 3. [`plan`]: which objects share a part.
//! 4. [`queue`]: which part is made next, as memory allows.
//! 5. [`build`]: each part.

mod bsdiff;
mod build;
mod pair;
mod plan;
mod queue;
mod reach;
mod recipe;
#[cfg(test)]
mod tests;

pub(super) use reach::reach;

use super::folder::FreshDelta;
use super::format::{PartHeader, Superblock};
use super::{DeltaError, DeltaName};
use crate::ffi::trim_memory;
use crate::parallel;
use crate::process::available_memory;
use crate::progress::{Event, Phase, Progress};
use crate::repo::Repo;
use build::Builder;
use plan::PartPlan;
use queue::Queue;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// How hard to compress what is new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeltaPreset {
    /// Much content fast, and little content well.
    #[default]
    Fast,
    /// Everything well: a tenth smaller, for several times the work.
    Best,
}

/// How many bytes all parts that are being made may take for each thread. A part may take
/// twice as much, beside smaller ones, or alone.
const MEMORY_OF_A_THREAD: u64 = 265 << 20;

/// How a delta is made.
pub(crate) struct Making<'a> {
    pub(crate) preset: DeltaPreset,
    /// What its superblock says, in seconds since 1970.
    pub(crate) time: u64,
    pub(crate) threads: usize,
    /// What progress calls it.
    pub(crate) label: &'a str,
    pub(crate) progress: &'a dyn Progress,
}

/// Makes the delta `name`. The same commits, preset and time give the same bytes.
///
/// It is durable when this returns; before, nobody sees any of it.
pub(crate) fn generate(
    repo: &Repo,
    name: &DeltaName,
    making: &Making<'_>,
) -> Result<(), DeltaError> {
    let new = reach(repo, name.to)?;
    let old = name.from.map(|from| reach(repo, from)).transpose()?;
    let items = pair::items(repo, new, old.unwrap_or_default())?;
    let parts = plan::parts(items, making.preset);
    let fresh = FreshDelta::new(repo, name)?;
    let threads = making.threads.clamp(1, parts.len().max(1));
    let memory = MEMORY_OF_A_THREAD.saturating_mul(threads as u64);
    let memory = available_memory().map_or(MEMORY_OF_A_THREAD, |free| free.min(memory));
    let work = Work {
        name,
        queue: Queue::new(&parts, memory),
        parts: &parts,
        fresh: &fresh,
        headers: Mutex::default(),
        done: AtomicU64::new(0),
        total: parts.iter().map(PartPlan::size).sum(),
        making,
    };
    let headers = work.run(repo, threads)?;
    let mut superblock = Superblock {
        metadata: BTreeMap::new(),
        timestamp: making.time,
        name: *name,
        commit: repo.commit(name.to)?.object().variant,
        parts: headers,
        fallbacks: Vec::new(),
    };
    superblock.set_detached(&repo.detached(name.to)?);
    fresh.publish(&superblock)?;
    trim_memory();
    Ok(())
}

/// The parts, and what threads share while they make them.
struct Work<'a> {
    name: &'a DeltaName,
    parts: &'a [PartPlan],
    fresh: &'a FreshDelta,
    queue: Queue<'a>,
    headers: Mutex<BTreeMap<usize, Result<PartHeader, DeltaError>>>,
    /// In bytes of the objects.
    done: AtomicU64,
    total: u64,
    making: &'a Making<'a>,
}

impl Work<'_> {
    fn run(self, repo: &Repo, threads: usize) -> Result<Vec<PartHeader>, DeltaError> {
        let making = self.making;
        std::thread::scope(|scope| {
            let bodies = (0..threads).map(|_| {
                let (work, builder) = (&self, Builder::new(repo.clone()));
                move || work.thread(&builder)
            });
            if parallel::spawn_workers(scope, bodies).is_err() {
                self.thread(&Builder::new(repo.clone()));
            }
        });
        making.progress.event(&Event::Finished {
            phase: Phase::Delta,
            item: making.label,
        });
        let headers = self.headers.into_inner();
        let headers = headers.unwrap_or_else(PoisonError::into_inner);
        headers.into_values().collect()
    }

    /// Makes parts until there are no more, or one fails.
    fn thread(&self, builder: &Builder) {
        while let Some(turn) = self.queue.take() {
            let header = self.part(builder, turn.index);
            if header.is_err() {
                // The others finish what they have begun.
                self.queue.end();
            }
            let mut headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
            headers.insert(turn.index, header);
        }
    }

    fn part(&self, builder: &Builder, index: usize) -> Result<PartHeader, DeltaError> {
        let plan = &self.parts[index];
        let built = builder.build(plan)?;
        trim_memory();
        let mut told = 0;
        let part = built.compress(plan.recipe, &mut |fraction| {
            if self.making.progress.is_cancelled() {
                return Err(DeltaError::Cancelled);
            }
            let now = (plan.size() as f64 * fraction) as u64;
            self.making.progress.event(&Event::Advanced {
                phase: Phase::Delta,
                item: self.making.label,
                done: self.done.fetch_add(now - told, Ordering::Relaxed) + now - told,
                total: Some(self.total),
            });
            told = now;
            Ok(())
        });
        let part = part.map_err(|error| error.named(self.name))?;
        self.fresh.write_part(index, &part)?;
        Ok(built.header(&part))
    }
}
