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
//! 4. [`build`]: each part, on as many threads as memory allows.

mod bsdiff;
mod build;
mod pair;
mod plan;
mod reach;
#[cfg(test)]
mod tests;

pub(super) use reach::reach;

use super::folder::FreshDelta;
use super::format::{PartHeader, Superblock};
use super::{DeltaError, DeltaName};
use crate::process::available_memory;
use crate::progress::{Event, Phase, Progress};
use crate::repo::Repo;
use build::Builder;
use plan::PartPlan;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How hard to compress what is new.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DeltaPreset {
    /// Much content fast, and little content well.
    #[default]
    Fast,
    /// Everything well: a tenth smaller, for several times the work and twice the memory.
    Best,
}

impl DeltaPreset {
    /// What making one part takes at most, for files as Go's: a program of 30 MB, its
    /// predecessor, their patch and the compressor's tables.
    const fn memory_of_a_part(self) -> u64 {
        match self {
            Self::Fast => 250 << 20,
            // A dictionary of 32 MB, and twelve times that for finding matches in it.
            Self::Best => 500 << 20,
        }
    }
}

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
    let work = Work {
        name,
        parts: &parts,
        fresh: &fresh,
        next: AtomicUsize::new(0),
        headers: Mutex::default(),
        done: AtomicU64::new(0),
        total: parts.iter().map(PartPlan::size).sum(),
        making,
    };
    let headers = work.run(repo)?;
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
    Ok(())
}

/// The parts, and what threads share while they make them.
struct Work<'a> {
    name: &'a DeltaName,
    parts: &'a [PartPlan],
    fresh: &'a FreshDelta,
    next: AtomicUsize,
    headers: Mutex<BTreeMap<usize, Result<PartHeader, DeltaError>>>,
    /// In bytes of the objects.
    done: AtomicU64,
    total: u64,
    making: &'a Making<'a>,
}

impl Work<'_> {
    fn run(self, repo: &Repo) -> Result<Vec<PartHeader>, DeltaError> {
        let making = self.making;
        let fit = available_memory().map_or(1, |bytes| bytes / making.preset.memory_of_a_part());
        let fit = usize::try_from(fit).unwrap_or(usize::MAX);
        let threads = making.threads.min(fit).clamp(1, self.parts.len().max(1));
        // The largest first: it must not be what the others wait for in the end.
        let mut order: Vec<usize> = (0..self.parts.len()).collect();
        order.sort_by_key(|index| std::cmp::Reverse(self.parts[*index].size()));
        std::thread::scope(|scope| {
            for _ in 0..threads {
                let builder = Builder::new(repo.clone());
                let (work, order) = (&self, &order);
                scope.spawn(move || work.thread(&builder, order));
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
    fn thread(&self, builder: &Builder, order: &[usize]) {
        while let Some(&index) = order.get(self.next.fetch_add(1, Ordering::Relaxed)) {
            let header = self.part(builder, index);
            if header.is_err() {
                // The others finish what they have begun.
                self.next.store(order.len(), Ordering::Relaxed);
            }
            let mut headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
            headers.insert(index, header);
        }
    }

    fn part(&self, builder: &Builder, index: usize) -> Result<PartHeader, DeltaError> {
        let plan = &self.parts[index];
        let built = builder.build(plan)?;
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
