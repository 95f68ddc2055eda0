//! The key `stdcache`: the std caches of a version.

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _};

use super::super::value::Text;
use super::scalar::ArchName;
use crate::arch::Arch;
use crate::golang::std_cache::{BuildMode, StdCacheId};

/// The std caches to build.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[schemars(rename = "StdCache")]
pub(in super::super) struct StdCaches {
    /// The architectures that the standard library is compiled for.
    #[serde(default)]
    #[schemars(with = "Vec<ArchName>", extend("default" = ["x86_64", "aarch64"], "minItems" = 1))]
    targets: AtLeastOne<Arch>,
    /// The flags that it is compiled with: `trimpath` for `-trimpath`, `plain` for none.
    #[serde(default)]
    #[schemars(with = "Vec<ModeName>", extend("default" = ["trimpath", "plain"], "minItems" = 1))]
    modes: AtLeastOne<BuildMode>,
}

impl StdCaches {
    /// Returns the std caches without duplicates, in the order of the architectures and modes.
    pub fn ids(self) -> Vec<StdCacheId> {
        let targets = Arch::ALL.into_iter().filter(|&arch| self.targets.has(arch));
        targets
            .flat_map(StdCacheId::of_target)
            .filter(|id| self.modes.has(id.mode))
            .collect()
    }
}

/// A list that is not empty; `None` if the key is absent, which stands for everything.
#[derive(Debug)]
struct AtLeastOne<T>(Option<Vec<T>>);

impl<T> Default for AtLeastOne<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T: PartialEq> AtLeastOne<T> {
    fn has(&self, value: T) -> bool {
        self.0.as_ref().is_none_or(|named| named.contains(&value))
    }
}

impl<'de, T> Deserialize<'de> for AtLeastOne<T>
where
    Text<T>: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let named = Vec::<Text<T>>::deserialize(deserializer)?;
        if named.is_empty() {
            let message = "the list is empty, expected at least one entry, or no such key";
            return Err(D::Error::custom(message));
        }
        let named = named.into_iter().map(|Text(value)| value);
        Ok(Self(Some(named.collect())))
    }
}

// A mode; only used for the schema.
#[derive(JsonSchema)]
#[schemars(inline, rename_all = "kebab-case")]
#[allow(dead_code, reason = "stands for its schema")]
enum ModeName {
    Trimpath,
    Plain,
}
