//! The page a person sees who opens the repository's URL: one file, no script needed to read
//! it, nothing fetched from elsewhere.

use super::index::{Entry, Index};
use std::fmt::Write;

const STYLE: &str = "\
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--link:#0a6ebd}\
@media(prefers-color-scheme:dark){:root{--link:#6cb6ff}}\
body{font:16px/1.5 system-ui,sans-serif;margin:0 auto;max-width:60rem;padding:1.5rem}\
h1{font-size:1.6rem;margin:.2rem 0}h2{font-size:1.15rem;margin:2rem 0 .5rem}\
p{margin:.4rem 0}a{color:var(--link)}\
code,pre{font:14px/1.5 ui-monospace,monospace}\
pre{background:var(--soft);border-radius:.4rem;overflow-x:auto;padding:.8rem}\
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}\
th,td{border-bottom:1px solid var(--line);padding:.35rem .8rem .35rem 0;text-align:left;white-space:nowrap}\
td.n,th.n{text-align:right}.soft{opacity:.7}\
@media(max-width:40rem){body{padding:1rem}.opt{display:none}}";

/// The whole page.
pub(super) fn html(index: &Index) -> String {
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

fn install(page: &mut String, index: &Index) {
    let Some(entry) = index.channels.first().or(index.releases.first()) else {
        page.push_str("<p>There is nothing here yet.</p>\n");
        return;
    };
    // The folder's own URL is known to the browser alone; without script a word stands for it.
    let trust = match index.keys.first() {
        Some(key) => format!("--gpg-import={}", escape(key)),
        None => "--no-gpg-verify".to_owned(),
    };
    let _ = write!(
        page,
        "<h2>Get it</h2>\n<p>With the stock <code>ostree</code>, in a repository of yours:</p>\n\
         <pre>ostree remote add {trust} go <span class=\"url\">THIS-URL</span>\n\
         ostree pull go {name}\nostree checkout -U go:{name} go-sdk</pre>\n\
         <script>for(const e of document.querySelectorAll('.url'))\
         e.textContent=location.href.replace(/[^/]*$/,'').replace(/\\/$/,'')</script>\n",
        name = escape(&entry.name),
    );
}

fn table(page: &mut String, title: &str, entries: &[Entry]) {
    if entries.is_empty() {
        return;
    }
    let _ = write!(
        page,
        "<h2>{title}</h2>\n<div class=\"wide\"><table>\n<tr><th>Ref<th>Go<th>Architecture\
         <th class=\"n\">Size<th class=\"opt\">Time<th class=\"opt\">Commit<th>Signed\n"
    );
    for entry in entries {
        let _ = writeln!(
            page,
            "<tr><td><code>{}</code><td>{}<td>{}<td class=\"n\">{}<td class=\"opt\">{}\
             <td class=\"opt\"><code title=\"{}\">{}</code><td>{}",
            escape(&entry.name),
            escape(&entry.version),
            escape(&entry.arch),
            megabytes(entry.bytes),
            time(entry.timestamp),
            escape(&entry.commit),
            escape(entry.commit.get(..12).unwrap_or_default()),
            if entry.signed_by.is_empty() {
                "no"
            } else {
                "yes"
            },
        );
    }
    page.push_str("</table></div>\n");
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
    for fingerprint in fingerprints {
        let _ = writeln!(page, "<p><code>{}</code></p>", escape(fingerprint));
    }
    for key in &index.keys {
        let key = escape(key);
        let _ = writeln!(page, "<p><a href=\"{key}\">{key}</a></p>");
    }
}

fn megabytes(bytes: u64) -> String {
    format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10)
}

fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds)
        .ok()
        .and_then(|s| jiff::Timestamp::from_second(s).ok());
    time.map_or_else(String::new, |time| {
        time.to_string().replace('T', " ").replace('Z', " UTC")
    })
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
