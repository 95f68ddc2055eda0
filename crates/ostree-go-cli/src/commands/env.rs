use super::env_cache::{self, CachePlace, Variables};
use crate::args::arch;
use crate::args::global::Format;
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::views::deployment::DeploymentView;
use crate::views::value::PathText;
use clap::ValueEnum;
use ostree_go_sdk::deploy::DeployError;
use ostree_go_sdk::{Arch, NoProgress};
use serde::Serialize;
use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Print the shell commands that put an installed SDK first in PATH
///
/// Without VERSION, the path always refers to the active SDK, also after a later switch. Add to a
/// shell's start-up file: `eval "$(ostree-go env)"`, or in fish `ostree-go env --shell fish | source`.
///
/// GOROOT is unset, because it would make the go command use the files of another SDK. If the home
/// directory cannot be written, GOCACHE and GOPATH are set to a directory that can be, unless they
/// or GOMODCACHE are set already.
///
/// With --cache, builds also use the std caches of this machine: GOCACHEPROG is set to `ostree-go
/// cacheprog`, and GOCACHE and GOMODCACHE to directories that only this user can write to. They are
/// created if they do not exist.
#[derive(Debug, clap::Args)]
pub struct EnvArgs {
    /// An installed SDK (default: the active one)
    #[arg(value_name = "VERSION")]
    name: Option<String>,

    /// Architecture of the SDK
    #[arg(long, value_name = "ARCH", value_parser = arch::parse, requires = "name")]
    arch: Option<Arch>,

    /// Let the go command use the installed SDK that a go.work or go.mod file asks for: adds a directory with
    /// the programs `go1.26.5` of all installed SDKs to PATH, and sets GOTOOLCHAIN to `local+path`. An SDK that
    /// is not installed is an error of the go command; nothing is downloaded
    #[arg(long)]
    toolchains: bool,

    /// Syntax of the output
    #[arg(long, value_enum, default_value_t, value_name = "SHELL")]
    shell: Shell,

    /// Use the std caches, and keep what is built in memory (`tmpfs`), on the disk (`persistent`) or in a
    /// directory
    #[arg(long, value_name = "tmpfs|persistent|DIR", value_parser = env_cache::parse)]
    cache: Option<CachePlace>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Shell {
    /// POSIX shells, bash and zsh
    #[default]
    Sh,
    /// fish
    Fish,
    /// A JSON document
    Json,
}

pub fn run(context: &Context, args: &EnvArgs) -> Result<ExitCode, CliError> {
    let root = context.root()?;
    let (deployment, bin) = match &args.name {
        Some(name) => {
            let found = root.find(name, args.arch)?;
            let bin = root.bin_of(&found);
            (found, bin)
        }
        None => match root.active()? {
            Some(active) => (active, root.bin()),
            None => {
                let path = root.path().to_owned();
                return Err(DeployError::NothingActive { path }.into());
            }
        },
    };
    let mut variables = match &args.cache {
        Some(place) => env_cache::variables(context, place, &deployment.version, root.path())?,
        None => home_variables(context),
    };
    for warning in &variables.warnings {
        context.say(&format!("warning: {warning}"));
    }
    let mut toolchains = None;
    if args.toolchains {
        let value = PathBuf::from("local+path");
        variables.set.push(("GOTOOLCHAIN", value));
        toolchains = Some(root.toolchains(&NoProgress)?);
    }
    // The last one becomes the first in PATH.
    let dirs: Vec<PathBuf> = toolchains.iter().chain([&bin]).cloned().collect();
    let caches = variables.set;
    let is_json = args.shell == Shell::Json || context.output.format == Format::Json;
    if !is_json {
        let script = match args.shell {
            Shell::Fish => fish(&dirs, &caches),
            _ => posix(&dirs, &caches),
        };
        // The shell needs the bytes of the path, whether they are UTF-8 or not.
        context.output.raw(&script)?;
        return Ok(ExitCode::SUCCESS);
    }
    let caches = caches.into_iter();
    let report = EnvReport {
        bin: PathText(bin.clone()),
        deployment: EnvDeployment {
            deployment: DeploymentView::from(&deployment),
            bin: PathText(bin),
        },
        toolchains: toolchains.map(PathText),
        set: caches.map(|(name, path)| (name, PathText(path))).collect(),
        unset: UNSET,
        warnings: variables.warnings,
    };
    context.output.report_as(Format::Json, &report)
}

/// Returns the variables that the go command needs for its own defaults.
fn home_variables(context: &Context) -> Variables {
    let set = context.settings.go_caches();
    if let Some((_, path)) = set.first() {
        let folder = path.parent().unwrap_or(path).display();
        context.say(&format!(
            "note: the home directory cannot be written: Go's caches are in {folder}"
        ));
    }
    Variables {
        set,
        warnings: Vec::new(),
    }
}

/// The variables that make the go command use another SDK.
const UNSET: [&str; 1] = ["GOROOT"];

#[derive(Serialize)]
struct EnvReport {
    bin: PathText<PathBuf>,
    deployment: EnvDeployment,
    toolchains: Option<PathText<PathBuf>>,
    set: BTreeMap<&'static str, PathText<PathBuf>>,
    unset: [&'static str; 1],
    warnings: Vec<String>,
}

#[derive(Serialize)]
struct EnvDeployment {
    #[serde(flatten)]
    deployment: DeploymentView,
    bin: PathText<PathBuf>,
}

impl Report for EnvReport {}

/// Returns the commands for POSIX shells, which put each directory in turn first in `PATH`. It is first
/// removed from `PATH`, where an earlier evaluation may have put it behind another one.
fn posix(dirs: &[PathBuf], caches: &[(&'static str, PathBuf)]) -> Vec<u8> {
    let mut script = Vec::new();
    for dir in dirs {
        script.extend_from_slice(b"_ostree_go=");
        script.extend(quote_sh(dir));
        script.extend_from_slice(POSIX_PATH.as_bytes());
    }
    for name in UNSET {
        script.extend_from_slice(format!("unset {name}\n").as_bytes());
    }
    for (name, path) in caches {
        script.extend_from_slice(format!("export {name}=").as_bytes());
        script.extend(quote_sh(path));
        script.push(b'\n');
    }
    script
}

/// Puts the directory in `_ostree_go` first in `PATH`.
const POSIX_PATH: &str = r#"
_ostree_go_path=":${PATH-}:"
while case "$_ostree_go_path" in *":$_ostree_go:"*) true ;; *) false ;; esac; do
_ostree_go_path="${_ostree_go_path%%":$_ostree_go:"*}:${_ostree_go_path#*":$_ostree_go:"}"
done
_ostree_go_path="${_ostree_go_path#:}"
_ostree_go_path="${_ostree_go_path%:}"
PATH="$_ostree_go${_ostree_go_path:+:$_ostree_go_path}"
export PATH
unset _ostree_go _ostree_go_path
"#;

/// Returns the commands for fish.
fn fish(dirs: &[PathBuf], caches: &[(&'static str, PathBuf)]) -> Vec<u8> {
    let mut script = Vec::new();
    for dir in dirs {
        script.extend_from_slice(b"set -l _ostree_go ");
        script.extend(quote_fish(dir));
        script.extend_from_slice(FISH_PATH.as_bytes());
    }
    for name in UNSET {
        script.extend_from_slice(format!("set -e {name}\n").as_bytes());
    }
    for (name, path) in caches {
        script.extend_from_slice(format!("set -gx {name} ").as_bytes());
        script.extend(quote_fish(path));
        script.push(b'\n');
    }
    script.extend_from_slice(b"true\n");
    script
}

/// Puts the directory in `_ostree_go` first in `PATH`.
const FISH_PATH: &str = r#"
set -l _ostree_go_path
for _ostree_go_entry in $PATH
test "$_ostree_go_entry" = "$_ostree_go"; or set _ostree_go_path $_ostree_go_path $_ostree_go_entry
end
set -gx PATH $_ostree_go $_ostree_go_path
set -e _ostree_go_entry
"#;

/// Quotes a path for a POSIX shell, in single quotes, in which only `'` has a special meaning.
fn quote_sh(path: &Path) -> Vec<u8> {
    quote(path, &[(b'\'', br"'\''")])
}

/// Quotes a path for fish, in single quotes, in which `'` and `\` have a special meaning.
fn quote_fish(path: &Path) -> Vec<u8> {
    quote(path, &[(b'\'', br"\'"), (b'\\', br"\\")])
}

/// Puts a path into single quotes, and replaces the bytes that have a special meaning there.
fn quote(path: &Path, special: &[(u8, &[u8])]) -> Vec<u8> {
    let mut quoted = vec![b'\''];
    for byte in path.as_os_str().as_bytes() {
        match special.iter().find(|(found, _)| found == byte) {
            Some((_, escaped)) => quoted.extend_from_slice(escaped),
            None => quoted.push(*byte),
        }
    }
    quoted.push(b'\'');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn paths_are_quoted_for_each_shell() {
        let path = Path::new(OsStr::from_bytes(b"/a b/it's\\$\xffx"));
        assert_eq!(quote_sh(path), b"'/a b/it'\\''s\\$\xffx'");
        assert_eq!(quote_fish(path), b"'/a b/it\\'s\\\\$\xffx'");
    }
}
