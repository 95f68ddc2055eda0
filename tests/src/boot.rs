//! A publisher, and a host that Ignition configures.

use crate::cli::{Output, ostree_go, run};
use crate::gpg::Gpg;
use crate::host::read;
use crate::sandbox::{Sandbox, TOY_SOURCE};
use crate::tools;
use crate::webserver::FaultyServer;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A publisher with a key, and a server for its repository.
#[derive(Debug)]
pub struct Publisher {
    /// Sandbox with the repository.
    pub sandbox: Sandbox,
    /// Keys of the publisher.
    pub gpg: Gpg,
    /// Fingerprint of the current key.
    pub key: String,
    /// Serves the repository.
    pub server: FaultyServer,
}

impl Default for Publisher {
    fn default() -> Self {
        Self::new()
    }
}

impl Publisher {
    /// Creates a publisher that has released the version 1.99.1.
    ///
    /// # Panics
    ///
    /// Panics if one of the tools fails.
    pub fn new() -> Self {
        let (sandbox, gpg) = (Sandbox::new(), Gpg::new());
        let key = gpg.key("publisher");
        sandbox.run(["init"]).ok();
        let server = FaultyServer::serving(&sandbox.repo());
        let publisher = Self {
            sandbox,
            gpg,
            key,
            server,
        };
        publisher.release("1.99.1", 1_800_000_000);
        publisher
    }

    /// Composes and signs a version for both architectures, and moves the channel 1.99.
    pub fn release(&self, version: &str, seconds: u64) {
        self.sandbox.toys(version);
        let lines = format!("channels: [\"go-sdk/${{basearch}}/1.99\"]\n{TOY_SOURCE}");
        self.sandbox.treefile(version, &lines);
        let home = self.gpg.home().display().to_string();
        let args = [
            "compose",
            "go.yaml",
            "--gpg-sign",
            &self.key,
            "--gpg-homedir",
            &home,
        ];
        run(self
            .sandbox
            .ostree_go(args)
            .env("SOURCE_DATE_EPOCH", seconds.to_string()))
        .ok();
        self.sandbox
            .run(["publish", "--gpg-sign", &self.key, "--gpg-homedir", &home])
            .ok();
    }

    /// Exports a configuration for hosts that trust the publisher's key.
    ///
    /// # Panics
    ///
    /// Panics if the path of the key is not UTF-8.
    pub fn export(&self, form: &str, names: &[&str], more: &[&str]) -> Output {
        let keys = self.gpg.export(&self.key).display().to_string();
        self.export_with(form, names, &[&["--gpg-import", &keys], more].concat())
    }

    /// Exports a configuration with the remote `acme`, or with another one named in `more`.
    pub fn export_with(&self, form: &str, names: &[&str], more: &[&str]) -> Output {
        let url = self.server.url();
        let mut remote = vec!["--remote-url", &url];
        if !more.contains(&"--remote") {
            remote.extend(["--remote", "acme"]);
        }
        self.sandbox
            .run([&["export", form], names, &remote, more].concat())
    }
}

/// A host whose files are in a directory, with `/etc` from Ignition and `/usr` of this machine.
#[derive(Debug)]
pub struct Booted {
    folder: tempfile::TempDir,
    /// Text of the systemd unit.
    pub unit: String,
}

const UNIT: &str = "etc/systemd/system/ostree-go-sdk.service";
/// Path of the command under test on the host.
pub const PROGRAM: &str = "/opt/ostree-go";

impl Booted {
    /// Applies a configuration with Ignition, or returns `None` after printing why the test is skipped.
    ///
    /// # Panics
    ///
    /// Panics if Ignition fails.
    pub fn apply(config: &str) -> Option<Self> {
        // Debian and Fedora have it where dracut takes it from.
        let ignition = Path::new("/usr/lib/dracut/modules.d/30ignition/ignition");
        if !ignition.exists() {
            tools::skip("no Ignition on this machine");
            return None;
        }
        if !tools::is_root() {
            tools::skip("only root can apply an Ignition configuration");
            return None;
        }
        for tool in ["bwrap", "systemd-tmpfiles", "systemd-analyze"] {
            tools::require(tool)?;
        }
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::create_dir_all(path("host/etc/selinux")).unwrap();
        // Ignition asks every host for its policy.
        let selinux = "SELINUX=disabled\nSELINUXTYPE=targeted\n";
        fs::write(path("host/etc/selinux/config"), selinux).unwrap();
        fs::write(path("host/etc/passwd"), "root:x:0:0::/root:/bin/sh\n").unwrap();
        fs::write(path("config.ign"), config).unwrap();
        for stage in ["fetch", "files"] {
            let mut command = Command::new(ignition);
            command
                .args(["-platform", "file", "-log-to-stdout", "-stage", stage])
                .args(["-root".as_ref(), path("host").as_os_str()])
                .args(["-config-cache".as_ref(), path("cache").as_os_str()])
                .args(["-state-file".as_ref(), path("state").as_os_str()])
                .args(["-neednet".as_ref(), path("neednet").as_os_str()])
                .env("IGNITION_CONFIG_FILE", path("config.ign"));
            let out = command.output().unwrap();
            let said = String::from_utf8_lossy(&out.stdout);
            // With SELinux off it writes everything, and then fails for want of `setfiles`.
            let only_labels = said
                .lines()
                .filter(|line| line.starts_with("CRITICAL"))
                .all(|line| line.contains("relabel"));
            assert!(out.status.success() || only_labels, "{stage}: {said}");
        }
        run(Command::new("systemd-tmpfiles")
            .arg(format!("--root={}", path("host").display()))
            .args(["--create", "ostree-go.conf"]))
        .ok();
        // `StateDirectory=` of the unit.
        fs::create_dir_all(path("host/var/lib/ostree-go")).unwrap();
        let unit = read(&path("host").join(UNIT));
        Some(Self { folder, unit })
    }

    /// Returns the path of a file on the host.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("host").join(name)
    }

    /// Returns the values of a key in the unit.
    pub fn lines(&self, key: &str) -> Vec<String> {
        let lines = self.unit.lines();
        lines
            .filter_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(str::to_owned)
            .collect()
    }

    /// Runs a command on the host as the unit would: only the state directories are writable, with no other
    /// capabilities, and with an empty environment.
    ///
    /// # Panics
    ///
    /// Panics if the unit is not as expected.
    pub fn command(&self, words: &[&str]) -> Output {
        let mut command = Command::new("bwrap");
        for (dir, mount) in [
            ("bin", "usr/bin"),
            ("lib", "usr/lib"),
            ("lib64", "usr/lib64"),
        ] {
            command.args(["--symlink", mount, &format!("/{dir}")]);
        }
        command
            .args(["--ro-bind", "/usr", "/usr", "--tmpfs", "/tmp"])
            .args(["--proc", "/proc", "--dev", "/dev", "--clearenv"])
            .args([
                "--setenv",
                "PATH",
                "/usr/bin:/usr/sbin",
                "--cap-drop",
                "ALL",
            ])
            .args(["--ro-bind".as_ref(), ostree_go().get_program()])
            .arg(PROGRAM)
            .arg("--ro-bind")
            .args([self.path("etc"), "/etc".into()])
            .arg("--ro-bind")
            .args([self.path("var"), "/var".into()])
            .arg("--bind")
            .args([self.path("var/lib/ostree-go"), "/var/lib/ostree-go".into()]);
        for capability in self.lines("CapabilityBoundingSet")[0].split(' ') {
            command.args(["--cap-add", capability]);
        }
        for variable in self.lines("Environment") {
            let (name, value) = variable.split_once('=').unwrap();
            command.args(["--setenv", name, value]);
        }
        run(command.arg("--").args(words))
    }

    /// Runs the commands of the unit in order, and stops at the first failure.
    ///
    /// # Panics
    ///
    /// Panics if there are no commands, or if one contains quotes.
    pub fn boot(&self) -> Output {
        let mut last = None;
        for line in self.lines("ExecStart") {
            assert!(!line.contains(['"', '\\', '$', '%']), "{line}");
            let words: Vec<&str> = line.split(' ').collect();
            let out = self.command(&words);
            if out.code() != Some(0) {
                return out;
            }
            last = Some(out);
        }
        last.expect("a command")
    }

    /// Returns the JSON document of `status` on the host.
    ///
    /// # Panics
    ///
    /// Panics if the output is not JSON.
    pub fn status(&self) -> Value {
        let out = self.command(&[PROGRAM, "status", "--format", "json"]).ok();
        serde_json::from_str(&out.stdout).unwrap()
    }

    /// Returns the installed versions, sorted, with a `*` after the active one.
    ///
    /// # Panics
    ///
    /// Panics in the same cases as [`Booted::status`].
    pub fn versions(&self) -> Vec<String> {
        let status = self.status();
        let all = status["deployments"].as_array().unwrap().iter();
        let mut versions: Vec<String> = all
            .map(|one| {
                let active = if one["active"] == true { "*" } else { "" };
                format!("{}{active}", one["version"].as_str().unwrap())
            })
            .collect();
        versions.sort();
        versions
    }
}
