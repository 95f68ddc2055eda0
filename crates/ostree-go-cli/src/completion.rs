//! Completion of arguments while a user types them: the shell runs the command to get the candidates.
//!
//! Besides options and verbs, this completes the refs of a repository, installed SDKs, remotes, the
//! SDKs that a remote offers, and architectures. Whatever cannot be read gives no candidates.

use crate::args::words::value_of;
use crate::settings::Settings;
use clap::{Arg, Command};
use clap_complete::CompleteEnv;
use clap_complete::engine::{ArgValueCandidates, CompletionCandidate};
use clap_complete::env::Shells;
use ostree_go_sdk::deploy::Root;
use ostree_go_sdk::http::HttpOptions;
use ostree_go_sdk::pull::Pull;
use ostree_go_sdk::{Arch, RefName, Repo, remote};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Name of the command.
const PROGRAM: &str = "ostree-go";
/// Variable that the completion scripts set to the name of the shell.
const VARIABLE: &str = "OSTREE_GO_COMPLETE";
/// Time that a remote has to answer before its refs are left out.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Prints the candidates if a completion script runs the command. Returns true if it does.
pub fn answer(parser: fn() -> Command, args: &[OsString]) -> Result<bool, clap::Error> {
    CompleteEnv::with_factory(|| with_candidates(parser()))
        .var(VARIABLE)
        .try_complete(args, std::env::current_dir().ok().as_deref())
}

/// Returns the script that makes a shell run the command for completions; `None` for an unknown
/// shell.
pub fn script(shell: &str) -> Option<io::Result<Vec<u8>>> {
    let shells = Shells::builtins();
    let shell = shells.completer(shell)?;
    let mut script = Vec::new();
    let written = shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script);
    // zsh runs an installed script as a function, when a completion is requested for the first time.
    if shell.name() == "zsh" {
        script.extend_from_slice(ZSH_FIRST_CALL.as_bytes());
    }
    Some(written.map(|()| script))
}

/// Completes the request for which zsh loads the script.
const ZSH_FIRST_CALL: &str = r#"if [[ "${funcstack[1]-}" == "_ostree-go" ]]; then
    _clap_dynamic_completer_ostree_go "$@"
fi
"#;

/// Adds the candidates to the arguments of all verbs.
fn with_candidates(command: Command) -> Command {
    let verb = command.get_name().to_owned();
    let command = command.mut_args(|arg| match candidates(&verb, &arg) {
        Some(candidates) => arg.add(ArgValueCandidates::new(move || {
            let words = candidates(&CompletionContext::current()).into_iter();
            words.map(CompletionCandidate::new).collect()
        })),
        None => arg,
    });
    command.mut_subcommands(with_candidates)
}

type Candidates = fn(&CompletionContext) -> BTreeSet<String>;

/// Returns the function that finds the candidates for an argument of a verb.
fn candidates(verb: &str, arg: &Arg) -> Option<Candidates> {
    let value = arg.get_value_names().and_then(|names| names.first());
    Some(match (verb, arg.get_id().as_str(), value?.as_str()) {
        (_, _, "ARCH") => arches,
        ("install", "names", _) => CompletionContext::installable,
        ("run", "sdk", _) => CompletionContext::deployments,
        ("use" | "pin" | "unpin" | "uninstall" | "env" | "exec", "name", _)
        | ("upgrade", "channels", _) => CompletionContext::deployments,
        ("refs" | "show-keys" | "import-key" | "delete", "name", _) => CompletionContext::remotes,
        ("install" | "upgrade" | "import" | "verify", "remote", _) => CompletionContext::remotes,
        ("pull", "targets", _) => CompletionContext::remotes_and_refs,
        ("overlay", "base" | "parent", _) => CompletionContext::refs,
        (_, "rev" | "revs" | "from" | "to" | "release" | "releases", _) => CompletionContext::refs,
        _ => return None,
    })
}

fn arches(_: &CompletionContext) -> BTreeSet<String> {
    Arch::ALL.iter().map(ToString::to_string).collect()
}

/// The repository, the root and the remote that the command line to complete names.
struct CompletionContext {
    repo: Option<PathBuf>,
    root: Option<PathBuf>,
    remote: Option<String>,
    from_repo: Option<PathBuf>,
    http: HttpOptions,
}

impl CompletionContext {
    fn current() -> Self {
        let settings = Settings::from_env();
        let words: Vec<OsString> = std::env::args_os().collect();
        let option = |name: &str| value_of(&words, name);
        let path = |name: &str| option(name).map(PathBuf::from);
        let root = path("--root").or_else(|| settings.root_dir.clone());
        Self {
            repo: path("--repo").or_else(|| settings.repo.clone()),
            root: root.or_else(|| settings.root().ok()),
            remote: option("--remote"),
            from_repo: path("--from-repo"),
            http: settings
                .http()
                .unwrap_or_default()
                .retries(0)
                .read_timeout(TIMEOUT),
        }
    }

    fn root(&self) -> Option<Root> {
        Root::open(self.root.clone()?).ok()
    }

    /// Opens the repository of the command line, or else that of the root directory.
    fn repo(&self) -> Option<Repo> {
        match &self.repo {
            Some(path) => Repo::open(path).ok(),
            None => self.root()?.repo().ok(),
        }
    }

    /// Returns the versions and the channels of the installed SDKs.
    fn deployments(&self) -> BTreeSet<String> {
        let deployments = self.root().and_then(|root| root.deployments().ok());
        let names = deployments.unwrap_or_default().into_iter().flat_map(|one| {
            let channel = short(&one.ref_name, one.arch).map(str::to_owned);
            [Some(one.version), channel]
        });
        names.flatten().collect()
    }

    fn remotes(&self) -> BTreeSet<String> {
        let remotes = self.repo().and_then(|repo| remote::list(&repo).ok());
        let remotes = remotes.unwrap_or_default().into_iter();
        remotes.map(|remote| remote.name).collect()
    }

    /// Returns the refs of the repository, also abbreviated if they are for this machine.
    fn refs(&self) -> BTreeSet<String> {
        let refs = self.repo().and_then(|repo| repo.refs().ok());
        let refs = refs.unwrap_or_default().into_keys();
        let names = refs.flat_map(|name| {
            let abbreviated = Arch::host().and_then(|arch| short(&name, arch).map(str::to_owned));
            [abbreviated, Some(name.to_string())]
        });
        names.flatten().collect()
    }

    fn remotes_and_refs(&self) -> BTreeSet<String> {
        let mut all = self.remotes();
        all.append(&mut self.installable());
        all
    }

    /// Returns the SDKs for this machine that the remotes, or the repository to copy from, offer.
    fn installable(&self) -> BTreeSet<String> {
        let names: Vec<RefName> = match &self.from_repo {
            Some(path) => {
                let refs = Repo::open(path).and_then(|repo| repo.refs());
                refs.unwrap_or_default().into_keys().collect()
            }
            None => self.offered(),
        };
        let arch = value_of(&std::env::args_os().collect::<Vec<_>>(), "--arch");
        let arch = arch.and_then(|name| Arch::from_any_name(&name).ok());
        let Some(arch) = arch.or_else(Arch::host) else {
            return BTreeSet::new();
        };
        let abbreviated = names.iter().filter_map(|name| short(name, arch));
        let abbreviated = abbreviated.map(str::to_owned);
        abbreviated.chain(["latest".to_owned()]).collect()
    }

    fn offered(&self) -> Vec<RefName> {
        let Some(repo) = self.repo() else {
            return Vec::new();
        };
        let remotes = match &self.remote {
            Some(name) => BTreeSet::from([name.clone()]),
            None => self.remotes(),
        };
        let offered = remotes.iter().flat_map(|name| {
            let pull = Pull::new(name, []).http(self.http.clone());
            pull.list(&repo).unwrap_or_default()
        });
        offered.map(|offered| offered.name).collect()
    }
}

/// Returns the abbreviation of a ref for an architecture: `1.26` for `go-sdk/ARCH/1.26`. The tags of
/// images are abbreviations.
fn short(name: &RefName, arch: Arch) -> Option<&str> {
    let text = name.as_str();
    let abbreviated = text
        .strip_prefix("go-sdk/")
        .and_then(|rest| rest.strip_prefix(arch.basearch())?.strip_prefix('/'));
    abbreviated.or((!text.contains('/')).then_some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refs_for_the_architecture_are_abbreviated() {
        let of = |name: &str| short(&name.parse().unwrap(), Arch::X86_64).map(str::to_owned);
        assert_eq!(of("go-sdk/x86_64/1.26").as_deref(), Some("1.26"));
        assert_eq!(of("1.26").as_deref(), Some("1.26"));
        assert_eq!(of("go-sdk/aarch64/1.26"), None);
        assert_eq!(of("os/x86_64/base"), None);
    }
}
