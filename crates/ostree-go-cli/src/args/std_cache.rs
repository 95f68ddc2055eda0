//! Options of the verbs that install std caches.

use crate::args::arch;
use ostree_go_sdk::Arch;
use ostree_go_sdk::deploy::StdCacheSelection;

/// The selection of compiled standard libraries.
#[derive(Debug, Clone, clap::Args)]
pub struct StdCacheArgs {
    /// Also install the std caches for this target, with which builds for it do not compile the
    /// standard library. Those for the SDK's own architecture are installed if the source has them.
    /// Upgrades install the same. Can be repeated
    #[arg(
        long = "stdcache",
        value_name = "ARCH",
        value_parser = arch::parse,
        conflicts_with = "no_std_cache"
    )]
    std_cache: Vec<Arch>,

    /// Install no std caches, and remove those of these SDKs. Upgrades install none either
    #[arg(long = "no-stdcache")]
    no_std_cache: bool,
}

impl StdCacheArgs {
    /// Returns the selection, if an option was given.
    pub fn selection(&self) -> Option<StdCacheSelection> {
        if self.no_std_cache {
            return Some(StdCacheSelection::none());
        }
        let native = StdCacheSelection::native();
        let targets = self.std_cache.iter().copied();
        let selection = targets.fold(native, StdCacheSelection::with_target);
        (!self.std_cache.is_empty()).then_some(selection)
    }
}
