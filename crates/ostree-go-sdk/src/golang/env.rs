//! `go.env`, the file in GOROOT that sets the go command's defaults.

use std::fmt;

use crate::kind::ErrorKind;

/// The text of a `go.env`: lines `KEY=VALUE`; every other line is a comment.
///
/// Read as `src/cmd/go/internal/cfg/cfg.go`, `readEnvFile` does: a setting starts with a
/// capital letter, its value is the rest of the line as it stands, the last one counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GoEnv {
    lines: Vec<String>,
}

/// What Go's own `go.env` sets, as long as it has had one (Go 1.21). Source: `go.env`.
const GOS_OWN: [(&str, &str); 3] = [
    ("GOPROXY", "https://proxy.golang.org,direct"),
    ("GOSUMDB", "sum.golang.org"),
    ("GOTOOLCHAIN", "auto"),
];

/// Why a `go.env` or a setting for it is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GoEnvError {
    /// The file is not UTF-8.
    #[error("go.env is not text")]
    NotText,
    /// A key is no name of a Go setting.
    #[error("`{}` is not the name of a go.env setting, expected capital letters, digits and `_`", .found.escape_debug())]
    Key {
        /// The key as given.
        found: String,
    },
    /// A value has a line feed or another control character.
    #[error("the value of {key} in go.env has a control character: `{}`", .found.escape_debug())]
    Value {
        /// The key.
        key: String,
        /// The value as given.
        found: String,
    },
}

impl GoEnvError {
    /// What kind of error this is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::NotText => ErrorKind::Corrupt,
            Self::Key { .. } | Self::Value { .. } => ErrorKind::InvalidInput,
        }
    }
}

impl GoEnv {
    /// Reads a file's bytes.
    ///
    /// # Errors
    /// When they are not UTF-8.
    pub fn parse(bytes: &[u8]) -> Result<Self, GoEnvError> {
        let text = std::str::from_utf8(bytes).map_err(|_| GoEnvError::NotText)?;
        Ok(Self {
            lines: text.split_terminator('\n').map(str::to_owned).collect(),
        })
    }

    /// The value in force for `key`.
    #[cfg(test)]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.lines
            .iter()
            .rev()
            .filter_map(|line| setting(line))
            .find_map(|(name, value)| (name == key).then_some(value))
    }

    /// The settings, in order.
    pub fn settings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.lines.iter().filter_map(|line| setting(line))
    }

    /// The file before [`set`](Self::set) changed it: Go's own settings have Go's own values,
    /// and there are no others.
    #[must_use]
    pub fn before_set(&self) -> Self {
        let lines = self.lines.iter().filter_map(|line| match setting(line) {
            None => Some(line.clone()),
            Some((key, _)) => GOS_OWN
                .iter()
                .find(|(own, _)| *own == key)
                .map(|(key, value)| format!("{key}={value}")),
        });
        Self {
            lines: lines.collect(),
        }
    }

    /// Sets `key`: in its place where it is set, else at the end. Comments and the order of
    /// everything else stay; doing it again changes nothing.
    ///
    /// # Errors
    /// When `key` is not made of capital letters, digits and `_`, or `value` has a control
    /// character.
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
                // A second setting of the key would win over this one.
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

/// The key and value of a line that is a setting.
fn setting(line: &str) -> Option<(&str, &str)> {
    line.split_once('=')
        .filter(|(key, _)| key.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// The file's text; every line ends with a line feed.
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
    fn the_last_setting_counts_and_setting_leaves_one() {
        let mut env = GoEnv::parse(b"A=1\n#A=2\nA=3\n a=4").unwrap();
        assert_eq!(env.get("A"), Some("3"));
        env.set("A", "5").unwrap();
        assert_eq!(env.to_string(), "A=5\n#A=2\n a=4\n");
    }

    #[test]
    fn refuses_what_would_be_another_line() {
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
        fn settings_that_were_set_are_taken_back(
            keys in proptest::collection::vec(("GO(PROXY|SUMDB|TOOLCHAIN|FLAGS|X)", "[a-z=,]{0,4}"), 0..6),
        ) {
            let own: String = GOS_OWN.iter().map(|(k, v)| format!("# {k}\n{k}={v}\n\n")).collect();
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
