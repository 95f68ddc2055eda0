//! A toy OS: a tree in the layout of rpm-ostree, committed with the stock command.

use crate::ostree::ostree;
use crate::sandbox::Sandbox;
use ostree_go_sdk::Arch;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

/// Ref of the base.
pub const BASE: &str = "os/x86_64/base";

/// File contexts for libselinux, which uses the last matching line.
const FILE_CONTEXTS: &str = "\
/.*\tsystem_u:object_r:default_t:s0
/\t-d\tsystem_u:object_r:root_t:s0
/usr(/.*)?\tsystem_u:object_r:usr_t:s0
/usr/bin(/.*)?\tsystem_u:object_r:bin_t:s0
/usr/bin/[^/]+\t-l\tsystem_u:object_r:bin_link_t:s0
/usr/lib/sdk/[^/]+/(bin|pkg/tool)(/.*)?\tsystem_u:object_r:sdk_exec_t:s0
/usr/lib/sdk/[^/]+/src(/.*)?\t<<none>>
/usr/etc(/.*)?\tsystem_u:object_r:usr_etc_t:s0
/etc(/.*)?\tsystem_u:object_r:etc_t:s0
";

/// Builder of the tree of an OS, in the directory `os` of a sandbox.
#[derive(Debug)]
pub struct Os<'b> {
    sandbox: &'b Sandbox,
    /// Directory of the tree.
    pub tree: PathBuf,
}

impl<'b> Os<'b> {
    /// Creates a tree with an SELinux policy.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be written.
    pub fn new(sandbox: &'b Sandbox) -> Self {
        let os = Self::without_policy(sandbox);
        os.file(
            "usr/etc/selinux/config",
            "SELINUX=enforcing\nSELINUXTYPE=toy\n",
        );
        // libostree wants to know its checksum; nobody loads it.
        os.file("usr/etc/selinux/toy/policy/policy.33", "a policy\n");
        os.file(
            "usr/etc/selinux/toy/contexts/files/file_contexts",
            FILE_CONTEXTS,
        );
        os
    }

    /// Creates a tree without an SELinux policy.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be written.
    pub fn without_policy(sandbox: &'b Sandbox) -> Self {
        let tree = sandbox.path("os");
        let os = Self { sandbox, tree };
        os.file("usr/lib/os-release", "ID=toyos\n");
        os.file("usr/lib/modules/6.1/vmlinuz", "a kernel\n");
        os.file(r"usr/lib/systemd/system/a\x2db.service", "[Unit]\n");
        os.file("usr/etc/hostname", "toy\n");
        os.file("usr/bin/sh", "#!\n");
        os.mode("usr/bin/sh", 0o4755);
        if !os.tree.join("bin").exists() {
            symlink("usr/bin", os.tree.join("bin")).expect("a symlink");
        }
        os
    }

    /// Writes a file into the tree.
    ///
    /// # Panics
    ///
    /// Panics if it cannot be written.
    pub fn file(&self, path: &str, content: &str) -> &Self {
        let path = self.tree.join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        fs::write(&path, content).expect("a file");
        self
    }

    /// Sets the mode of a path.
    ///
    /// # Panics
    ///
    /// Panics if the path does not exist.
    pub fn mode(&self, path: &str, mode: u32) -> &Self {
        let mode = fs::Permissions::from_mode(mode);
        fs::set_permissions(self.tree.join(path), mode).expect("a mode");
        self
    }

    /// Commits the tree to [`BASE`] in a repository, with labels and the metadata that
    /// rpm-ostree and coreos-assembler add to an OS; returns the commit.
    pub fn commit(&self, repo: &Path) -> String {
        self.commit_for(Arch::X86_64, repo)
    }

    /// Commits the tree for an architecture, to the ref `os/ARCH/base`.
    pub fn commit_for(&self, arch: Arch, repo: &Path) -> String {
        let mut args = vec![
            format!("--tree=dir={}", self.tree.display()),
            format!("--branch=os/{arch}/base"),
            "--owner-uid=0".into(),
            "--owner-gid=0".into(),
            "--no-xattrs".into(),
            "--timestamp=@1700000000".into(),
            "--add-metadata-string=version=44.1".into(),
            format!("--add-metadata-string=coreos-assembler.basearch={arch}"),
            "--add-metadata-string=ostree.linux=6.1".into(),
            "--add-metadata=ostree.bootable=true".into(),
            "--add-metadata-string=rpmostree.inputhash=0123".into(),
            "--add-metadata=rpmostree.rpmdb.pkglist=[('bash','0','5.2','1','x86_64')]".into(),
            "--add-metadata=ostree.composefs.digest.v0=[byte 0x01]".into(),
        ];
        if self.tree.join("usr/etc/selinux").exists() {
            args.push(format!("--selinux-policy={}", self.tree.display()));
        }
        let commit = ostree(repo, ["commit".into()].into_iter().chain(args));
        commit.trim().to_owned()
    }

    /// Commits the tree in the sandbox's repository.
    pub fn commit_here(&self) -> String {
        self.commit(&self.sandbox.repo())
    }
}

/// Returns the checksum of a commit's tree, according to the stock command.
///
/// # Panics
///
/// Panics if the output of the command cannot be parsed.
pub fn content(repo: &Path, rev: &str) -> String {
    let shown = ostree(repo, ["show", rev]);
    let line = shown
        .lines()
        .find_map(|line| line.strip_prefix("ContentChecksum:"));
    line.expect("a checksum").trim().to_owned()
}

/// Combines trees with the stock command, labelled by the policy of the first.
/// Returns the checksum of the tree.
pub fn stock(repo: &Path, refs: &[&str]) -> String {
    let trees = refs.iter().map(|name| format!("--tree=ref={name}"));
    let args = [
        "commit",
        "--branch=stock",
        "--no-bindings",
        "--selinux-policy-from-base",
    ];
    ostree(repo, args.map(str::to_owned).into_iter().chain(trees));
    content(repo, "stock")
}
