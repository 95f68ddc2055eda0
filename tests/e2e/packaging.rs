//! The spec files: built by rpmbuild, and the packages used by the intended programs.

use ostree_go_sdk::{gio, glib, ostree};
use ostree_go_tests::cli::{binary, workspace};
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::rpm::run;
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::tools;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Creates a sandbox with a signed toy release and the public key.
fn released() -> (Sandbox, Gpg, PathBuf) {
    let (sandbox, gpg) = (Sandbox::with_toys(""), Gpg::new());
    let key = gpg.key("publisher");
    let home = gpg.home().to_str().unwrap();
    sandbox.compose(["--gpg-sign", &key, "--gpg-homedir", home]);
    let public = gpg.export(&key);
    (sandbox, gpg, public)
}

fn ref_srpm(sandbox: &Sandbox, key: &Path, more: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.arg(workspace().join("scripts/ref-srpm.py"));
    command.arg("--ostree-go").arg(binary());
    command.arg("--repo").arg(sandbox.repo());
    command.arg("--key").arg(key);
    command.arg("--output-dir").arg(sandbox.path("srpm"));
    command.args(["--remote", "acme"]).args(more);
    command
}

/// Builds a source package in a separate directory.
fn build(srpm: &Path, folder: &Path) -> PathBuf {
    let define = format!("_topdir {}", folder.display());
    run(Command::new("rpmbuild")
        .arg("--rebuild")
        .args(["--define", &define])
        .arg(srpm));
    let built = fs::read_dir(folder.join("RPMS/noarch")).unwrap();
    let built: Vec<PathBuf> = built.map(|entry| entry.unwrap().path()).collect();
    assert_eq!(built.len(), 1, "{built:?}");
    built[0].clone()
}

fn query(rpm: &Path, format: &str) -> String {
    run(Command::new("rpm").args(["-qp", "--qf", format]).arg(rpm))
}

/// Unpacks a package into a directory.
fn unpack(rpm: &Path, folder: &Path) {
    fs::create_dir(folder).unwrap();
    let script = "rpm2archive - < \"$1\" | tar -xz -C \"$2\"";
    run(Command::new("bash")
        .args(["-euo", "pipefail", "-c", script, "bash"])
        .args([rpm, folder]));
}

#[test]
fn the_ref_package_is_reproducible_and_libostree_accepts_its_remote() {
    for tool in ["rpmbuild", "rpm2archive", "python3", "gpg"] {
        if tools::require(tool).is_none() {
            return;
        }
    }
    let (sandbox, _gpg, public) = released();
    let url = format!("file://{}", sandbox.repo().display());
    let args = ["--version", "1.99.1", "--url", &url];
    let said = run(&mut ref_srpm(&sandbox, &public, &args));
    let srpm = PathBuf::from(said.trim());
    assert_eq!(
        srpm,
        sandbox.path("srpm/golang-ostree-ref-1.99.1-1.src.rpm")
    );
    let first = build(&srpm, &sandbox.path("first"));
    let source = fs::read(&srpm).unwrap();
    run(&mut ref_srpm(&sandbox, &public, &args));
    let is_same = fs::read(&srpm).unwrap() == source;
    assert!(is_same, "the source package is the same");
    let second = build(&srpm, &sandbox.path("somewhere/else"));
    let is_same = fs::read(&first).unwrap() == fs::read(&second).unwrap();
    assert!(is_same, "the package is the same");
    // The day of the toy's own time, as rpm takes it from a changelog.
    assert_eq!(
        query(&first, "%{BUILDTIME} %{BUILDHOST}"),
        "1767312000 reproducible"
    );

    let root = sandbox.path("root");
    unpack(&first, &root);
    let text = fs::read_to_string(root.join("usr/share/golang-ostree-ref/acme.json")).unwrap();
    let document: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(document["sdk.version"], "1.99.1");
    for (index, arch) in ["aarch64", "x86_64"].into_iter().enumerate() {
        let release = &document["releases"][index];
        let name = format!("go-sdk/{arch}/1.99.1");
        assert_eq!(release["ref"], *name);
        assert_eq!(release["commit"].as_str(), sandbox.rev(&name).as_deref());
    }
    pulls(&sandbox, &root, true);
    // Somebody else's key in the place of the publisher's.
    let other = Gpg::new();
    let key = other.key("other");
    fs::copy(
        other.export(&key),
        root.join("etc/pki/rpm-gpg/RPM-GPG-KEY-acme"),
    )
    .unwrap();
    pulls(&sandbox, &root, false);
}

/// Pulls from the packaged remote like the repository of a system, except for the location of the root directory.
fn pulls(sandbox: &Sandbox, root: &Path, expected: bool) {
    let remotes = sandbox.path("remotes.d");
    fs::create_dir_all(&remotes).unwrap();
    let conf = fs::read_to_string(root.join("etc/ostree/remotes.d/acme.conf")).unwrap();
    let keys = format!("gpgkeypath={}/etc", root.display());
    let conf = conf.replace("gpgkeypath=/etc", &keys);
    assert!(
        conf.contains(&keys) && conf.contains("gpg-verify=true"),
        "{conf}"
    );
    fs::write(remotes.join("acme.conf"), conf).unwrap();
    let path = sandbox.path(&format!("host-{expected}"));
    let path_arg = path.to_str().unwrap();
    run(Command::new("ostree").args(["init", "--mode=bare-user-only", "--repo", path_arg]));
    let set = [
        "config",
        "set",
        "core.add-remotes-config-dir",
        "true",
        "--repo",
        path_arg,
    ];
    run(Command::new("ostree").args(set));
    let repo: ostree::Repo = glib::Object::builder()
        .property("path", gio::File::for_path(&path))
        .property("remotes-config-dir", remotes.to_str().unwrap())
        .build();
    repo.open(gio::Cancellable::NONE).unwrap();
    let pulled = repo.pull(
        "acme",
        &["go-sdk/x86_64/1.99.1"],
        ostree::RepoPullFlags::NONE,
        None,
        gio::Cancellable::NONE,
    );
    assert_eq!(pulled.is_ok(), expected, "{pulled:?}");
}

#[test]
fn invalid_input_for_the_ref_package_is_refused() {
    for tool in ["rpmbuild", "python3", "gpg"] {
        if tools::require(tool).is_none() {
            return;
        }
    }
    let (sandbox, _gpg, public) = released();
    let url = "https://ostree.example.com/repo";
    let no_key = sandbox.write("no.asc", "no key");
    let refused = |key: &Path, args: &[&str]| {
        let out = ref_srpm(&sandbox, key, args).output().unwrap();
        assert!(!out.status.success() && out.stdout.is_empty());
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        said.replace(
            sandbox.path("").to_str().unwrap().trim_end_matches('/'),
            "[dir]",
        )
    };
    let said = [
        refused(&public, &["--version", "1.99.2", "--url", url]),
        refused(&public, &["--version", "1.99.1", "--url", "example.com"]),
        refused(&public, &["--version", "1.99.1\nx", "--url", url]),
        refused(
            &public,
            &["--version", "1.99.1", "--url", url, "--remote", "a b"],
        ),
        refused(&no_key, &["--version", "1.99.1", "--url", url]),
    ];
    insta::assert_snapshot!(said.join(""), @"
    error: [dir]/repo has no release of Go 1.99.2
    error: `example.com` is no URL, expected https://, http:// or file://
    error: `1.99.1
    x` is no Go version
    error: `a b` is no name for a remote, expected letters, digits, `-` and `_`
    error: [dir]/no.asc is no armoured public GPG key
    ");
    assert!(!sandbox.path("srpm").exists());
}

#[test]
fn the_source_package_of_the_command_is_built() {
    for tool in ["rpmbuild", "rpmspec", "git"] {
        if tools::require(tool).is_none() {
            return;
        }
    }
    if !workspace().join(".git").exists() {
        return tools::skip(
            "the tree is no git checkout, and a source package is made from a commit",
        );
    }
    let folder = tempfile::tempdir().unwrap();
    let said = run(Command::new(workspace().join("scripts/srpm.sh"))
        .arg(folder.path())
        .arg("--without-vendor"));
    let srpm = PathBuf::from(said.trim());
    assert_eq!(
        query(&srpm, "%{NAME} %{VERSION}"),
        format!("ostree-go {}", env!("CARGO_PKG_VERSION"))
    );
    let files = query(&srpm, "[%{FILENAMES}\\n]");
    assert_eq!(
        files,
        format!(
            "ostree-go-{}.tar.gz\nostree-go.spec\n",
            env!("CARGO_PKG_VERSION")
        )
    );
    let needs = run(Command::new("rpm").args(["-qp", "--requires"]).arg(&srpm));
    for package in [
        "cargo >= 1.92",
        "gcc",
        "pkgconfig(ostree-1) >= 2022.6",
        "pkgconfig(gio-2.0)",
    ] {
        assert!(
            needs.lines().any(|line| line == package),
            "{package}: {needs}"
        );
    }
    // The spec's floors are the manifest's.
    let manifest = fs::read_to_string(workspace().join("Cargo.toml")).unwrap();
    assert!(manifest.contains("rust-version = \"1.92\"") && manifest.contains("v2022_6"));
    // COPR calls this.
    let copr = run(Command::new("make")
        .args(["-n", "-f", ".copr/Makefile", "srpm", "outdir=/out"])
        .current_dir(workspace()));
    assert!(copr.contains("scripts/srpm.sh \"/out\""), "{copr}");
}

/// Returns the paths of all files below a directory, sorted and relative to it, with their modes.
fn files_of(root: &Path) -> Vec<(String, u32)> {
    use std::os::unix::fs::PermissionsExt;
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            let name = path.strip_prefix(root).unwrap();
            found.push((name.to_str().unwrap().to_owned(), mode));
        }
    }
    found.sort();
    found
}

#[test]
fn make_install_installs_the_built_command_without_cargo() {
    if tools::require("make").is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (target, root) = (folder.path().join("target"), folder.path().join("root"));
    // Root has no cargo, another umask, and neither HOME nor the PATH of the user.
    let install = || {
        let mut command = Command::new("bash");
        command
            .args([
                "-c",
                "umask 077; exec make \"$@\"",
                "make",
                "install",
                "CARGO=false",
            ])
            .arg(format!("CARGO_TARGET_DIR={}", target.display()))
            .arg(format!("DESTDIR={}", root.display()))
            .arg("PREFIX=/usr")
            .current_dir(workspace())
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
        command
    };
    let refused = install().output().unwrap();
    let stderr = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success());
    assert!(stderr.contains("run `make build` first"), "{stderr}");
    assert!(!root.exists());

    fs::create_dir_all(target.join("release")).unwrap();
    std::os::unix::fs::symlink(binary(), target.join("release/ostree-go")).unwrap();
    run(&mut install());
    let (pages, files): (Vec<_>, Vec<_>) = files_of(&root)
        .into_iter()
        .partition(|(name, _)| name.starts_with("usr/share/man/man1/ostree-go-"));
    assert!(pages.len() > 30, "{pages:?}");
    assert!(pages.iter().all(|(_, mode)| *mode == 0o644), "{pages:?}");
    let files: Vec<_> = files
        .iter()
        .map(|(name, mode)| format!("{mode:o} {name}"))
        .collect();
    insta::assert_snapshot!(files.join("\n"), @"
    755 usr/bin/ostree-go
    644 usr/lib/systemd/system/ostree-go-proxy.service
    644 usr/lib/systemd/system/ostree-go-proxy.socket
    644 usr/share/bash-completion/completions/ostree-go
    644 usr/share/doc/ostree-go/CHANGELOG.md
    644 usr/share/doc/ostree-go/README.md
    644 usr/share/doc/ostree-go/examples/hooks/50-gomod-sync
    644 usr/share/fish/vendor_completions.d/ostree-go.fish
    644 usr/share/licenses/ostree-go/LICENSE
    644 usr/share/licenses/ostree-go/LICENSE-APACHE
    644 usr/share/licenses/ostree-go/LICENSE-MIT
    644 usr/share/man/man1/ostree-go.1
    644 usr/share/ostree-go/treefiles/base.yaml
    644 usr/share/ostree-go/treefiles/go-1.25.yaml
    644 usr/share/ostree-go/treefiles/go-1.26.yaml
    644 usr/share/zsh/site-functions/_ostree-go
    ");
}

#[test]
fn the_packages_of_the_crates_contain_their_readme_and_license() {
    for name in ["ostree-go-sdk", "ostree-go-cli"] {
        let files = run(Command::new(env!("CARGO"))
            .args([
                "package",
                "--list",
                "--allow-dirty",
                "--offline",
                "--locked",
            ])
            .args(["--package", name])
            .current_dir(workspace()));
        let files: Vec<&str> = files.lines().collect();
        for file in [
            "Cargo.toml",
            "README.md",
            "LICENSE",
            "LICENSE-APACHE",
            "LICENSE-MIT",
            "src/lib.rs",
        ] {
            assert!(files.contains(&file), "{name}: {file}: {files:?}");
        }
        let unexpected: Vec<_> = files
            .iter()
            .filter(|file| file.contains('/'))
            .filter(|file| !file.starts_with("src/") && !file.starts_with("benches/"))
            .collect();
        assert!(unexpected.is_empty(), "{name}: {unexpected:?}");
        let readme = workspace().join(format!("crates/{name}/README.md"));
        assert!(fs::read_to_string(readme).unwrap().lines().count() > 20);
    }
}

/// Returns the rest of the first line that starts with a prefix.
fn value_of<'a>(text: &'a str, prefix: &str) -> &'a str {
    let line = text.lines().find_map(|line| line.strip_prefix(prefix));
    line.unwrap_or_else(|| panic!("no line starts with {prefix:?}"))
}

#[test]
fn all_files_name_the_same_version() {
    let version = env!("CARGO_PKG_VERSION");
    let read = |path: &str| fs::read_to_string(workspace().join(path)).unwrap();

    let manifest = read("Cargo.toml");
    assert_eq!(
        value_of(&manifest, "version = "),
        format!("\"{version}\""),
        "scripts read this line"
    );
    for name in ["ostree-go-cli", "ostree-go-sdk"] {
        let dependency = value_of(&manifest, &format!("{name} = "));
        let expected = format!("version = \"{version}\"");
        assert!(dependency.contains(&expected), "{dependency}");
    }

    let spec = read("packaging/ostree-go.spec");
    assert_eq!(value_of(&spec, "Version:").trim(), version);
    let latest = spec.split("%changelog\n").nth(1).unwrap();
    let latest = latest.lines().next().unwrap();
    assert!(latest.ends_with(&format!(" - {version}-1")), "{latest}");

    // The first heading after "Unreleased" is that of this version.
    let changelog = read("CHANGELOG.md");
    let mut headings = changelog.lines().filter(|line| line.starts_with("## "));
    assert_eq!(headings.next(), Some("## [Unreleased]"));
    let heading = headings.next().unwrap();
    assert!(heading.starts_with(&format!("## [{version}]")), "{heading}");
}

#[test]
fn the_debian_package_contains_what_make_install_installs() {
    for tool in ["dpkg-deb", "dpkg-shlibdeps", "strip"] {
        if tools::require(tool).is_none() {
            return;
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let build = |name: &str| {
        let out = folder.path().join(name);
        let said = run(Command::new(workspace().join("scripts/deb.sh"))
            .args([&out, binary()])
            .env("SOURCE_DATE_EPOCH", "1767312000")
            .env("DPKG_DEB_COMPRESSOR_TYPE", "none"));
        PathBuf::from(said.trim())
    };
    let package = build("first");
    let is_same = fs::read(&package).unwrap() == fs::read(build("second")).unwrap();
    assert!(is_same, "the package is the same");

    let field = |name: &str| run(Command::new("dpkg-deb").arg("-f").arg(&package).arg(name));
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(field("Package").trim(), "ostree-go");
    assert_eq!(field("Version").trim(), format!("{version}-1"));
    let depends = field("Depends");
    for library in ["libc6 ", "libostree-1-1 ", "gnupg"] {
        assert!(depends.contains(library), "{depends}");
    }

    let root = folder.path().join("root");
    run(Command::new("dpkg-deb").arg("-x").args([&package, &root]));
    let (pages, files): (Vec<_>, Vec<_>) = files_of(&root)
        .into_iter()
        .partition(|(name, _)| name.starts_with("usr/share/man/man1/ostree-go-"));
    assert!(pages.len() > 30, "{pages:?}");
    let files: Vec<_> = files
        .iter()
        .map(|(name, mode)| format!("{mode:o} {name}"))
        .collect();
    insta::assert_snapshot!(files.join("\n"), @"
    755 usr/bin/ostree-go
    644 usr/lib/systemd/system/ostree-go-proxy.service
    644 usr/lib/systemd/system/ostree-go-proxy.socket
    644 usr/share/bash-completion/completions/ostree-go
    644 usr/share/doc/ostree-go/README.md
    644 usr/share/doc/ostree-go/changelog.Debian.gz
    644 usr/share/doc/ostree-go/changelog.gz
    644 usr/share/doc/ostree-go/copyright
    644 usr/share/doc/ostree-go/examples/hooks/50-gomod-sync
    644 usr/share/fish/vendor_completions.d/ostree-go.fish
    644 usr/share/man/man1/ostree-go.1.gz
    644 usr/share/ostree-go/treefiles/base.yaml
    644 usr/share/ostree-go/treefiles/go-1.25.yaml
    644 usr/share/ostree-go/treefiles/go-1.26.yaml
    644 usr/share/zsh/vendor-completions/_ostree-go
    ");
    let installed = root.join("usr/bin/ostree-go");
    let said = run(Command::new(installed).arg("--version"));
    assert_eq!(said.trim(), format!("ostree-go {version}"));
}
