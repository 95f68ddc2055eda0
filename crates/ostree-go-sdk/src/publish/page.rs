//! Writes `index.html`, the page of a repository for people: a single file that is readable without
//! scripts and refers to no other servers.

use super::PublishError;
use super::entry::Entry;
use super::html::{date, escape, time};
use super::index::Index;
use super::page_audit;
use crate::arch::Arch;
use crate::clock::rfc3339;
use crate::fs::atomic;
use crate::fs::context::IoContext;
use crate::repo::Repo;
use crate::units::format_bytes;
use crate::version::GoVersion;
use std::fmt::Write;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");
/// The page that says how to get the command `ostree-go`.
const COMMAND: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "#get-the-command");
/// The list of Go's releases, with an anchor for each of them.
const RELEASE_HISTORY: &str = "https://go.dev/doc/devel/release";
/// The release notes of versions that are not released yet.
const DRAFT_NOTES: &str = "https://tip.golang.org/doc";

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
         <title>{title}</title>\n<style>\n{STYLE}</style>\n<h1>{title}</h1>\n\
         <p class=\"soft\">An OSTree repository of Go toolchains, published {}.</p>\n",
        time(index.published),
    );
    install(&mut page, index);
    channels(&mut page, index);
    releases(&mut page, index);
    page_audit::vulnerabilities(&mut page, index);
    keys(&mut page, index);
    page.push_str("<p class=\"soft\">For programs: <a href=\"index.json\">index.json</a></p>\n");
    let _ = write!(page, "<script>\n{SCRIPT}</script>\n</html>\n");
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
    page.push_str(
        "<h2>Installation</h2>\n<p class=\"no-script\">Replace <code>THIS-URL</code> with the \
         address of this page, without <code>index.html</code>.</p>\n",
    );
    if let Some(key) = &key {
        let _ = writeln!(
            page,
            "<p>The command <code>ostree-go</code> is a program of its own: \
             <a href=\"{COMMAND}\">how to get it</a>. \
             The second way needs only <code>ostree</code>.</p>"
        );
        let script = format!(
            "{fetch}ostree-go remote add go {URL} --gpg-import {key}\nostree-go install {short}\n"
        );
        commands(page, "ostree-go", &script);
    }
    let trust = match &key {
        Some(key) => format!("--gpg-import={key}"),
        None => "--no-gpg-verify".to_owned(),
    };
    let script = format!(
        "{fetch}ostree --repo=go-repo init --mode=bare-user-only\n\
         ostree --repo=go-repo remote add {trust} go {URL}\n\
         ostree --repo=go-repo pull go {name}\n\
         ostree --repo=go-repo checkout -U go:{name} go-sdk\n"
    );
    commands(page, "ostree", &script);
}

/// Writes the commands of a program, one per line.
fn commands(page: &mut String, program: &str, script: &str) {
    let _ = write!(
        page,
        "<p class=\"head\"><span>With <code>{program}</code>:</span></p>\n<pre id=\"{program}\">"
    );
    for line in script.lines() {
        let _ = write!(page, "<span class=\"line\">{line}\n</span>");
    }
    page.push_str("</pre>\n");
}

/// Returns the release that most users need: the newest of the channels, with preference for
/// `stable` and then for the most common architecture.
fn featured(index: &Index) -> Option<&Entry> {
    let rank = |entry: &&Entry| {
        let is_stable = entry.name.ends_with("/stable");
        (
            is_stable,
            go_version(entry),
            entry.arch == Arch::X86_64.basearch(),
        )
    };
    let channel = index.channels.iter().max_by_key(rank);
    channel.or_else(|| index.releases.iter().max_by_key(rank))
}

/// The same release or channel for several architectures, which is one row of a table.
struct Row<'a> {
    /// The ref, with `ARCH` in place of the architecture.
    pattern: String,
    entries: Vec<&'a Entry>,
}

/// Groups entries whose refs differ only in the architecture, in the order of the first of each group.
fn rows(entries: &[Entry]) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for entry in entries {
        let parts = entry.name.split('/');
        let parts = parts.map(|part| if part == entry.arch { "ARCH" } else { part });
        let pattern = parts.collect::<Vec<_>>().join("/");
        match rows.iter_mut().find(|row| row.pattern == pattern) {
            Some(row) => row.entries.push(entry),
            None => rows.push(Row {
                pattern,
                entries: vec![entry],
            }),
        }
    }
    rows
}

/// Returns the architectures of the entries, each of which is a column.
fn architectures(entries: &[Entry]) -> Vec<&str> {
    let mut found: Vec<&str> = entries.iter().map(|entry| &*entry.arch).collect();
    let rank = |name: &str| Arch::ALL.iter().position(|arch| arch.basearch() == name);
    found.sort_by_key(|name| (rank(name).is_none(), rank(name), *name));
    found.dedup();
    found
}

fn channels(page: &mut String, index: &Index) {
    let mut rows = rows(&index.channels);
    rows.sort_by_cached_key(|row| {
        let is_stable = row.pattern.ends_with("/stable");
        let newest = row.entries.iter().filter_map(|entry| go_version(entry));
        std::cmp::Reverse((is_stable, newest.max()))
    });
    let name = |row: &Row<'_>| {
        let name = row.pattern.strip_prefix("go-sdk/ARCH/");
        escape(name.unwrap_or(&row.pattern))
    };
    let version = |entry: &Entry| format!("Go {}, ", escape(&entry.version));
    let titles = ("Channels", "Channel");
    table(page, titles, (index, &index.channels), &rows, name, version);
}

fn releases(page: &mut String, index: &Index) {
    let version = |row: &Row<'_>| {
        let version = row.entries.first().map_or("", |entry| &*entry.version);
        let link = notes(version).map(|url| {
            let url = escape(&url);
            format!("<br><a href=\"{url}\">release notes</a>")
        });
        format!("{}{}", escape(version), link.unwrap_or_default())
    };
    let rows = rows(&index.releases);
    let content = (index, &*index.releases);
    table(page, ("Releases", "Go"), content, &rows, version, |_| {
        String::new()
    });
}

/// Writes a table with a row for each release or channel and a column for each architecture.
fn table(
    page: &mut String,
    (title, first): (&str, &str),
    (index, entries): (&Index, &[Entry]),
    rows: &[Row<'_>],
    heading: impl Fn(&Row<'_>) -> String,
    version: impl Fn(&Entry) -> String,
) {
    if entries.is_empty() {
        return;
    }
    let arches = architectures(entries);
    let _ = write!(
        page,
        "<h2>{title}</h2>\n<table>\n<thead><tr><th scope=\"col\">{first}"
    );
    for arch in &arches {
        let _ = write!(page, "<th scope=\"col\">{}", escape(arch));
    }
    page.push_str("</thead>\n<tbody>\n");
    for row in rows {
        let _ = write!(page, "<tr><th scope=\"row\">{}", heading(row));
        for arch in &arches {
            let mut of_arch = row.entries.iter().filter(|entry| entry.arch == *arch);
            match of_arch.next() {
                Some(entry) => {
                    cell(page, entry, &version(entry));
                    page_audit::note(page, index, entry);
                }
                None => page.push_str("\n<td class=\"soft none\">–"),
            }
        }
        page.push('\n');
    }
    page.push_str("</tbody>\n</table>\n");
}

/// Writes the cell of a release or channel for one architecture.
fn cell(page: &mut String, entry: &Entry, version: &str) {
    let is_signed = !entry.signed_by.is_empty();
    let _ = write!(
        page,
        "\n<td><code>{}</code>{}<br><span class=\"details\">{version}{}, \
         <time datetime=\"{}\">{}</time>, <code title=\"{}\">{}</code>{}</span>",
        escape(&entry.name),
        if is_signed {
            ""
        } else {
            " <strong class=\"unsigned\">not signed</strong>"
        },
        format_bytes(entry.bytes),
        rfc3339(entry.timestamp),
        date(entry.timestamp),
        escape(&entry.commit),
        escape(entry.commit.get(..12).unwrap_or_default()),
        if is_signed { ", signed" } else { "" },
    );
}

/// Returns the address of Go's notes about a release.
fn notes(version: &str) -> Option<String> {
    // What follows a hyphen was added by the publisher.
    let of_go = version.split('-').next().unwrap_or_default();
    let parsed: GoVersion = of_go.parse().ok()?;
    let is_draft = of_go.contains("rc") || of_go.contains("beta");
    Some(match is_draft {
        true => format!("{DRAFT_NOTES}/go{}", parsed.minor()),
        false => format!("{RELEASE_HISTORY}#go{of_go}"),
    })
}

fn go_version(entry: &Entry) -> Option<GoVersion> {
    entry.version.parse().ok()
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
