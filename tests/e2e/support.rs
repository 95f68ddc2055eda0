//! Tests of the test support, because a wrong fixture could make all other tests meaningless.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use ostree_go_sdk::Arch;
use ostree_go_tests::{cli, ostree, sdk, tmpfs::Tmpfs, tools, toy::Toy};

#[test]
fn a_real_sdk_is_available_in_every_form() {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        let Some(sdk) = sdk::sdk("1.26.5", arch) else {
            return;
        };
        assert_eq!(
            fs::read_to_string(sdk.dir.join("VERSION"))
                .unwrap()
                .lines()
                .next(),
            Some("go1.26.5")
        );
        assert!(sdk.dir.join("src/go.mod").is_file());
        assert!(!sdk.dir.join("src/_go.mod").exists());
        assert_eq!(mode(&sdk.dir.join("bin/go")), 0o755);
        assert_eq!(mode(&sdk.dir.join("src/make.bash")), 0o755);
        assert_eq!(mode(&sdk.dir.join("lib/wasm/go_js_wasm_exec")), 0o755);
        assert_eq!(mode(&sdk.dir.join("src/fmt/print.go")), 0o644);
        if sdk.complete {
            assert_eq!(sdk::h1(&sdk.module_zip), sdk.h1);
        }
        assert_eq!(first_name(&sdk.tar_gz), "go/");
    }
}

#[test]
fn the_sdk_for_this_machine_runs() {
    let Some(arch) = Arch::host() else { return };
    let Some(sdk) = sdk::sdk("1.26.5", arch) else {
        return;
    };
    let out = Command::new(sdk.dir.join("bin/go"))
        .arg("version")
        .env_clear()
        .env("HOME", "/")
        .output()
        .unwrap();
    let expected = format!("go version go1.26.5 linux/{}\n", arch.goarch());
    assert_eq!(String::from_utf8_lossy(&out.stdout), expected);
}

#[test]
fn a_toy_is_the_same_in_every_form() {
    let temp = tempfile::tempdir().unwrap();
    let path = |name: &str| temp.path().join(name);
    let toy = Toy::new(Arch::Aarch64)
        .version("1.99.2")
        .with("src/new.go", "package new\n")
        .without("misc");
    toy.dir(&path("dir"));
    toy.tar_gz(&path("toy.tar.gz"));
    toy.shuffled(7).zip(&path("toy.zip"));

    unpack(
        "tar",
        &["-xzf", "toy.tar.gz", "--one-top-level=tar"],
        temp.path(),
    );
    same(&path("dir"), &path("tar/go"));
    if tools::require("unzip").is_some() {
        unpack("unzip", &["-q", "toy.zip", "-d", "zip"], temp.path());
        same(&path("dir"), &path("zip/go"));
    }
    assert!(!path("dir/misc").exists());
    assert_eq!(mode(&path("dir/pkg/tool/linux_arm64/compile")), 0o755);
}

#[test]
fn a_shuffled_toy_differs_only_in_order() {
    let temp = tempfile::tempdir().unwrap();
    let names = |toy: Toy, file: &str| {
        let path = temp.path().join(file);
        toy.tar_gz(&path);
        let mut tar =
            tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(path).unwrap()));
        tar.entries()
            .unwrap()
            .map(|e| e.unwrap().path().unwrap().into_owned())
            .collect::<Vec<_>>()
    };
    let sorted = names(Toy::new(Arch::X86_64), "a");
    let mut shuffled = names(Toy::new(Arch::X86_64).shuffled(42), "b");
    assert_ne!(sorted, shuffled);
    assert_eq!(shuffled, names(Toy::new(Arch::X86_64).shuffled(42), "c"));
    shuffled.sort();
    let mut sorted = sorted;
    sorted.sort();
    assert_eq!(sorted, shuffled);
}

#[test]
fn a_toy_module_omits_the_same_files_as_go() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("m.zip");
    Toy::new(Arch::X86_64).module_zip(&path);
    let zip = zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap();
    let names: Vec<_> = zip.file_names().map(|n| n.unwrap().into_owned()).collect();
    let top = "golang.org/toolchain@v0.0.1-go1.99.1.linux-amd64/";
    assert!(names.iter().all(|name| name.starts_with(top)), "{names:?}");
    assert!(names.contains(&format!("{top}src/_go.mod")));
    assert!(
        !names
            .iter()
            .any(|name| name.contains("/test/") || name.contains("/doc/"))
    );
}

#[test]
fn the_command_under_test_sees_a_clean_environment() {
    let command = cli::ostree_go();
    let mut names: Vec<_> = command
        .get_envs()
        .map(|(name, _)| name.to_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["HOME", "LC_ALL", "PATH", "XDG_CACHE_HOME"]);
    assert!(Path::new(command.get_program()).is_file());
    cli::run(Command::new("sh").args(["-c", "exit 4"])).exits(4);
}

#[test]
#[should_panic = "expected exit code 0, found exit status: 3"]
fn a_failed_command_reports_its_exit_code() {
    cli::run(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).ok();
}

#[test]
fn a_full_disk_is_full() {
    let Some(tmpfs) = Tmpfs::mount(1 << 20) else {
        return;
    };
    let path = tmpfs.path().to_owned();
    tmpfs.fill();
    assert!(fs::write(path.join("more"), [0; 8192]).is_err());
    drop(tmpfs);
    assert!(!path.exists(), "unmounted and removed");
}

#[test]
fn the_stock_command_runs() {
    if tools::require("ostree").is_none() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let repo = temp.path().join("repo");
    ostree::init(&repo, "archive");
    assert_eq!(ostree::ostree(&repo, ["refs"]), "");
    assert!(
        !ostree::try_ostree(&repo, ["rev-parse", "nothing"])
            .status
            .success()
    );
}

fn mode(path: &Path) -> u32 {
    path.metadata()
        .unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        .permissions()
        .mode()
        & 0o777
}

fn first_name(tar_gz: &Path) -> String {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(
        fs::File::open(tar_gz).unwrap(),
    ));
    let first = tar.entries().unwrap().next().unwrap().unwrap();
    first.path().unwrap().to_string_lossy().into_owned()
}

fn unpack(command: &str, args: &[&str], dir: &Path) {
    let out = Command::new(command)
        .args(args)
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{command}: {}",
        String::from_utf8_lossy(&out.stderr)
    );
}

fn same(left: &Path, right: &Path) {
    let out = Command::new("diff")
        .arg("-r")
        .args([left, right])
        .output()
        .unwrap();
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stdout)
    );
}
