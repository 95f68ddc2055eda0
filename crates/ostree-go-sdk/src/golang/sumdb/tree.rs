//! The Merkle tree of all records, and proofs about it.
//!
//! Sources: RFC 6962, 2.1 (hashes of the tree, proofs of inclusion and of consistency), and
//! `golang.org/x/mod/sumdb/tlog` (records, tiles).

use super::error::SumdbError;
use crate::id::Sha256;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

/// Size of a hash in bytes.
pub(super) const HASH: usize = 32;
/// The first line of a tree head (`treePrefix`).
pub(super) const TREE: &str = "go.sum database tree";
/// Levels of the tree in one tile (`H`), and the number of hashes in a full tile.
const TILE_HEIGHT: u32 = 8;
const TILE_WIDTH: u64 = 1 << TILE_HEIGHT;

/// The head of the tree: the number of records and the root hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeHead {
    /// The number of records.
    pub size: u64,
    /// The root hash.
    pub root: Sha256,
}

impl TreeHead {
    /// Parses a tree head: a fixed line, the size in decimal and the hash in base64.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        (lines.next()? == TREE).then_some(())?;
        let size = lines.next()?.parse().ok()?;
        let root = STANDARD.decode(lines.next()?).ok()?.try_into().ok()?;
        Some(Self {
            size,
            root: Sha256(root),
        })
    }
}

impl TreeHead {
    /// Returns the tiles of a newer tree that [`check_continued_by`](Self::check_continued_by) needs.
    #[must_use]
    pub fn consistency_tiles(self, newer: Self) -> BTreeSet<Tile> {
        if self.size == 0 || self.size >= newer.size {
            return BTreeSet::new();
        }
        tiles_for(newer.size, |node| {
            roots((0, newer.size), self.size, node).map(drop)
        })
    }

    /// Checks that a newer tree, or one of the same size, begins with the records of this one, given
    /// [tiles](Self::consistency_tiles) of the newer tree.
    ///
    /// # Errors
    /// Returns [`SumdbError::Forked`] if it does not, and [`SumdbError::Tile`] or [`SumdbError::Inconsistent`] if the tiles are
    /// not those of the newer tree.
    pub fn check_continued_by(self, newer: Self, tiles: &Tiles) -> Result<(), SumdbError> {
        let forked = SumdbError::Forked {
            older: self.size,
            newer: newer.size,
        };
        if self.size == newer.size {
            return match self.root == newer.root {
                true => Ok(()),
                false => Err(forked),
            };
        }
        // Every tree begins with the empty one.
        if self.size == 0 {
            return Ok(());
        }
        let inconsistent = SumdbError::Inconsistent {
            older: self.size,
            newer: newer.size,
        };
        if self.size > newer.size {
            return Err(inconsistent);
        }
        let mut node = |level, index| self::node(tiles, newer.size, level, index);
        let (before, after) = roots((0, newer.size), self.size, &mut node)?;
        match (before == self.root, after == newer.root) {
            (true, true) => Ok(()),
            (false, true) => Err(forked),
            (_, false) => Err(inconsistent),
        }
    }
}

/// Returns the hash of a record.
pub(super) fn record_hash(text: &str) -> Sha256 {
    let hash = sha2::Sha256::new_with_prefix([0]).chain_update(text);
    Sha256(hash.finalize().into())
}

/// Returns the hash of a complete subtree, given its level above the records and its index there.
type NodeReader<'a> = dyn FnMut(u32, u64) -> Result<Sha256, Infallible> + 'a;

/// The contents of tiles.
pub type Tiles = BTreeMap<Tile, Vec<u8>>;

/// Returns the tiles that a computation needs, which gets the hash of each complete subtree from a function.
pub(super) fn tiles_for(
    size: u64,
    compute: impl FnOnce(&mut NodeReader<'_>) -> Result<(), Infallible>,
) -> BTreeSet<Tile> {
    let mut tiles = BTreeSet::new();
    let collected = compute(&mut |level, index| {
        tiles.insert(Tile::of(level, index, size));
        Ok(Sha256([0; HASH]))
    });
    let Ok(_) = collected;
    tiles
}

/// Returns the hash of a complete subtree from tiles of a tree.
pub(super) fn node(tiles: &Tiles, size: u64, level: u32, index: u64) -> Result<Sha256, SumdbError> {
    let tile = Tile::of(level, index, size);
    let content = tiles.get(&tile).map_or(&[][..], Vec::as_slice);
    tile.hash(content, level, index)
}

/// Returns the proof that a tree has a record: the hashes next to the path from the record to the root, the lowest first.
pub(super) fn inclusion<E>(
    (low, high): (u64, u64),
    record: u64,
    node: &mut dyn FnMut(u32, u64) -> Result<Sha256, E>,
) -> Result<Vec<Sha256>, E> {
    if high - low == 1 {
        return Ok(Vec::new());
    }
    let middle = low + half(high - low);
    let (mut proof, other) = match record < middle {
        true => (
            inclusion((low, middle), record, node)?,
            subtree(middle, high, node)?,
        ),
        false => (
            inclusion((middle, high), record, node)?,
            subtree(low, middle, node)?,
        ),
    };
    proof.push(other);
    Ok(proof)
}

/// Returns the root hash that follows from a record and its proof; `None` if the proof has another length than one for
/// a tree of this size.
pub(super) fn root_of_inclusion(
    size: u64,
    record: u64,
    leaf: Sha256,
    proof: &[Sha256],
) -> Option<Sha256> {
    fn walk(low: u64, high: u64, record: u64, leaf: Sha256, proof: &[Sha256]) -> Option<Sha256> {
        if high - low == 1 {
            return proof.is_empty().then_some(leaf);
        }
        let (other, proof) = proof.split_last()?;
        let middle = low + half(high - low);
        Some(match record < middle {
            true => parent(walk(low, middle, record, leaf, proof)?, *other),
            false => parent(*other, walk(middle, high, record, leaf, proof)?),
        })
    }
    match record < size {
        true => walk(0, size, record, leaf, proof),
        false => None,
    }
}

/// Computes the root hashes of the first `old` of the records `low..high`, and of all of them, from the same hashes.
/// Therefore the second root proves the first one. These are the hashes of a proof of consistency (RFC 6962, 2.1.2).
pub(super) fn roots<E>(
    (low, high): (u64, u64),
    old: u64,
    node: &mut dyn FnMut(u32, u64) -> Result<Sha256, E>,
) -> Result<(Sha256, Sha256), E> {
    if old == high {
        let hash = subtree(low, high, node)?;
        return Ok((hash, hash));
    }
    let middle = low + half(high - low);
    Ok(match old <= middle {
        true => {
            let (before, after) = roots((low, middle), old, node)?;
            (before, parent(after, subtree(middle, high, node)?))
        }
        false => {
            let left = subtree(low, middle, node)?;
            let (before, after) = roots((middle, high), old, node)?;
            (parent(left, before), parent(left, after))
        }
    })
}

/// Computes the hash of the records `low..high`, from a complete subtree or from two halves.
fn subtree<E>(
    low: u64,
    high: u64,
    node: &mut dyn FnMut(u32, u64) -> Result<Sha256, E>,
) -> Result<Sha256, E> {
    let size = high - low;
    if size.is_power_of_two() {
        return node(size.trailing_zeros(), low / size);
    }
    let middle = low + half(size);
    let left = subtree(low, middle, node)?;
    Ok(parent(left, subtree(middle, high, node)?))
}

/// Returns the largest power of two below a size of 2 or more (RFC 6962, 2.1: `k`).
fn half(size: u64) -> u64 {
    1 << (size - 1).ilog2()
}

fn parent(left: Sha256, right: Sha256) -> Sha256 {
    let hash = sha2::Sha256::new_with_prefix([1])
        .chain_update(left.0)
        .chain_update(right.0);
    Sha256(hash.finalize().into())
}

/// A tile of the tree, as the database serves it: up to 256 consecutive hashes of one level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tile {
    /// The level in units of tiles, 0 next to the records.
    pub(super) level: u32,
    pub(super) index: u64,
    pub(super) width: u64,
}

impl Tile {
    /// Returns the tile that contains the hash of a complete subtree.
    fn of(level: u32, index: u64, size: u64) -> Self {
        let (level, above) = (level / TILE_HEIGHT, level % TILE_HEIGHT);
        let index = (index << above) / TILE_WIDTH;
        let hashes = size >> (level * TILE_HEIGHT);
        Self {
            level,
            index,
            width: (hashes - index * TILE_WIDTH).min(TILE_WIDTH),
        }
    }

    /// Returns the path on the server: `tile/8/0/x259/347.p/218` (`Tile.Path`).
    #[must_use]
    pub fn path(&self) -> String {
        let mut index = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            index = format!("x{:03}/{index}", rest % 1000);
            rest /= 1000;
        }
        let partial = match self.width {
            TILE_WIDTH => String::new(),
            width => format!(".p/{width}"),
        };
        format!("tile/{TILE_HEIGHT}/{}/{index}{partial}", self.level)
    }

    /// Returns whether the tile has all its hashes, so that it never changes.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.width == TILE_WIDTH
    }

    /// Returns the tile that this one becomes when the tree has grown.
    #[must_use]
    pub fn full(&self) -> Self {
        Self {
            width: TILE_WIDTH,
            ..*self
        }
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        usize::try_from(self.width).unwrap_or(usize::MAX) * HASH
    }

    /// Computes the hash of a complete subtree from the tile's content.
    fn hash(&self, content: &[u8], level: u32, index: u64) -> Result<Sha256, SumdbError> {
        let (hashes, rest) = content.as_chunks::<HASH>();
        let above = level % TILE_HEIGHT;
        let first = (index << above) % TILE_WIDTH;
        let wanted = usize::try_from(first)
            .ok()
            .and_then(|first| hashes.get(first..first + (1 << above)));
        match wanted {
            Some(wanted) if rest.is_empty() && content.len() == self.size() => Ok(fold(wanted)),
            _ => Err(SumdbError::Tile {
                tile: self.path(),
                found: content.len(),
                expected: self.size(),
            }),
        }
    }
}

/// Computes the root of a complete tree; the number of hashes is a power of two.
fn fold(hashes: &[[u8; HASH]]) -> Sha256 {
    match hashes {
        [one] => Sha256(*one),
        more => {
            let (left, right) = more.split_at(more.len() / 2);
            parent(fold(left), fold(right))
        }
    }
}
