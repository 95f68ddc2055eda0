//! Renders a host's configuration as Butane YAML, for editing and merging.
//!
//! Source: `docs/config-fcos-v1_4.md` to `v1_7.md` of coreos/butane.

use super::config::{BootConfig, BootFile};
use super::ignition::{BootSpec, data_url_base64};
use std::fmt::Write as _;

impl BootConfig {
    /// Returns the configuration as YAML for `butane`, variant `fcos`.
    #[must_use]
    pub fn butane(&self, spec: BootSpec) -> String {
        let mut text = format!("variant: fcos\nversion: {}\n", spec.butane());
        text.push_str("storage:\n  files:\n");
        for file in &self.files {
            let _ = writeln!(text, "    - path: {}", scalar(&file.path));
            let _ = writeln!(text, "      mode: 0{:o}\n      overwrite: true", file.mode);
            text.push_str("      contents:\n");
            text.push_str(&contents(file));
        }
        text.push_str("systemd:\n  units:\n");
        for unit in &self.units {
            let _ = writeln!(
                text,
                "    - name: {}\n      enabled: true",
                scalar(&unit.name)
            );
            let _ = writeln!(text, "      contents: {}", block(&unit.content, 8));
        }
        text
    }
}

/// Renders the content of a file: inline if it is text, else as a data URL.
fn contents(file: &BootFile) -> String {
    match std::str::from_utf8(&file.content) {
        Ok(content) => format!("        inline: {}\n", block(content, 10)),
        Err(_) => {
            let url = data_url_base64(&file.content);
            format!("        source: {}\n", scalar(&url))
        }
    }
}

/// Renders a text as an indented literal block of YAML if possible, else in quotes.
fn block(content: &str, indent: usize) -> String {
    let Some(lines) = content.strip_suffix('\n') else {
        return scalar(content);
    };
    let is_plain = |c: char| c == '\n' || c == '\t' || matches!(c, ' '..='~');
    // A block's indentation is that of its first line, and trailing blank lines are ambiguous.
    if !lines.starts_with(|c: char| c.is_ascii_graphic())
        || lines.ends_with('\n')
        || !lines.chars().all(is_plain)
    {
        return scalar(content);
    }
    let mut text = String::from("|");
    for line in lines.split('\n') {
        text.push('\n');
        if !line.is_empty() {
            let _ = write!(text, "{:indent$}{line}", "");
        }
    }
    text
}

/// Renders a text in double quotes; YAML accepts JSON strings.
fn scalar(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-".contains(c);
    let is_word = text.starts_with('/') || text.starts_with(|c: char| c.is_ascii_lowercase());
    match is_word && text.contains(['/', '.']) && text.chars().all(is_plain) {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use saphyr_parser::{Event, Parser};

    fn read(yaml: &str) -> String {
        let mut events = Parser::new_from_str(yaml).map(|event| event.unwrap().0);
        let scalars = events.by_ref().filter_map(|event| match event {
            Event::Scalar(text, ..) => Some(text.into_owned()),
            _ => None,
        });
        let all: Vec<String> = scalars.collect();
        assert_eq!(all.len(), 2, "{yaml}");
        all[1].clone()
    }

    proptest! {
        #[test]
        fn every_text_survives_yaml(text in "[ -~\n\t]{0,40}\n?|\\PC{0,20}\n?") {
            prop_assert_eq!(read(&format!("a: {}\n", scalar(&text))), text.clone());
            prop_assert_eq!(read(&format!("a: {}\n", block(&text, 4))), text);
        }
    }
}
