//! Reduced campaigns of kills, injected faults and power cuts; `make torture` runs the full ones.
//!
//! The seed is fixed, so that a run of the tests can be repeated; `OSTREE_GO_TEST_SEED` sets another.

use ostree_go_tests::campaign::operation::Operation;
use ostree_go_tests::campaign::world::World;
use ostree_go_tests::campaign::{Report, methods};
use ostree_go_tests::inject::Injector;
use ostree_go_tests::powercut::{Disk, Kind};
use ostree_go_tests::random::Random;

/// Runs a method for every operation.
fn for_each_operation(mut method: impl FnMut(Operation) -> Report) {
    let mut report = Report::default();
    for operation in Operation::ALL {
        report.add(method(operation));
    }
    eprintln!("{}", report.table());
    report.assert_clean();
}

#[test]
fn kills_at_random_moments_lose_nothing() {
    let (world, mut random) = (World::new(), Random::from_environment_or(1));
    for_each_operation(|operation| methods::kills(&world, operation, 2, &mut random));
}

#[test]
fn failing_system_calls_lose_nothing() {
    let Some(injector) = Injector::new() else {
        return;
    };
    let (world, mut random) = (World::new(), Random::from_environment_or(2));
    for_each_operation(|operation| {
        methods::faults(&world, &injector, operation, (1, 4), &mut random)
    });
}

#[test]
fn a_kill_at_each_rename_loses_nothing() {
    let Some(injector) = Injector::new() else {
        return;
    };
    let (world, mut random) = (World::new(), Random::from_environment_or(3));
    let names = ["rename", "renameat", "renameat2"];
    for_each_operation(|operation| {
        methods::exact_kills(&world, &injector, operation, &names, 1, &mut random)
    });
}

fn power_cuts(kind: Kind) {
    let Some(disk) = Disk::new(kind) else { return };
    let (world, mut random) = (World::on(disk), Random::from_environment_or(4));
    for_each_operation(|operation| methods::power_cuts(&world, operation, 1, &mut random));
}

#[test]
fn exit_code_0_means_durable_on_ext4() {
    power_cuts(Kind::Ext4);
}

#[test]
fn exit_code_0_means_durable_on_xfs() {
    power_cuts(Kind::Xfs);
}
