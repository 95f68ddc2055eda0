//! The same treefile and the same SDK give the same commit: from any form, in any mode, for any
//! user, at any time.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{ostree_go, run};
use ostree_go_tests::ostree;
use ostree_go_tests::sandbox::{Sandbox, source};
use ostree_go_tests::tools;
use ostree_go_tests::toy::Toy;
use std::os::unix::process::CommandExt;
use std::path::Path;

/// Releases of the toy SDK. A change here is an incompatible change of the format and has to be recorded in the changelog,
/// because it changes the commits of every site.
const X86_64: &str = "36d6f65bafa76af35560be4e7dd79478800e5e5a037932efbefd3e85f7e0c410";
const AARCH64: &str = "22d6ea085ecdba6ca3459db614bbf5dfbff51bdfb00afa3cc0fab0650bc7ba97";
/// The layer that both architectures share.
const COMMON: &str = "6cef1a7f2cc3fd6da9a9ff53c9c2992eb990936151b7c08e3cd62970031d69df";

fn sandbox_with(form: &Path) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.treefile("1.99.1", &format!("arches: [x86_64]\n{}", source(form)));
    sandbox
}

#[test]
fn commit_checksums_are_pinned() {
    let sandbox = Sandbox::new();
    for arch in Arch::ALL {
        Toy::new(arch).tar_gz(&sandbox.path(&format!("go-{}.tar.gz", arch.goarch())));
    }
    sandbox.treefile("1.99.1", "source: [{ path: \"go-${goarch}.tar.gz\" }]");
    let commits = sandbox.compose([]);
    let layer = sandbox
        .refs()
        .into_iter()
        .find(|name| name.contains("/common/"))
        .unwrap();
    let common = sandbox.rev(&layer).unwrap();
    assert_eq!(
        commits.iter().map(String::as_str).collect::<Vec<_>>(),
        [X86_64, AARCH64]
    );
    assert_eq!(common, COMMON);
    sandbox.fsck();
}

#[test]
fn every_form_and_every_order_gives_the_same_commit() {
    let folder = Sandbox::new();
    let toy = Toy::new(Arch::X86_64);
    let path = |name: &str| folder.path(name);
    toy.tar_gz(&path("sorted.tar.gz"));
    toy.clone().shuffled(1).tar_gz(&path("shuffled.tar.gz"));
    toy.clone().shuffled(2).zip(&path("plain.zip"));
    toy.module_zip(&path("module.zip"));
    toy.dir(&path("directory"));
    // Which files are executable follows from their names, whatever an archive says.
    toy.clone()
        .with_mode("bin/go", 0o644)
        .with_mode("LICENSE", 0o755)
        .tar_gz(&path("modes.tar.gz"));
    for form in [
        "sorted.tar.gz",
        "shuffled.tar.gz",
        "plain.zip",
        "module.zip",
        "directory",
        "modes.tar.gz",
    ] {
        let sandbox = sandbox_with(&path(form));
        assert_eq!(sandbox.compose([]), [X86_64], "{form}");
    }
}

#[test]
fn commits_do_not_depend_on_user_place_and_time() {
    let folder = Sandbox::new();
    let archive = folder.path("go.tar.gz");
    Toy::new(Arch::X86_64).tar_gz(&archive);

    for (key, value) in [
        ("TZ", "Asia/Kathmandu"),
        ("LC_ALL", "tr_TR.UTF-8"),
        ("LANG", "C"),
    ] {
        let sandbox = sandbox_with(&archive);
        let out = run(sandbox.ostree_go(["compose", "go.yaml"]).env(key, value)).ok();
        assert_eq!(out.stdout.trim(), X86_64, "{key}={value}");
    }
    for umask in ["0000", "0077"] {
        let sandbox = sandbox_with(&archive);
        let template = sandbox.ostree_go([]);
        let mut command = std::process::Command::new("sh");
        command
            .args([
                "-c",
                &format!("umask {umask} && exec \"$0\" compose go.yaml"),
            ])
            .arg(template.get_program());
        command.envs(template.get_envs().filter_map(|(k, v)| Some((k, v?))));
        command.current_dir(sandbox.path("."));
        assert_eq!(
            run(&mut command).ok().stdout.trim(),
            X86_64,
            "umask {umask}"
        );
    }
    // From another folder, with another name for the same treefile and repository.
    let sandbox = sandbox_with(&archive);
    let mut command = ostree_go();
    command
        .current_dir("/")
        .arg("compose")
        .arg(sandbox.path("go.yaml"));
    command.arg("--repo").arg(sandbox.path("repo"));
    assert_eq!(run(&mut command).ok().stdout.trim(), X86_64);
}

#[test]
fn another_user_gives_the_same_commit() {
    if !tools::is_root() {
        return tools::skip("only root can become another user");
    }
    let folder = Sandbox::new();
    let archive = folder.path("go.tar.gz");
    Toy::new(Arch::X86_64).tar_gz(&archive);
    let sandbox = sandbox_with(&archive);
    for path in [folder.path("."), sandbox.path(".")] {
        chown(&path, 1000);
    }
    let binary = sandbox.path("ostree-go");
    std::fs::copy(ostree_go().get_program(), &binary).unwrap();
    // The base treefile may stand where that user cannot read.
    let base =
        std::fs::read(ostree_go_tests::cli::workspace().join("treefiles/base.yaml")).unwrap();
    std::fs::write(sandbox.path("base.yaml"), base).unwrap();
    let text = std::fs::read_to_string(sandbox.path("go.yaml")).unwrap();
    let include = text
        .lines()
        .find(|line| line.starts_with("include:"))
        .unwrap();
    sandbox.write("go.yaml", &text.replace(include, "include: base.yaml"));

    let template = sandbox.ostree_go([]);
    let mut command = std::process::Command::new(&binary);
    command
        .args(["compose", "go.yaml"])
        .current_dir(sandbox.path("."))
        .env_clear();
    command.envs(template.get_envs().filter_map(|(k, v)| Some((k, v?))));
    command.uid(1000).gid(1000);
    assert_eq!(run(&mut command).ok().stdout.trim(), X86_64);
    sandbox.fsck();
}

fn chown(path: &Path, uid: u32) {
    std::os::unix::fs::chown(path, Some(uid), Some(uid)).unwrap();
}

#[test]
fn every_repository_mode_gives_the_same_commit() {
    let folder = Sandbox::new();
    let archive = folder.path("go.tar.gz");
    Toy::new(Arch::X86_64).tar_gz(&archive);
    for mode in ["archive", "bare-user", "bare-user-only", "bare"] {
        if mode == "bare" && !tools::is_root() {
            tools::skip("only root can write a bare repository");
            continue;
        }
        let sandbox = sandbox_with(&archive);
        ostree::init(&sandbox.repo(), mode);
        assert_eq!(sandbox.compose([]), [X86_64], "{mode}");
        sandbox.fsck();
        let tree = sandbox.checkout("go-sdk/x86_64/1.99.1", "tree");
        let go = tree.join("usr/bin/go");
        assert_eq!(
            std::fs::read_link(&go).unwrap(),
            Path::new("../lib/sdk/go-1.99/bin/go")
        );
        let version = std::fs::read_to_string(tree.join("usr/lib/sdk/go-1.99/VERSION")).unwrap();
        assert!(version.starts_with("go1.99.1\n"), "{mode}: {version}");
        // Again, now that every object is there.
        let out = sandbox.run(["compose", "go.yaml", "--force-nocache"]).ok();
        assert!(
            out.stderr.ends_with("nothing changed\n"),
            "{mode}: {}",
            out.stderr
        );
    }
}

#[test]
fn commits_do_not_depend_on_existing_objects() {
    let sandbox = Sandbox::new();
    let other = Toy::new(Arch::X86_64)
        .version("1.99.0")
        .with("src/fmt/print.go", "package other\n");
    other.tar_gz(&sandbox.path("other.tar.gz"));
    Toy::new(Arch::X86_64).tar_gz(&sandbox.path("go.tar.gz"));
    let lines = |form: &str| format!("arches: [x86_64]\n{}", source(&sandbox.path(form)));
    sandbox.treefile("1.99.0", &lines("other.tar.gz"));
    sandbox.compose([]);
    sandbox.treefile("1.99.1", &lines("go.tar.gz"));
    assert_eq!(sandbox.compose([]), [X86_64]);
}

#[test]
fn the_stock_ostree_gives_the_tree_the_same_checksum() {
    let sandbox = Sandbox::new();
    Toy::new(Arch::X86_64).tar_gz(&sandbox.path("go.tar.gz"));
    sandbox.treefile(
        "1.99.1",
        &format!("arches: [x86_64]\n{}", source(&sandbox.path("go.tar.gz"))),
    );
    sandbox.compose([]);
    let tree = sandbox.checkout("go-sdk/x86_64/1.99.1", "tree");
    let stock = sandbox.path("stock");
    ostree::init(&stock, "archive");
    let tree = format!("--tree=dir={}", tree.display());
    let owner = [
        "--owner-uid=0",
        "--owner-gid=0",
        "--no-xattrs",
        "--no-bindings",
    ];
    ostree::ostree(
        &stock,
        ["commit", "-b", "stock", tree.as_str()]
            .into_iter()
            .chain(owner),
    );
    let content = |repo: &Path, name: &str| {
        let shown = ostree::ostree(repo, ["show", name]);
        let line = shown
            .lines()
            .find(|line| line.starts_with("ContentChecksum:"));
        line.unwrap().to_owned()
    };
    assert_eq!(
        content(&sandbox.repo(), "go-sdk/x86_64/1.99.1"),
        content(&stock, "stock")
    );
}
