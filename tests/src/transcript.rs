//! Transcripts of commands and their output, for snapshots.

use crate::cli::{Output, run};
use crate::sandbox::Sandbox;
use std::fmt::Write as _;

/// Commands that were run in a sandbox, with their output.
#[derive(Debug)]
pub struct Transcript<'a> {
    sandbox: &'a Sandbox,
    text: String,
}

impl<'a> Transcript<'a> {
    /// Creates an empty transcript.
    pub fn new(sandbox: &'a Sandbox) -> Self {
        Self {
            sandbox,
            text: String::new(),
        }
    }

    /// Runs a command and adds it, with `SOURCE_DATE_EPOCH` set to make the times of channels reproducible.
    pub fn run<'b>(&mut self, args: impl IntoIterator<Item = &'b str>) -> Output {
        let args: Vec<&str> = args.into_iter().collect();
        let mut command = self.sandbox.ostree_go(args.iter().copied());
        let out = run(command.env("SOURCE_DATE_EPOCH", "1770000000"));
        let mut add = |text: &str| self.text.push_str(text);
        add(&format!("$ ostree-go {}\n", args.join(" ")));
        add(&marked(&out.stdout, ""));
        add(&marked(&out.stderr, "2> "));
        match out.code() {
            Some(0) => add("\n"),
            Some(code) => add(&format!("exit code {code}\n\n")),
            None => add("ended by a signal\n\n"),
        }
        out
    }

    /// Returns the text, in which the names of temporary directories, checksums and sizes of archives, which
    /// differ between runs or compressors, are replaced.
    #[must_use]
    pub fn text(&self) -> String {
        let folder = self.sandbox.path("");
        let folder = folder.to_str().expect("UTF-8").trim_end_matches('/');
        let text = self.text.replace(folder, "[DIR]");
        let mut shown = String::new();
        let mut in_source = false;
        for line in text.lines() {
            in_source = (in_source && line.trim() != "},") || line.ends_with("\"source\": {");
            let key = line.trim_start();
            let is_size = key.starts_with("\"bytes\": ") || key.starts_with("\"size\": ");
            let line = match (in_source && is_size, line.split_once(": ")) {
                (true, Some((key, value))) => {
                    let comma = if value.ends_with(',') { "," } else { "" };
                    format!("{key}: [size]{comma}")
                }
                _ => hide_checksums(line),
            };
            writeln!(shown, "{}", line.trim_end()).expect("a string grows");
        }
        shown
    }
}

fn marked(text: &str, mark: &str) -> String {
    text.lines().map(|line| format!("{mark}{line}\n")).collect()
}

/// Replaces complete checksums with `[checksum]`, and short ones with a placeholder of the same width.
fn hide_checksums(line: &str) -> String {
    let mut shown = String::new();
    let mut rest = line;
    while !rest.is_empty() {
        let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
        let end = rest.find(|c| !is_hex(c)).unwrap_or(rest.len());
        let (word, after) = rest.split_at(end);
        match word.len() {
            64 => shown.push_str("[checksum]"),
            // Matches a short ID, but neither a year nor a word such as `added`.
            12 => shown.push_str("[short-id..]"),
            _ => shown.push_str(word),
        }
        let next = after.chars().next().map_or(0, char::len_utf8);
        shown.push_str(&after[..next]);
        rest = &after[next..];
    }
    shown
}
