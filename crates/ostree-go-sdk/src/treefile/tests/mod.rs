mod behaviour;
mod errors;
mod modules;
mod properties;
mod shipped;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::{Treefile, TreefileError};

/// A minimal valid treefile, to which tests append.
const MINIMAL: &str = "version: 1.26.5\nlayers: { all: { include: [src] } }\n";

/// Parses the first of `files`; the others can be included.
fn parse(files: &[(&str, &str)]) -> Result<Treefile, TreefileError> {
    let texts: BTreeMap<&Path, &str> = files
        .iter()
        .map(|(name, text)| (Path::new(name), *text))
        .collect();
    let (name, text) = files[0];
    Treefile::parse(text, Path::new(name), &mut |path| {
        texts
            .get(path)
            .map(ToString::to_string)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    })
}

/// Parses [`MINIMAL`] followed by `more`.
fn minimal(more: &str) -> Result<Treefile, TreefileError> {
    parse(&[("t.yaml", &format!("{MINIMAL}{more}"))])
}
