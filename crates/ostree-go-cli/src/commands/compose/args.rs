//! The arguments of `compose`.

use crate::args::arch;
use crate::args::signing::SigningArgs;
use crate::args::workspace_lock::WorkspaceLockArgs;
use crate::error::CliError;
use ostree_go_sdk::Arch;
use ostree_go_sdk::upstream::DATABASE;
use serde_json::{Map, Value};
use std::path::PathBuf;

/// Compose Go SDKs into a repository
///
/// Reads each treefile, commits the Go distributions that it names as layers and releases, and
/// moves the channels. Each treefile is one transaction: either all of its commits are created or
/// none. If the inputs of a release have not changed, its source is not read again. Then the Go
/// modules that the treefile names are composed, and the std caches that the repository lacks are
/// built, each in a transaction of its own.
///
/// Prints the commit of each release, one per line, in the order of treefiles and architectures.
#[derive(Debug, clap::Args)]
pub struct ComposeArgs {
    /// Treefiles to compose
    #[arg(required = true, value_name = "TREEFILE")]
    pub treefiles: Vec<PathBuf>,

    /// Compose only this architecture of the treefile (may be repeated)
    #[arg(long, value_name = "ARCH", value_parser = arch::parse)]
    pub arch: Vec<Arch>,

    /// Print what would be composed, without changing the repository
    #[arg(long)]
    pub dry_run: bool,

    /// Print the treefile as JSON, with its includes merged and its variables expanded, and exit
    #[arg(long, conflicts_with = "dry_run")]
    pub print_treefile: bool,

    /// Write the `h1` of the treefile's version, as proven by Go's checksum database, and the
    /// SHA-256 in its download index into `pin` of each treefile, and exit; comments and the layout
    /// are kept
    #[arg(long, conflicts_with = "print_treefile")]
    pub update_pins: bool,

    /// Accept the content of `module` sources without a pin, instead of checking it against Go's
    /// checksum database; entries of `modules` need a `sum` then
    #[arg(long, conflicts_with_all = ["sumdb", "update_pins"])]
    pub no_sumdb: bool,

    /// URL of the checksum database: a mirror, or a module proxy's URL followed by
    /// /sumdb/sum.golang.org. If the default is out of reach, the proxies in GOPROXY are asked
    #[arg(long, value_name = "URL", default_value = DATABASE)]
    pub sumdb: String,

    /// Add the proof that their content is Go's own, from the checksum database, to the releases and channels, so that anyone can
    /// check it with `verify --upstream --offline`; a release with other content is an error
    #[arg(long, conflicts_with = "no_sumdb")]
    pub upstream_proof: bool,

    /// Leave out the std caches that the treefile names: the compiled standard library, which the
    /// composed SDK builds in a sandbox
    #[arg(long)]
    pub no_stdcache: bool,

    /// Compose even if the inputs have not changed
    #[arg(long)]
    pub force_nocache: bool,

    /// Exit with 77 if nothing changed
    #[arg(long)]
    pub unchanged_exit_77: bool,

    /// Update the modification time of this file if something changed
    #[arg(long, value_name = "FILE")]
    pub touch_if_changed: Option<PathBuf>,

    /// Write the commit of each release to this file, one per line, instead of moving the refs of
    /// releases and channels
    #[arg(long, value_name = "FILE")]
    pub write_commitid_to: Option<PathBuf>,

    /// Write a description of the result to this file, as rpm-ostree does: a JSON object, or an
    /// array of objects if there is more than one release
    #[arg(long, value_name = "FILE")]
    pub write_composejson_to: Option<PathBuf>,

    /// Add a string to the metadata of the release (may be repeated)
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_key_value)]
    pub add_metadata_string: Vec<(String, String)>,

    /// Add the keys of the JSON object in this file to the metadata of the release
    #[arg(long, value_name = "FILE")]
    pub add_metadata_from_json: Option<PathBuf>,

    #[command(flatten)]
    pub workspace_lock: WorkspaceLockArgs,

    /// Parent of the release commit (default: none)
    #[arg(long, value_name = "REV", conflicts_with = "no_parent")]
    pub parent: Option<String>,

    /// Create the release commit without a parent; this is the default, and accepted for
    /// compatibility with rpm-ostree
    #[arg(long)]
    pub no_parent: bool,

    /// Allow the ref of a release, of a module's version or of a std cache to move to another commit
    #[arg(long)]
    pub replace: bool,

    /// Directory for cached downloads (default: $XDG_CACHE_HOME/ostree-go)
    #[arg(long, value_name = "DIR")]
    pub cachedir: Option<PathBuf>,

    #[command(flatten)]
    pub signing: SigningArgs,
}

fn parse_key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

impl ComposeArgs {
    /// Returns the requested architectures, without duplicates.
    pub fn arches(&self) -> Vec<Arch> {
        let mut arches: Vec<Arch> = Vec::new();
        for arch in &self.arch {
            if !arches.contains(arch) {
                arches.push(*arch);
            }
        }
        arches
    }

    /// Returns the additional metadata of the release: the file, then the strings.
    pub fn metadata(&self) -> Result<Map<String, Value>, CliError> {
        let mut metadata = Map::new();
        if let Some(path) = &self.add_metadata_from_json {
            let failed = CliError::file("read metadata from", path);
            let text = std::fs::read(path).map_err(&failed)?;
            metadata = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
        }
        let strings = self.add_metadata_string.iter().cloned();
        metadata.extend(strings.map(|(key, value)| (key, Value::from(value))));
        Ok(metadata)
    }
}
