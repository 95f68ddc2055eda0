//! Which objects share a part.

use super::DeltaPreset;
use super::pair::Item;
use super::recipe::{Effort, Kind, Recipe};
use crate::arch::Arch;

/// A part that has so many bytes of files is full. Clients apply parts side by side.
const FULL: u64 = 16 << 20;
/// The same of programs, which have much in common even where they are far apart, and of
/// patches of them.
const FULL_OF_PROGRAMS: u64 = 32 << 20;
/// A part with less than this takes in objects of another kind as well.
const SMALL: u64 = 1 << 20;
/// Below so many bytes to compress, effort costs no time that anybody feels.
const LITTLE: u64 = 24 << 20;

/// libostree leaves files of so many bytes to be fetched on their own, compressed by deflate.
/// Source: `min_fallback_size` (`ostree_repo_static_delta_generate`).
const FALLBACK: u64 = 4_000_000;

/// Objects that share a part.
#[derive(Debug)]
pub(super) struct PartPlan {
    pub(super) items: Vec<Item>,
    pub(super) recipe: Recipe,
}

impl PartPlan {
    /// Bytes of the objects.
    pub(super) fn size(&self) -> u64 {
        self.items.iter().map(|item| item.size).sum()
    }

    /// About how many bytes making it takes at most: the part with its largest file and what a
    /// patch of that one starts from; then the part, the compressor and what comes out of it.
    pub(super) fn memory(&self) -> u64 {
        let file = |item: &Item| item.size * if item.from.is_some() { 4 } else { 1 };
        let largest = self.items.iter().map(file).max().unwrap_or(0);
        let size = self.size();
        size + largest.max(self.recipe.compressor_memory(size) + size / 3)
    }
}

/// What an object is, as far as it matters for its neighbours. In this order they are sent:
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

    const fn full(self) -> u64 {
        match self {
            Self::Directory | Self::Other => FULL,
            Self::Patch | Self::Program => FULL_OF_PROGRAMS,
        }
    }
}

/// Groups objects into parts: by class, then files by extension and path.
pub(super) fn parts(mut items: Vec<Item>, preset: DeltaPreset) -> Vec<PartPlan> {
    items.sort_by(|a, b| order(a).cmp(&order(b)));
    let whole = items.iter().filter(|item| item.from.is_none());
    let (mut bytes, mut large) = (0, 0);
    for item in whole {
        bytes += item.size;
        large += if item.size >= FALLBACK { item.size } else { 0 };
    }
    // libostree's xz is a harder one. Fast xz is no larger in all where enough of the content is
    // such that libostree leaves it to deflate.
    let little = bytes <= LITTLE || large < bytes / 4;
    let mut parts: Vec<PartPlan> = Vec::new();
    let (mut size, mut class) = (0, Class::Directory);
    for item in items {
        let next = Class::of(&item);
        let full = size + item.size > next.full() || (next != class && size >= SMALL);
        match parts.last_mut() {
            Some(part) if !full => {
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
        part.recipe = recipe(&part.items, little, preset);
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

/// What most bytes of a part need.
fn recipe(items: &[Item], little: bool, preset: DeltaPreset) -> Recipe {
    let all: u64 = items.iter().map(|item| item.size).sum();
    let most = |of: &dyn Fn(&Item) -> bool| {
        let items = items.iter().filter(|item| of(item));
        items.map(|item| item.size).sum::<u64>() * 2 > all
    };
    let program = |arch| move |item: &Item| item.from.is_none() && item.program == Some(arch);
    let content = if most(&|item| item.from.is_some()) {
        Kind::Patches
    } else {
        let arch = Arch::ALL.into_iter().find(|arch| most(&program(*arch)));
        arch.map_or(Kind::Other, Kind::Programs)
    };
    Recipe {
        content,
        effort: match preset {
            DeltaPreset::Best => Effort::Best,
            DeltaPreset::Fast if little || content == Kind::Patches => Effort::Thorough,
            DeltaPreset::Fast => Effort::Fast,
        },
    }
}
