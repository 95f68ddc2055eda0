//! Names of commits and refs on the command line, which may be abbreviated.

use crate::error::CliError;
use ostree_go_sdk::{
    Arch, CommitId, InvalidRef, ModuleId, RefName, Repo, RepoError, Sha256, TreePath,
    parse_toolchain_module,
};

/// Resolves a ref, a commit or an abbreviated ref: `1.26.5` and `go1.26.5` mean
/// `go-sdk/<this machine's basearch>/1.26.5`. Also resolves the names of modules: see
/// [`ref_of_module`].
pub fn resolve(repo: &Repo, rev: &str) -> Result<CommitId, CliError> {
    if let Some(name) = ref_of_module(rev) {
        return Ok(repo.resolve(&name)?);
    }
    let error = match repo.resolve(rev) {
        Ok(id) => return Ok(id),
        Err(error) => error,
    };
    let (Some(arch), false) = (Arch::host(), rev.contains('/')) else {
        return Err(error.into());
    };
    match repo.resolve(&whole_ref(rev, arch)) {
        Ok(id) => Ok(id),
        // A suggestion for the full name is the better hint.
        Err(RepoError::NoSuchRev { path, nearest, .. }) if !nearest.is_empty() => {
            Err(CliError::from(RepoError::NoSuchRev {
                rev: rev.to_owned(),
                path,
                nearest,
            }))
        }
        Err(_) => Err(error.into()),
    }
}

/// Returns the ref of a toolchain module, such as `golang.org/toolchain@v0.0.1-go1.26.5.linux-amd64`,
/// or of another module, such as `example.com/lib@v1.2.3`; `None` for other words. No ref contains an
/// `@`.
fn ref_of_module(word: &str) -> Option<String> {
    if let Some((version, arch)) = parse_toolchain_module(word) {
        return Some(whole_ref(version.as_str(), arch));
    }
    let module: ModuleId = word.parse().ok()?;
    let family: RefName = "go-sdk".parse().ok()?;
    module.ref_beside(&family).ok().map(|name| name.to_string())
}

/// Expands an abbreviated ref: `1.26` and `go1.26` mean `go-sdk/<basearch>/1.26`. A name with a slash
/// is returned unchanged.
pub fn whole_ref(word: &str, arch: Arch) -> String {
    if word.contains('/') {
        return word.to_owned();
    }
    let version = word.strip_prefix("go");
    let version = version.filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    format!("go-sdk/{arch}/{}", version.unwrap_or(word))
}

/// Returns the ref for a version, a channel or a full ref name.
fn ref_name(word: &str, arch: Option<Arch>) -> Result<RefName, CliError> {
    let whole = arch.map_or_else(|| word.to_owned(), |arch| whole_ref(word, arch));
    let parsed = whole.parse();
    parsed.map_err(|error: InvalidRef| CliError::usage(error.to_string()))
}

/// Returns the same, and the expected digest of the image after an `@`: `1.26.5@sha256:00ff…`.
pub fn pinned(word: &str, arch: Option<Arch>) -> Result<(RefName, Option<Sha256>), CliError> {
    let Some((name, pin)) = word.split_once('@') else {
        return Ok((ref_name(word, arch)?, None));
    };
    let digest = pin.strip_prefix("sha256:").and_then(|hex| hex.parse().ok());
    match digest {
        Some(digest) => Ok((ref_name(name, arch)?, Some(digest))),
        None => Err(CliError::usage(format!(
            "`{}` is not a digest, expected `sha256:` and 64 hexadecimal digits",
            pin.escape_debug()
        ))),
    }
}

/// Resolves a name for several architectures: a version or channel means the releases of the given
/// architectures, which must exist, or of all architectures in the repository if none are given.
pub fn resolve_all(repo: &Repo, rev: &str, arches: &[Arch]) -> Result<Vec<CommitId>, CliError> {
    if rev.contains('/') || repo.resolve(rev).is_ok() {
        return Ok(vec![resolve(repo, rev)?]);
    }
    if !arches.is_empty() {
        let commits = arches.iter();
        let commits = commits.map(|arch| Ok(repo.resolve(&whole_ref(rev, *arch))?));
        return commits.collect();
    }
    let found = Arch::ALL.map(|arch| repo.resolve(&whole_ref(rev, arch)).ok());
    let found: Vec<CommitId> = found.into_iter().flatten().collect();
    match found.is_empty() {
        true => Ok(vec![resolve(repo, rev)?]),
        false => Ok(found),
    }
}

/// Resolves an abbreviated ref for the given architecture instead of that of this machine.
pub fn resolve_for(repo: &Repo, rev: &str, arch: Arch) -> Result<CommitId, CliError> {
    match repo.resolve(rev) {
        Ok(id) => Ok(id),
        Err(error) => repo
            .resolve(&whole_ref(rev, arch))
            .map_err(|_| error.into()),
    }
}

/// Parses a path inside a tree, with or without slashes around it; returns `None` for the whole tree.
///
/// # Errors
/// Returns a usage error for a path that no tree can contain.
pub fn tree_path(text: &str) -> Result<Option<TreePath>, CliError> {
    match text.trim_matches('/') {
        "" => Ok(None),
        path => match path.parse() {
            Ok(path) => Ok(Some(path)),
            Err(error) => Err(CliError::usage(error.to_string())),
        },
    }
}
