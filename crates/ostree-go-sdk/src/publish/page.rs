//! Writes `index.html`, the page of a repository for people: a single file that is readable without
//! scripts and refers to no other servers.

use super::PublishError;
use super::index::{Entry, Index};
use crate::arch::Arch;
use crate::clock::rfc3339;
use crate::fs::atomic;
use crate::fs::context::IoContext;
use crate::repo::Repo;
use crate::version::GoVersion;
use std::fmt::Write;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--text2:#555;--link:#0a5fa8}\
@media(prefers-color-scheme:dark){:root{--text2:#b4b4b4;--link:#6cb6ff}}\
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:62rem;\
overflow-wrap:anywhere;padding:1.5rem}\
h1{font-size:1.6rem;margin:.2rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem}\
p{margin:.4rem 0}a{color:var(--link)}.soft{color:var(--text2)}\
code,pre{font:14px/1.5 ui-monospace,monospace}\
pre{background:var(--soft);border-radius:.4rem;padding:.8rem;white-space:pre-wrap}\
table{border-collapse:collapse;width:100%}\
th,td{border-bottom:1px solid var(--line);padding:.35rem 1rem .35rem 0;text-align:left}\
td{white-space:nowrap}td.n,th.n{text-align:right}\
@media(max-width:56rem){body{padding:1rem}table,tbody{display:block}\
tr{border-bottom:1px solid var(--line);display:flex;flex-wrap:wrap;gap:0 .8rem;padding:.5rem 0}\
tr:first-child{display:none}td{border:0;color:var(--text2);padding:0}\
td:first-child{color:inherit;flex-basis:100%;font-weight:600}}";

/// Writes the page of a repository with the content of its index.
pub(super) fn write(index: &Index, repo: &Repo) -> Result<(), PublishError> {
    let path = repo.path().join("index.html");
    Ok(atomic::write_public(&path, html(index).as_bytes()).context("write", &path)?)
}

/// Returns the page.
fn html(index: &Index) -> String {
    let mut page = String::new();
    let newest = index.releases.first();
    let title = newest.map_or_else(
        || "Go SDKs".to_owned(),
        |release| format!("Go SDKs, up to {}", release.version),
    );
    let title = escape(&title);
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n<h1>{title}</h1>\n\
         <p class=\"soft\">An OSTree repository of Go toolchains, published {}.</p>\n",
        time(index.published),
    );
    install(&mut page, index);
    table(&mut page, "Channels", &index.channels);
    table(&mut page, "Releases", &index.releases);
    keys(&mut page, index);
    page.push_str(
        "<p class=\"soft\">For programs: <a href=\"index.json\">index.json</a></p>\n</html>\n",
    );
    page
}

/// Writes the commands that install an SDK. They are complete except for the URL of the page.
fn install(page: &mut String, index: &Index) {
    let Some(entry) = featured(index) else {
        page.push_str("<p>This repository has no releases yet.</p>\n");
        return;
    };
    // Only the browser knows the URL of the page; without scripts, a placeholder is shown.
    const URL: &str = "<span class=\"url\">THIS-URL</span>";
    let name = escape(&entry.name);
    let short = name.strip_prefix(&format!("go-sdk/{}/", entry.arch));
    let short = short.unwrap_or(&name);
    let key = index.keys.first().map(|key| escape(key));
    let fetch = match &key {
        Some(key) => format!("curl -fO {URL}/{key}\n"),
        None => String::new(),
    };
    // If no key is published here, users have to obtain it elsewhere.
    let key = key.or_else(|| (!entry.signed_by.is_empty()).then(|| "KEY-FILE".to_owned()));
    page.push_str("<h2>Installation</h2>\n");
    if let Some(key) = &key {
        let _ = write!(
            page,
            "<p>With <code>ostree-go</code>:</p>\n\
             <pre id=\"ostree-go\">{fetch}ostree-go remote add go {URL} --gpg-import {key}\n\
             ostree-go install {short}</pre>\n",
        );
    }
    let trust = match &key {
        Some(key) => format!("--gpg-import={key}"),
        None => "--no-gpg-verify".to_owned(),
    };
    let _ = write!(
        page,
        "<p>With <code>ostree</code>:</p>\n\
         <pre id=\"ostree\">{fetch}ostree --repo=go-repo init --mode=bare-user-only\n\
         ostree --repo=go-repo remote add {trust} go {URL}\n\
         ostree --repo=go-repo pull go {name}\n\
         ostree --repo=go-repo checkout -U go:{name} go-sdk</pre>\n\
         <script>for(const e of document.querySelectorAll('.url'))\
         e.textContent=location.href.replace(/[^/]*$/,'').replace(/\\/$/,'')</script>\n",
    );
}

/// Returns the release that most users need: the newest of the channels, with preference for
/// `stable` and then for the most common architecture.
fn featured(index: &Index) -> Option<&Entry> {
    let version = |entry: &Entry| entry.version.parse::<GoVersion>().ok();
    let rank = |entry: &&Entry| {
        let is_stable = entry.name.ends_with("/stable");
        (
            is_stable,
            version(entry),
            entry.arch == Arch::X86_64.basearch(),
        )
    };
    let channel = index.channels.iter().max_by_key(rank);
    channel.or_else(|| index.releases.iter().max_by_key(rank))
}

fn table(page: &mut String, title: &str, entries: &[Entry]) {
    if entries.is_empty() {
        return;
    }
    let _ = write!(
        page,
        "<h2>{title}</h2>\n<table>\n<tr><th>Ref<th>Go<th>Architecture\
         <th class=\"n\">Size<th>Time<th>Commit<th>Signature\n"
    );
    for entry in entries {
        let _ = writeln!(
            page,
            "<tr><td><code>{}</code><td>{}<td>{}<td class=\"n\">{}<td>{}\
             <td><code title=\"{}\">{}</code><td>{}",
            escape(&entry.name),
            escape(&entry.version),
            escape(&entry.arch),
            size(entry.bytes),
            time(entry.timestamp),
            escape(&entry.commit),
            escape(entry.commit.get(..12).unwrap_or_default()),
            if entry.signed_by.is_empty() {
                "not signed"
            } else {
                "signed"
            },
        );
    }
    page.push_str("</table>\n");
}

fn keys(page: &mut String, index: &Index) {
    let mut fingerprints: Vec<&String> = index
        .releases
        .iter()
        .chain(&index.channels)
        .flat_map(|entry| &entry.signed_by)
        .collect();
    fingerprints.sort();
    fingerprints.dedup();
    if fingerprints.is_empty() && index.keys.is_empty() {
        return;
    }
    page.push_str("<h2>Keys</h2>\n");
    if !fingerprints.is_empty() {
        page.push_str("<p>The signatures are by these keys; compare the fingerprints with those that the publisher states elsewhere:</p>\n");
    }
    for fingerprint in fingerprints {
        let _ = writeln!(page, "<p><code>{}</code></p>", escape(fingerprint));
    }
    for key in &index.keys {
        let key = escape(key);
        let _ = writeln!(page, "<p><a href=\"{key}\">{key}</a></p>");
    }
}

fn size(bytes: u64) -> String {
    let (unit, name) = match bytes {
        0..1_000_000 => (1_000, "kB"),
        1_000_000..1_000_000_000 => (1_000_000, "MB"),
        _ => (1_000_000_000, "GB"),
    };
    format!("{}.{} {name}", bytes / unit, bytes % unit * 10 / unit)
}

fn time(seconds: u64) -> String {
    rfc3339(seconds).replace('T', " ").replace('Z', " UTC")
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
