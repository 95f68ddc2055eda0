//! The identity of a host: `os-release(5)`.

use super::SysextError;
use std::path::Path;

/// The host that an extension is for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SysextHost {
    /// Any host of the same architecture: `ID=_any`.
    #[default]
    Any,
    /// A host identified by the keys of `os-release(5)` that systemd compares.
    Named {
        /// `ID`: `fedora`.
        id: String,
        /// `VERSION_ID`: `42`. A host without one accepts any.
        version_id: Option<String>,
        /// `SYSEXT_LEVEL`, which replaces `VERSION_ID` if both sides have it.
        sysext_level: Option<String>,
    },
}

impl SysextHost {
    /// Parses `ID`, or `ID:VERSION_ID`: `fedora:42`.
    ///
    /// # Errors
    /// Returns an error if a value has an invalid character.
    pub fn parse(text: &str) -> Result<Self, SysextError> {
        let (id, version_id) = match text.split_once(':') {
            Some((id, version_id)) => (id, Some(version_id)),
            None => (text, None),
        };
        let named = Self::named(id.to_owned(), version_id.map(str::to_owned), None);
        named.ok_or_else(|| SysextError::InvalidHost {
            found: text.to_owned(),
        })
    }

    /// Parses the text of a host's `os-release`; `name` is its path in errors.
    ///
    /// # Errors
    /// Returns an error if `ID` is missing, or a value has an invalid character.
    pub fn from_os_release(text: &str, name: &Path) -> Result<Self, SysextError> {
        let mut found: [Option<String>; 3] = Default::default();
        for line in text.lines() {
            let Some((key, value)) = line.trim().split_once('=') else {
                continue;
            };
            let keys = ["ID", "VERSION_ID", "SYSEXT_LEVEL"];
            if let Some(at) = keys.iter().position(|known| *known == key) {
                // As in a shell, the last assignment counts.
                found[at] = Some(unquote(value)).filter(|value| !value.is_empty());
            }
        }
        let [id, version_id, sysext_level] = found;
        id.and_then(|id| Self::named(id, version_id, sysext_level))
            .ok_or_else(|| SysextError::InvalidOsRelease {
                path: name.to_owned(),
            })
    }

    fn named(id: String, version_id: Option<String>, sysext_level: Option<String>) -> Option<Self> {
        // os-release(5): "lower-case string (no spaces or other characters outside of 0-9, a-z,
        // ".", "_" and "-")", and the same for both others.
        let is_valid = |value: &str| {
            let mut bytes = value.bytes();
            !value.is_empty()
                && bytes
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b))
        };
        let others = [&version_id, &sysext_level];
        let good = is_valid(&id) && others.into_iter().flatten().all(|value| is_valid(value));
        if !good {
            return None;
        }
        if id == "_any" {
            return Some(Self::Any);
        }
        Some(Self::Named {
            id,
            version_id,
            sysext_level,
        })
    }

    /// Returns `ID` and the other keys that a host compares.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let Self::Named {
            id,
            version_id,
            sysext_level,
        } = self
        else {
            return vec![("ID", "_any".to_owned())];
        };
        let mut lines = vec![("ID", id.clone())];
        // systemd-sysext(8): VERSION_ID counts where there is no SYSEXT_LEVEL.
        match (sysext_level, version_id) {
            (Some(level), _) => lines.push(("SYSEXT_LEVEL", level.clone())),
            (None, Some(version)) => lines.push(("VERSION_ID", version.clone())),
            (None, None) => {}
        }
        lines
    }
}

/// Removes the quotes of a value. Valid values of these keys need no escapes.
fn unquote(value: &str) -> String {
    let value = value.trim();
    let quoted = ['"', '\''].into_iter().find_map(|quote| {
        let inner = value.strip_prefix(quote)?;
        inner.strip_suffix(quote)
    });
    quoted.unwrap_or(value).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(&'static str, String)> {
        let host = SysextHost::from_os_release(text, Path::new("os-release"));
        host.unwrap().lines()
    }

    #[test]
    fn reads_what_systemd_compares() {
        let fedora = "NAME=\"Fedora Linux\"\nID=fedora\nVERSION_ID=42\nVARIANT_ID=coreos\n";
        assert_eq!(
            read(fedora),
            [("ID", "fedora".into()), ("VERSION_ID", "42".into())]
        );
        let level = "ID='flatcar'\nVERSION_ID=\"3815.2.0\"\nSYSEXT_LEVEL=1.0\n";
        assert_eq!(
            read(level),
            [("ID", "flatcar".into()), ("SYSEXT_LEVEL", "1.0".into())]
        );
        assert_eq!(
            read("# x\nID=\"arch\"\nVERSION_ID=\n"),
            [("ID", "arch".into())]
        );
    }

    #[test]
    fn refuses_invalid_hosts() {
        for text in [
            "",
            "NAME=x\n",
            "ID=\n",
            "ID=\"a b\"\n",
            "ID=a\nVERSION_ID=`x`\n",
        ] {
            let host = SysextHost::from_os_release(text, Path::new("os-release"));
            assert!(host.is_err(), "{text}");
        }
        for text in ["", ":42", "Fedora", "fedora:", "a b"] {
            assert!(SysextHost::parse(text).is_err(), "{text}");
        }
        assert_eq!(SysextHost::parse("_any").unwrap(), SysextHost::Any);
    }
}
