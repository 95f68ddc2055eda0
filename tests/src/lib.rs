//! Support code for the end-to-end tests: the command under test, real SDKs, a toy SDK, and the stock tools.
//!
//! The tests themselves are in `tests/e2e`. They read these environment variables:
//!
//! | variable | meaning |
//! |---|---|
//! | `CI` | a missing tool or network fails a test instead of skipping it |
//! | `OSTREE_GO_BIN` | the command to test; by default the one that cargo builds with the tests, which has failpoints |
//! | `OSTREE_GO_TEST_CACHE` | the cache of real SDKs; default `~/.cache/ostree-go-tests` |
//! | `OSTREE_GO_TEST_MOD_FILES` | the number of real go.mod files that are compared with the go command; `make torture` sets it |
//! | `OSTREE_GO_TEST_SEED` | the seed for the times of kills and the positions of faults; by default taken from the clock |
//! | `GOPROXY` | the proxy from which SDKs are downloaded if there is no `go` command to ask |

pub mod bindfs;
pub mod boot;
pub mod campaign;
pub mod certificates;

pub mod cli;
pub mod containers;
pub mod fake_bwrap;
pub mod file_cycles;
mod go_peer;
pub mod govulncheck;
pub mod gpg;
pub mod hooks;
pub mod host;
pub mod hostile;
pub mod images;
pub mod inject;
pub mod kill;
pub mod machine;
pub mod memory;
pub mod mod_corpus;
pub mod module_proxy;
pub mod modules;
pub mod nginx;
pub mod os;
pub mod ostree;
pub mod ostree_container;
pub mod powercut;
pub mod programs;
pub mod proxies;
pub mod pull_fixture;
pub mod python;
pub mod random;
pub mod real_repo;
pub mod referrers;
pub mod registry_fixture;
pub mod relay;
pub mod rotation;
pub mod rpm;
pub mod running;
pub mod rust_source;
pub mod sandbox;
pub mod sdk;
pub mod server;
pub mod signals;
pub mod small_std_cache;
pub mod state;
pub mod std_cache;
pub mod sumdb;
pub mod tmpfs;
pub mod tokens;
pub mod tools;
pub mod toy;
pub mod toy_module;
pub mod transcript;
pub mod vulndb;
pub mod webserver;
pub mod workflow;
