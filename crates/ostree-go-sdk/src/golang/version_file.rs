//! The `VERSION` file at the top of every Go tree.

use jiff::Timestamp;

use crate::kind::ErrorKind;
use crate::version::{GoVersion, InvalidVersion};

/// The content of a `VERSION` file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionFile {
    /// The release: the first word of the first line.
    pub version: GoVersion,
    /// The rest of the first line: experiments (`X:nodwarf5`) and the names of packages
    /// (`(Red Hat 1.26.5-2.el10)`), which vendors add.
    pub vendor: Option<String>,
    /// The release time in seconds since 1970-01-01T00:00:00Z, present since Go 1.21.
    pub time: Option<u64>,
}

/// The reason why a `VERSION` file is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionFileError {
    /// The file is not UTF-8.
    #[error("VERSION is not text")]
    NotText,
    /// The first line does not start with `go`.
    #[error("VERSION starts with `{}`, expected a line of the form go1.26.5", .found.escape_debug())]
    NoVersion {
        /// The line.
        found: String,
    },
    /// The first line is not a Go release.
    #[error("VERSION names no Go release")]
    Version(#[source] InvalidVersion),
    /// The file has more than one `time` line.
    #[error("VERSION has more than one time line")]
    SecondTime,
    /// A `time` line does not contain a valid time.
    #[error("VERSION has the time `{}`, expected the form 2026-01-02T15:04:05Z", .found.escape_debug())]
    Time {
        /// The invalid time.
        found: String,
    },
}

impl VersionFileError {
    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        ErrorKind::Corrupt
    }
}

impl VersionFile {
    /// Parses the file: a line `go<version>`, then lines `key value`. The only known key is
    /// `time` with an RFC 3339 time in UTC (`src/cmd/distpack/pack.go`, `readVERSION`); other
    /// keys are ignored. Like the go command, which cuts the line at its first space
    /// (`src/cmd/go/internal/gover/local.go`), this takes the first word for the version.
    ///
    /// # Errors
    /// Returns an error if the first line is not a release, or the time is before 1970 or invalid.
    pub fn parse(bytes: &[u8]) -> Result<Self, VersionFileError> {
        let text = std::str::from_utf8(bytes).map_err(|_| VersionFileError::NotText)?;
        let mut lines = text.lines();
        let first = lines.next().unwrap_or_default();
        let (word, rest) = first.split_once([' ', '\t']).unwrap_or((first, ""));
        let version = word
            .strip_prefix("go")
            .ok_or_else(|| VersionFileError::NoVersion {
                found: first.chars().take(80).collect(),
            })?
            .parse()
            .map_err(VersionFileError::Version)?;
        let vendor = Some(rest.trim().to_owned()).filter(|rest| !rest.is_empty());
        let mut time = None;
        for value in lines.filter_map(|line| line.strip_prefix("time ")) {
            let seconds = parse_time(value.trim()).ok_or_else(|| VersionFileError::Time {
                found: value.to_owned(),
            })?;
            if time.replace(seconds).is_some() {
                return Err(VersionFileError::SecondTime);
            }
        }
        Ok(Self {
            version,
            vendor,
            time,
        })
    }
}

/// Parses `2026-01-02T15:04:05Z`, in this form only.
fn parse_time(text: &str) -> Option<u64> {
    let time: Timestamp = text.parse().ok()?;
    (time.to_string() == text)
        .then(|| time.as_second().try_into().ok())
        .flatten()
        .filter(|_| time.subsec_nanosecond() == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_what_go_writes() {
        let file = VersionFile::parse(b"go1.26.5\ntime 2026-08-28T16:20:06Z\n").unwrap();
        assert_eq!(file.version.as_str(), "1.26.5");
        assert_eq!(file.time, Some(1_787_934_006));
        let old = VersionFile::parse(b"go1.20.4").unwrap();
        assert_eq!((old.version.as_str(), old.time), ("1.20.4", None));
        let site = VersionFile::parse(b"go1.26.5-acme1\nbuilder x\n").unwrap();
        assert_eq!((site.version.as_str(), site.vendor), ("1.26.5-acme1", None));
    }

    /// First lines as the packages of Fedora and RHEL, and a build with `GOEXPERIMENT`, have them.
    #[test]
    fn the_first_word_is_the_version_and_the_rest_is_kept() {
        for (line, version, vendor) in [
            (
                "go1.26.5 (Red Hat 1.26.5-2.el10)",
                "1.26.5",
                Some("(Red Hat 1.26.5-2.el10)"),
            ),
            ("go1.25.1 X:nodwarf5", "1.25.1", Some("X:nodwarf5")),
            ("go1.25.1\tX:a,b  X:c ", "1.25.1", Some("X:a,b  X:c")),
            ("go1.26.5 ", "1.26.5", None),
            ("go1.26.5\r", "1.26.5", None),
        ] {
            let text = format!("{line}\ntime 2026-08-28T16:20:06Z\n");
            let file = VersionFile::parse(text.as_bytes()).unwrap();
            assert_eq!(file.version.as_str(), version, "{line}");
            assert_eq!(file.vendor.as_deref(), vendor, "{line}");
            assert_eq!(file.time, Some(1_787_934_006), "{line}");
        }
    }

    #[test]
    fn refuses_malformed_files() {
        let error = |text: &str| VersionFile::parse(text.as_bytes()).unwrap_err().to_string();
        insta::assert_snapshot!(error(""), @"VERSION starts with ``, expected a line of the form go1.26.5");
        insta::assert_snapshot!(error("devel go1.27-abc"), @"VERSION starts with `devel go1.27-abc`, expected a line of the form go1.26.5");
        insta::assert_snapshot!(error("go1.x"), @"VERSION names no Go release");
        insta::assert_snapshot!(error("go 1.26.5"), @"VERSION names no Go release");
        for time in [
            "yesterday",
            "1969-12-31T23:59:59Z",
            "2026-02-30T00:00:00Z",
            "2026-08-28T16:20:06+02:00",
            "2026-08-28 16:20:06Z",
            "2026-08-28T16:20:06.5Z",
        ] {
            assert_eq!(
                VersionFile::parse(format!("go1.26.5\ntime {time}\n").as_bytes()),
                Err(VersionFileError::Time {
                    found: time.to_owned()
                })
            );
        }
        insta::assert_snapshot!(error("go1.26.5\ntime x"), @"VERSION has the time `x`, expected the form 2026-01-02T15:04:05Z");
        let twice = "go1.26.5\ntime 2026-08-28T16:20:06Z\ntime 2026-08-28T16:20:06Z\n";
        assert_eq!(error(twice), VersionFileError::SecondTime.to_string());
    }

    proptest! {
        #[test]
        fn any_bytes_are_a_version_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = VersionFile::parse(&bytes);
        }

        #[test]
        fn any_time_is_read_or_an_error(time in "[0-9TZ:. +-]{0,30}") {
            let _ = VersionFile::parse(format!("go1.26.5\ntime {time}").as_bytes());
        }

        #[test]
        fn every_second_round_trips(seconds in 0u64..250_000_000_000) {
            let text = Timestamp::from_second(seconds as i64).unwrap().to_string();
            prop_assert_eq!(parse_time(&text), Some(seconds));
        }
    }
}
