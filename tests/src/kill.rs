//! Kills a command with SIGKILL at random moments.
//!
//! ```no_run
//! # use ostree_go_tests::{sandbox::Sandbox, kill};
//! # use ostree_go_tests::random::Random;
//! # let sandbox = Sandbox::new();
//! kill::rounds(50, &mut Random::new(), || sandbox.ostree_go(["prune", "--keep", "1"]), |round| {
//!     sandbox.run(["fsck"]).ok();
//! });
//! ```

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::cli::{Output, run};
use crate::random::Random;
use crate::running::{Running, run_within};

/// Limit for one undisturbed run; only a command that hangs reaches it.
pub const LIMIT: Duration = Duration::from_secs(120);

/// Runs a command that is killed at a failpoint.
///
/// # Panics
///
/// Panics if the command does not reach the failpoint.
#[track_caller]
pub fn at_failpoint(command: &mut Command, point: &str) {
    let out = run(command.env("OSTREE_GO_FAILPOINT", point));
    assert_eq!(
        out.status.signal(),
        Some(9),
        "{point} was not passed: {out}"
    );
}

/// One round: a command that was killed, or ended before the signal came.
#[derive(Debug)]
pub struct Round {
    /// Number of the round, from 1.
    pub number: u32,
    /// Time between start and signal.
    pub delay: Duration,
    /// Status and output.
    pub out: Output,
}

impl Round {
    /// Returns whether the signal came in time.
    pub fn killed(&self) -> bool {
        self.out.status.signal() == Some(9)
    }
}

/// Runs a command once undisturbed to measure how long it takes, then `rounds` times with a SIGKILL at a random moment of that
/// duration; returns how many were killed before they ended.
///
/// `command` prepares the state that the command starts from and returns the command; it is called before each run, the
/// undisturbed one too. `check` judges what a round has left behind. Each round is printed before it is judged, so that a failing
/// test shows its delay.
///
/// # Panics
///
/// Panics when the undisturbed run fails.
pub fn rounds(
    rounds: u32,
    random: &mut Random,
    mut command: impl FnMut() -> Command,
    mut check: impl FnMut(&Round),
) -> u32 {
    let duration = duration(&mut command());
    let mut killed = 0;
    for number in 1..=rounds {
        let round = at_random(number, duration, random, &mut command());
        eprintln!(
            "round {number}: {} {:?} of {duration:?}",
            if round.killed() {
                "killed after"
            } else {
                "ended before"
            },
            round.delay
        );
        killed += u32::from(round.killed());
        check(&round);
    }
    killed
}

/// Measures how long an undisturbed run takes.
///
/// # Panics
///
/// Panics when the command fails or hangs.
#[track_caller]
pub fn duration(command: &mut Command) -> Duration {
    let start = Instant::now();
    run_within(command, LIMIT).ok();
    start.elapsed()
}

/// Runs a command and kills it at a random moment of `duration`.
///
/// # Panics
///
/// Panics when it cannot be started.
pub fn at_random(
    number: u32,
    duration: Duration,
    random: &mut Random,
    command: &mut Command,
) -> Round {
    let micros = u64::try_from(duration.as_micros()).expect("a short time");
    let delay = Duration::from_micros(random.below(micros));
    let mut running = Running::start(command);
    running.ends_within(delay);
    Round {
        number,
        delay,
        out: running.kill(),
    }
}
