//! Writes the commits and refs of layers, releases and channels.

use super::{
    ChannelState, ComposeError, ComposedChannel, ComposedLayer, ComposedRelease, NewObjects,
};
use crate::failpoint;
use crate::id::{CommitId, RefName};
use crate::layer::{LayerError, Layers};
use crate::metadata::{self, Metadata};
use crate::object::{Commit, Root, Tree, dirmeta, sorted_dict};
use crate::repo::{RepoError, Transaction};
use crate::sign;
use crate::treefile::ArchTreefile;
use crate::version::GoVersion;
use ostree::ObjectType;

/// Writes a tree's directory objects.
pub(super) fn write_tree(transaction: &Transaction<'_>, tree: &Tree) -> Result<Root, RepoError> {
    transaction.write(ObjectType::DirMeta, &dirmeta())?;
    tree.objects(&mut |directory| {
        transaction
            .write(ObjectType::DirTree, directory)
            .map(|_new| ())
    })
}

/// Writes the commits of layers and sets their refs. Empty layers are left out.
pub(super) fn layers(
    transaction: &Transaction<'_>,
    release: &ArchTreefile,
    layers: &Layers<'_>,
    trees: &[Tree],
    new: &[NewObjects],
) -> Result<Vec<ComposedLayer>, ComposeError> {
    let mut composed = Vec::new();
    for (index, tree) in trees.iter().enumerate() {
        if tree.entries.is_empty() {
            continue;
        }
        let name = layers.get(index).name.clone();
        let noarch = layers.is_noarch(index);
        let root = write_tree(transaction, tree)?;
        let content = root.content_id();
        let ref_name = release.layer_ref.for_layer(&name, &content)?;
        // The commit depends only on name, architecture and content, so that a layer that releases
        // share is a single commit, regardless of their order.
        let commit = Commit {
            metadata: metadata::layer(&name, (!noarch).then_some(release.arch), &ref_name),
            parent: None,
            subject: format!("Go SDK layer {name}"),
            body: String::new(),
            timestamp: 0,
            tree: root.tree,
            meta: root.meta,
        };
        let object = commit.object();
        let found = transaction.find(&ref_name)?;
        if let Some(found) = found.filter(|found| *found != object.id) {
            return Err(ComposeError::Layer(LayerError::SameContent {
                layer: name,
                name: ref_name,
                found,
                expected: object.id,
            }));
        }
        transaction.write(ObjectType::Commit, &object)?;
        transaction.set_ref(&ref_name, object.id);
        failpoint::hit("compose.layer-written");
        let size = tree.size();
        composed.push(ComposedLayer {
            name,
            ref_name,
            commit: object.id,
            content,
            noarch,
            files: size.files,
            bytes: size.bytes,
            new: new[index],
            unchanged: found.is_some(),
        });
    }
    Ok(composed)
}

/// The details of a release's commit besides its tree.
pub(super) struct ReleaseDetails<'a> {
    pub(super) layers: &'a [ComposedLayer],
    pub(super) h1: Option<String>,
    pub(super) timestamp: u64,
    pub(super) parent: Option<CommitId>,
    pub(super) extra: &'a Metadata,
}

/// Writes the commit of a release.
pub(super) fn release(
    transaction: &Transaction<'_>,
    spec: &ArchTreefile,
    tree: &Tree,
    details: ReleaseDetails<'_>,
) -> Result<(CommitId, Commit), ComposeError> {
    let root = write_tree(transaction, tree)?;
    let layers: Vec<(String, CommitId)> = details
        .layers
        .iter()
        .map(|layer| (layer.name.clone(), layer.commit))
        .collect();
    let metadata = metadata::Release {
        arch: spec.arch,
        version: spec.version.as_str(),
        variant: spec.variant.as_deref(),
        layers: &layers,
        h1: details.h1,
        size: tree.size(),
        extra: details.extra,
    };
    let commit = Commit {
        metadata: metadata.bound_to(&spec.release_ref),
        parent: details.parent,
        subject: format!("Go {} for {}", spec.version, spec.arch),
        body: String::new(),
        timestamp: details.timestamp,
        tree: root.tree,
        meta: root.meta,
    };
    let object = commit.object();
    transaction.write(ObjectType::Commit, &object)?;
    failpoint::hit("compose.release-written");
    Ok((object.id, commit))
}

/// Sets keys of a commit's detached metadata, and keeps the other keys, such as signatures.
pub(super) fn update_detached(
    transaction: &Transaction<'_>,
    commit: CommitId,
    keys: Metadata,
) -> Result<(), RepoError> {
    let before = transaction.repo().detached(commit)?;
    let mut after = before.clone();
    after.extend(keys);
    if after == before {
        return Ok(());
    }
    transaction
        .repo()
        .write_detached(commit, &sorted_dict(&after))
}

/// The properties of a channel's new commit that do not follow from the release.
#[derive(Debug, Clone, Copy)]
pub(super) struct NewHead {
    /// The time in seconds since 1970.
    pub(super) now: u64,
    /// True if the version may be older than that of the channel.
    pub(super) allow_downgrade: bool,
    /// True if the commit will be signed.
    pub(super) is_signed: bool,
}

/// Promotes a release to a channel by writing a commit with the same tree on top of the channel's
/// last commit.
///
/// A channel that has the release is not changed, and neither is one that has a newer version
/// unless a downgrade is allowed: composing an old release again must not downgrade hosts.
pub(super) fn promote(
    transaction: &Transaction<'_>,
    release: &Commit,
    channel: &RefName,
    to: NewHead,
) -> Result<ComposedChannel, ComposeError> {
    let repo = transaction.repo();
    let mut metadata = release.metadata.clone();
    metadata::bind(&mut metadata, channel);
    let head = match transaction.find(channel)? {
        Some(id) => Some((id, repo.commit(id)?)),
        None => None,
    };
    if let Some((id, head)) = &head {
        let state = if head.content_id() == release.content_id() && head.metadata == metadata {
            Some(ChannelState::Unchanged)
        } else if !to.allow_downgrade && version(head) > version(release) {
            Some(ChannelState::Newer)
        } else {
            None
        };
        if let Some(state) = state {
            transaction.add_existing_commit(*id);
            return Ok(ComposedChannel {
                ref_name: channel.clone(),
                commit: *id,
                state,
                lacks_signature: false,
            });
        }
    }
    let was_signed = match &head {
        Some((id, _)) => sign::is_signed(repo, *id)?,
        None => false,
    };
    let commit = Commit {
        metadata,
        parent: head.as_ref().map(|(id, _)| *id),
        // Hosts refuse commits with an older timestamp, so the timestamp of a channel never
        // decreases.
        timestamp: head.map_or(to.now, |(_, head)| to.now.max(head.timestamp)),
        ..release.clone()
    };
    let object = commit.object();
    transaction.write(ObjectType::Commit, &object)?;
    transaction.set_ref(channel, object.id);
    failpoint::hit("compose.channel-moved");
    Ok(ComposedChannel {
        ref_name: channel.clone(),
        commit: object.id,
        state: ChannelState::Moved,
        lacks_signature: was_signed && !to.is_signed,
    })
}

pub(super) fn version(commit: &Commit) -> Option<GoVersion> {
    let version: String = commit.metadata.get(metadata::SDK_VERSION)?.get()?;
    version.parse().ok()
}

/// Sets the ref of a release. If it points to another commit, this is an error unless `replace` is
/// set.
pub(super) fn set_release_ref(
    transaction: &Transaction<'_>,
    composed: &ComposedRelease,
    replace: bool,
) -> Result<(), ComposeError> {
    match transaction.find(&composed.ref_name)? {
        Some(found) if found != composed.commit && !replace => Err(ComposeError::ReleaseExists {
            ref_name: composed.ref_name.clone(),
            found,
            expected: composed.commit,
        }),
        _ => {
            transaction.set_ref(&composed.ref_name, composed.commit);
            Ok(())
        }
    }
}
