//! Runs the full campaigns of kills, injected faults and power cuts; see the page on contributing.
//!
//! Reads from the environment: `TORTURE_KILLS`, `TORTURE_FAULTS`, `TORTURE_CUTS` (rounds for each operation, for each system call
//! of each operation, and for each operation on each file system; 50, 40 and 10 without them), `TORTURE_OPERATIONS` (names
//! with commas between; all without it) and `TORTURE_JOBS` (how many operations at a time). Exits with 1 when a promise is broken.

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use ostree_go_tests::campaign::operation::Operation;
use ostree_go_tests::campaign::world::World;
use ostree_go_tests::campaign::{Report, methods};
use ostree_go_tests::inject::Injector;
use ostree_go_tests::powercut::{Disk, Kind};
use ostree_go_tests::random::Random;

fn main() -> ExitCode {
    let start = Instant::now();
    let operations = operations();
    let jobs = number(
        "TORTURE_JOBS",
        std::thread::available_parallelism().map_or(1, Into::into),
    );
    let random = Random::new();
    let next = AtomicUsize::new(0);
    let total = Mutex::new(Report::default());
    std::thread::scope(|scope| {
        for job in 0..jobs {
            let (next, total, operations) = (&next, &total, &operations);
            let mut random = random.clone();
            for _ in 0..job {
                random.below(2);
            }
            scope.spawn(move || {
                let mut worker = Worker::new(random);
                while let Some(operation) = operations.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let report = worker.run(*operation);
                    total.lock().expect("no panic").add(report);
                }
            });
        }
    });
    let total = total.into_inner().expect("no panic");
    println!("{}", total.table());
    for finding in &total.findings {
        println!("FINDING {finding}\n");
    }
    println!(
        "{} rounds in {} s, {} findings",
        total.rounds(),
        start.elapsed().as_secs(),
        total.findings.len()
    );
    if total.findings.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// The worlds of one thread.
struct Worker {
    random: Random,
    world: World,
    disks: Vec<World>,
    injector: Option<Injector>,
}

impl Worker {
    fn new(random: Random) -> Self {
        let disks = match number("TORTURE_CUTS", 10) {
            0 => Vec::new(),
            _ => Kind::ALL
                .into_iter()
                .filter_map(Disk::new)
                .map(World::on)
                .collect(),
        };
        Self {
            random,
            world: World::new(),
            disks,
            injector: Injector::new(),
        }
    }

    fn run(&mut self, operation: Operation) -> Report {
        let Self {
            random,
            world,
            disks,
            injector,
        } = self;
        let mut report = Report::default();
        let kills = u32::try_from(number("TORTURE_KILLS", 50)).expect("a small number");
        report.add(methods::kills(world, operation, kills, random));
        for disk in disks {
            let cuts = u32::try_from(number("TORTURE_CUTS", 10)).expect("a small number");
            report.add(methods::power_cuts(disk, operation, cuts, random));
        }
        if let Some(injector) = injector {
            let faults = (number("TORTURE_FAULTS", 40), usize::MAX);
            report.add(methods::faults(world, injector, operation, faults, random));
        }
        eprintln!("{}: {} rounds", operation.name(), report.rounds());
        report
    }
}

fn operations() -> Vec<Operation> {
    match std::env::var("TORTURE_OPERATIONS") {
        Ok(names) if !names.is_empty() => names
            .split(',')
            .map(|name| {
                Operation::from_name(name).unwrap_or_else(|| panic!("no such operation: {name}"))
            })
            .collect(),
        _ => Operation::ALL.to_vec(),
    }
}

fn number(name: &str, default: usize) -> usize {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => text
            .parse()
            .unwrap_or_else(|_| panic!("{name} is not a number: {text}")),
        _ => default,
    }
}
