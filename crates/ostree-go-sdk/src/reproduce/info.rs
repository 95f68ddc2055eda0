//! The build information in a Go program.

use object::{Object, ObjectSection};
use std::collections::BTreeMap;

/// The section with the build information.
const SECTION: &str = ".go.buildinfo";
/// The start of that section. Source: `buildInfoMagic` of `debug/buildinfo`.
const MAGIC: &[u8] = b"\xff Go buildinf:";
/// The offset of the flags, `flagsOffset` of `debug/buildinfo`.
const FLAGS: usize = 15;
/// The flag of Go 1.18 and newer: two strings, each after its length as a varint, follow the header
/// (`flagsVersionInl` of `debug/buildinfo`).
const INLINE: u8 = 2;
/// The size of the header, `buildInfoHeaderSize` of `debug/buildinfo`.
const HEADER: usize = 32;
/// The size of the marks before and after the text about modules and settings, `infoStart` and `infoEnd` of
/// `cmd/go/internal/modload`.
const MARK: usize = 16;

/// The build information of a Go program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct BuildInfo {
    /// The version of Go, such as `go1.26.5`.
    pub go_version: String,
    /// The lines about the package and its modules.
    pub modules: Vec<String>,
    /// The settings of the build, such as `-trimpath` and `vcs.revision`.
    pub settings: BTreeMap<String, String>,
}

impl BuildInfo {
    /// Reads the build information of a program; `None` if it has none, or none of Go 1.18 or newer.
    pub fn read(program: &object::File<'_>) -> Option<Self> {
        let section = program.section_by_name(SECTION)?;
        Self::parse(section.data().ok()?)
    }

    fn parse(data: &[u8]) -> Option<Self> {
        let flags = *data.get(FLAGS)?;
        if !data.starts_with(MAGIC) || flags & INLINE == 0 {
            return None;
        }
        let (version, rest) = string(data.get(HEADER..)?)?;
        let (text, _) = string(rest)?;
        let text = text.get(MARK..text.len().checked_sub(MARK)?).unwrap_or(b"");
        let text = String::from_utf8_lossy(text);
        let mut info = Self {
            go_version: String::from_utf8_lossy(version).into_owned(),
            ..Self::default()
        };
        for line in text.lines() {
            let setting = line.strip_prefix("build\t");
            match setting.and_then(|setting| setting.split_once('=')) {
                Some((name, value)) => {
                    info.settings.insert(name.to_owned(), value.to_owned());
                }
                None => info.modules.push(line.to_owned()),
            }
        }
        Some(info)
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

/// Splits a string off, which follows its length as a varint of `encoding/binary`: seven bits a byte, the lowest
/// first, with the highest bit set in all bytes but the last.
fn string(data: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut length: usize = 0;
    // A length of more than 35 bits does not occur.
    for (index, byte) in data.iter().take(5).enumerate() {
        length |= usize::from(byte & 0x7f) << (7 * index);
        if byte & 0x80 == 0 {
            return data.get(index + 1..)?.split_at_checked(length);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Returns the content of the section for a text about modules and settings.
    pub fn section(version: &str, text: &str) -> Vec<u8> {
        let mut data = MAGIC.to_vec();
        data.extend([8, INLINE]);
        data.resize(HEADER, 0);
        let framed = [&[b'm'; MARK][..], text.as_bytes(), &[b'm'; MARK]].concat();
        for part in [version.as_bytes(), &framed] {
            let mut length = part.len();
            while length >= 0x80 {
                data.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
                length >>= 7;
            }
            data.push(u8::try_from(length).unwrap());
            data.extend(part);
        }
        data
    }

    #[test]
    fn settings_and_modules_are_separated() {
        let text = "path\texample.com/a\nmod\texample.com/a\t(devel)\t\nbuild\t-trimpath=true\nbuild\tCGO_ENABLED=0\n\
                    build\tvcs.time=2026-01-02T03:04:05Z\n";
        let info = BuildInfo::parse(&section("go1.26.5", text)).unwrap();
        assert_eq!(info.go_version, "go1.26.5");
        assert_eq!(info.modules.len(), 2);
        assert_eq!(info.settings["vcs.time"], "2026-01-02T03:04:05Z");
        assert!(info.is_trimmed() && !info.has_cgo());
        assert_eq!(BuildInfo::parse(b"\xff Go buildinf:\x08\x00"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_panic(
            cut in 0usize..200,
            at in 0usize..200,
            byte in any::<u8>(),
        ) {
            let mut data = section("go1.26.5", &"dep\ta\tv1\n".repeat(15));
            data.truncate(cut);
            if let Some(found) = data.get_mut(at) {
                *found = byte;
            }
            let _ = BuildInfo::parse(&data);
        }
    }
}
