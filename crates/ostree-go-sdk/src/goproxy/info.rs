//! The file `.info` of a version: its name and its time.
//!
//! Source: `go help goproxy`, and `src/cmd/go/internal/modfetch`, `RevInfo`.

use serde::Deserialize;

/// The content of a `.info` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Info {
    pub version: String,
    /// The time of the version in seconds since 1970.
    pub time: Option<i64>,
}

#[derive(Deserialize)]
struct Json {
    #[serde(rename = "Version")]
    version: String,
    #[serde(rename = "Time")]
    time: Option<String>,
}

impl Info {
    /// Parses the JSON document; returns `None` if it is malformed.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let json: Json = serde_json::from_slice(bytes).ok()?;
        let time = json.time.map(|time| time.parse::<jiff::Timestamp>());
        Some(Self {
            version: json.version,
            time: time.transpose().ok()?.map(jiff::Timestamp::as_second),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_of_proxies() {
        let time =
            Info::parse(br#"{"Version":"v1.0.0","Time":"1970-01-01T00:01:00Z","Origin":{}}"#);
        let info = Info {
            version: "v1.0.0".to_owned(),
            time: Some(60),
        };
        assert_eq!(time, Some(info));
        assert_eq!(Info::parse(br#"{"Version":"v1.0.0"}"#).unwrap().time, None);
        for bad in [
            "",
            "<html>",
            "{}",
            r#"{"Version":1}"#,
            r#"{"Version":"v1","Time":"now"}"#,
        ] {
            assert_eq!(Info::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
