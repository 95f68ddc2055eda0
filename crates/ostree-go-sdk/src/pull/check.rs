//! The checks of a commit that are possible without its content.

use super::PullError;
use super::session::Session;
use crate::catalog::{CommitInfo, CommitKind};
use crate::id::{CommitId, RefName};
use crate::metadata::{self as keys, Metadata};
use crate::repo::Repo;
use crate::sign::{Proof, SignError, TrustedKeys};

/// Verifies the signatures of a commit in `repo`, as far as the remote requires them.
///
/// # Errors
/// Returns an error if the commit is not signed by a trusted key.
pub(super) fn signatures(
    session: &Session,
    repo: &Repo,
    name: &RefName,
    commit: CommitId,
) -> Result<Proof, PullError> {
    let signatures = match &session.remote {
        Some(remote) if session.must_be_signed() => {
            let keys = TrustedKeys::Remote(remote.name.clone());
            repo.verify(commit, &keys).map_err(|source| match source {
                SignError::Repo(error) => PullError::from(error),
                source => PullError::Signature {
                    name: name.clone(),
                    remote: session.label().to_owned(),
                    source: Box::new(source),
                },
            })?
        }
        _ => Vec::new(),
    };
    Ok(Proof {
        remote: session.label().to_owned(),
        signatures,
        unsigned: !session.must_be_signed(),
        at: session.options.clock.now(),
    })
}

/// Checks that a commit is bound to the ref.
pub(super) fn ref_binding(
    session: &Session,
    name: &RefName,
    commit: CommitId,
    metadata: &Metadata,
) -> Result<(), PullError> {
    let bound: Vec<String> = metadata
        .get(keys::OSTREE_REF_BINDING)
        .and_then(glib::Variant::get)
        .unwrap_or_default();
    if bound.iter().any(|bound| bound == name.as_str()) {
        return Ok(());
    }
    Err(PullError::RefBinding {
        name: name.clone(),
        remote: session.label().to_owned(),
        commit,
        found: bound,
    })
}

/// Checks that a commit is for the expected architecture.
pub(super) fn architecture(
    session: &Session,
    name: &RefName,
    info: &CommitInfo,
    metadata: &Metadata,
) -> Result<(), PullError> {
    let Some(expected) = session.options.expect_arch else {
        return Ok(());
    };
    let found = metadata
        .get(keys::OSTREE_ARCHITECTURE)
        .and_then(glib::Variant::get::<String>);
    // A layer for all architectures declares none, and neither does a module or a std cache.
    let has_none = matches!(
        info.kind,
        CommitKind::Layer | CommitKind::StdCache | CommitKind::Module
    );
    let is_any_arch = found.is_none() && has_none;
    if is_any_arch || found.as_deref() == Some(expected.basearch()) {
        return Ok(());
    }
    Err(PullError::Arch {
        name: name.clone(),
        remote: session.label().to_owned(),
        commit: info.id,
        found,
        expected,
    })
}

/// Checks that a commit is not older than the current one, unless downgrades are allowed.
pub(super) fn age(
    session: &Session,
    name: &RefName,
    info: &CommitInfo,
    current: Option<CommitId>,
) -> Result<(), PullError> {
    let Some(current) = current.filter(|current| *current != info.id) else {
        return Ok(());
    };
    if session.options.allow_downgrade {
        return Ok(());
    }
    let expected = session.repo.commit(current)?.timestamp;
    if info.timestamp >= expected {
        return Ok(());
    }
    Err(PullError::Older {
        name: name.clone(),
        commit: info.id,
        found: info.timestamp,
        current,
        expected,
    })
}
