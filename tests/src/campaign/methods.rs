//! The disturbances of a campaign.

use super::operation::Operation;
use super::world::World;
use std::time::Duration;

use super::{Campaign, Ending, Finding, Report};
use crate::cli::Output;
use crate::inject::{Calls, Fault, Injector};
use crate::kill;
use crate::random::Random;
use crate::running::{Running, run_within};

/// System calls that change something, or whose failure is easily overlooked, with the errors to inject in turn.
pub const SYSCALLS: &[(&str, &[&str])] = &[
    ("rename", &["EIO", "ENOSPC"]),
    ("renameat", &["EIO", "ENOSPC"]),
    ("renameat2", &["EIO", "ENOSPC"]),
    ("link", &["EIO", "ENOSPC", "EMLINK"]),
    ("linkat", &["EIO", "ENOSPC", "EMLINK"]),
    ("unlink", &["EIO", "EPERM"]),
    ("unlinkat", &["EIO", "EPERM"]),
    ("fsync", &["EIO"]),
    ("fdatasync", &["EIO"]),
    ("syncfs", &["EIO"]),
    ("write", &["EIO", "ENOSPC"]),
    ("openat", &["EIO", "ENOSPC", "EMFILE"]),
    ("mkdir", &["EIO", "ENOSPC"]),
    ("mkdirat", &["EIO", "ENOSPC"]),
    ("symlink", &["EIO", "ENOSPC"]),
    ("symlinkat", &["EIO", "ENOSPC"]),
    ("readlink", &["EIO"]),
    ("readlinkat", &["EIO"]),
    ("statx", &["EIO"]),
    ("ftruncate", &["EIO", "ENOSPC"]),
    ("flock", &["EIO", "ENOLCK"]),
    ("pipe2", &["EMFILE", "ENFILE"]),
    ("clone3", &["EAGAIN", "ENOMEM"]),
];

/// Time after which a run with a fault counts as one that hangs.
const HANGS: Duration = Duration::from_secs(60);

/// Kills an operation `rounds` times at random moments.
pub fn kills(world: &World, operation: Operation, rounds: u32, random: &mut Random) -> Report {
    let campaign = Campaign::new(world, operation);
    world.restore();
    let duration = kill::duration(&mut world.operation(operation));
    let mut report = Report::default();
    for number in 1..=rounds {
        world.restore();
        let command = &mut world.operation(operation);
        let round = kill::at_random(number, duration, random, command);
        report.count(operation, "kill");
        let disturbance = format!("kill after {:?} of {duration:?}", round.delay);
        judge(
            &campaign,
            &mut report,
            disturbance,
            Ending::Killed,
            &round.out,
        );
    }
    report
}

/// Makes system calls of an operation fail: of each name at most `most` positions, and at most `total` of all names.
pub fn faults(
    world: &World,
    injector: &Injector,
    operation: Operation,
    (most, total): (usize, usize),
    random: &mut Random,
) -> Report {
    let campaign = Campaign::new(world, operation);
    world.restore();
    let names: Vec<_> = SYSCALLS.iter().map(|(name, _)| *name).collect();
    let calls = Calls::of(injector, &names, &world.operation(operation));
    let mut all = Vec::new();
    for (name, errors) in SYSCALLS {
        let positions = calls.positions(name);
        let chosen = random.sample(positions.len() as u64, most);
        for (number, index) in chosen.into_iter().enumerate() {
            let index = usize::try_from(index - 1).expect("an index");
            all.push(Fault::error(
                name,
                errors[number % errors.len()],
                positions[index],
            ));
        }
    }
    let mut report = Report::default();
    for index in random.sample(all.len() as u64, total) {
        let index = usize::try_from(index - 1).expect("an index");
        inject(&campaign, injector, &all[index], Ending::Exit, &mut report);
    }
    report
}

/// Kills an operation exactly when it enters a system call: of each name at most `most` positions.
pub fn exact_kills(
    world: &World,
    injector: &Injector,
    operation: Operation,
    syscalls: &[&str],
    most: usize,
    random: &mut Random,
) -> Report {
    let campaign = Campaign::new(world, operation);
    world.restore();
    let calls = Calls::of(injector, syscalls, &world.operation(operation));
    let mut report = Report::default();
    for (name, positions) in calls.iter() {
        for index in random.sample(positions.len() as u64, most) {
            let index = usize::try_from(index - 1).expect("an index");
            let fault = Fault::kill(name, positions[index]);
            inject(&campaign, injector, &fault, Ending::Killed, &mut report);
        }
    }
    report
}

fn inject(
    campaign: &Campaign<'_>,
    injector: &Injector,
    fault: &Fault,
    ending: Ending,
    report: &mut Report,
) {
    let (world, operation) = (campaign.world, campaign.operation);
    world.restore();
    let command = &mut injector.with(fault, &world.operation(operation));
    let mut running = Running::start(command);
    let mut ended = running.ends_within(HANGS);
    // A fault in a call of GnuPG's own can make it wait for a lock file forever. The operation must survive its end.
    if !ended && running.kill_children_named("gpg") {
        ended = running.ends_within(HANGS);
    }
    let method = match ending {
        Ending::Exit => &*fault.syscall,
        Ending::Killed => "killed at",
    };
    report.count(operation, method);
    let disturbance = match ending {
        Ending::Exit => fault.to_string(),
        Ending::Killed => format!("killed at {fault}"),
    };
    if !ended {
        let problem = format!("hangs: {}", super::brief(&running.kill_all()));
        report.findings.push(Finding {
            operation,
            disturbance,
            problem,
        });
        return;
    }
    let out = running.wait(kill::LIMIT);
    judge(campaign, report, disturbance, ending, &out);
}

/// Cuts the power after an operation has exited, and then at `rounds` random moments while it runs. The world must be on a disk.
///
/// # Panics
///
/// Panics when the world is on no disk.
pub fn power_cuts(world: &World, operation: Operation, rounds: u32, random: &mut Random) -> Report {
    let disk = world.disk().expect("a world on a disk");
    let campaign = Campaign::new(world, operation);
    world.restore();
    let duration = kill::duration(&mut world.operation(operation));
    let mut report = Report::default();

    world.restore();
    let out = run_within(&mut world.operation(operation), kill::LIMIT);
    disk.shut_down();
    world.boot_again();
    report.count(operation, "power cut");
    let disturbance = "power cut at the exit".to_owned();
    judge(&campaign, &mut report, disturbance, Ending::Exit, &out);

    for _ in 0..rounds {
        world.restore();
        let micros = u64::try_from(duration.as_micros()).expect("a short time");
        let delay = Duration::from_micros(random.below(micros));
        let mut running = Running::start(&mut world.operation(operation));
        running.ends_within(delay);
        // A result counts only if it was reported before the cut.
        let reported = running.ends_within(Duration::ZERO);
        disk.shut_down();
        let out = running.kill();
        world.boot_again();
        report.count(operation, "power cut");
        let disturbance = format!("power cut after {delay:?} of {duration:?}");
        let out = if reported { out } else { out.into_killed() };
        judge(&campaign, &mut report, disturbance, Ending::Killed, &out);
    }
    report
}

fn judge(
    campaign: &Campaign<'_>,
    report: &mut Report,
    disturbance: String,
    ending: Ending,
    out: &Output,
) {
    if let Err(problem) = campaign.check(ending, out) {
        let finding = Finding {
            operation: campaign.operation,
            disturbance,
            problem,
        };
        eprintln!("FINDING {finding}\n");
        report.findings.push(finding);
    }
}
