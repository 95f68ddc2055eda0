//! Converts a module zip to the other forms of an SDK.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Returns true if Go's own packer marks a file as executable, which depends on its name (`mode` in
/// `src/cmd/distpack/pack.go`).
pub fn executable(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path.starts_with("bin/")
        || path.starts_with("pkg/tool/")
        || [".bash", ".sh", ".pl", ".rc"]
            .iter()
            .any(|suffix| name.ends_with(suffix))
        || name
            .strip_prefix("go_")
            .and_then(|rest| rest.strip_suffix("_exec"))
            .is_some_and(|middle| {
                middle
                    .split_once('_')
                    .is_some_and(|(a, b)| !a.is_empty() && !b.is_empty())
            })
}

/// Computes the `h1:` sum of a zip: SHA-256 over the sorted lines `hex-sha256  name`.
pub fn h1(zip: &Path) -> String {
    let mut archive = open(zip);
    let mut lines = Vec::with_capacity(archive.len());
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).expect("an entry of the zip");
        let name = file.name().expect("a name in UTF-8").into_owned();
        let mut content = Vec::new();
        file.read_to_end(&mut content).expect("the entry inflates");
        lines.push((name, Sha256::digest(&content)));
    }
    lines.sort();
    let mut all = Sha256::new();
    for (name, sum) in lines {
        let hex: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        all.update(format!("{hex}  {name}\n"));
    }
    format!(
        "h1:{}",
        base64::engine::general_purpose::STANDARD.encode(all.finalize())
    )
}

/// Extracts a module zip into `dest` as a GOROOT: renames `_go.mod` to `go.mod`, and makes programs executable.
pub fn extract(zip: &Path, dest: &Path) {
    let partial = dest.with_extension("partial");
    let _ = fs::remove_dir_all(&partial);
    let mut archive = open(zip);
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).expect("an entry of the zip");
        let name = file.name().expect("a name in UTF-8").into_owned();
        let (_, path) = name
            .split_once("@")
            .and_then(|(_, rest)| rest.split_once('/'))
            .expect("module@version/path");
        let path = match path.strip_suffix("_go.mod") {
            Some(folder) if folder.is_empty() || folder.ends_with('/') => format!("{folder}go.mod"),
            _ => path.to_owned(),
        };
        let target = partial.join(&path);
        fs::create_dir_all(target.parent().expect("a file stands in a folder")).expect("a folder");
        let mut out = File::create(&target).expect("a file");
        io::copy(&mut file, &mut out).expect("the entry inflates");
        let mode = if executable(&path) { 0o755 } else { 0o644 };
        out.set_permissions(fs::Permissions::from_mode(mode))
            .expect("a mode");
    }
    fs::rename(&partial, dest).expect("the extracted SDK gets its name");
}

/// Packs a GOROOT as a `.tar.gz` with the top directory `go/`. It is sorted, with one owner and one timestamp, so
/// that it is reproducible.
pub fn pack(dir: &Path, tar_gz: &Path) {
    let partial = tar_gz.with_extension("partial");
    let file = BufWriter::new(File::create(&partial).expect("a file for the archive"));
    let gz = GzBuilder::new().mtime(0).write(file, Compression::new(6));
    let mut tar = tar::Builder::new(gz);
    append(&mut tar, dir, "go");
    let gz = tar.into_inner().expect("the archive ends");
    gz.finish()
        .and_then(|mut file| file.flush())
        .expect("the archive is written");
    fs::rename(&partial, tar_gz).expect("the archive gets its name");
}

fn append(tar: &mut tar::Builder<impl Write>, dir: &Path, name: &str) {
    let mut header = header(tar::EntryType::Directory, 0o755, 0);
    tar.append_data(&mut header, format!("{name}/"), io::empty())
        .expect("a folder entry");
    let mut entries: Vec<_> = fs::read_dir(dir)
        .expect("a folder")
        .map(|e| e.expect("an entry"))
        .collect();
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let name = format!(
            "{name}/{}",
            entry.file_name().to_str().expect("a name in UTF-8")
        );
        let metadata = entry.metadata().expect("metadata");
        if metadata.is_dir() {
            append(tar, &entry.path(), &name);
        } else {
            let mut header = self::header(
                tar::EntryType::Regular,
                metadata.permissions().mode() & 0o777,
                metadata.len(),
            );
            let content = File::open(entry.path()).expect("a file");
            tar.append_data(&mut header, name, content)
                .expect("a file entry");
        }
    }
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_mtime(1);
    header
}

/// Renames the files of a wheel, which are below `go/`, to their names in a module zip.
pub fn repack_wheel(wheel: &Path, module: &str, dest: &Path) {
    let partial = dest.with_extension("partial");
    let mut archive = open(wheel);
    let mut out = ZipWriter::new(File::create(&partial).expect("a file for the zip"));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).expect("an entry of the wheel");
        let name = file.name().expect("a name in UTF-8").into_owned();
        let Some(path) = name
            .strip_prefix("go/")
            .filter(|path| !path.is_empty() && !path.ends_with('/'))
        else {
            continue;
        };
        let path = match path.strip_suffix("go.mod") {
            Some(folder) if folder.is_empty() || folder.ends_with('/') => {
                format!("{folder}_go.mod")
            }
            _ => path.to_owned(),
        };
        let mut content = Vec::new();
        file.read_to_end(&mut content).expect("the entry inflates");
        out.start_file(format!("{module}/{path}"), options)
            .expect("an entry");
        out.write_all(&content).expect("an entry");
    }
    out.finish().expect("the zip ends");
    fs::rename(&partial, dest).expect("the zip gets its name");
}

fn open(zip: &Path) -> ZipArchive<BufReader<File>> {
    let file = File::open(zip).unwrap_or_else(|e| panic!("{}: {e}", zip.display()));
    ZipArchive::new(BufReader::new(file)).unwrap_or_else(|e| panic!("{}: {e}", zip.display()))
}
