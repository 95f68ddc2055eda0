//! Generates static deltas that libostree can apply.
//!
//! The approach is that of libostree's own generator, parallelized and with two differences that
//! make deltas smaller: a patch is generated for every file that has a likely predecessor, and
//! programs are compressed with xz's filter for x86 code. No object has to be fetched separately,
//! so that deltas can be applied offline.
//!
//! 1. [`read_tree`] lists the objects of both commits.
//! 2. [`pair`] finds the new objects and likely predecessors of files.
//! 3. [`plan`] distributes objects over parts.
//! 4. [`queue`] schedules parts within a memory limit.
//! 5. [`build`] generates each part.

mod bsdiff;
mod build;
mod pair;
mod plan;
mod queue;
mod recipe;
mod similar;
#[cfg(test)]
mod tests;
mod tree;

pub use recipe::DeltaPreset;
pub(super) use tree::read_tree;

use super::folder::DeltaWriter;
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

/// Memory limit per thread for parts in progress, in bytes. The limits of all threads are added
/// up; a single part may exceed the sum.
const MEMORY_PER_THREAD: u64 = 265 << 20;

/// The parameters of generating a delta.
pub(crate) struct GenerateOptions<'a> {
    pub(crate) preset: DeltaPreset,
    /// The time in the superblock, in seconds since 1970.
    pub(crate) time: u64,
    pub(crate) threads: usize,
    /// The name of the delta for progress.
    pub(crate) label: &'a str,
    pub(crate) progress: &'a dyn Progress,
}

/// Generates the delta `name`. The same commits, preset and time give the same bytes.
///
/// The delta is durable when this returns, and invisible before.
pub(crate) fn generate(
    repo: &Repo,
    name: &DeltaName,
    options: &GenerateOptions<'_>,
) -> Result<(), DeltaError> {
    let new = read_tree(repo, name.to)?;
    let old = name.from.map(|from| read_tree(repo, from)).transpose()?;
    let items = pair::items(repo, new, old.unwrap_or_default())?;
    let parts = plan::parts(items, options.preset);
    let writer = DeltaWriter::new(repo, name)?;
    let threads = options.threads.clamp(1, parts.len().max(1));
    let memory = MEMORY_PER_THREAD.saturating_mul(threads as u64);
    let memory = available_memory().map_or(MEMORY_PER_THREAD, |free| free.min(memory));
    let work = Work {
        name,
        queue: Queue::new(&parts, memory),
        parts: &parts,
        writer: &writer,
        headers: Mutex::default(),
        done: AtomicU64::new(0),
        total: parts.iter().map(PartPlan::size).sum(),
        options,
    };
    let headers = work.run(repo, threads)?;
    let mut superblock = Superblock {
        metadata: BTreeMap::new(),
        timestamp: options.time,
        name: *name,
        commit: repo.commit(name.to)?.object().variant,
        parts: headers,
        fallbacks: Vec::new(),
    };
    superblock.set_detached(&repo.detached(name.to)?);
    writer.publish(&superblock)?;
    trim_memory();
    Ok(())
}

/// The parts, and the state that threads share.
struct Work<'a> {
    name: &'a DeltaName,
    parts: &'a [PartPlan],
    writer: &'a DeltaWriter,
    queue: Queue<'a>,
    headers: Mutex<BTreeMap<usize, Result<PartHeader, DeltaError>>>,
    /// Progress in bytes of the objects.
    done: AtomicU64,
    total: u64,
    options: &'a GenerateOptions<'a>,
}

impl Work<'_> {
    fn run(self, repo: &Repo, threads: usize) -> Result<Vec<PartHeader>, DeltaError> {
        let options = self.options;
        std::thread::scope(|scope| {
            let bodies = (0..threads).map(|_| {
                let (work, builder) = (&self, Builder::new(repo.clone()));
                move || work.thread(&builder)
            });
            if parallel::spawn_workers(scope, bodies).is_err() {
                self.thread(&Builder::new(repo.clone()));
            }
        });
        options.progress.event(&Event::Finished {
            phase: Phase::Delta,
            item: options.label,
        });
        let headers = self.headers.into_inner();
        let headers = headers.unwrap_or_else(PoisonError::into_inner);
        headers.into_values().collect()
    }

    /// Builds parts until there are no more, or one fails.
    fn thread(&self, builder: &Builder) {
        while let Some(reservation) = self.queue.take() {
            let header = self.part(builder, reservation.index);
            if header.is_err() {
                // The other threads finish their current part.
                self.queue.end();
            }
            let mut headers = self.headers.lock().unwrap_or_else(PoisonError::into_inner);
            headers.insert(reservation.index, header);
        }
    }

    fn part(&self, builder: &Builder, index: usize) -> Result<PartHeader, DeltaError> {
        let plan = &self.parts[index];
        let built = builder.build(plan)?;
        trim_memory();
        let mut reported = 0;
        let part = built.compress(plan.recipe, &mut |fraction| {
            if self.options.progress.is_cancelled() {
                return Err(DeltaError::Cancelled);
            }
            let now = (plan.size() as f64 * fraction) as u64;
            self.options.progress.event(&Event::Advanced {
                phase: Phase::Delta,
                item: self.options.label,
                done: self.done.fetch_add(now - reported, Ordering::Relaxed) + now - reported,
                total: Some(self.total),
            });
            reported = now;
            Ok(())
        });
        let part = part.map_err(|error| error.into_delta_error(self.name))?;
        self.writer.write_part(index, &part)?;
        Ok(built.header(&part))
    }
}
