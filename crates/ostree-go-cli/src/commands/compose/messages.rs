//! The messages of a compose on standard error.

use super::result::{ModuleView, ReleaseView, StdCacheView};
use crate::context::Context;
use crate::text::{bytes, short, table};
use crate::views::summary::unsigned_warning;
use ostree_go_sdk::compose::{ChannelState, Composed};
use serde::Serialize;

#[derive(Serialize)]
struct ReleaseEvent {
    #[serde(flatten)]
    release: ReleaseView,
    event: &'static str,
}

#[derive(Serialize)]
struct ModuleEvent {
    #[serde(flatten)]
    module: ModuleView,
    event: &'static str,
}

#[derive(Serialize)]
struct StdCacheEvent {
    #[serde(flatten)]
    std_cache: StdCacheView,
    event: &'static str,
}

/// Prints one line for each layer, release, channel, module and std cache.
pub fn print_messages(context: &Context, composed: &Composed) {
    if context.output.is_json_lines() {
        for release in &composed.releases {
            context.output.event(&ReleaseEvent {
                release: release.into(),
                event: "release",
            });
        }
        for module in &composed.modules {
            context.output.event(&ModuleEvent {
                module: module.into(),
                event: "module",
            });
        }
        for std_cache in &composed.std_caches {
            context.output.event(&StdCacheEvent {
                std_cache: std_cache.into(),
                event: "std-cache",
            });
        }
        return;
    }
    let state = |unchanged| if unchanged { "unchanged" } else { "new" };
    let mut rows: Vec<[String; 6]> = Vec::new();
    for release in &composed.releases {
        let layers = &release.layers;
        let sizes = Column::of(layers.iter().map(|layer| bytes(layer.bytes)));
        for layer in layers {
            let mut detail = sizes.right(&bytes(layer.bytes));
            if layer.new.objects > 0 {
                detail.push_str(&format!(", {} new", bytes(layer.new.bytes)));
            }
            let arch = if layer.noarch {
                "noarch"
            } else {
                release.arch.basearch()
            };
            rows.push([
                "layer".to_owned(),
                layer.name.clone(),
                arch.to_owned(),
                short(layer.commit),
                state(layer.unchanged).to_owned(),
                detail,
            ]);
        }
        rows.push([
            "release".to_owned(),
            release.version.to_string(),
            release.arch.to_string(),
            short(release.commit),
            state(release.unchanged).to_owned(),
            release.ref_name.to_string(),
        ]);
        for channel in &release.channels {
            let name = channel.ref_name.as_str();
            let (state, detail) = match channel.state {
                ChannelState::Newer => ("not moved", "has a newer version".to_owned()),
                state => (state.as_str(), name.to_owned()),
            };
            rows.push([
                "channel".to_owned(),
                name.rsplit('/').next().unwrap_or_default().to_owned(),
                release.arch.to_string(),
                short(channel.commit),
                state.to_owned(),
                detail,
            ]);
        }
    }
    rows.extend(module_rows(composed));
    rows.extend(std_cache_rows(composed));
    let rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
    for line in table(&[""; 6], &rows).lines().skip(1) {
        context.say(line);
    }
    for channel in composed
        .releases
        .iter()
        .flat_map(|release| &release.channels)
    {
        if channel.lacks_signature {
            context.say(&unsigned_warning(&channel.ref_name));
        }
    }
    let skipped = match composed.skipped_std_caches.len() {
        0 => None,
        1 => Some("1 std cache was".to_owned()),
        number => Some(format!("{number} std caches were")),
    };
    if let Some(skipped) = skipped {
        context.say(&format!(
            "note: {skipped} not built, because the SDK for this machine is neither \
             composed nor in the repository"
        ));
    }
    let proofs = composed.upstream_proofs.iter();
    if let new @ 1.. = proofs.filter(|proof| proof.is_new).count() {
        let proofs = if new == 1 { "proof" } else { "proofs" };
        context.say(&format!(
            "{new} {proofs} that the content is Go's own added"
        ));
    }
    if composed.is_unchanged() {
        context.say("nothing changed");
    }
}

fn module_rows(composed: &Composed) -> impl Iterator<Item = [String; 6]> {
    let all = &composed.modules;
    let sizes = Column::of(all.iter().map(|one| bytes(one.bytes)));
    all.iter().map(move |one| {
        let mut detail = sizes.right(&bytes(one.bytes));
        if one.new.objects > 0 {
            detail.push_str(&format!(", {} new", bytes(one.new.bytes)));
        }
        [
            "module".to_owned(),
            one.module.path.clone(),
            one.module.version.clone(),
            short(one.commit),
            if one.unchanged { "unchanged" } else { "new" }.to_owned(),
            detail,
        ]
    })
}

fn std_cache_rows(composed: &Composed) -> impl Iterator<Item = [String; 6]> {
    let all = &composed.std_caches;
    let sizes = Column::of(all.iter().map(|one| bytes(one.bytes)));
    all.iter().map(move |one| {
        let mut detail = sizes.right(&bytes(one.bytes));
        if one.new.objects > 0 {
            detail.push_str(&format!(", {} new", bytes(one.new.bytes)));
        }
        [
            "stdcache".to_owned(),
            one.version.to_string(),
            one.id.to_string(),
            short(one.commit),
            if one.unchanged { "unchanged" } else { "new" }.to_owned(),
            detail,
        ]
    })
}

/// A right-aligned column of numbers.
struct Column(usize);

impl Column {
    fn of(cells: impl Iterator<Item = String>) -> Self {
        Self(cells.map(|cell| cell.len()).max().unwrap_or(0))
    }

    fn right(&self, cell: &str) -> String {
        format!("{cell:>width$}", width = self.0)
    }
}
