//! Progress on standard error.

use crate::args::global::{GlobalArgs, ProgressMode};
use crate::interrupt::Interrupt;
use crate::output::{Output, json_line, line};
use crate::text::{bytes, count, downloaded, short_url, title};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use ostree_go_sdk::{Event, Phase, Progress};
use serde::Serialize;
use std::collections::HashMap;
use std::fmt::Write;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Delay before the first progress bar. Shorter operations show none.
const FIRST_DRAWN: Duration = Duration::from_millis(250);
/// Maximum width of what a progress bar is about, so that bar, amounts, rate and time left fit into
/// 80 columns.
const ITEM_WIDTH: usize = 28;
/// Minimum time between two JSON lines for the same item.
const JSON_EVERY: Duration = Duration::from_millis(100);

/// Progress of all operations of the process, on the terminal. It draws progress bars, and requests
/// cancellation after Ctrl-C.
#[derive(Debug)]
pub struct Terminal {
    verbose: bool,
    started: Instant,
    work: Mutex<HashMap<(Phase, String), Work>>,
    messages: Arc<Messages>,
    interrupt: Interrupt,
}

/// Messages on standard error, beside the progress bars. The thread that handles signals has a share.
#[derive(Debug)]
struct Messages {
    mode: ProgressMode,
    quiet: bool,
    output: Output,
    bars: MultiProgress,
    is_stopping_said: AtomicBool,
}

impl Messages {
    /// Prints a message as a JSON event or as text.
    fn note(&self, event: &impl Serialize, text: &str) {
        match self.mode {
            ProgressMode::Json => json_line(event),
            _ if !self.quiet => self.bars.suspend(|| line(self.output.marked(text))),
            _ => {}
        }
    }

    /// Prints once that a signal was noticed.
    fn say_stopping(&self) {
        if !self.is_stopping_said.swap(true, Ordering::Relaxed) {
            let (text, event) = ("stopping…", "message");
            self.note(&MessageEvent { text, event }, text);
        }
    }
}

#[derive(Debug)]
struct Work {
    bar: Option<ProgressBar>,
    last_line: Option<Instant>,
}

impl Terminal {
    /// Installs the signal handlers of the process.
    pub fn new(global: &GlobalArgs, output: Output) -> Self {
        let mode = match global.progress {
            _ if global.quiet => ProgressMode::Never,
            ProgressMode::Auto if !std::io::stderr().is_terminal() => ProgressMode::Never,
            mode => mode,
        };
        let messages = Arc::new(Messages {
            mode,
            quiet: global.quiet,
            output,
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10)),
            is_stopping_said: AtomicBool::new(false),
        });
        let on_signal = messages.clone();
        Self {
            verbose: global.verbose,
            started: Instant::now(),
            work: Mutex::default(),
            messages,
            interrupt: Interrupt::install(move || on_signal.say_stopping()),
        }
    }

    fn advanced(&self, phase: Phase, item: &str, done: u64, total: Option<u64>) {
        let mut all = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (phase, item.to_owned());
        let work = all.entry(key).or_insert(Work {
            bar: None,
            last_line: None,
        });
        match self.messages.mode {
            ProgressMode::Json => {
                let due = work
                    .last_line
                    .is_none_or(|last| last.elapsed() >= JSON_EVERY);
                if due || Some(done) == total {
                    work.last_line = Some(Instant::now());
                    json_line(&ProgressEvent {
                        event: "progress",
                        phase: phase.as_str(),
                        item,
                        done,
                        total,
                        unit: phase.unit(),
                    });
                }
            }
            ProgressMode::Auto if self.started.elapsed() >= FIRST_DRAWN => {
                let bar = work.bar.get_or_insert_with(|| {
                    let bar = self.messages.bars.add(ProgressBar::new(total.unwrap_or(0)));
                    bar.set_style(style(phase, total));
                    bar.set_prefix(phase.as_str());
                    bar.set_message(short_url(item, ITEM_WIDTH));
                    bar
                });
                bar.set_position(done);
            }
            _ => {}
        }
    }

    fn message(&self, text: &str) {
        let event = "message";
        self.messages.note(&MessageEvent { text, event }, text);
    }
}

#[derive(Serialize)]
struct ProgressEvent<'a> {
    event: &'static str,
    phase: &'static str,
    item: &'a str,
    done: u64,
    total: Option<u64>,
    unit: &'static str,
}

#[derive(Serialize)]
struct MessageEvent<'a> {
    text: &'a str,
    event: &'static str,
}

#[derive(Serialize)]
struct SourceSkippedEvent<'a> {
    source: &'a str,
    reason: &'a str,
    event: &'static str,
}

#[derive(Serialize)]
struct RetryingEvent<'a> {
    url: &'a str,
    attempt: u32,
    reason: &'a str,
    event: &'static str,
}

#[derive(Serialize)]
struct WaitingEvent<'a> {
    lock: &'a str,
    event: &'static str,
}

impl Progress for Terminal {
    fn event(&self, event: &Event<'_>) {
        match *event {
            Event::Advanced {
                phase,
                item,
                done,
                total,
            } => self.advanced(phase, item, done, total),
            Event::Finished { phase, item } => {
                let mut all = self.work.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(bar) = all.remove(&(phase, item.to_owned())).and_then(|w| w.bar) {
                    bar.finish_and_clear();
                }
            }
            Event::SourceSkipped { source, reason } if self.verbose => {
                let reason = chain(reason);
                let text = format!("note: source {source} cannot be used: {reason}");
                let event = SourceSkippedEvent {
                    source,
                    reason: &reason,
                    event: "source-skipped",
                };
                self.messages.note(&event, &text);
            }
            Event::Retrying {
                url,
                attempt,
                reason,
            } if self.verbose => {
                let reason = chain(reason);
                let text = format!("note: attempt {attempt} to get {url} failed: {reason}");
                let event = RetryingEvent {
                    url,
                    attempt,
                    reason: &reason,
                    event: "retrying",
                };
                self.messages.note(&event, &text);
            }
            Event::Downloaded {
                bytes,
                elapsed,
                used_delta,
            } => self.message(&downloaded(bytes, elapsed, used_delta)),
            Event::ActiveDamaged {
                version,
                arch,
                first,
                files,
            } => {
                let more = match files {
                    0 | 1 => String::new(),
                    files => format!(", and {} more", count(files - 1)),
                };
                let name = title(version, arch);
                self.message(&format!(
                    "warning: the active {name} no longer verifies: {first}{more}"
                ));
            }
            Event::HookStarted { name } => self.message(&format!("running hook {name}")),
            Event::HookOutput { name, line } => self.message(&format!("{name}: {line}")),
            Event::Waiting { lock } => {
                let lock = lock.display().to_string();
                let text = format!("waiting for another process to release {lock}");
                let event = WaitingEvent {
                    lock: &lock,
                    event: "waiting",
                };
                self.messages.note(&event, &text);
            }
            _ => {}
        }
    }

    fn is_cancelled(&self) -> bool {
        let is_requested = self.interrupt.is_requested();
        if is_requested {
            self.messages.say_stopping();
        }
        is_requested
    }
}

/// Formats an error with its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn style(phase: Phase, total: Option<u64>) -> ProgressStyle {
    // indicatif's own keys for amounts have binary units, or two decimal places.
    let template = match (phase.counts_bytes(), total) {
        (true, Some(_)) => "{prefix:>9} {msg} {wide_bar} {done}/{total} {rate} {eta}",
        (true, None) => "{prefix:>9} {msg} {spinner} {done} {rate} {elapsed}",
        // The steps of a compilation differ too much in length for a rate.
        (false, _) if phase == Phase::Compile => {
            "{prefix:>9} {msg} {wide_bar} {human_pos}/{human_len} {elapsed}"
        }
        (false, _) => "{prefix:>9} {msg} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}",
    };
    let style = ProgressStyle::with_template(template);
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    style
        .with_key("done", |state: &ProgressState, out: &mut dyn Write| {
            let _ = out.write_str(&bytes(state.pos()));
        })
        .with_key("total", |state: &ProgressState, out: &mut dyn Write| {
            let _ = out.write_str(&bytes(state.len().unwrap_or(state.pos())));
        })
        .with_key("rate", |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{}/s", bytes(state.per_sec() as u64));
        })
}
