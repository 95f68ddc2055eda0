//! Single values of JSON objects.

use crate::text;
use serde::{Serialize, Serializer};
use std::fmt::{self, Display, Formatter};
use std::path::Path;

/// A value that JSON contains as its text, for example a checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<T>(pub T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Display> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// A path, which JSON contains with U+FFFD in the place of bytes that are not UTF-8. serde would fail
/// for such a path, so every path in a document has this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathText<P>(pub P);

impl<P: AsRef<Path>> Serialize for PathText<P> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.as_ref().display())
    }
}

/// A time in seconds since 1970, which JSON contains in the format of RFC 3339.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time(pub u64);

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.pad(&text::time(self.0))
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&text::time(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn a_path_that_is_not_utf8_is_written_to_json() {
        let path = Path::new(OsStr::from_bytes(b"/a\xff/b"));
        assert!(serde_json::to_string(path).is_err());
        let text = serde_json::to_string(&PathText(path)).unwrap();
        assert_eq!(text, "\"/a\u{fffd}/b\"");
    }
}
