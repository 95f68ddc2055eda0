//! Distributes objects over parts.

use super::pair::Item;
use super::recipe::{DeltaPreset, Effort, Kind, Recipe};
use crate::arch::Arch;

/// Target size of a part's files, in bytes. Clients apply parts in parallel.
const PART_SIZE: u64 = 16 << 20;
/// Target size of parts with programs or patches of them, which have distant repetitions.
const PROGRAM_PART_SIZE: u64 = 32 << 20;
/// Size below which a part may also contain objects of other classes.
const SMALL_PART: u64 = 1 << 20;
/// Total size below which thorough compression takes no noticeable time.
const SMALL_DELTA: u64 = 24 << 20;

/// Size from which libostree leaves files to be fetched separately, compressed by deflate.
/// Source: `min_fallback_size` (`ostree_repo_static_delta_generate`).
const FALLBACK: u64 = 4_000_000;

/// The objects of a part.
#[derive(Debug)]
pub(super) struct PartPlan {
    pub(super) items: Vec<Item>,
    pub(super) recipe: Recipe,
}

impl PartPlan {
    /// Returns the total size of the objects in bytes.
    pub(super) fn size(&self) -> u64 {
        self.items.iter().map(|item| item.size).sum()
    }

    /// Returns an upper estimate of the memory for building the part, in bytes: the part with its
    /// largest file and that file's predecessor, or the part with the compressor and its output.
    pub(super) fn memory(&self) -> u64 {
        let file = |item: &Item| item.size * if item.from.is_some() { 4 } else { 1 };
        let largest = self.items.iter().map(file).max().unwrap_or(0);
        let size = self.size();
        size + largest.max(self.recipe.compressor_memory(size) + size / 3)
    }
}

/// The class of an object, which determines its neighbours. Classes are sent in this order because
/// clients check directories first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Directory,
    Patch,
    Other,
    Program,
}

impl Class {
    fn of(item: &Item) -> Self {
        match item {
            Item { path, .. } if path.is_empty() => Self::Directory,
            Item { from: Some(_), .. } => Self::Patch,
            Item {
                program: Some(_), ..
            } => Self::Program,
            _ => Self::Other,
        }
    }

    const fn max_part_size(self) -> u64 {
        match self {
            Self::Directory | Self::Other => PART_SIZE,
            Self::Patch | Self::Program => PROGRAM_PART_SIZE,
        }
    }
}

/// Groups objects into parts: by class, then files by extension and path.
pub(super) fn parts(mut items: Vec<Item>, preset: DeltaPreset) -> Vec<PartPlan> {
    items.sort_by(|a, b| order(a).cmp(&order(b)));
    let unpatched = items.iter().filter(|item| item.from.is_none());
    let (mut bytes, mut large) = (0, 0);
    for item in unpatched {
        bytes += item.size;
        large += if item.size >= FALLBACK { item.size } else { 0 };
    }
    // libostree uses a stronger xz preset. Fast xz gives no larger total if enough of the content
    // would be left to deflate by libostree.
    let is_small = bytes <= SMALL_DELTA || large < bytes / 4;
    let mut parts: Vec<PartPlan> = Vec::new();
    let (mut size, mut class) = (0, Class::Directory);
    for item in items {
        let next = Class::of(&item);
        let is_full =
            size + item.size > next.max_part_size() || (next != class && size >= SMALL_PART);
        match parts.last_mut() {
            Some(part) if !is_full => {
                part.items.push(item.clone());
                size += item.size;
            }
            _ => {
                size = item.size;
                parts.push(PartPlan {
                    items: vec![item],
                    recipe: Recipe {
                        content: Kind::Other,
                        effort: Effort::Fast,
                    },
                });
            }
        }
        class = next;
    }
    for part in &mut parts {
        part.recipe = recipe(&part.items, is_small, preset);
    }
    parts
}

fn order(item: &Item) -> (Class, &str, &str) {
    let extension = item.path.rsplit('/').next().and_then(|name| {
        let (_, extension) = name.rsplit_once('.')?;
        Some(extension)
    });
    (Class::of(item), extension.unwrap_or(""), &item.path)
}

/// Returns the compression for the majority of bytes in a part.
fn recipe(items: &[Item], is_small: bool, preset: DeltaPreset) -> Recipe {
    let all: u64 = items.iter().map(|item| item.size).sum();
    let is_majority = |is_kind: &dyn Fn(&Item) -> bool| {
        let items = items.iter().filter(|item| is_kind(item));
        items.map(|item| item.size).sum::<u64>() * 2 > all
    };
    let program = |arch| move |item: &Item| item.from.is_none() && item.program == Some(arch);
    let content = if is_majority(&|item| item.from.is_some()) {
        Kind::Patches
    } else {
        let arch = Arch::ALL
            .into_iter()
            .find(|arch| is_majority(&program(*arch)));
        arch.map_or(Kind::Other, Kind::Programs)
    };
    Recipe {
        content,
        effort: match preset {
            DeltaPreset::Best => Effort::Best,
            DeltaPreset::Fast if is_small || content == Kind::Patches => Effort::Thorough,
            DeltaPreset::Fast => Effort::Fast,
        },
    }
}
