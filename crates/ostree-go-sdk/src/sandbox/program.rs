//! Finds the program of a command before the sandbox is created, so that a missing one has a clear message.

use super::environment::{HOST_TOOLS, search_path};
use super::error::SandboxError;
use super::options::{Bind, Sandbox};
use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Returns the path of the program in the sandbox.
///
/// # Errors
/// Returns an error if the program, or the dynamic linker or interpreter that it names, is not in the sandbox.
pub(super) fn find(sandbox: &Sandbox) -> Result<PathBuf, SandboxError> {
    let name = sandbox.command.first().ok_or(SandboxError::NoCommand)?;
    let is_path = name.as_bytes().contains(&b'/');
    let candidates = match is_path {
        true => vec![sandbox.directory.join(name)],
        false => {
            let path = search_path(sandbox).into_iter();
            path.map(|folder| folder.join(name)).collect()
        }
    };
    let missing = || SandboxError::NoProgram {
        program: name.to_string_lossy().into_owned(),
        host_tools: sandbox.host_tools,
    };
    let found = candidates
        .into_iter()
        .find_map(|path| Some((on_host(sandbox, &path)?, path)));
    let (real, path) = found.ok_or_else(missing)?;
    match interpreter(&real) {
        Some(interpreter) if on_host(sandbox, &interpreter).is_none() => {
            Err(SandboxError::NoInterpreter {
                program: path,
                interpreter,
                host_tools: sandbox.host_tools,
            })
        }
        _ => Ok(path),
    }
}

/// Returns the path on the host of an executable file in the sandbox, with symbolic links followed; `None` if it
/// is not in the sandbox.
fn on_host(sandbox: &Sandbox, path: &Path) -> Option<PathBuf> {
    let tools = HOST_TOOLS.iter().filter(|_| sandbox.host_tools);
    let tools: Vec<Bind> = tools.map(Bind::from).collect();
    let all = || {
        sandbox
            .read_only
            .iter()
            .chain(&sandbox.writable)
            .chain(&tools)
    };
    let bind = all()
        .filter(|bind| path.starts_with(&bind.dest))
        .max_by_key(|bind| bind.dest.components().count())?;
    // A file that is visible by itself must not get a slash at its end.
    let inside = path.strip_prefix(&bind.dest).ok()?;
    let real = match inside.as_os_str().is_empty() {
        true => bind.source.canonicalize().ok()?,
        false => bind.source.join(inside).canonicalize().ok()?,
    };
    let is_visible = all().any(|bind| {
        let source = bind.source.canonicalize();
        source.is_ok_and(|source| real.starts_with(source))
    });
    let is_program = |path: &Path| {
        let found = path.metadata();
        found.is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    (is_visible && is_program(&real)).then_some(real)
}

/// Returns the dynamic linker of an ELF program, or the interpreter of a script; `None` if it needs none, or if
/// the file cannot be read.
///
/// Sources: System V ABI, chapters 4 and 5 (64-bit, little-endian: `e_phoff` at 32, `e_phentsize` at 54, `e_phnum`
/// at 56; a program header begins with `p_type`, `PT_INTERP` is 3, with `p_offset` at 8 and `p_filesz` at 32);
/// execve(2) for scripts.
fn interpreter(path: &Path) -> Option<PathBuf> {
    let mut file = File::open(path).ok()?;
    let mut start = Vec::new();
    Read::by_ref(&mut file)
        .take(4096)
        .read_to_end(&mut start)
        .ok()?;
    if let Some(line) = start.strip_prefix(b"#!") {
        let line = line.split(|byte| *byte == b'\n').next()?.trim_ascii();
        let program = line.split(u8::is_ascii_whitespace).next()?;
        return Some(PathBuf::from(OsStr::from_bytes(program)));
    }
    if !start.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let table = number(&start, 32, 8)?;
    let (size, count) = (number(&start, 54, 2)?, number(&start, 56, 2)?);
    for index in 0..count {
        let header = read_at(&mut file, table.checked_add(index * size)?, 56)?;
        if number(&header, 0, 4)? == 3 {
            let length = number(&header, 32, 8)?.min(4096);
            let text = read_at(&mut file, number(&header, 8, 8)?, length)?;
            let text = text.split(|byte| *byte == 0).next()?;
            return Some(PathBuf::from(OsStr::from_bytes(text)));
        }
    }
    None
}

/// Returns a little-endian number of `size` bytes.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + size)?.iter().rev();
    Some(bytes.fold(0, |number, byte| (number << 8) | u64::from(*byte)))
}

fn read_at(file: &mut File, at: u64, size: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(at)).ok()?;
    file.take(size).read_to_end(&mut bytes).ok()?;
    (u64::try_from(bytes.len()).ok()? == size).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::options::Host;

    #[test]
    fn interpreters_of_programs_and_scripts() {
        let own = std::env::current_exe().unwrap();
        let linker = interpreter(&own).unwrap();
        assert!(linker.to_str().unwrap().contains("ld-"), "{linker:?}");
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("script");
        for (text, expected) in [
            ("#!/bin/sh -e\n", Some("/bin/sh")),
            ("#! /usr/bin/env go\n", Some("/usr/bin/env")),
            ("", None),
            ("\x7fELF\x02\x01", None),
        ] {
            std::fs::write(&script, text).unwrap();
            assert_eq!(interpreter(&script), expected.map(PathBuf::from), "{text}");
        }
    }

    #[test]
    fn a_program_must_be_in_the_sandbox() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().canonicalize().unwrap();
        let script = folder.join("script");
        std::fs::write(&script, "#!/bin/sh\n").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let sandbox = |command: &str| Sandbox::new(Host::default(), [command]).read(&*folder);
        let text = |sandbox: &Sandbox| {
            let error = find(sandbox).unwrap_err().to_string();
            error.replace(folder.to_str().unwrap(), "[dir]")
        };
        insta::assert_snapshot!(text(&sandbox("make")), @"there is no program `make` in the sandbox");
        let direct = sandbox(script.to_str().unwrap());
        insta::assert_snapshot!(text(&direct), @"the program [dir]/script needs /bin/sh, which is not in the sandbox");
        assert_eq!(find(&direct.host_tools(true)).unwrap(), script);
        let named = sandbox("script").path([folder.clone()]).host_tools(true);
        assert_eq!(find(&named).unwrap(), script);
        let file = Sandbox::new(Host::default(), [&script]).read(&*script);
        assert_eq!(find(&file.host_tools(true)).unwrap(), script);
        // A link that leads out of the sandbox.
        std::os::unix::fs::symlink("/bin/sh", folder.join("link")).unwrap();
        insta::assert_snapshot!(text(&sandbox("link").path([folder.clone()])), @"there is no program `link` in the sandbox");
    }
}
