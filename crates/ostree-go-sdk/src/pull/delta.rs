//! How large a static delta is, before it is pulled.
//!
//! libostree has a dry run for this, which never ends where a server announces an index of
//! deltas and has none for the commit (2022.7). So the summary and the superblock are read here.
//! Formats: `ostree-repo.h` (`OSTREE_SUMMARY_GVARIANT_FORMAT`),
//! `ostree-repo-static-delta-private.h` (superblock), `ostree-core.c`
//! (`_ostree_get_relative_static_delta_path`).

use super::preflight::Download;
use crate::http::url::Url;
use crate::http::{HttpClient, HttpOptions};
use crate::id::CommitId;
use crate::progress::Progress;
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use glib::VariantTy;
use std::time::Duration;

/// The largest summary or superblock that is read.
const LIMIT: u64 = 256 << 20;
const SUMMARY: &str = "(a(s(taya{sv}))a{sv})";
const SUPERBLOCK: &str = "(a{sv}tayay(a{sv}aya(say)sstayay)aya(uayttay)a(yaytt))";

/// The names of the deltas of a server: `FROM-TO`, or `TO` alone for one from nothing.
pub(super) struct Deltas {
    http: HttpClient,
    url: Url,
    names: Vec<String>,
}

impl Deltas {
    /// Asks a server. Without an answer there are none: it is only about an estimate.
    pub(super) fn of(url: &str, timeout: Duration, progress: &dyn Progress) -> Option<Self> {
        let url = Url::parse(url).ok()?;
        let options = HttpOptions::new()
            .retries(0)
            .connect_timeout(timeout)
            .read_timeout(timeout);
        let http = HttpClient::new(&options).ok()?;
        let summary = http.get(&url.join("summary").ok()?, LIMIT, progress).ok()?;
        let summary = variant(summary, SUMMARY)?;
        let extra = glib::VariantDict::new(Some(&summary.child_value(1)));
        let deltas = extra.lookup_value("ostree.static-deltas", None)?;
        let names = deltas.iter().filter_map(|entry| entry.child_value(0).get());
        Some(Self {
            http,
            url,
            names: names.collect(),
        })
    }

    /// The size of the delta that leads to a commit, from the newest commit that `age` knows,
    /// else from nothing: libostree's own choice.
    pub(super) fn measure(
        &self,
        to: CommitId,
        age: impl Fn(CommitId) -> Option<u64>,
        progress: &dyn Progress,
    ) -> Option<Download> {
        let from = self
            .names
            .iter()
            .filter_map(|name| {
                let (from, to_name) = name.split_once('-')?;
                let from: CommitId = from.parse().ok()?;
                (to_name == to.to_string()).then(|| Some((age(from)?, from)))?
            })
            .max();
        let to_text = to.to_string();
        let path = match from {
            Some((_, from)) => path(Some(from), to),
            None => self.names.contains(&to_text).then(|| path(None, to))?,
        };
        let superblock = self.url.join(&path).ok()?;
        let superblock = self.http.get(&superblock, LIMIT, progress).ok()?;
        size(&variant(superblock, SUPERBLOCK)?)
    }
}

fn variant(bytes: Vec<u8>, format: &str) -> Option<glib::Variant> {
    let format = VariantTy::new(format).ok()?;
    Some(glib::Variant::from_data_with_type(bytes, format))
}

fn path(from: Option<CommitId>, to: CommitId) -> String {
    // Base64 without padding, and `_` for `/`.
    let name = |id: CommitId| STANDARD_NO_PAD.encode(id.as_bytes()).replace('/', "_");
    let names = match from {
        Some(from) => format!("{}-{}", name(from), name(to)),
        None => name(to),
    };
    let (folder, rest) = names.split_at(2);
    format!("deltas/{folder}/{rest}/superblock")
}

/// Adds up the parts and the objects that are left out of them.
fn size(superblock: &glib::Variant) -> Option<Download> {
    let extra = glib::VariantDict::new(Some(&superblock.child_value(0)));
    // `l` or `B`; without, the deltas of old are little-endian nearly always.
    let big = extra.lookup::<u8>("ostree.endianness").ok().flatten() == Some(b'B');
    let number = |tuple: &glib::Variant, index| {
        let raw = tuple.child_value(index).get::<u64>().unwrap_or_default();
        if big {
            u64::from_be(raw)
        } else {
            u64::from_le(raw)
        }
    };
    let (mut bytes, mut unpacked) = (0u64, 0u64);
    for list in [6, 7] {
        for entry in superblock.child_value(list).iter() {
            bytes = bytes.saturating_add(number(&entry, 2));
            unpacked = unpacked.saturating_add(number(&entry, 3));
        }
    }
    Some(Download::Delta { bytes, unpacked })
}
