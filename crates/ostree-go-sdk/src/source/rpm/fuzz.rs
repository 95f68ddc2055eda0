//! Entry points of the RPM readers for the fuzz target. Digests would end most runs early, so that
//! headers and archives are also read separately.

use std::fs::File;

use super::cpio::Cpio;
use super::goroot::{Goroot, Kind, Listed};
use super::header::Headers;
use super::payload::{Compression, Raw};
use super::{Package, Packages, Reader, S_IFDIR, S_IFLNK, S_IFMT, VisitError, goroot, read};
use crate::arch::Arch;
use crate::id::Sha256;
use crate::source::tree::Tree;
use crate::source::{Entry, Limits, SourceError};
use std::collections::HashMap;

/// Reads the bytes as an RPM, as its headers, and as a payload.
pub fn rpm(
    bytes: &[u8],
    file: impl Fn(&[u8]) -> std::io::Result<File>,
    visit: &mut dyn FnMut(Entry<'_>) -> Result<(), SourceError>,
) {
    let limits = Limits::default().entries(1000).bytes(1 << 20);
    let (Ok(whole), Ok(payload)) = (file(bytes), file(bytes)) else {
        return;
    };
    let size = bytes.len() as u64;
    if let Ok(packages) = Packages::of(vec![("input", whole, size)], Arch::X86_64) {
        let _ = read(&packages, &limits, visit);
    }
    if let Ok(headers) = Headers::read(&mut &*bytes) {
        let _ = goroot::listed(&headers.main);
    }
    let listed = listed(bytes);
    let Ok(goroot) = Goroot::find(&[("input", &listed)]) else {
        return;
    };
    let package = Package {
        location: "input".to_owned(),
        file: payload,
        sha256: Sha256([0; 32]),
        size,
        version: String::new(),
        listed,
        payload: 0,
        compression: Compression::None,
        digest: String::new(),
        unpacked: None,
    };
    let mut reader = Reader {
        goroot: &goroot,
        tree: Tree::new("input", limits, "").without_top(),
        shared: HashMap::new(),
        visit,
    };
    let _: Result<(), VisitError<SourceError>> =
        reader.package(&package, &mut Raw::new(&package.file, 0));
}

/// Lists the files of an archive as a header would.
fn listed(bytes: &[u8]) -> Listed {
    use std::io::Read;
    let mut listed = Listed::new();
    let mut cpio = Cpio::new(bytes);
    while let Ok(Some(entry)) = cpio.next() {
        let name = String::from_utf8_lossy(&entry.name).into_owned();
        let kind = match entry.mode & S_IFMT {
            S_IFDIR => continue,
            S_IFLNK => {
                let mut target = Vec::new();
                let _ = cpio.content().read_to_end(&mut target);
                Kind::Link(String::from_utf8_lossy(&target).into_owned())
            }
            _ => Kind::File,
        };
        listed.insert(name.trim_start_matches(['.', '/']).to_owned(), kind);
    }
    listed
}
