//! Errors about std caches.

use super::{Bad, refused};
use insta::assert_snapshot;
use ostree_go_tests::cli::run;
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::std_cache::ToyStdCache;
use ostree_go_tests::webserver::FaultyServer;

/// Name of the std cache that the tests commit.
const ID: &str = "x86_64-plain";

impl Bad {
    /// Asserts that a command on the root directory is refused, and returns the message.
    #[track_caller]
    fn host(&self, args: &str, code: i32) -> String {
        let mut command = self.sandbox.ostree_go(args.split(' '));
        command.env_remove("OSTREE_REPO");
        command.env("OSTREE_GO_ROOT", self.sandbox.path("root"));
        refused(run(&mut command), code)
    }

    /// Asserts that a command on the repository is refused, and returns the message.
    #[track_caller]
    fn repo(&self, args: &str, code: i32) -> String {
        refused(self.sandbox.run(args.split(' ')), code)
    }
}

#[test]
fn a_target_that_the_source_does_not_have() {
    let bad = Bad::new();
    let install = format!(
        "install --from-repo {} --arch x86_64 1.99.1 --stdcache arm64",
        bad.sandbox.repo().display()
    );
    assert_snapshot!(bad.host(&install, 1), @"
    error: file://[dir]/repo has no std cache for aarch64 of go 1.99.1, and no other std cache of this version
    hint: nothing was deployed; leave out this --stdcache; the publisher adds std caches with `stdcache` in the treefile
    ");
    ToyStdCache::new("1.99.1", ID, 100).commit(&bad.sandbox.repo(), &[]);
    assert_snapshot!(bad.host(&install, 1), @"
    error: file://[dir]/repo has no std cache for aarch64 of go 1.99.1, only x86_64-plain
    hint: nothing was deployed; leave out this --stdcache; the publisher adds std caches with `stdcache` in the treefile
    ");
    assert_snapshot!(bad.host("install 1.99.1 --stdcache riscv64", 2), @"
    error: invalid value 'riscv64' for '--stdcache <ARCH>': unknown architecture `riscv64`, expected x86_64 or aarch64
    hint: `--help` lists the allowed arguments
    ");
    assert_snapshot!(bad.host("install 1.99.1 --stdcache arm64 --no-stdcache", 2), @"
    error: the argument '--stdcache <ARCH>' cannot be used with '--no-stdcache'
    hint: usage: ostree-go install --stdcache <ARCH> --root <PATH> <CHANNEL-or-VERSION>...
    ");
}

#[test]
fn the_std_cache_of_another_version() {
    let bad = Bad::new();
    let mut cache = ToyStdCache::new("1.99.1", ID, 100);
    cache.claims = Some("1.99.2".to_owned());
    cache.commit(&bad.sandbox.repo(), &[]);
    let install = format!(
        "install --from-repo {} --arch x86_64 1.99.1",
        bad.sandbox.repo().display()
    );
    assert_snapshot!(bad.host(&install, 3), @"
    error: commit [sha256] on go-sdk/stdcache/1.99.1/x86_64-plain is the std cache x86_64-plain of go 1.99.2, expected the std cache x86_64-plain of go 1.99.1
    hint: nothing was deployed; --no-stdcache installs the SDK without its std caches
    ");
    assert!(!bad.sandbox.path("root/current").exists());
    // With another mode, and a commit that is no std cache.
    let of_other_mode = "--add-metadata-string=sdk.stdcache=x86_64-trimpath";
    ToyStdCache::new("1.99.1", ID, 100).commit(&bad.sandbox.repo(), &[of_other_mode]);
    assert_snapshot!(bad.host(&install, 3), @"
    error: commit [sha256] on go-sdk/stdcache/1.99.1/x86_64-plain is the std cache x86_64-trimpath of go 1.99.1, expected the std cache x86_64-plain of go 1.99.1
    hint: nothing was deployed; --no-stdcache installs the SDK without its std caches
    ");
    let of_no_mode = "--add-metadata-string=sdk.stdcache=none";
    ToyStdCache::new("1.99.1", ID, 100).commit(&bad.sandbox.repo(), &[of_no_mode]);
    assert_snapshot!(bad.host(&install, 3), @"
    error: commit [sha256] on go-sdk/stdcache/1.99.1/x86_64-plain is no std cache, expected the std cache x86_64-plain of go 1.99.1
    hint: nothing was deployed; --no-stdcache installs the SDK without its std caches
    ");
    // Whoever does not want it does not get it.
    let mut command = bad
        .sandbox
        .ostree_go(install.split(' ').chain(["--no-stdcache"]));
    command.env_remove("OSTREE_REPO");
    run(command.env("OSTREE_GO_ROOT", bad.sandbox.path("root"))).ok();
}

#[test]
fn an_unsigned_std_cache_of_a_signed_remote() {
    let (bad, gpg) = (Bad::new(), Gpg::new());
    let key = gpg.key("publisher");
    let home = gpg.home().display().to_string();
    let sign = format!("sign go-sdk/x86_64/1.99.1 --gpg-sign {key} --gpg-homedir {home}");
    bad.sandbox.run(sign.split(' ')).ok();
    ToyStdCache::new("1.99.1", ID, 100).commit(&bad.sandbox.repo(), &[]);
    let server = FaultyServer::serving(&bad.sandbox.repo());
    let keys = gpg.export(&key).display().to_string();
    let add = format!("remote add acme {} --gpg-import {keys}", server.url());
    let mut command = bad.sandbox.ostree_go(add.split(' '));
    command.env_remove("OSTREE_REPO");
    run(command.env("OSTREE_GO_ROOT", bad.sandbox.path("root"))).ok();
    assert_snapshot!(bad.host("install 1.99.1 --arch x86_64", 3), @"
    error: ref go-sdk/stdcache/1.99.1/x86_64-plain of remote `acme` is refused
      commit [sha256] is not signed
    hint: nothing was deployed; --no-stdcache installs the SDK without its std caches
    ");
    assert!(!bad.sandbox.path("root/current").exists());
}

#[test]
fn verbs_that_need_an_sdk() {
    let bad = Bad::new();
    let cache = ToyStdCache::new("1.99.1", ID, 100);
    cache.commit(&bad.sandbox.repo(), &[]);
    let name = cache.ref_name();
    assert_snapshot!(bad.repo(&format!("verify {name} --upstream"), 1), @"
    error: commit [sha256] is the std cache x86_64-plain of go 1.99.1, expected a release: Go's checksum database has no compiled content
    hint: verify the release with --upstream, and the std cache with the keys of its publisher
    ");
    assert_snapshot!(bad.repo(&format!("promote {name} stable"), 1), @"
    error: commit [sha256] is a std cache, expected a release
    ");
    let install = format!(
        "install --from-repo {} {name}",
        bad.sandbox.repo().display()
    );
    assert_snapshot!(bad.host(&install, 3), @"
    error: commit [sha256] on go-sdk/stdcache/1.99.1/x86_64-plain is neither a release nor a channel of a Go SDK
    hint: nothing was deployed
    ");
}
