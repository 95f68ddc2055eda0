//! Pseudo-random numbers that can be repeated: the same seed gives the same sequence on every machine.

use std::time::{SystemTime, UNIX_EPOCH};

/// Name of the environment variable that fixes the seed of [`Random::new`].
pub const SEED: &str = "OSTREE_GO_TEST_SEED";

/// A xorshift64 generator. Good enough to pick moments and positions, not for cryptography.
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// A generator seeded from `$OSTREE_GO_TEST_SEED`, or from the clock without it. The seed is printed, so that a failing run
    /// can be repeated.
    ///
    /// # Panics
    ///
    /// Panics when the variable is not a decimal number.
    pub fn new() -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(1, |time| time.as_secs() ^ u64::from(time.subsec_nanos()));
        Self::from_environment_or(now)
    }

    /// A generator seeded from `$OSTREE_GO_TEST_SEED`, or with `seed` without it; the seed is printed.
    ///
    /// # Panics
    ///
    /// Panics when the variable is not a decimal number.
    pub fn from_environment_or(seed: u64) -> Self {
        let seed = match std::env::var(SEED) {
            Ok(text) => text
                .parse()
                .unwrap_or_else(|_| panic!("{SEED} is not a number: {text}")),
            Err(_) => seed,
        };
        eprintln!("{SEED}={seed}");
        Self::with_seed(seed)
    }

    /// A generator with a fixed seed.
    pub fn with_seed(seed: u64) -> Self {
        // Spreads small seeds over all bits (splitmix64); xorshift cannot start at zero.
        let mut state = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Self {
            state: (state ^ (state >> 31)) | 1,
        }
    }

    /// Returns a number below `end`; 0 when `end` is 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state.checked_rem(end).unwrap_or(0)
    }

    /// Returns at most `most` different numbers of `1..=last`, in ascending order; all of them when `last <= most`.
    pub fn sample(&mut self, last: u64, most: usize) -> Vec<u64> {
        let mut left: Vec<u64> = (1..=last).collect();
        while left.len() > most {
            let at = self.below(left.len() as u64);
            left.remove(usize::try_from(at).expect("an index"));
        }
        left
    }
}

impl Default for Random {
    fn default() -> Self {
        Self::new()
    }
}
