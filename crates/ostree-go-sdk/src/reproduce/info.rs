//! The lines of the build information in a Go program, as they are written: they are compared and shown, not interpreted.

use crate::inspect::build_info;
use std::collections::BTreeMap;

/// The build information of a Go program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BuildLines {
    /// The version of Go, such as `go1.26.5`.
    pub go_version: String,
    /// The lines about the package and its modules.
    pub modules: Vec<String>,
    /// The settings of the build, such as `-trimpath` and `vcs.revision`. The values are quoted if they have to be.
    pub settings: BTreeMap<String, String>,
}

impl BuildLines {
    /// Reads the build information of a program; `None` if it has none.
    pub fn read(program: &[u8]) -> Option<Self> {
        let raw = build_info::read(program)?;
        Some(Self::split(raw.version, &raw.lines))
    }

    fn split(go_version: String, text: &str) -> Self {
        let mut lines = Self {
            go_version,
            ..Self::default()
        };
        for line in text.lines() {
            let setting = line.strip_prefix("build\t");
            match setting.and_then(|setting| setting.split_once('=')) {
                Some((name, value)) => {
                    lines.settings.insert(name.to_owned(), value.to_owned());
                }
                None => lines.modules.push(line.to_owned()),
            }
        }
        lines
    }

    /// Returns true if the program was built with `-trimpath`.
    pub fn is_trimmed(&self) -> bool {
        self.settings
            .get("-trimpath")
            .is_some_and(|value| value == "true")
    }

    /// Returns true if the program was built with cgo.
    pub fn has_cgo(&self) -> bool {
        self.settings
            .get("CGO_ENABLED")
            .is_some_and(|value| value == "1")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::toy::Toy;

    #[test]
    fn settings_and_modules_are_separated() {
        let lines = "path\texample.com/a\nmod\texample.com/a\t(devel)\t\nbuild\t-trimpath=true\nbuild\tCGO_ENABLED=0\n\
                     build\t-tags=\"a b\"\nbuild\tvcs.time=2026-01-02T03:04:05Z\n";
        let program = Toy {
            version: "go1.26.5",
            lines,
            ..Toy::default()
        };
        let found = BuildLines::read(&program.bytes()).unwrap();
        assert_eq!(found.go_version, "go1.26.5");
        assert_eq!(
            found.modules,
            ["path\texample.com/a", "mod\texample.com/a\t(devel)\t"]
        );
        assert_eq!(found.settings["vcs.time"], "2026-01-02T03:04:05Z");
        assert_eq!(found.settings["-tags"], "\"a b\"");
        assert!(found.is_trimmed() && !found.has_cgo());
        assert_eq!(BuildLines::read(b"\x7fELF"), None);
    }
}
