//! Checks of the book: the commands of the guide are run, and all links have a target.
//!
//! A block that starts with "```console,test" is run, one `$` line after the other, in a directory like a
//! checkout of the sources, with toy SDKs. The lines below a command have to occur in its output,
//! in that order; `…` stands for any text. The blocks of a page share the directory. Pages with blocks that start with
//! "```console,test,container" need `ostree container`, and those with "```console,test,token" SoftHSM, whose module is on this machine
//! in the place of [`MODULE`]. A comment that starts with "<!-- console,test" has commands that
//! a page needs but does not show. `https://sdk.example.com/repo` is a real server of `build/repo`.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{ostree_go, run, workspace};
use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::ostree_container::OstreeContainer;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::tools;
use ostree_go_tests::toy::Toy;
use ostree_go_tests::webserver::FaultyServer;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn pages() -> Vec<PathBuf> {
    let mut pages = Vec::new();
    let mut folders = vec![workspace().join("docs/src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

/// The address at which pages find a published repository.
const URL: &str = "https://sdk.example.com/repo";

/// The place of the module of SoftHSM on pages.
const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// A command and the lines below it.
type Step = (String, Vec<String>);

/// Returns the commands of a page's blocks that have to be run.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let (mut in_block, mut goes_on) = (false, false);
    for line in page.lines() {
        if line.starts_with("```") || line.starts_with("<!-- ") || line == "-->" {
            let starts = ["```console,test", "<!-- console,test"];
            in_block = starts.iter().any(|start| line.starts_with(start));
            continue;
        }
        if !in_block {
            continue;
        }
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => {
                steps.push((command.to_owned(), Vec::new()));
                goes_on = command.ends_with('\\');
            }
            (None, Some((command, _))) if goes_on => {
                command.push('\n');
                command.push_str(line);
                goes_on = line.ends_with('\\');
            }
            (None, Some((_, shown))) => shown.push(line.to_owned()),
            (None, None) => panic!("a block starts with `{line}`, expected a command"),
        }
    }
    steps
}

/// Returns true if a printed line matches an expected one, in which `…` stands for any text.
fn fits(printed: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|first| printed.strip_prefix(first)) else {
        return false;
    };
    for part in parts {
        match (part, rest.find(part)) {
            ("", _) => return true,
            (part, Some(at)) => rest = &rest[at + part.len()..],
            _ => return false,
        }
    }
    rest.is_empty()
}

/// Creates a directory like a checkout of the sources, in which `treefiles/go-1.26.yaml` uses toy SDKs and
/// `build/repo` already contains the previous release.
fn checkout() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "treefiles/base.yaml",
        &fs::read_to_string(workspace().join("treefiles/base.yaml")).unwrap(),
    );
    let compose = |version: &str| {
        for arch in Arch::ALL {
            let path = sandbox.path(&format!("treefiles/toy-{}.tar.gz", arch.goarch()));
            Toy::new(arch).version(version).tar_gz(&path);
        }
        let channels = "channels: [\"go-sdk/${basearch}/1.26\", \"go-sdk/${basearch}/stable\"]";
        let text = format!("include: base.yaml\nversion: {version}\n{TOY_SOURCE}\n{channels}\n");
        sandbox.write("treefiles/go-1.26.yaml", &text);
    };
    compose("1.26.4");
    sandbox
        .run(["compose", "treefiles/go-1.26.yaml", "--repo=build/repo"])
        .ok();
    compose("1.26.5");
    sandbox
}

#[test]
fn the_commands_of_the_guide_run() {
    let mut count = 0;
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        let steps = steps(&text);
        if steps.is_empty() {
            continue;
        }
        let mut path = std::env::var_os("PATH").unwrap();
        if text.contains("```console,test,container") {
            let Some(container) = OstreeContainer::new() else {
                continue;
            };
            path = container.path().to_owned();
        }
        let mut module = MODULE;
        if text.contains("```console,test,token") {
            match tools::require_softhsm() {
                Some(found) => module = found,
                None => continue,
            }
        }
        let sandbox = checkout();
        let server = FaultyServer::serving(&sandbox.path("build/repo"));
        let program = ostree_go();
        let bin = Path::new(program.get_program()).parent().unwrap();
        let path = format!("{}:{}", bin.display(), path.display());
        for (command, shown) in steps {
            let command = command.replace(URL, &server.url()).replace(MODULE, module);
            let mut bash = Command::new("bash");
            bash.args(["-euo", "pipefail", "-c"])
                .arg(format!("{{ {command}\n}} 2>&1"))
                .current_dir(sandbox.path(""))
                .env_remove("OSTREE_REPO")
                .env("HOME", sandbox.path("home"))
                .env("OSTREE_GO_ROOT", sandbox.path("root"))
                .env("PATH", &path);
            let out = run(&mut bash).ok();
            let mut printed = out.stdout.lines();
            for line in &shown {
                assert!(
                    printed.any(|printed| fits(printed, &line.replace(URL, &server.url()))),
                    "{}: `{command}` does not print `{line}`:\n{}",
                    page.display(),
                    out.stdout
                );
            }
            count += 1;
        }
    }
    assert!(count > 10, "only {count} commands of the guide are run");
}

/// Returns the blocks of a page in a language, without the fences.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let path = workspace().join("docs/src/guide").join(page);
    let text = fs::read_to_string(path).unwrap();
    let start = format!("\n```{language}\n");
    let blocks = text.split(&start).skip(1);
    let blocks = blocks.map(|rest| rest.split("\n```").next().unwrap_or_default().to_owned());
    blocks.collect()
}

#[test]
fn nginx_serves_a_repository_as_the_guide_configures_it() {
    let Some(curl) = tools::require("curl") else {
        return;
    };
    let found = blocks("serving.md", "nginx");
    let lines = found[0].lines();
    // The address and the certificate are those of the test's server.
    let own = ["listen ", "server_name ", "ssl_", "root "];
    let lines = lines.filter(|line| {
        let is_brace = line.starts_with('}') || line.starts_with("server {");
        !is_brace && !own.iter().any(|own| line.trim().starts_with(own))
    });
    let config = lines.collect::<Vec<_>>().join("\n");
    assert!(config.contains("Cache-Control"), "{config}");
    let Some(nginx) = Nginx::start_with_server(&config) else {
        return;
    };
    let sandbox = Sandbox::with_toys("arches: [x86_64]");
    sandbox.compose([]);
    sandbox.run(["publish"]).ok();
    std::os::unix::fs::symlink(sandbox.repo(), nginx.path("repo")).unwrap();
    let headers = |path: &str| {
        let url = format!("{}/repo/{path}", nginx.url());
        run(Command::new(&curl).args(["-sSfD", "-", "-o", "/dev/null", &url]))
            .ok()
            .stdout
    };
    let commit = sandbox.rev("go-sdk/x86_64/1.99.1").unwrap();
    let object = format!("objects/{}/{}", &commit[..2], &commit[2..]);
    // A signature can be added to a commit, whose own object stays as it is.
    fs::write(sandbox.repo().join(format!("{object}.commitmeta")), "").unwrap();
    let for_ever = headers(&format!("{object}.commit"));
    assert!(for_ever.contains("immutable"), "{for_ever}");
    for path in [
        "",
        "summary",
        "index.json",
        "config",
        &format!("{object}.commitmeta"),
    ] {
        let headers = headers(path);
        assert!(
            headers.contains("Cache-Control: no-cache"),
            "{path}: {headers}"
        );
    }
    let page = run(Command::new(&curl).args(["-sSf", &format!("{}/repo/", nginx.url())])).ok();
    assert!(page.stdout.contains("<title>Go SDKs"), "{}", page.stdout);
    let host = Sandbox::new();
    host.run(["init", "--mode", "bare-user"]).ok();
    let url = format!("{}/repo", nginx.url());
    host.run(["remote", "add", "acme", &url, "--no-gpg-verify"])
        .ok();
    host.run(["pull", "acme", "go-sdk/x86_64/1.99.1"]).ok();
}

#[test]
fn systemd_accepts_the_units_of_the_guide() {
    if tools::require("systemd-analyze").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = ostree_go().get_program().to_str().unwrap().to_owned();
    let mut units = Vec::new();
    for block in blocks("timers.md", "ini") {
        let (path, _) = block.split_once('\n').expect("a line with the path");
        let name = path.rsplit('/').next().expect("a name");
        let unit = folder.path().join(name);
        // The program, and a directory that exists.
        let text = block.replace("/usr/bin/ostree-go", &program);
        let text = text.replace("WorkingDirectory=/srv/sdk", "WorkingDirectory=/");
        fs::write(&unit, text + "\n").unwrap();
        units.push(unit);
    }
    assert_eq!(units.len(), 6);
    let mut command = Command::new("systemd-analyze");
    let out = run(command.args(["verify", "--man=no"]).args(&units)).ok();
    assert_eq!(out.stderr, "");
}

#[test]
fn the_chart_agrees_with_the_tables_of_the_performance_page() {
    let read = |name: &str| fs::read_to_string(workspace().join("docs/src").join(name)).unwrap();
    let (page, chart) = (read("performance.md"), read("bench-ratios.svg"));
    // The rows that have both a ratio and a goal for it.
    let rows = page
        .lines()
        .filter(|line| line.starts_with('|') && line.contains("× | ≥"));
    let (missed, met): (Vec<&str>, Vec<&str>) = rows.partition(|row| row.contains("**missed**"));
    assert!(!missed.is_empty() && !met.is_empty());
    for legend in [
        format!(">goal met ({})<", met.len()),
        format!(">goal missed ({})<", missed.len()),
    ] {
        assert!(chart.contains(&legend), "no {legend} in {chart}");
    }
    let bars = chart.matches(" missed</text>").count();
    assert_eq!(bars, missed.len(), "{chart}");
    let heads = chart.matches("class=\"head\"").count();
    assert_eq!(
        chart.matches(", compared with ").count(),
        heads - 1,
        "{chart}"
    );
}

/// Returns the anchor that mdBook generates for a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text
        .chars()
        .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Returns the targets of a page's links, except those in code.
fn links(page: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut in_block = false;
    for line in page.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        }
        if in_block {
            continue;
        }
        for part in line.split("](").skip(1) {
            links.extend(part.split(')').next().map(str::to_owned));
        }
    }
    links
}

#[test]
fn every_link_in_the_book_has_a_target() {
    let mut problems = Vec::new();
    let mut count = 0;
    let all = [workspace().join("CHANGELOG.md")]
        .into_iter()
        .chain(pages());
    for page in all {
        let text = fs::read_to_string(&page).unwrap();
        for link in links(&text) {
            if link.contains("://") {
                continue;
            }
            count += 1;
            let (file, fragment) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            let headings = |text: String| {
                text.lines()
                    .any(|l| l.starts_with('#') && anchor(l) == fragment)
            };
            let found = match fragment {
                "" => target.is_file(),
                _ => fs::read_to_string(&target).is_ok_and(headings),
            };
            if !found {
                problems.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    assert!(count > 10, "only {count} links");
}

#[test]
fn every_page_is_in_the_summary() {
    let summary = fs::read_to_string(workspace().join("docs/src/SUMMARY.md")).unwrap();
    let src = workspace().join("docs/src");
    for page in pages() {
        let name = page.strip_prefix(&src).unwrap().to_str().unwrap();
        assert!(
            name == "SUMMARY.md" || summary.contains(&format!("({name})")),
            "{name}"
        );
    }
}
