//! One tree's delta, for another commit of the same tree.

use super::{DeltaName, folder};
use crate::fs::atomic;
use crate::object::sorted_dict;
use crate::repo::{Repo, RepoError};
use glib::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// The superblock's file in a delta's folder.
const SUPERBLOCK: &str = "superblock";
/// `OSTREE_STATIC_DELTA_SUPERBLOCK_FORMAT`: metadata, time, from, to, the new commit,
/// prerequisites, parts, fallbacks.
const FORMAT: &str = "(a{sv}tayay(a{sv}aya(say)sstayay)aya(uayttay)a(yaytt))";
/// What the key of the new commit's detached metadata ends in.
const COMMITMETA: &str = "/commitmeta";

/// Makes the delta `name` out of `model`, whose commits have the same trees: the parts become
/// hard links, the superblock is written anew. It becomes visible by one rename.
pub(crate) fn retarget(repo: &Repo, model: &DeltaName, name: &DeltaName) -> Result<(), RepoError> {
    let (from, to) = (folder(repo, model), folder(repo, name));
    let superblock = superblock(repo, &from.join(SUPERBLOCK), name)?;
    let failed = |source| RepoError::Io {
        action: "write static delta",
        path: to.clone(),
        source,
    };
    let parent = to.parent().unwrap_or(repo.path());
    std::fs::create_dir_all(parent).map_err(failed)?;
    // Not among the deltas: libostree takes every folder there for one.
    let fresh = tempfile::Builder::new()
        .prefix("delta-")
        .tempdir_in(repo.path().join("tmp"))
        .map_err(failed)?;
    for entry in std::fs::read_dir(&from).map_err(failed)? {
        let file = entry.map_err(failed)?.file_name();
        if file != SUPERBLOCK {
            std::fs::hard_link(from.join(&file), fresh.path().join(&file)).map_err(failed)?;
        }
    }
    atomic::write(&fresh.path().join(SUPERBLOCK), superblock.data()).map_err(failed)?;
    // As readable as the folders that libostree makes.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(fresh.path(), mode).map_err(failed)?;
    let fresh = fresh.keep();
    super::remove(repo, name)?;
    std::fs::rename(&fresh, &to).map_err(failed)
}

fn superblock(repo: &Repo, model: &Path, name: &DeltaName) -> Result<glib::Variant, RepoError> {
    let bytes = std::fs::read(model).map_err(|source| RepoError::Io {
        action: "read static delta",
        path: model.to_owned(),
        source,
    })?;
    let malformed = || RepoError::Malformed {
        what: "static delta",
        id: name.to_string(),
        path: repo.path().to_owned(),
    };
    let format = glib::VariantTy::new(FORMAT).map_err(|_| malformed())?;
    let model = glib::Variant::from_bytes_with_type(&glib::Bytes::from_owned(bytes), format);
    if !model.is_normal_form() {
        return Err(malformed());
    }
    let mut metadata: BTreeMap<String, glib::Variant> = model
        .child_value(0)
        .iter()
        .filter_map(|e| Some((e.child_value(0).get()?, e.child_value(1).as_variant()?)))
        .filter(|(key, _): &(String, _)| !key.ends_with(COMMITMETA))
        .collect();
    let detached = repo.detached(name.to)?;
    if !detached.is_empty() {
        let key = format!("{}{COMMITMETA}", name.path());
        metadata.insert(key, sorted_dict(&detached));
    }
    let from = name.from.map(|id| id.as_bytes().to_vec());
    let commit = repo.commit(name.to)?.object().variant;
    Ok(glib::Variant::tuple_from_iter([
        sorted_dict(&metadata),
        model.child_value(1),
        from.unwrap_or_default().to_variant(),
        name.to.as_bytes().to_vec().to_variant(),
        commit,
        model.child_value(5),
        model.child_value(6),
        model.child_value(7),
    ]))
}
