//! Recipes: what is needed besides the source to compose a release again.
//!
//! A recipe is JSON that a compose stores beside the commit of a release. It is neither signed nor
//! part of the commit, and is read as untrusted input: it names no source, no file of the machine
//! and nothing that is executed.

use super::error::TreefileError;
use super::print::files_of;
use super::{AddContent, ArchTreefile, Pin, SourceSpec, StdCacheSpec, Treefile};
use crate::fs::path::TreePath;
use crate::golang::h1::H1;
use crate::golang::std_cache::{StdCacheId, std_cache_ref};
use crate::id::{CommitId, RefName, Sha256};
use crate::kind::ErrorKind;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The version of the format. It is incremented when an older version would misread a recipe.
const FORMAT: u32 = 1;

/// The keys of a treefile that a recipe can have. Sources, proxies, channels, modules and std caches
/// do not determine a release, and `include` and `variables` are expanded.
const KEYS: [&str; 12] = [
    "version",
    "variant",
    "arches",
    "ref",
    "layer-ref",
    "timestamp",
    "pin",
    "prefix",
    "layers",
    "exclude",
    "links",
    "add-commit-metadata",
];

/// The name of the text in errors about its treefile.
const NAME: &str = "sdk.recipe";

/// A recipe: the information besides the source that is needed to compose a release again.
///
/// Files that the treefile copies from the machine of the compose are marked; their content is that
/// in the release.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    treefile: Value,
    options: RecipeOptions,
}

/// The options of a compose that determine the commit of a release.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub struct RecipeOptions {
    /// Metadata besides that of the treefile.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, Value>,
    /// The parent of the commit.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub parent: Option<CommitId>,
    /// The timestamp of the commit in seconds since 1970, if it is not that of the SDK.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
    /// The SHA-256 of the lock file of the workspace that the release is for.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text")]
    pub workspace: Option<Sha256>,
}

/// Reads and writes values as their texts.
mod text {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use std::fmt::Display;
    use std::str::FromStr;

    #[allow(clippy::ref_option, reason = "the signature is that of serde")]
    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T: FromStr<Err: Display>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text: Option<String> = Deserialize::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom))
            .transpose()
    }
}

/// The JSON document.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    #[serde(default, skip_serializing_if = "is_default")]
    options: RecipeOptions,
    treefile: Value,
}

fn is_default(options: &RecipeOptions) -> bool {
    *options == RecipeOptions::default()
}

/// The reason why a recipe cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecipeError {
    /// The recipe is larger than any that a compose writes.
    #[error("the recipe has {found} bytes, expected at most {limit}")]
    TooLarge {
        /// The size in bytes.
        found: usize,
        /// The maximum size in bytes.
        limit: usize,
    },
    /// The recipe is not a JSON document of the expected form.
    #[error("the recipe is malformed")]
    Malformed(#[source] serde_json::Error),
    /// The recipe has another format.
    #[error("the recipe has format {found}, expected {FORMAT}")]
    Format {
        /// The number of the format.
        found: u32,
    },
    /// The treefile has a key that is not allowed in recipes.
    #[error("the treefile of the recipe has the key `{}`, which recipes cannot have", key.escape_debug())]
    Key {
        /// The key.
        key: String,
    },
    /// The treefile copies a file of the machine that reads the recipe.
    #[error("the recipe copies a file of this machine to `{}`", path.escape_debug())]
    LocalFile {
        /// The path in the tree.
        path: String,
    },
    /// The treefile is invalid.
    #[error("the treefile of the recipe is invalid")]
    Treefile(#[source] Box<TreefileError>),
    /// The treefile has more than one architecture.
    #[error("the recipe is for {found} architectures, expected one")]
    Arches {
        /// The number of architectures.
        found: usize,
    },
}

impl RecipeError {
    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Format { .. } => ErrorKind::InvalidInput,
            _ => ErrorKind::Corrupt,
        }
    }
}

impl From<TreefileError> for RecipeError {
    fn from(error: TreefileError) -> Self {
        Self::Treefile(Box::new(error))
    }
}

impl Recipe {
    /// The maximum size of a recipe in bytes; a compose stores no larger ones. The recipe of the
    /// treefiles that are shipped has less than 2,000.
    pub const MAX_BYTES: usize = 256 << 10;

    /// Returns the recipe of a release. `h1` is the hash of its source.
    pub(crate) fn new(release: &ArchTreefile, h1: Option<H1>, options: RecipeOptions) -> Self {
        let plain = ArchTreefile {
            sources: Vec::new(),
            goproxy: None,
            channels: Vec::new(),
            std_caches: Vec::new(),
            modules: Vec::new(),
            // The digest of an archive would refuse every other form of the same content.
            pin: Pin { sha256: None, h1 },
            ..release.clone()
        };
        let mut treefile = plain.to_json();
        for file in files_of(&mut treefile) {
            if let Some(from) = file.get_mut("from") {
                *from = Value::Bool(true);
            }
        }
        if let Some(keys) = treefile.as_object_mut() {
            keys.retain(|key, _| KEYS.contains(&key.as_str()));
        }
        Self { treefile, options }
    }

    /// Returns the JSON text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let document = Document {
            format: FORMAT,
            options: self.options.clone(),
            treefile: self.treefile.clone(),
        };
        // Only maps with keys that are not texts cannot be written.
        serde_json::to_string(&document).unwrap_or_default()
    }

    /// Parses a recipe. Its treefile is only checked by the conversion to a treefile.
    ///
    /// # Errors
    /// Returns an error if the recipe is too large, has another format, or names something that
    /// recipes cannot name.
    pub fn parse(text: &str) -> Result<Self, RecipeError> {
        if text.len() > Self::MAX_BYTES {
            return Err(RecipeError::TooLarge {
                found: text.len(),
                limit: Self::MAX_BYTES,
            });
        }
        /// The field that every format has.
        #[derive(Deserialize)]
        struct AnyFormat {
            format: u32,
        }
        let AnyFormat { format } = serde_json::from_str(text).map_err(RecipeError::Malformed)?;
        if format != FORMAT {
            return Err(RecipeError::Format { found: format });
        }
        let document: Document = serde_json::from_str(text).map_err(RecipeError::Malformed)?;
        let mut recipe = Self {
            treefile: document.treefile,
            options: document.options,
        };
        let keys = recipe.treefile.as_object().into_iter().flatten();
        for (key, _) in keys {
            if !KEYS.contains(&key.as_str()) {
                return Err(RecipeError::Key { key: key.clone() });
            }
        }
        for file in files_of(&mut recipe.treefile) {
            if file
                .get("from")
                .is_some_and(|from| *from != Value::Bool(true))
            {
                let path = file.get("path").and_then(Value::as_str);
                return Err(RecipeError::LocalFile {
                    path: path.unwrap_or_default().to_owned(),
                });
            }
        }
        Ok(recipe)
    }

    /// Returns the options of the compose.
    #[must_use]
    pub fn options(&self) -> &RecipeOptions {
        &self.options
    }

    /// Returns the treefile of the release, with these sources, and with those of all std caches whose
    /// refs `has_ref` accepts. A file whose content is that in the release is read from its path in
    /// the tree, below `folder`.
    pub(crate) fn treefile(
        &self,
        folder: &Path,
        sources: Vec<SourceSpec>,
        has_ref: &mut dyn FnMut(&RefName) -> bool,
    ) -> Result<Treefile, RecipeError> {
        let mut json = self.treefile.clone();
        for file in files_of(&mut json) {
            if let Some(from) = file.get_mut("from") {
                *from = Value::String(NAME.to_owned());
            }
        }
        let mut no_file = |_: &Path| Err(io::ErrorKind::NotFound.into());
        let mut treefile = Treefile::parse(&json.to_string(), Path::new(NAME), &mut no_file)?;
        let [release] = treefile.releases.as_mut_slice() else {
            return Err(RecipeError::Arches {
                found: treefile.releases.len(),
            });
        };
        release.sources = sources;
        let files = release
            .layers
            .iter_mut()
            .flat_map(|layer| &mut layer.add_files);
        for file in files {
            if let AddContent::From(from) = &mut file.content {
                *from = folder.join(file.path.as_str());
            }
        }
        for id in crate::arch::Arch::ALL
            .into_iter()
            .flat_map(StdCacheId::of_target)
        {
            let ref_name = std_cache_ref(&release.release_ref, release.version.as_str(), id);
            // A version whose std cache cannot have a ref has none.
            let Ok(ref_name) = ref_name else { continue };
            if has_ref(&ref_name) {
                release.std_caches.push(StdCacheSpec { id, ref_name });
            }
        }
        Ok(treefile)
    }
}

/// Returns the paths in the tree of the files that a compose copies from the machine.
pub(crate) fn copied_files(release: &ArchTreefile) -> impl Iterator<Item = &TreePath> {
    let files = release.layers.iter().flat_map(|layer| &layer.add_files);
    files
        .filter(|file| matches!(file.content, AddContent::From(_)))
        .map(|file| &file.path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "version: 1.99.1\narches: [x86_64]\ngoproxy: https://user:secret@proxy\n\
        channels: [\"go/${basearch}/stable\"]\nstdcache: {}\nsource: [path: /home/builder/go.tar.gz]\n\
        layers:\n  common: { include: [VERSION, src] }\n  toolchain: { include: [bin] }\n  \
        site: { add-files: [{ path: /etc/a, from: /home/builder/a }, { path: /etc/b, content: \"$$b\" }] }\n";

    fn release() -> ArchTreefile {
        let mut load = |_: &Path| Err(io::ErrorKind::NotFound.into());
        let treefile = Treefile::parse(TEXT, Path::new("/home/builder/t.yaml"), &mut load);
        treefile.unwrap().releases[0].clone()
    }

    fn parse(treefile: &Treefile) -> &ArchTreefile {
        &treefile.releases()[0]
    }

    #[test]
    fn a_recipe_gives_the_release_and_names_nothing_of_the_machine() {
        let before = release();
        let text = Recipe::new(&before, None, RecipeOptions::default()).to_text();
        for secret in ["builder", "secret", "proxy", "stable", "stdcache"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        let recipe = Recipe::parse(&text).unwrap();
        assert_eq!(recipe.to_text(), text);
        let source = vec![SourceSpec::Path("/sdk".into())];
        let treefile = recipe.treefile(Path::new("/files"), source.clone(), &mut |name| {
            name.as_str().ends_with("x86_64-plain")
        });
        let treefile = treefile.unwrap();
        let after = parse(&treefile);
        assert_eq!(after.fingerprint(), before.fingerprint());
        let names = |release: &ArchTreefile| -> Vec<String> {
            release
                .layers
                .iter()
                .map(|layer| layer.name.clone())
                .collect()
        };
        assert_eq!(names(after), names(&before));
        assert_eq!(after.sources, source);
        assert_eq!(after.std_caches.len(), 1);
        let copied: Vec<_> = copied_files(after).map(TreePath::as_str).collect();
        assert_eq!(copied, ["etc/a"]);
        let from = &after.layers[2].add_files[0].content;
        assert_eq!(*from, AddContent::From("/files/etc/a".into()));
    }

    #[test]
    fn a_recipe_cannot_name_files_includes_and_sources() {
        let refused = |change: &dyn Fn(&mut Value)| {
            let text = Recipe::new(&release(), None, RecipeOptions::default()).to_text();
            let mut json: Value = serde_json::from_str(&text).unwrap();
            change(&mut json);
            Recipe::parse(&json.to_string()).unwrap_err().to_string()
        };
        for key in [
            "source",
            "include",
            "variables",
            "goproxy",
            "modules",
            "stdcache",
        ] {
            assert_eq!(
                refused(&|json| json["treefile"][key] = Value::Null),
                format!(
                    "the treefile of the recipe has the key `{key}`, which recipes cannot have"
                )
            );
        }
        let file = |json: &mut Value| {
            json["treefile"]["layers"]["site"]["add-files"][0]["from"] = "/etc/shadow".into();
        };
        assert_eq!(
            refused(&file),
            "the recipe copies a file of this machine to `/etc/a`"
        );
        assert_eq!(
            refused(&|json| json["format"] = 2.into()),
            "the recipe has format 2, expected 1"
        );
        assert_eq!(
            refused(&|json| json["hooks"] = true.into()),
            "the recipe is malformed"
        );
        let large = " ".repeat(Recipe::MAX_BYTES + 1);
        assert_eq!(
            Recipe::parse(&large).unwrap_err().to_string(),
            "the recipe has 262145 bytes, expected at most 262144"
        );
    }

    proptest! {
        #[test]
        fn every_text_is_a_recipe_or_an_error(text in "\\PC{0,64}") {
            let _ = Recipe::parse(&text);
        }

        #[test]
        fn options_are_kept(timestamp: Option<u64>, value in "\\PC{0,8}", digest: Option<[u8; 32]>) {
            let options = RecipeOptions {
                metadata: BTreeMap::from([("com.example.key".to_owned(), value.into())]),
                parent: digest.map(CommitId::from),
                timestamp,
                workspace: digest.map(Sha256),
            };
            let recipe = Recipe::new(&release(), None, options.clone());
            let parsed = Recipe::parse(&recipe.to_text()).unwrap();
            prop_assert_eq!(parsed.options(), &options);
        }
    }
}
