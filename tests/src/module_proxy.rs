//! The module proxy under test, and clients of it.

use crate::cli::Output;
use crate::running::Running;
use crate::tools;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

/// Guards against hanging.
const LIMIT: Duration = Duration::from_mins(1);

/// A running module proxy, which is killed when dropped.
#[derive(Debug)]
pub struct RunningProxy {
    /// Its URL.
    pub url: String,
    address: String,
    running: Option<Running>,
}

/// A response of the proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The content.
    pub body: Vec<u8>,
}

impl RunningProxy {
    /// Starts a command, to which the option with the address is added, and waits until it listens.
    ///
    /// # Panics
    ///
    /// Panics if it ends instead.
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        let address = format!("127.0.0.1:{}", tools::free_port());
        let mut running = Running::start(command.args(["--listen", &address]));
        let start = Instant::now();
        while TcpStream::connect(&address).is_err() {
            let ended = running.ends_within(Duration::from_millis(20));
            assert!(!ended && start.elapsed() < LIMIT, "{}", running.wait(LIMIT));
        }
        Self {
            url: format!("http://{address}"),
            address,
            running: Some(running),
        }
    }

    /// Ends it with SIGTERM, and returns its output.
    ///
    /// # Panics
    ///
    /// Panics if it does not end.
    #[track_caller]
    pub fn stop(mut self) -> Output {
        let running = self.running.take().expect("it runs");
        signal(&running, Signal::TERM);
        running.wait(LIMIT)
    }

    /// Sends SIGTERM.
    ///
    /// # Panics
    ///
    /// Panics if it has been stopped.
    pub fn terminate(&self) {
        signal(self.running.as_ref().expect("it runs"), Signal::TERM);
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    ///
    /// Panics if it does not end.
    #[track_caller]
    pub fn ended(mut self) -> Output {
        self.running.take().expect("it runs").wait(LIMIT)
    }

    /// Requests a path. Returns `None` if the connection ends before the response.
    pub fn get(&self, path: &str) -> Option<Response> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.set_read_timeout(Some(LIMIT)).ok()?;
        let head = format!("GET {path} HTTP/1.1\r\nHost: proxy\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        let end = bytes.windows(4).position(|part| part == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&bytes[..end]);
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let body = bytes[end + 4..].to_vec();
        Some(Response { status, body })
    }

    /// Requests a path, and returns the status and the text.
    ///
    /// # Panics
    ///
    /// Panics if there is no response.
    #[track_caller]
    pub fn text(&self, path: &str) -> String {
        let response = self.get(path).expect("a response");
        let body = String::from_utf8_lossy(&response.body);
        format!("{}: {body}", response.status)
    }
}

impl Drop for RunningProxy {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            signal(&running, Signal::KILL);
        }
    }
}

fn signal(running: &Running, signal: Signal) {
    let id = i32::try_from(running.id()).ok().and_then(Pid::from_raw);
    // An error means that it has ended.
    let _ = kill_process(id.expect("a process id"), signal);
}
