//! The choice of the std caches that are installed with SDKs.

use crate::arch::Arch;
use crate::golang::std_cache::StdCacheId;
use crate::id::RefName;
use std::collections::{BTreeMap, BTreeSet};

/// The std caches that are installed with an SDK: those for the SDK's own architecture, which are
/// left out without an error if the source does not have them, and those for further targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StdCacheSelection {
    native: bool,
    targets: BTreeSet<Arch>,
}

impl Default for StdCacheSelection {
    /// Returns [`StdCacheSelection::native`].
    fn default() -> Self {
        Self::native()
    }
}

/// The word for the SDK's own architecture in the state file.
const NATIVE: &str = "native";

impl StdCacheSelection {
    /// Selects the std caches for the SDK's own architecture, in both modes, as far as the source has
    /// them.
    #[must_use]
    pub const fn native() -> Self {
        Self {
            native: true,
            targets: BTreeSet::new(),
        }
    }

    /// Selects no std cache.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            native: false,
            targets: BTreeSet::new(),
        }
    }

    /// Also selects the std caches for a target, in all modes that the source has. An installation
    /// that selects a target which the source does not have is refused.
    #[must_use]
    pub fn with_target(mut self, target: Arch) -> Self {
        self.targets.insert(target);
        self
    }

    /// Returns true if the std caches for the SDK's own architecture are selected.
    #[must_use]
    pub const fn has_native(&self) -> bool {
        self.native
    }

    /// Returns the further targets.
    pub fn targets(&self) -> impl Iterator<Item = Arch> + '_ {
        self.targets.iter().copied()
    }

    /// Returns the names of the std caches that are selected for an SDK of an architecture.
    pub(super) fn ids(&self, arch: Arch) -> Vec<StdCacheId> {
        let native = self.native.then_some(arch);
        let targets: BTreeSet<Arch> = self.targets().chain(native).collect();
        let ids = targets.into_iter().flat_map(StdCacheId::of_target);
        ids.collect()
    }

    /// Returns the form in the state file.
    pub(super) fn words(&self) -> Vec<String> {
        let native = self.native.then(|| NATIVE.to_owned());
        let targets = self.targets().map(|target| target.to_string());
        native.into_iter().chain(targets).collect()
    }

    /// Parses the form in the state file. Architectures that this version does not know are left
    /// out.
    pub(super) fn from_words(words: &[String]) -> Self {
        Self {
            native: words.iter().any(|word| word == NATIVE),
            targets: words.iter().filter_map(|word| word.parse().ok()).collect(),
        }
    }
}

/// The selections of an operation for each of its SDKs.
#[derive(Debug, Clone, Default)]
pub(super) struct StdCacheChoice {
    /// The selection for all SDKs, if the caller has made one.
    pub(super) requested: Option<StdCacheSelection>,
    /// The selections of the last deployments of refs.
    pub(super) recorded: BTreeMap<RefName, StdCacheSelection>,
}

impl StdCacheChoice {
    /// Returns the selection for the SDK on a ref: the requested one, else that of the last
    /// deployment of the ref, else the default.
    pub(super) fn of(&self, name: &RefName) -> StdCacheSelection {
        let recorded = || self.recorded.get(name).cloned();
        let requested = self.requested.clone();
        requested.or_else(recorded).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(selection: &StdCacheSelection) -> Vec<String> {
        let ids = selection.ids(Arch::X86_64).into_iter();
        ids.map(|id| id.to_string()).collect()
    }

    #[test]
    fn a_selection_names_both_modes_of_each_target() {
        let native = StdCacheSelection::default();
        assert_eq!(ids(&native), ["x86_64-trimpath", "x86_64-plain"]);
        assert_eq!(ids(&native.clone().with_target(Arch::X86_64)), ids(&native));
        assert_eq!(
            ids(&native.with_target(Arch::Aarch64)),
            [
                "x86_64-trimpath",
                "x86_64-plain",
                "aarch64-trimpath",
                "aarch64-plain"
            ]
        );
        assert!(ids(&StdCacheSelection::none()).is_empty());
    }

    #[test]
    fn the_form_in_the_state_is_read_again() {
        for (selection, words) in [
            (StdCacheSelection::none(), &[][..]),
            (StdCacheSelection::native(), &["native"]),
            (
                StdCacheSelection::native().with_target(Arch::Aarch64),
                &["native", "aarch64"],
            ),
            (
                StdCacheSelection::none().with_target(Arch::X86_64),
                &["x86_64"],
            ),
        ] {
            assert_eq!(selection.words(), words);
            assert_eq!(StdCacheSelection::from_words(&selection.words()), selection);
        }
        let later = ["native".to_owned(), "riscv64".to_owned()];
        let read = StdCacheSelection::from_words(&later);
        assert_eq!(read, StdCacheSelection::native());
    }

    #[test]
    fn a_request_comes_before_what_is_recorded() {
        let [known, new] = ["go-sdk/x86_64/1.26", "go-sdk/x86_64/1.27"].map(|n| n.parse().unwrap());
        let mut choice = StdCacheChoice::default();
        choice
            .recorded
            .insert(RefName::clone(&known), StdCacheSelection::none());
        assert_eq!(choice.of(&known), StdCacheSelection::none());
        assert_eq!(choice.of(&new), StdCacheSelection::native());
        choice.requested = Some(StdCacheSelection::native());
        assert_eq!(choice.of(&known), StdCacheSelection::native());
    }
}
