//! RPMs like those of Fedora's `golang`, built with `rpmbuild`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use ostree_go_sdk::Arch;

use crate::tools;

/// Builder of the packages of an SDK.
#[derive(Debug, Clone)]
pub struct Golang {
    arch: Arch,
    version: String,
    payload: &'static str,
    more: String,
    files: [String; 2],
}

/// The packages of an SDK.
#[derive(Debug, Clone)]
pub struct Rpms {
    /// `golang`: all files that are in neither of the other packages.
    pub golang: PathBuf,
    /// `golang-bin`: `bin`, `pkg/tool`, and a link in `/usr/bin`.
    pub bin: PathBuf,
    /// `golang-src`: `src`, identical for all architectures.
    pub src: PathBuf,
}

impl Golang {
    /// Returns a builder for a version and an architecture, with zstd compression.
    pub fn new(version: &str, arch: Arch) -> Self {
        Self {
            arch,
            version: version.to_owned(),
            payload: "w3.zstdio",
            more: String::new(),
            files: Default::default(),
        }
    }

    /// Sets the compression of the payload, in the syntax of rpm's `_binary_payload`: `w6.gzdio`.
    pub fn payload(mut self, payload: &'static str) -> Self {
        self.payload = payload;
        self
    }

    /// Adds shell commands that change the packaged files; `$root` is the directory with the files of all packages.
    pub fn install(mut self, commands: &str) -> Self {
        self.more += commands;
        self.more += "\n";
        self
    }

    /// Names files that are also in `golang` and `golang-bin`.
    pub fn files(mut self, golang: &str, bin: &str) -> Self {
        self.files = [golang.to_owned(), bin.to_owned()];
        self
    }

    /// Builds the packages in `dest` from the directory of an SDK, or returns `None` after printing why the test is
    /// skipped.
    ///
    /// # Panics
    ///
    /// Panics if rpmbuild fails.
    pub fn build(&self, goroot: &Path, dest: &Path) -> Option<Rpms> {
        tools::require("rpmbuild")?;
        fs::create_dir_all(dest).expect("a folder for the packages");
        let spec = dest.join("golang.spec");
        fs::write(&spec, self.spec(goroot)).expect("a spec");
        run(rpmbuild(dest, self.payload)
            .args(["-bb", "--target", self.arch.basearch()])
            .arg(&spec));
        let rpm = |name: &str, arch: &str| {
            let file = dest.join(format!("{name}-{}-1.test.{arch}.rpm", self.version));
            assert!(file.is_file(), "{} was built", file.display());
            file
        };
        let arch = self.arch.basearch();
        Some(Rpms {
            golang: rpm("golang", arch),
            bin: rpm("golang-bin", arch),
            src: rpm("golang-src", "noarch"),
        })
    }

    fn spec(&self, goroot: &Path) -> String {
        let mut rest = String::new();
        let mut names: Vec<_> = fs::read_dir(goroot)
            .expect("the SDK")
            .map(|entry| entry.expect("an entry").file_name())
            .collect();
        names.sort();
        for name in names {
            let name = name.to_str().expect("UTF-8");
            match name {
                "bin" | "src" => {}
                "pkg" => rest += "/usr/lib/golang/pkg/include\n",
                name => rest += &format!("/usr/lib/golang/{name}\n"),
            }
        }
        format!(
            "\
Name: golang
Version: {version}
Release: 1.test
Summary: The Go programming language
License: BSD-3-Clause
AutoReqProv: no
%description
Go.
%package bin
Summary: Go's programs
AutoReqProv: no
%description bin
Go's programs.
%package src
Summary: Go's sources
BuildArch: noarch
AutoReqProv: no
%description src
Go's sources.
%install
root=%{{buildroot}}
mkdir -p $root/usr/lib $root/usr/bin $root/usr/share/doc/golang
cp -a {goroot} $root/usr/lib/golang
ln -s ../lib/golang/bin/go $root/usr/bin/go
echo Go > $root/usr/share/doc/golang/README
{more}
%files
%dir /usr/lib/golang
{rest}{golang}
/usr/share/doc/golang/README
%files bin
/usr/lib/golang/bin
/usr/lib/golang/pkg/tool
/usr/bin/go
{bin}
%files src
/usr/lib/golang/src
",
            version = self.version,
            goroot = goroot.display(),
            more = self.more,
            golang = self.files[0],
            bin = self.files[1],
        )
    }
}

/// Returns `rpmbuild` with all its directories in `dest`; it does not modify programs and testdata.
///
/// # Panics
///
/// Panics if a path is not UTF-8.
pub fn rpmbuild(dest: &Path, payload: &str) -> Command {
    let mut command = Command::new("rpmbuild");
    let dest = dest.to_str().expect("UTF-8");
    for define in [
        &*format!("_topdir {dest}/build"),
        &*format!("_rpmdir {dest}"),
        &*format!("_srcrpmdir {dest}"),
        &*format!("_sourcedir {dest}"),
        &*format!("_binary_payload {payload}"),
        "_build_name_fmt %%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm",
        "__os_install_post %{nil}",
        "debug_package %{nil}",
        "_build_id_links none",
        "_binaries_in_noarch_packages_terminate_build 0",
    ] {
        command.args(["--define", define]);
    }
    command
}

/// Signs a package with a key in a GnuPG home directory, with `rpmsign`.
///
/// # Panics
///
/// Panics if rpmsign fails.
pub fn sign(rpm: &Path, home: &Path, key: &str) {
    run(Command::new("rpmsign")
        .args(["--define", &format!("_gpg_name {key}")])
        .args(["--define", &format!("_gpg_path {}", home.display())])
        .args(["--define", "__gpg /usr/bin/gpg"])
        .arg("--addsign")
        .arg(rpm));
}

/// Runs a tool and asserts that it succeeds.
///
/// # Panics
///
/// Panics with the output of the tool if it fails.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let out = command.output().expect("the tool starts");
    assert!(
        out.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
    String::from_utf8_lossy(&out.stdout).into_owned()
}

impl Rpms {
    /// Returns a `source:` line with these packages and additional keys.
    pub fn source(&self, keys: &str) -> String {
        format!(
            "source: [{{ rpm: [\"{}\", \"{}\", \"{}\"]{keys} }}]",
            self.golang.display(),
            self.bin.display(),
            self.src.display()
        )
    }
}
