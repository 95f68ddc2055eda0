//! Finds the places in sources at which files are embedded.

use std::fs;
use std::io::Read;
use std::path::Path;

/// The start of a line that embeds files. Source: the documentation of the package `embed`.
const DIRECTIVE: &str = "//go:embed ";
/// The largest number of entries of directories that are read, of bytes of a file, and of places that are returned.
const MAX_ENTRIES: usize = 5000;
const MAX_BYTES: u64 = 1 << 20;
const MAX_PLACES: usize = 5;

/// Returns the first places below a directory, such as `assets/assets.go:12`. Files that cannot be read are left out,
/// and so are tests and what the go command ignores.
pub(super) fn embeds(top: &Path) -> Vec<String> {
    let (mut places, mut left) = (Vec::new(), MAX_ENTRIES);
    let mut folders = vec![top.to_owned()];
    while let Some(folder) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        let mut entries: Vec<_> = entries.flatten().take(left).collect();
        left -= entries.len();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_ignored = name.starts_with(['.', '_']) || name == "testdata" || name == "vendor";
            let Some(kind) = entry.file_type().ok().filter(|_| !is_ignored) else {
                continue;
            };
            let path = entry.path();
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && name.ends_with(".go") && !name.ends_with("_test.go") {
                let shown = path.strip_prefix(top).unwrap_or(&path).display();
                places.extend(
                    lines(&path)
                        .into_iter()
                        .map(|line| format!("{shown}:{line}")),
                );
            }
            if places.len() >= MAX_PLACES {
                places.truncate(MAX_PLACES);
                return places;
            }
        }
    }
    places
}

/// Returns the numbers of the lines of a file that embed files.
fn lines(path: &Path) -> Vec<usize> {
    let mut text = Vec::new();
    let read = fs::File::open(path).and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text));
    if read.is_err() {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(&text);
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| line.starts_with(DIRECTIVE))
        .map(|(at, _)| at + 1)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_found_in_the_files_that_are_compiled() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let text = "package a\n\nimport _ \"embed\"\n\n//go:embed x.txt\nvar x string\n";
        for folder in ["a", "testdata", ".hidden"] {
            fs::create_dir(path(folder)).unwrap();
            fs::write(path(folder).join("a.go"), text).unwrap();
        }
        fs::write(path("a_test.go"), text).unwrap();
        fs::write(path("b.go"), "package b // not //go:embed x\n").unwrap();
        assert_eq!(embeds(dir.path()), ["a/a.go:5"]);
    }
}
