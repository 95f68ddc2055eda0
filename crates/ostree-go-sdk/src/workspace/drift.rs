//! Differences between a lock and the present state.

use std::fmt;
use std::path::PathBuf;

/// A difference between a lock and the present state, or between two units.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub struct Drift {
    /// The directory of the unit or project, relative to the directory of the lock; `.` for that one.
    pub unit: String,
    /// The kind of the difference.
    pub what: DriftKind,
    /// The file or directory, relative to the directory of the lock; absolute if it is in the module cache.
    pub path: Option<PathBuf>,
    /// The number of the line, from 1.
    pub line: Option<usize>,
    /// The value in the lock, in `go.sum`, or of the other unit; `None` if nothing was expected.
    pub expected: Option<String>,
    /// The value that was found; `None` if there is none.
    pub found: Option<String>,
}

impl Drift {
    pub(super) fn new(unit: &str, what: DriftKind) -> Self {
        Self {
            unit: unit.to_owned(),
            what,
            path: None,
            line: None,
            expected: None,
            found: None,
        }
    }

    pub(super) fn at(mut self, path: impl Into<PathBuf>, line: impl Into<Option<usize>>) -> Self {
        (self.path, self.line) = (Some(path.into()), line.into());
        self
    }

    pub(super) fn expected(mut self, expected: impl Into<String>) -> Self {
        self.expected = Some(expected.into());
        self
    }

    pub(super) fn found(mut self, found: impl Into<String>) -> Self {
        self.found = Some(found.into());
        self
    }

    pub(super) fn values(mut self, expected: Option<String>, found: Option<String>) -> Self {
        (self.expected, self.found) = (expected, found);
        self
    }
}

/// Declares the kinds of drift with their words and descriptions.
macro_rules! drift_kinds {
    ($($(#[$doc:meta])+ $name:ident => $word:literal, $text:literal;)+) => {
        /// The kind of a difference.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum DriftKind {
            $($(#[$doc])+ $name,)+
        }

        impl DriftKind {
            /// All kinds.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// Returns a stable lower-case word, such as `vendored-file-changed`.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }

            const fn text(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

drift_kinds! {
    /// The locked SDK is not installed.
    SdkNotInstalled => "sdk-not-installed", "the locked SDK is not installed";
    /// The project selects another version of the SDK.
    SdkVersionChanged => "sdk-version-changed", "another version of the SDK is selected";
    /// The commit of the SDK is another one, or the lock has none for this architecture.
    SdkCommitChanged => "sdk-commit-changed", "the SDK is another commit";
    /// A variable that decides what is built has another value.
    BuildSettingChanged => "build-setting-changed", "a build setting differs";
    /// A `godebug` setting in `go.mod` or `go.work` has another value.
    GodebugChanged => "godebug-changed", "a `godebug` setting differs";
    /// A commit or image was made with another lock.
    DeployedLock => "deployed-lock", "it was made with another lock";
    /// A `go` line has another version.
    GoLineChanged => "go-line-changed", "the `go` line differs";
    /// A `toolchain` line has another name.
    ToolchainLineChanged => "toolchain-line-changed", "the `toolchain` line differs";
    /// A `go` line names a version above that of the locked SDK.
    GoLineAboveSdk => "go-line-above-sdk", "the `go` line is above the locked SDK";
    /// `go.mod` has another content, and no other drift explains it.
    GoModChanged => "go-mod-changed", "go.mod differs";
    /// `go.work` has another content, and no other drift explains it.
    GoWorkChanged => "go-work-changed", "go.work differs";
    /// A unit or project is not in the lock.
    UnitAdded => "unit-added", "the unit is not in the lock";
    /// A unit or project of the lock does not exist any more.
    UnitRemoved => "unit-removed", "the unit is missing";
    /// A module is not in the lock.
    ModuleAdded => "module-added", "the module is not in the lock";
    /// A module of the lock is not used any more.
    ModuleRemoved => "module-removed", "the module is missing";
    /// A module has another version.
    ModuleVersionChanged => "module-version-changed", "the module has another version";
    /// The go command cannot list the modules because `go.mod` or `go.work` has changed. They are not compared.
    ModulesNotListed => "modules-not-listed", "the go command cannot list the modules";
    /// The hash of a module in `go.sum` is another one, or two `go.sum` files differ.
    ModuleSumChanged => "module-sum-changed", "the hash of the module in go.sum differs";
    /// `go.sum` has no hash of a vendored module.
    ModuleNotInGoSum => "module-not-in-go-sum", "go.sum has no hash of the vendored module";
    /// Two units use different versions of a module.
    ModuleVersionConflict => "module-version-conflict", "units use different versions of the module";
    /// A module is replaced by something else.
    ReplacementChanged => "replacement-changed", "the module is replaced by something else";
    /// The directory of a replacement does not exist.
    ReplacementMissing => "replacement-missing", "the directory of the replacement is missing";
    /// The directory of a replacement has another content.
    ReplacementContentChanged => "replacement-content-changed", "the content of the replacement differs";
    /// The checkout of a replacement is at another commit.
    ReplacementCommitChanged => "replacement-commit-changed", "the replacement is at another commit";
    /// Two units use different replacements of a module, or different commits or contents of one.
    ReplacementConflict => "replacement-conflict", "units use different replacements of the module";
    /// The zip of a module in the module cache has another hash than `go.sum` names.
    ModuleZipChanged => "module-zip-changed", "the zip in the module cache does not match go.sum";
    /// The extracted module in the module cache has another hash than `go.sum` names.
    ModuleCacheChanged => "module-cache-changed", "the folder in the module cache does not match go.sum";
    /// There is a directory `vendor` that is not in the lock.
    VendorAdded => "vendor-added", "the directory vendor is not in the lock";
    /// The directory `vendor` of the lock does not exist any more.
    VendorRemoved => "vendor-removed", "the directory vendor is missing";
    /// A vendored file has another content than in its module.
    VendoredFileChanged => "vendored-file-changed", "the vendored file differs from its module";
    /// A file in `vendor` is not in its module.
    VendoredFileAdded => "vendored-file-added", "the vendored file is not in its module";
    /// A file of a vendored package is missing.
    VendoredFileRemoved => "vendored-file-removed", "the vendored file is missing";
    /// The vendored files of a module are other ones than those in the lock.
    VendoredModuleChanged => "vendored-module-changed", "the vendored files of the module differ";
    /// `vendor/modules.txt` has another content, and no other drift explains it.
    ModulesTxtChanged => "modules-txt-changed", "vendor/modules.txt differs";
    /// `vendor/modules.txt` contradicts `go.mod` or `go.work`.
    VendorInconsistent => "vendor-inconsistent", "vendor/modules.txt and go.mod disagree";
}

impl fmt::Display for DriftKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_kind_has_a_word_and_a_text_of_its_own() {
        let words: BTreeSet<&str> = DriftKind::ALL.iter().map(|kind| kind.as_str()).collect();
        let texts: BTreeSet<String> = DriftKind::ALL.iter().map(ToString::to_string).collect();
        assert_eq!(words.len(), DriftKind::ALL.len());
        assert_eq!(texts.len(), DriftKind::ALL.len());
        let is_word = |word: &&str| word.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
        assert!(words.iter().all(is_word), "{words:?}");
    }
}
