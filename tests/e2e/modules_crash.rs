//! A compose of Go modules that is killed: the repository stays complete, and the next compose gives the same result.

use ostree_go_sdk::failpoint;
use ostree_go_tests::cli::run;
use ostree_go_tests::kill::at_failpoint;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::state::{State, leftovers};
use ostree_go_tests::toy_module::ToyModule;
use std::process::Command;

const NAMES: [&str; 2] = ["example.com/first@v1.2.3", "example.com/second@v0.4.0"];
/// The timestamp of channels, the same in every run.
const NOW: &str = "1767323045";

fn world() -> Sandbox {
    let sandbox = Sandbox::with_toys("");
    let proxy = sandbox.path("proxy");
    let modules = NAMES.map(|name| {
        let sum = ToyModule::new(name).publish(&proxy);
        format!("{{ module: {name}, sum: \"{sum}\" }}")
    });
    let lines = format!(
        "{TOY_SOURCE}\ngoproxy: file://{}\nmodules: [{}]",
        proxy.display(),
        modules.join(", ")
    );
    sandbox.treefile("1.99.1", &lines);
    sandbox
}

fn compose(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.ostree_go(["compose", "go.yaml", "--cachedir=cache"]);
    command.env("SOURCE_DATE_EPOCH", NOW);
    command
}

#[test]
fn modules_survive_a_kill_at_every_point() {
    let undisturbed = world();
    let commits = run(&mut compose(&undisturbed)).ok().stdout;
    let complete = State::of(&undisturbed.repo());
    for name in failpoint::MODULE_NAMES {
        // Each of the two modules has a transaction of its own.
        for (number, point) in [(*name).to_owned(), format!("{name}@2")].iter().enumerate() {
            let sandbox = world();
            at_failpoint(&mut compose(&sandbox), point);
            sandbox.fsck();
            let composed = number + usize::from(*name == "module.committed");
            let refs = sandbox.refs();
            let modules = refs
                .iter()
                .filter(|name| name.starts_with("go-sdk/module/"));
            assert_eq!(modules.count(), composed, "{point}: {refs:?}");

            let again = run(&mut compose(&sandbox)).ok();
            assert_eq!(again.stdout, commits, "{point}");
            assert_eq!(leftovers(&sandbox.repo()), [""; 0], "{point}");
            State::of(&sandbox.repo()).assert_is(&complete);
        }
    }
}
