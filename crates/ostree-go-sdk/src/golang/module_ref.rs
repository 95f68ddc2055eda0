//! The ref of a composed module in a repository, and its directory in a tree.

use super::module_id::ModuleId;
use crate::fs::path::{InvalidPath, TreePath};
use crate::id::{InvalidRef, RefName};

/// The directory of all modules in a tree.
pub(crate) const MODULE_DIR: &str = "usr/lib/sdk/modules";

/// The last component of the ref of a module from a directory. The ref of no other module contains
/// it, because `_l` is not an escaped character.
const LOCAL: &str = "_local";

impl ModuleId {
    /// Returns the ref of the module beside the ref of a release: the first component of that ref,
    /// `module`, the path and the version: `go-sdk/module/example.com/lib/v1.2.3`.
    ///
    /// # Errors
    /// Never returns an error for a valid ref.
    pub fn ref_beside(&self, release: &RefName) -> Result<RefName, InvalidRef> {
        ref_of(release, self.path(), &escaped(self.version()))
    }

    /// Returns the directory of the module in a tree:
    /// `usr/lib/sdk/modules/example.com/lib@v1.2.3`.
    ///
    /// # Errors
    /// Returns an error if the path is longer than that of a file can be.
    pub fn dir(&self) -> Result<TreePath, InvalidPath> {
        format!("{MODULE_DIR}/{self}").parse()
    }
}

/// Returns the ref of a module from a directory: `go-sdk/module/example.com/lib/_local`.
pub(crate) fn local_ref(release: &RefName, path: &str) -> Result<RefName, InvalidRef> {
    ref_of(release, path, LOCAL)
}

/// Returns the directory of a module from a directory: `usr/lib/sdk/modules/example.com/lib`.
pub(crate) fn local_dir(path: &str) -> Result<TreePath, InvalidPath> {
    format!("{MODULE_DIR}/{path}").parse()
}

fn ref_of(release: &RefName, path: &str, last: &str) -> Result<RefName, InvalidRef> {
    let elements: Vec<String> = path.split('/').map(escaped).collect();
    let family = release.first_component();
    format!("{family}/module/{}/{last}", elements.join("/")).parse()
}

/// Escapes an element of a path, or a version, for a ref: `_` becomes `__`, and each character that
/// a ref cannot contain (`~`, `+`, and `-` at the start) becomes `_` and its two hexadecimal digits.
fn escaped(element: &str) -> String {
    let mut escaped = String::with_capacity(element.len());
    for (index, byte) in element.bytes().enumerate() {
        match byte {
            b'_' => escaped.push_str("__"),
            b'-' if index > 0 => escaped.push('-'),
            b'.' => escaped.push('.'),
            byte if byte.is_ascii_alphanumeric() => escaped.push(char::from(byte)),
            byte => escaped.push_str(&format!("_{byte:02x}")),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn release() -> RefName {
        "go-sdk/x86_64/1.26.5".parse().unwrap()
    }

    #[test]
    fn refs_and_directories_of_modules() {
        for (id, name, dir) in [
            (
                "example.com/lib@v1.2.3",
                "go-sdk/module/example.com/lib/v1.2.3",
                "usr/lib/sdk/modules/example.com/lib@v1.2.3",
            ),
            (
                "github.com/Azure/a_b/-c~d@v2.0.0+incompatible",
                "go-sdk/module/github.com/Azure/a__b/_2dc_7ed/v2.0.0_2bincompatible",
                "usr/lib/sdk/modules/github.com/Azure/a_b/-c~d@v2.0.0+incompatible",
            ),
        ] {
            let id: ModuleId = id.parse().unwrap();
            assert_eq!(id.ref_beside(&release()).unwrap().as_str(), name);
            assert_eq!(id.dir().unwrap().as_str(), dir);
        }
        assert_eq!(
            local_ref(&release(), "example.com/lib").unwrap().as_str(),
            "go-sdk/module/example.com/lib/_local"
        );
        assert_eq!(
            local_dir("example.com/lib").unwrap().as_str(),
            "usr/lib/sdk/modules/example.com/lib"
        );
    }

    #[test]
    fn different_modules_have_different_refs() {
        let names = [
            "a.com/a_",
            "a.com/a~",
            "a.com/a_7e",
            "a.com/_local",
            "a.com/-a",
        ];
        let refs = names.map(|path| ref_of(&release(), path, "v1.0.0").unwrap());
        for (index, one) in refs.iter().enumerate() {
            assert!(!refs[index + 1..].contains(one), "{one}");
        }
    }
}
