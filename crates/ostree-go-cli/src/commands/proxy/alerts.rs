//! Alerts of the module proxy: lines of a file, and runs of a program.

use crate::error::CliError;
use crate::output::Output;
use ostree_go_sdk::goproxy::{Alert, AlertSink};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

/// The number of alerts that wait for the program.
const WAITING: usize = 256;

/// The receivers of alerts.
#[derive(Debug)]
pub struct Alerts {
    file: Option<(File, PathBuf)>,
    program: Mutex<Option<Program>>,
    output: Output,
}

/// A thread that runs a program for one alert after the other.
#[derive(Debug)]
struct Program {
    alerts: SyncSender<Vec<u8>>,
    thread: JoinHandle<()>,
}

impl Alerts {
    pub fn new(
        file: Option<&Path>,
        program: Option<PathBuf>,
        output: &Output,
    ) -> Result<Self, CliError> {
        let open = |path: &Path| {
            let opened = File::options().append(true).create(true).open(path);
            let file = opened.map_err(CliError::file("write", path))?;
            Ok::<_, CliError>((file, path.to_owned()))
        };
        let start = |program: PathBuf| {
            let (sender, receiver) = sync_channel(WAITING);
            let (path, output) = (program.clone(), output.clone());
            let thread = std::thread::Builder::new()
                .spawn(move || run_all(&receiver, &program, &output))
                .map_err(CliError::file("run", &path))?;
            Ok::<_, CliError>(Program {
                alerts: sender,
                thread,
            })
        };
        Ok(Self {
            file: file.map(open).transpose()?,
            program: Mutex::new(program.map(start).transpose()?),
            output: output.clone(),
        })
    }

    /// Waits until the program has been run for all alerts.
    pub fn finish(&self) {
        let program = self.program().take();
        if let Some(Program { alerts, thread }) = program {
            drop(alerts);
            let _ = thread.join();
        }
    }

    fn program(&self) -> std::sync::MutexGuard<'_, Option<Program>> {
        self.program.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl AlertSink for Alerts {
    fn alert(&self, alert: &Alert) {
        let Ok(mut line) = serde_json::to_vec(alert) else {
            return;
        };
        line.push(b'\n');
        // One call for each line: a file that is opened for appending gets it in one piece.
        if let Some((mut file, path)) = self.file.as_ref().map(|(file, path)| (file, path))
            && let Err(error) = file.write_all(&line)
        {
            let path = path.display();
            self.output.say(&format!(
                "warning: cannot write an alert to {path}: {error}"
            ));
        }
        if let Some(program) = &*self.program()
            && program.alerts.try_send(line).is_err()
        {
            self.output
                .say("warning: the program for alerts is too slow; an alert was not passed to it");
        }
    }
}

fn run_all(alerts: &Receiver<Vec<u8>>, program: &Path, output: &Output) {
    for alert in alerts {
        let problem = match run(program, &alert) {
            Ok(None) => continue,
            Ok(Some(problem)) => problem,
            Err(error) => error.to_string(),
        };
        let program = program.display();
        output.say(&format!(
            "warning: the program for alerts, {program}: {problem}"
        ));
    }
}

/// Runs the program once, and returns how it ended if it has failed.
fn run(program: &Path, alert: &[u8]) -> io::Result<Option<String>> {
    let mut child = Command::new(program)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input gets a closed pipe.
        let _ = stdin.write_all(alert);
    }
    let status = child.wait()?;
    Ok((!status.success()).then(|| status.to_string()))
}
