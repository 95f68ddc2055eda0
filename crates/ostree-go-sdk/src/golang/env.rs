//! `go.env`, the file in GOROOT with the go command's defaults.

use std::fmt;

use crate::kind::ErrorKind;

/// The text of a `go.env`: lines `KEY=VALUE`; all other lines are comments.
///
/// Parsed like `readEnvFile` in `src/cmd/go/internal/cfg/cfg.go`: a setting starts with a
/// capital letter, its value is the rest of the line verbatim, and the last one counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GoEnv {
    lines: Vec<String>,
}

/// The settings in Go's own `go.env`, which exists since Go 1.21. Source: `go.env`.
const UPSTREAM_SETTINGS: [(&str, &str); 3] = [
    ("GOPROXY", "https://proxy.golang.org,direct"),
    ("GOSUMDB", "sum.golang.org"),
    ("GOTOOLCHAIN", "auto"),
];

/// The reason why a `go.env` or a setting for it is rejected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GoEnvError {
    /// The file is not UTF-8.
    #[error("go.env is not text")]
    NotText,
    /// A key is not the name of a Go setting.
    #[error("`{}` is not the name of a go.env setting, expected capital letters, digits and `_`", .found.escape_debug())]
    Key {
        /// The invalid key.
        found: String,
    },
    /// A value contains a line feed or another control character.
    #[error("the value of {key} in go.env has a control character: `{}`", .found.escape_debug())]
    Value {
        /// The key.
        key: String,
        /// The invalid value.
        found: String,
    },
}

impl GoEnvError {
    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotText => ErrorKind::Corrupt,
            Self::Key { .. } | Self::Value { .. } => ErrorKind::InvalidInput,
        }
    }
}

impl GoEnv {
    /// Parses the content of a file.
    ///
    /// # Errors
    /// Returns [`GoEnvError::NotText`] if the content is not UTF-8.
    pub fn parse(bytes: &[u8]) -> Result<Self, GoEnvError> {
        let text = std::str::from_utf8(bytes).map_err(|_| GoEnvError::NotText)?;
        Ok(Self {
            lines: text.split_terminator('\n').map(str::to_owned).collect(),
        })
    }

    /// Returns the effective value of `key`.
    #[cfg(test)]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.lines
            .iter()
            .rev()
            .filter_map(|line| setting(line))
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// Returns the settings, in order.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().filter_map(|line| setting(line))
    }

    /// Undoes [`set`](Self::set): restores the values of Go's own settings and removes all
    /// others.
    #[must_use]
    pub fn before_set(&self) -> Self {
        let lines = self.lines.iter().filter_map(|line| match setting(line) {
            None => Some(line.clone()),
            Some((key, _)) => UPSTREAM_SETTINGS
                .iter()
                .find(|(own, _)| *own == key)
                .map(|(key, value)| format!("{key}={value}")),
        });
        Self {
            lines: lines.collect(),
        }
    }

    /// Sets `key`, in place if it is set already, else at the end. Comments and the order of all
    /// other lines are kept; setting the same value twice changes nothing.
    ///
    /// # Errors
    /// Returns an error if `key` does not consist of capital letters, digits and `_`, or
    /// `value` contains a control character.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), GoEnvError> {
        let key_is_valid = key.starts_with(|c: char| c.is_ascii_uppercase())
            && key
                .bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
        if !key_is_valid {
            return Err(GoEnvError::Key {
                found: key.to_owned(),
            });
        }
        if value.contains(char::is_control) {
            return Err(GoEnvError::Value {
                key: key.to_owned(),
                found: value.to_owned(),
            });
        }
        let new = format!("{key}={value}");
        let sets_key = |line: &String| setting(line).is_some_and(|(name, _)| name == key);
        match self.lines.iter().position(sets_key) {
            None => self.lines.push(new),
            Some(first) => {
                // A later setting of the same key would override this one.
                let mut index = 0;
                self.lines.retain(|line| {
                    index += 1;
                    index - 1 <= first || !sets_key(line)
                });
                self.lines[first] = new;
            }
        }
        Ok(())
    }
}

/// Splits a line into key and value if it is a setting.
fn setting(line: &str) -> Option<(&str, &str)> {
    line.split_once('=')
        .filter(|(key, _)| key.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// Formats the text of the file; every line ends with a line feed.
impl fmt::Display for GoEnv {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const UPSTREAM: &str = "# Use the Go module mirror.\n\
        GOPROXY=https://proxy.golang.org,direct\nGOSUMDB=sum.golang.org\n\n\
        # Toolchains\nGOTOOLCHAIN=auto\n";

    #[test]
    fn sets_in_place_and_appends() {
        let mut env = GoEnv::parse(UPSTREAM.as_bytes()).unwrap();
        assert_eq!(env.to_string(), UPSTREAM);
        env.set("GOTOOLCHAIN", "local").unwrap();
        env.set("GOPROXY", "off").unwrap();
        env.set("GOFLAGS", "-mod=readonly").unwrap();
        insta::assert_snapshot!(env, @r"
        # Use the Go module mirror.
        GOPROXY=off
        GOSUMDB=sum.golang.org

        # Toolchains
        GOTOOLCHAIN=local
        GOFLAGS=-mod=readonly
        ");
        assert_eq!(env.get("GOFLAGS"), Some("-mod=readonly"));
        assert_eq!(env.get("GOBIN"), None);
    }

    #[test]
    fn set_replaces_all_earlier_settings() {
        let mut env = GoEnv::parse(b"A=1\n#A=2\nA=3\n a=4").unwrap();
        assert_eq!(env.get("A"), Some("3"));
        env.set("A", "5").unwrap();
        assert_eq!(env.to_string(), "A=5\n#A=2\n a=4\n");
    }

    #[test]
    fn refuses_values_with_line_feeds() {
        let mut env = GoEnv::default();
        let mut error = |key, value| env.set(key, value).unwrap_err().to_string();
        insta::assert_snapshot!(error("GOFLAGS", "a\nGOPROXY=x"), @r"the value of GOFLAGS in go.env has a control character: `a\nGOPROXY=x`");
        insta::assert_snapshot!(error("#GO", "x"), @"`#GO` is not the name of a go.env setting, expected capital letters, digits and `_`");
        for key in ["", "gO", "_A", "A B", "A=B", "1A"] {
            assert!(env.set(key, "").is_err(), "{key}");
        }
        assert_eq!(GoEnv::parse(b"A=\xff"), Err(GoEnvError::NotText));
    }

    proptest! {
        #[test]
        fn setting_is_idempotent(
            text in "([A-C]=[a-z=]{0,3}\n|# [a-z]{0,3}\n|\n| A=x\n){0,6}",
            key in "[A-D]", value in "[a-z=,]{0,4}",
        ) {
            let mut env = GoEnv::parse(text.as_bytes()).unwrap();
            let comments = |env: &GoEnv| -> Vec<String> {
                env.lines.iter().filter(|l| setting(l).is_none()).cloned().collect()
            };
            let before = comments(&env);
            env.set(&key, &value).unwrap();
            let once = env.clone();
            env.set(&key, &value).unwrap();
            prop_assert_eq!(&env, &once);
            prop_assert_eq!(env.get(&key), Some(value.as_str()));
            prop_assert_eq!(comments(&env), before);
        }

        #[test]
        fn before_set_undoes_set(
            keys in proptest::collection::vec(("GO(PROXY|SUMDB|TOOLCHAIN|FLAGS|X)", "[a-z=,]{0,4}"), 0..6),
        ) {
            let own: String = UPSTREAM_SETTINGS.iter().map(|(k, v)| format!("# {k}\n{k}={v}\n\n")).collect();
            let original = GoEnv::parse(own.as_bytes()).unwrap();
            let mut env = original.clone();
            for (key, value) in &keys {
                env.set(key, value).unwrap();
            }
            prop_assert_eq!(env.before_set(), original);
        }

        #[test]
        fn any_bytes_are_settings_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(mut env) = GoEnv::parse(&bytes) {
                env.set("GOPROXY", "off").unwrap();
                prop_assert_eq!(env.get("GOPROXY"), Some("off"));
            }
        }
    }
}
