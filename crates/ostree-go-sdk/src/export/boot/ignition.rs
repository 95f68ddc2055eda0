//! A host's configuration as Ignition reads it at the first boot.
//!
//! Source: `docs/configuration-v3_3.md` to `v3_6.md` of coreos/ignition. Only fields that all of
//! them have are used.

use super::{BootConfig, BootError};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;

/// A version of the format, under its two names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootSpec {
    /// Ignition 3.3.0, Butane's fcos 1.4.0. What comes after reads it too.
    #[default]
    V3_3,
    /// Ignition 3.4.0, Butane's fcos 1.5.0.
    V3_4,
    /// Ignition 3.5.0, Butane's fcos 1.6.0.
    V3_5,
    /// Ignition 3.6.0, Butane's fcos 1.7.0.
    V3_6,
}

impl BootSpec {
    /// Every version, in order.
    pub const ALL: [Self; 4] = [Self::V3_3, Self::V3_4, Self::V3_5, Self::V3_6];

    /// The version as Ignition calls it.
    #[must_use]
    pub const fn ignition(self) -> &'static str {
        match self {
            Self::V3_3 => "3.3.0",
            Self::V3_4 => "3.4.0",
            Self::V3_5 => "3.5.0",
            Self::V3_6 => "3.6.0",
        }
    }

    /// The version as Butane's variant `fcos` calls it.
    #[must_use]
    pub const fn butane(self) -> &'static str {
        match self {
            Self::V3_3 => "1.4.0",
            Self::V3_4 => "1.5.0",
            Self::V3_5 => "1.6.0",
            Self::V3_6 => "1.7.0",
        }
    }

    /// The version that Ignition calls so.
    ///
    /// # Errors
    /// When it is none of [`BootSpec::ALL`].
    pub fn of_ignition(version: &str) -> Result<Self, BootError> {
        Self::of("Ignition", version, Self::ignition)
    }

    /// The version that Butane's variant `fcos` calls so.
    ///
    /// # Errors
    /// When it is none of [`BootSpec::ALL`].
    pub fn of_butane(version: &str) -> Result<Self, BootError> {
        Self::of("Butane", version, Self::butane)
    }

    fn of(
        format: &'static str,
        version: &str,
        name: fn(Self) -> &'static str,
    ) -> Result<Self, BootError> {
        let found = Self::ALL.into_iter().find(|spec| name(*spec) == version);
        found.ok_or_else(|| BootError::UnknownSpec {
            format,
            found: version.to_owned(),
            known: Self::ALL.map(name).to_vec(),
        })
    }
}

impl BootConfig {
    /// The configuration as Ignition's JSON.
    #[must_use]
    pub fn ignition(&self, spec: BootSpec) -> String {
        let files = self.files.iter().map(|file| {
            let (source, compression) = data_url(&file.content);
            let mut contents = json!({ "source": source });
            if let Some(compression) = compression {
                contents["compression"] = json!(compression);
            }
            json!({
                "path": file.path,
                "mode": file.mode,
                // A newer configuration takes the place of what an image has.
                "overwrite": true,
                "contents": contents,
            })
        });
        let units = self
            .units
            .iter()
            .map(|unit| json!({ "name": unit.name, "enabled": true, "contents": unit.content }));
        let config = json!({
            "ignition": { "version": spec.ignition() },
            "storage": { "files": files.collect::<Value>() },
            "systemd": { "units": units.collect::<Value>() },
        });
        format!("{config:#}\n")
    }
}

/// A content as a URL (RFC 2397), the shortest of three ways, and how it is compressed.
fn data_url(content: &[u8]) -> (String, Option<&'static str>) {
    let plain = percent(content);
    let base64 = data_url_base64(content);
    let shortest = if base64.len() < plain.len() {
        base64
    } else {
        plain
    };
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
    // A vector takes all that is written.
    let packed = encoder.write_all(content).and_then(|()| encoder.finish());
    match packed.map(|packed| data_url_base64(&packed)) {
        Ok(packed) if packed.len() < shortest.len() => (packed, Some("gzip")),
        _ => (shortest, None),
    }
}

/// A content as a URL, for any bytes.
pub(super) fn data_url_base64(content: &[u8]) -> String {
    format!("data:;base64,{}", STANDARD.encode(content))
}

fn percent(content: &[u8]) -> String {
    let mut url = String::from("data:,");
    for &byte in content {
        // RFC 3986's unreserved characters, and `/`, which a path may have.
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            url.push(char::from(byte));
        } else {
            let _ = write!(url, "%{byte:02X}");
        }
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_url_is_taken() {
        assert_eq!(data_url(b"hi there"), ("data:,hi%20there".into(), None));
        assert_eq!(data_url(&[0xff; 4]), ("data:,%FF%FF%FF%FF".into(), None));
        let noise: Vec<u8> = (0..=255).collect();
        let (url, compression) = data_url(&noise);
        assert!(url.starts_with("data:;base64,AAEC") && compression.is_none());
        let (url, compression) = data_url("the same again\n".repeat(100).as_bytes());
        assert!(url.len() < 100 && compression == Some("gzip"));
    }
}
