//! A Go-like distribution of a dozen files, defined as text.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use ostree_go_sdk::Arch;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

/// The files, as `path: content` with `\n` for a line break; `ELF` stands for the header of a program for the SDK's
/// architecture.
const FILES: &str = r"
LICENSE: Copyright 2009 The Toy Authors.\n
VERSION: go1.99.1\ntime 2026-01-02T03:04:05Z\n
api/go1.txt: pkg toy, func Print()\n
bin/go: ELF
bin/gofmt: ELF
doc/README.md: # Toy\n
go.env: GOPROXY=https://proxy.golang.org,direct\nGOSUMDB=sum.golang.org\nGOTOOLCHAIN=auto\n
lib/time/update.bash: #!/bin/bash\n
lib/time/zoneinfo.zip: PK not really a zip\n
lib/wasm/go_js_wasm_exec: #!/bin/sh\n
misc/go_android_exec/README: see go help\n
pkg/include/x.h: #define X 1\n
pkg/tool/linux_GOARCH/compile: ELF
src/fmt/print.go: package fmt\n
src/go.mod: module std\n\ngo 1.99\n
src/make.bash: #!/usr/bin/env bash\n
test/x.go: package main\n
";

/// A file or symlink.
#[derive(Debug, Clone)]
enum Entry {
    File { content: Vec<u8>, mode: u32 },
    Symlink { target: String },
}

/// Builder of a toy SDK. The last methods write it in different forms.
#[derive(Debug, Clone)]
pub struct Toy {
    entries: BTreeMap<String, Entry>,
    arch: Arch,
    shuffle: Option<u64>,
}

impl Toy {
    /// Returns the toy SDK 1.99.1 for an architecture.
    pub fn new(arch: Arch) -> Self {
        let mut toy = Self {
            entries: BTreeMap::new(),
            arch,
            shuffle: None,
        };
        for line in FILES.trim().lines() {
            let (path, content) = line.split_once(": ").expect("path: content");
            let content = match content {
                "ELF" => elf(arch, path),
                text => text.replace(r"\n", "\n").into_bytes(),
            };
            toy = toy.with(&path.replace("GOARCH", arch.goarch()), content);
        }
        toy
    }

    /// Sets the version in `VERSION`, and keeps its time.
    pub fn version(self, version: &str) -> Self {
        self.with(
            "VERSION",
            format!("go{version}\ntime 2026-01-02T03:04:05Z\n"),
        )
    }

    /// Adds or replaces a file. Its mode is 0755 if Go's packer marks it as executable, otherwise 0644.
    pub fn with(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        let mode = if crate::sdk::executable(path) {
            0o755
        } else {
            0o644
        };
        self.entries.insert(
            path.into(),
            Entry::File {
                content: content.into(),
                mode,
            },
        );
        self
    }

    /// Adds a symlink, or replaces the existing entry.
    pub fn with_symlink(mut self, path: &str, target: &str) -> Self {
        self.entries.insert(
            path.into(),
            Entry::Symlink {
                target: target.into(),
            },
        );
        self
    }

    /// Sets the mode of a file.
    ///
    /// # Panics
    ///
    /// Panics if there is no such file.
    pub fn with_mode(mut self, path: &str, to: u32) -> Self {
        match self.entries.get_mut(path) {
            Some(Entry::File { mode, .. }) => *mode = to,
            found => panic!("{path} is no file of the toy but {found:?}"),
        }
        self
    }

    /// Removes a path and everything below it.
    ///
    /// # Panics
    ///
    /// Panics if the path does not exist.
    pub fn without(mut self, path: &str) -> Self {
        let before = self.entries.len();
        let below = format!("{path}/");
        self.entries
            .retain(|name, _| name != path && !name.starts_with(&below));
        assert!(self.entries.len() < before, "nothing at {path} in the toy");
        self
    }

    /// Writes archives in an order that depends on `seed` instead of sorted.
    pub fn shuffled(mut self, seed: u64) -> Self {
        self.shuffle = Some(seed);
        self
    }

    /// Writes the toy as a directory, which is its GOROOT.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be written.
    pub fn dir(&self, dest: &Path) {
        for (path, entry) in self.ordered() {
            let target = dest.join(path);
            fs::create_dir_all(target.parent().expect("a path in a folder")).expect("a folder");
            match entry {
                Entry::File { content, mode } => {
                    fs::write(&target, content).expect("a file");
                    fs::set_permissions(&target, fs::Permissions::from_mode(*mode))
                        .expect("a mode");
                }
                Entry::Symlink { target: to } => symlink(to, &target).expect("a symlink"),
            }
        }
    }

    /// Writes the toy as a `.tar.gz` with the top directory `go/`.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be written.
    pub fn tar_gz(&self, dest: &Path) {
        let file = File::create(dest).expect("a file for the archive");
        let mut tar = tar::Builder::new(GzEncoder::new(file, Compression::fast()));
        for (path, entry) in self.ordered() {
            let mut header = tar::Header::new_gnu();
            header.set_mtime(1);
            match entry {
                Entry::File { content, mode } => {
                    header.set_mode(*mode);
                    header.set_size(content.len() as u64);
                    tar.append_data(&mut header, format!("go/{path}"), &**content)
                        .expect("an entry");
                }
                Entry::Symlink { target } => {
                    header.set_entry_type(tar::EntryType::Symlink);
                    header.set_mode(0o777);
                    header.set_size(0);
                    tar.append_link(&mut header, format!("go/{path}"), target)
                        .expect("an entry");
                }
            }
        }
        tar.into_inner()
            .and_then(GzEncoder::finish)
            .expect("the archive ends");
    }

    /// Writes the toy as a `.zip` with the top directory `go/`.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be written.
    pub fn zip(&self, dest: &Path) {
        self.write_zip(dest, |path| Some(format!("go/{path}")))
            .expect("the zip is written");
    }

    /// Writes the toy as the zip of its `golang.org/toolchain` module: without api, doc, misc and test, and with
    /// `_go.mod` for `go.mod`.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be written, or has no `VERSION`.
    pub fn module_zip(&self, dest: &Path) {
        let Some(Entry::File { content, .. }) = self.entries.get("VERSION") else {
            panic!("the toy has no VERSION");
        };
        let version = String::from_utf8_lossy(content);
        let version = version.lines().next().expect("a first line");
        let top = format!(
            "golang.org/toolchain@v0.0.1-{version}.linux-{}",
            self.arch.goarch()
        );
        self.write_zip(dest, |path| {
            let folder = path.split('/').next()?;
            (!["api", "doc", "misc", "test"].contains(&folder)).then(|| {
                match path.strip_suffix("go.mod") {
                    Some(before) if before.is_empty() || before.ends_with('/') => {
                        format!("{top}/{before}_go.mod")
                    }
                    _ => format!("{top}/{path}"),
                }
            })
        })
        .expect("the zip is written");
    }

    fn write_zip(&self, dest: &Path, rename: impl Fn(&str) -> Option<String>) -> io::Result<()> {
        let mut zip = ZipWriter::new(File::create(dest)?);
        for (path, entry) in self.ordered() {
            let Some(name) = rename(path) else { continue };
            let options =
                SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
            match entry {
                Entry::File { content, mode } => {
                    zip.start_file(name, options.unix_permissions(*mode))?;
                    zip.write_all(content)?;
                }
                Entry::Symlink { target } => zip.add_symlink(name, target, options)?,
            }
        }
        zip.finish()?;
        Ok(())
    }

    fn ordered(&self) -> Vec<(&str, &Entry)> {
        let mut entries: Vec<_> = self
            .entries
            .iter()
            .map(|(path, entry)| (&**path, entry))
            .collect();
        if let Some(seed) = self.shuffle {
            // Fisher–Yates shuffle with a xorshift generator: the same seed gives the same order on every machine.
            let mut state = seed | 1;
            for last in (1..entries.len()).rev() {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let other = state % (last as u64 + 1);
                entries.swap(last, usize::try_from(other).expect("below the length"));
            }
        }
        entries
    }
}

/// Returns a minimal little-endian ELF64 header of an executable; `salt` makes programs differ.
fn elf(arch: Arch, salt: &str) -> Vec<u8> {
    let mut header = vec![0_u8; 64];
    header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    header[16] = 2; // e_type: ET_EXEC
    header[18..20].copy_from_slice(&arch.elf_machine().to_le_bytes());
    header[20] = 1; // e_version
    header[52] = 64; // e_ehsize
    header.extend_from_slice(salt.as_bytes());
    header
}
