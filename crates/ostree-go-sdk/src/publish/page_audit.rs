//! The parts of the page about known vulnerabilities, and about the end of support.

use super::advisories::{Audit, Known, Listed};
use super::entry::Entry;
use super::html::{escape, time};
use super::index::Index;
use std::fmt::Write;

/// Writes what is known about a release into its cell of a table.
pub(super) fn note(page: &mut String, index: &Index, entry: &Entry) {
    let audit = index.audit.as_ref();
    let Some(found) = audit.and_then(|audit| audit.find(entry)) else {
        return;
    };
    let known = found.vulnerabilities.as_deref().unwrap_or_default();
    let text = match known {
        [] => None,
        [_] => Some("1 known vulnerability".to_owned()),
        known => Some(format!("{} known vulnerabilities", known.len())),
    };
    if let Some(text) = text {
        let _ = write!(
            page,
            "<br><a class=\"unsigned\" href=\"#vulnerabilities\">{text}</a>"
        );
    }
    if found.support.as_deref() == Some("ended") {
        page.push_str("<br><strong class=\"unsigned\">no longer supported by Go</strong>");
    }
    if let Some(newer) = &found.newer {
        let newer = escape(newer);
        let _ = write!(
            page,
            "<br><span class=\"details\">newest patch release: {newer}</span>"
        );
    }
}

/// Writes the list of the vulnerabilities of all releases.
pub(super) fn vulnerabilities(page: &mut String, index: &Index) {
    let Some(audit) = &index.audit else { return };
    page.push_str("<h2 id=\"vulnerabilities\">Known vulnerabilities</h2>\n");
    if let Some(source) = &audit.database {
        let modified = source.modified.as_deref();
        let modified = modified.map(|time| format!(", changed {}", escape(time)));
        let confirmed = source.confirmed.map(|at| format!(", read {}", time(at)));
        let _ = writeln!(
            page,
            "<p class=\"soft\">Source: the Go vulnerability database {}{}{}.</p>",
            escape(&source.location),
            modified.unwrap_or_default(),
            confirmed.unwrap_or_default(),
        );
    }
    if let Some(supported) = &audit.supported {
        let supported: Vec<String> = supported.iter().map(|minor| escape(minor)).collect();
        let _ = writeln!(
            page,
            "<p>Go supports the minor releases {}.</p>",
            supported.join(" and ")
        );
    }
    if audit.database.is_none() {
        return;
    }
    if audit.vulnerabilities.is_empty() {
        page.push_str("<p>No vulnerability of these releases is known.</p>\n");
        return;
    }
    page.push_str(
        "<table>\n<thead><tr><th scope=\"col\">Name<th scope=\"col\">Problem<th scope=\"col\">Releases</thead>\n<tbody>\n",
    );
    for one in &audit.vulnerabilities {
        row(page, audit, one);
    }
    page.push_str("</tbody>\n</table>\n");
}

fn row(page: &mut String, audit: &Audit, one: &Listed) {
    let id = escape(&one.id);
    let name = match &one.url {
        Some(url) => format!("<a href=\"{}\">{id}</a>", escape(url)),
        None => id,
    };
    let aliases = escape(&one.aliases.join(", "));
    let _ = write!(
        page,
        "<tr><th scope=\"row\">{name}\n<td>{}<br><span class=\"details\">{aliases}</span>\n<td>",
        escape(&one.summary)
    );
    let mut affected: Vec<String> = Vec::new();
    for release in &audit.releases {
        let known = release.vulnerabilities.iter().flatten();
        let known = known.into_iter().find(|known: &&Known| known.id == one.id);
        let Some(known) = known else { continue };
        let fixed = known.fixed.as_ref();
        let fixed = fixed.map_or("not fixed yet".to_owned(), |fixed| {
            format!("fixed in {fixed}")
        });
        let line = escape(&format!("{}, {fixed}", release.version));
        if !affected.contains(&line) {
            affected.push(line);
        }
    }
    let _ = writeln!(page, "{}", affected.join("<br>"));
}
