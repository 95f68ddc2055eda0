//! Renders a host's configuration as Ignition JSON, which is applied at the first boot.
//!
//! Source: `docs/configuration-v3_3.md` to `v3_6.md` of coreos/ignition. Only fields that all of
//! them have are used.

use super::config::BootConfig;
use super::error::BootError;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;

/// A version of the configuration format, with its names in Ignition and Butane.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BootSpec {
    /// Ignition 3.3.0, Butane's fcos 1.4.0. Newer programs read it as well.
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
    /// All versions, in order.
    pub const ALL: [Self; 4] = [Self::V3_3, Self::V3_4, Self::V3_5, Self::V3_6];

    /// Returns the version number in Ignition.
    #[must_use]
    pub const fn ignition(self) -> &'static str {
        match self {
            Self::V3_3 => "3.3.0",
            Self::V3_4 => "3.4.0",
            Self::V3_5 => "3.5.0",
            Self::V3_6 => "3.6.0",
        }
    }

    /// Returns the version number of Butane's variant `fcos`.
    #[must_use]
    pub const fn butane(self) -> &'static str {
        match self {
            Self::V3_3 => "1.4.0",
            Self::V3_4 => "1.5.0",
            Self::V3_5 => "1.6.0",
            Self::V3_6 => "1.7.0",
        }
    }

    /// Returns the version with this number in Ignition.
    ///
    /// # Errors
    /// Returns an error if it is not in [`BootSpec::ALL`].
    pub fn of_ignition(version: &str) -> Result<Self, BootError> {
        Self::of("Ignition", version, Self::ignition)
    }

    /// Returns the version with this number in Butane's variant `fcos`.
    ///
    /// # Errors
    /// Returns an error if it is not in [`BootSpec::ALL`].
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
    /// Returns the configuration as JSON for Ignition.
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
                // A newer configuration replaces files of the image.
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

/// Encodes content as a data URL (RFC 2397), in the shortest of three ways; also returns the
/// compression.
fn data_url(content: &[u8]) -> (String, Option<&'static str>) {
    let plain = percent(content);
    let base64 = data_url_base64(content);
    let shortest = if base64.len() < plain.len() {
        base64
    } else {
        plain
    };
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::best());
    // Writing to a vector does not fail.
    let packed = encoder.write_all(content).and_then(|()| encoder.finish());
    match packed.map(|packed| data_url_base64(&packed)) {
        Ok(packed) if packed.len() < shortest.len() => (packed, Some("gzip")),
        _ => (shortest, None),
    }
}

/// Encodes any content as a base64 data URL.
pub(super) fn data_url_base64(content: &[u8]) -> String {
    format!("data:;base64,{}", STANDARD.encode(content))
}

fn percent(content: &[u8]) -> String {
    let mut url = String::from("data:,");
    for &byte in content {
        // The unreserved characters of RFC 3986, and `/`, which is allowed in paths.
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
    fn the_shortest_data_url_is_used() {
        assert_eq!(data_url(b"hi there"), ("data:,hi%20there".into(), None));
        assert_eq!(data_url(&[0xff; 4]), ("data:,%FF%FF%FF%FF".into(), None));
        let noise: Vec<u8> = (0..=255).collect();
        let (url, compression) = data_url(&noise);
        assert!(url.starts_with("data:;base64,AAEC") && compression.is_none());
        let (url, compression) = data_url("the same again\n".repeat(100).as_bytes());
        assert!(url.len() < 100 && compression == Some("gzip"));
    }
}
