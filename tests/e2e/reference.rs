//! Output that is generated from the argument parser: the reference page, completions, man pages.

use ostree_go_tests::cli::{Output, ostree_go, run, workspace};
use ostree_go_tests::tools::require;
use std::fs;
use std::path::Path;
use std::process::Command;

const BEGIN: &str =
    "<!-- generated: UPDATE_DOCS=1 cargo test --workspace --test e2e reference:: -->\n";
const END: &str = "<!-- /generated -->\n";

fn help(args: &[&str]) -> String {
    run(ostree_go().args(args).arg("--help")).ok().stdout
}

/// Returns the verbs in the order of the help text, each followed by its own verbs, such as `key generate`.
fn verbs() -> Vec<String> {
    fn collect(of: &[&str], into: &mut Vec<String>) {
        let help = help(of);
        let Some(commands) = help.split("Commands:\n").nth(1) else {
            return;
        };
        let lines = commands.lines().take_while(|line| !line.is_empty());
        // Where a name is long, its text stands below it, further to the right.
        let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        for name in names.filter_map(|line| line.split_whitespace().next()) {
            let verb = [of, &[name]].concat();
            into.push(verb.join(" "));
            collect(&verb, into);
        }
    }
    let mut verbs = Vec::new();
    collect(&[], &mut verbs);
    verbs
}

/// Formats a help text for the page, without the trailing spaces that clap prints.
fn fenced(help: &str) -> String {
    let lines: Vec<&str> = help.trim_end().lines().map(str::trim_end).collect();
    format!("```text\n{}\n```\n", lines.join("\n"))
}

fn generated() -> String {
    let mut page = fenced(&help(&[]));
    for verb in verbs() {
        let help = help(&verb.split(' ').collect::<Vec<_>>());
        // The options of every verb stand at the top of the page.
        let own = help.split("Global options:").next().unwrap_or_default();
        let (about, usage) = own.split_once("\nUsage:").expect("a usage");
        page.push_str(&format!("\n## {verb}\n\n{}\n\n", about.trim_end()));
        page.push_str(&fenced(&format!("Usage:{usage}")));
    }
    page
}

#[test]
fn the_reference_page_matches_the_help_texts() {
    let path = workspace().join("docs/src/reference/cli.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page
        .split_once(BEGIN)
        .expect("a place for the generated part");
    let (found, after) = rest.split_once(END).expect("its end");
    let expected = generated();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else {
        assert!(
            found == expected,
            "docs/src/reference/cli.md is not what --help says: \
             UPDATE_DOCS=1 cargo test --workspace --test e2e reference:: writes it anew"
        );
    }
}

fn completions(folder: &Path, shell: &str) -> String {
    let script = run(ostree_go().args(["completions", shell])).ok().stdout;
    let path = folder.join(format!("ostree-go.{shell}"));
    fs::write(&path, script).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Returns a `PATH` in which the command under test comes first, because the scripts run it.
fn path_with_command() -> String {
    let command = ostree_go();
    let folder = Path::new(command.get_program()).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{}:{path}", folder.display())
}

/// Runs a script in a shell without configuration files, and returns its output.
fn shell(program: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.args(args).env("HOME", "/nonexistent");
    let out = run(command.env("PATH", path_with_command())).ok();
    assert_eq!(out.stderr, "", "{args:?}");
    out
}

#[test]
fn completions_work_in_the_real_shells() {
    let temp = tempfile::tempdir().unwrap();
    if let Some(bash) = require("bash") {
        let file = completions(temp.path(), "bash");
        let script = format!(
            "set -eu; source {file}; complete -p ostree-go; \
             COMP_WORDS=(ostree-go com); COMP_CWORD=1; COMP_TYPE=9; \
             _clap_complete_ostree_go ostree-go com ostree-go; echo \"${{COMPREPLY[@]}}\""
        );
        let out = shell(&bash, &["--norc", "-c", &script]);
        let found = out.stdout.lines().last().unwrap_or_default();
        let mut words: Vec<&str> = found.split_whitespace().collect();
        words.sort_unstable();
        assert_eq!(words, ["completions", "compose"], "{}", out.stdout);
    }
    if let Some(zsh) = require("zsh") {
        let file = completions(temp.path(), "zsh");
        let script = format!(
            "autoload -U compinit && compinit -u -D && source {file} && print $_comps[ostree-go] && whence -w $_comps[ostree-go]"
        );
        let out = shell(&zsh, &["-f", "-c", &script]);
        let function = "_clap_dynamic_completer_ostree_go";
        assert_eq!(out.stdout, format!("{function}\n{function}: function\n"));
        // Installed into a folder of functions, the file is the body of a function, whose first call
        // has to complete as well.
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.starts_with("#compdef ostree-go\n"), "{text}");
        let script = format!(
            "compdef() {{ :; }}; _describe() {{ print -l ${{(P)${{@[-1]}}}}; }}; \
             fpath=({}); cp {file} {}/_ostree-go; autoload -U _ostree-go; \
             words=(ostree-go com); CURRENT=2; _ostree-go",
            temp.path().display(),
            temp.path().display(),
        );
        let out = shell(&zsh, &["-f", "-c", &script]);
        assert!(out.stdout.contains("compose"), "{}", out.stdout);
    }
    if let Some(fish) = require("fish") {
        let file = completions(temp.path(), "fish");
        let home = temp.path().to_str().unwrap();
        let script = format!(
            "set -x HOME {home}; source {file}; complete -C 'ostree-go com'; complete -C 'ostree-go init --mode bare-'"
        );
        let mut command = Command::new(fish);
        command
            .args(["--no-config", "-c", &script])
            .env("HOME", home)
            .env("PATH", path_with_command());
        let out = run(&mut command).ok();
        let mut words: Vec<&str> = out
            .stdout
            .lines()
            .filter_map(|line| line.split('\t').next())
            .collect();
        words.sort_unstable();
        assert_eq!(
            words,
            ["bare-user", "bare-user-only", "completions", "compose"]
        );
    }
}

#[test]
fn every_verb_has_a_well_formed_man_page() {
    let temp = tempfile::tempdir().unwrap();
    run(ostree_go().args(["man", "--output-dir"]).arg(temp.path())).ok();
    let mut expected = vec!["ostree-go.1".to_owned()];
    expected.extend(
        verbs()
            .iter()
            .map(|verb| format!("ostree-go-{}.1", verb.replace(' ', "-"))),
    );
    expected.sort();
    let mut pages: Vec<String> = fs::read_dir(temp.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    pages.sort();
    assert_eq!(pages, expected);
    let Some(groff) = require("groff") else {
        return;
    };
    for page in pages {
        let mut command = Command::new(&groff);
        command
            .args(["-man", "-ww", "-Tascii", "-P", "-cbou"])
            .arg(temp.path().join(&page));
        let out = run(&mut command).ok();
        assert_eq!(out.stderr, "", "{page}");
        for section in ["NAME", "FILES", "ENVIRONMENT", "EXIT STATUS"] {
            assert!(
                out.stdout.lines().any(|line| line == section),
                "{page}: {section}"
            );
        }
        // A verb that only groups other verbs has none.
        let groups = ["delta", "export", "gomod", "key", "remote", "workspace"];
        let name = page.trim_start_matches("ostree-go-").trim_end_matches(".1");
        let has_examples = out.stdout.lines().any(|line| line == "EXAMPLES");
        assert_eq!(has_examples, !groups.contains(&name), "{page}");
    }
    let one = run(ostree_go().arg("man")).ok().stdout;
    assert_eq!(
        one,
        fs::read_to_string(temp.path().join("ostree-go.1")).unwrap()
    );
}

#[test]
fn help_prints_the_help_text_of_a_verb() {
    for verb in ["", "install", "key generate", "export oci"] {
        let words: Vec<&str> = verb.split_whitespace().collect();
        let out = run(ostree_go().arg("help").args(&words)).ok();
        assert_eq!(out.stdout, help(&words), "{verb}");
    }
    let out = run(ostree_go().args(["help", "key", "frob"])).exits(2);
    assert!(
        out.stderr.contains("there is no verb `key frob`"),
        "{}",
        out.stderr
    );
    assert!(
        out.stderr.contains("the verbs are generate"),
        "{}",
        out.stderr
    );
}

#[test]
fn make_install_installs_all_files() {
    let Some(make) = require("make") else { return };
    let temp = tempfile::tempdir().unwrap();
    let program = ostree_go();
    let mut command = Command::new(make);
    command
        .current_dir(workspace())
        // Not the program that ships, but installed by the same recipe.
        .args(["--no-print-directory", "install", "PREFIX=/usr"])
        .arg(format!("BIN={}", program.get_program().to_str().unwrap()))
        .arg(format!("DESTDIR={}", temp.path().display()));
    for name in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS"] {
        command.env_remove(name);
    }
    let out = run(&mut command).ok();
    assert!(!out.stdout.contains("cargo build"), "{}", out.stdout);
    let mut installed = Vec::new();
    let mut folders = vec![temp.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => {
                    let below = path.strip_prefix(temp.path()).unwrap();
                    installed.push(below.to_str().unwrap().to_owned());
                }
            }
        }
    }
    // The module `packaging` tests the documentation, the licenses and the treefiles.
    let generated = ["usr/bin", "usr/share/man", "usr/share/bash-completion"];
    let generated = [&generated[..], &["usr/share/fish", "usr/share/zsh"]].concat();
    installed.retain(|path| generated.iter().any(|folder| path.starts_with(folder)));
    let mut expected = vec![
        "usr/bin/ostree-go".to_owned(),
        "usr/share/bash-completion/completions/ostree-go".to_owned(),
        "usr/share/fish/vendor_completions.d/ostree-go.fish".to_owned(),
        "usr/share/man/man1/ostree-go.1".to_owned(),
        "usr/share/zsh/site-functions/_ostree-go".to_owned(),
    ];
    expected.extend(
        verbs()
            .iter()
            .map(|verb| format!("usr/share/man/man1/ostree-go-{}.1", verb.replace(' ', "-"))),
    );
    expected.sort();
    installed.sort();
    assert_eq!(installed, expected);
    run(Command::new(temp.path().join("usr/bin/ostree-go")).arg("--version")).ok();
}
