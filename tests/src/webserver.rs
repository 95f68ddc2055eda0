//! A web server for a directory that can inject faults.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A fault in a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The response has this status.
    Status(u16),
    /// The connection is reset before the response.
    Reset,
    /// The connection stays open and nothing is sent.
    Stall,
    /// Half of the content is sent, and then nothing; the connection stays open.
    StallHalfway,
    /// Half of the content is sent, and then the connection is closed.
    Truncate,
    /// The Content-Length is one byte larger than the content.
    LengthTooLong,
    /// The Content-Length is one byte smaller than the content.
    LengthTooShort,
    /// One bit in the middle of the content is flipped.
    Flip,
    /// The response has this content instead.
    Instead(Vec<u8>),
}

#[derive(Debug)]
struct State {
    folder: PathBuf,
    faults: Mutex<Vec<(String, Fault, Option<u32>)>>,
    requests: Mutex<Vec<String>>,
    bytes: AtomicU64,
    /// Status of responses for files that do not exist.
    absent: AtomicU16,
    /// Delay before each response, in microseconds.
    delay: AtomicU64,
    stop: AtomicBool,
}

/// A web server for a directory that can inject faults.
#[derive(Debug)]
pub struct FaultyServer {
    port: u16,
    state: Arc<State>,
}

impl FaultyServer {
    /// Starts a server without faults.
    ///
    /// # Panics
    ///
    /// Panics if no port is available.
    pub fn serving(folder: &Path) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("an address").port();
        let state = Arc::new(State {
            folder: folder.to_owned(),
            faults: Mutex::default(),
            requests: Mutex::default(),
            bytes: AtomicU64::new(0),
            absent: AtomicU16::new(404),
            delay: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in socket.incoming() {
                if shared.stop.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), shared) = (stream, shared.clone()) else {
                    continue;
                };
                std::thread::spawn(move || {
                    let _ = serve(&stream, &shared);
                    let _ = stream.shutdown(Shutdown::Both);
                });
            }
        });
        Self { port, state }
    }

    /// Returns the URL of the directory.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Injects a fault for every path that contains `path`, or that ends in it if it ends in `$`.
    ///
    /// # Panics
    ///
    /// Panics if a thread of the server has panicked.
    pub fn fault(&self, path: &str, fault: Fault) {
        self.faults().push((path.to_owned(), fault, None));
    }

    /// Injects a fault for this number of requests, and then responds normally.
    pub fn fault_times(&self, path: &str, fault: Fault, times: u32) {
        self.faults().push((path.to_owned(), fault, Some(times)));
    }

    /// Removes all faults, and clears the records of requests and sent bytes.
    pub fn reset(&self) {
        self.faults().clear();
        self.state.requests.lock().expect("no panic").clear();
        self.state.bytes.store(0, Ordering::Relaxed);
        self.delay(Duration::ZERO);
    }

    /// Delays every response.
    pub fn delay(&self, delay: Duration) {
        let micros = u64::try_from(delay.as_micros()).expect("short");
        self.state.delay.store(micros, Ordering::Relaxed);
    }

    /// Sets the status of responses for files that do not exist. S3 answers with 403 if the client must not list files.
    pub fn absent(&self, status: u16) {
        self.state.absent.store(status, Ordering::Relaxed);
    }

    /// Returns the requested paths.
    pub fn requests(&self) -> Vec<String> {
        self.state.requests.lock().expect("no panic").clone()
    }

    /// Returns the number of content bytes that were sent.
    pub fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::Relaxed)
    }

    fn faults(&self) -> std::sync::MutexGuard<'_, Vec<(String, Fault, Option<u32>)>> {
        self.state.faults.lock().expect("no panic")
    }
}

impl Drop for FaultyServer {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn serve(stream: &TcpStream, state: &State) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream.try_clone()?);
    loop {
        let mut request = String::new();
        if lines.read_line(&mut request)? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            if lines.read_line(&mut header)? == 0 || header.trim().is_empty() {
                break;
            }
        }
        let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
        state.requests.lock().expect("no panic").push(path.clone());
        std::thread::sleep(Duration::from_micros(state.delay.load(Ordering::Relaxed)));
        if !answer(stream, state, &path)? {
            return Ok(());
        }
    }
}

/// Sends a response, and returns true if the connection can be reused.
fn answer(mut stream: &TcpStream, state: &State, path: &str) -> std::io::Result<bool> {
    let fault = fault_for(state, path);
    let content = match &fault {
        Some(Fault::Instead(content)) => Some(content.clone()),
        _ => fs::read(state.folder.join(path.trim_start_matches('/'))).ok(),
    };
    let Some(mut content) = content else {
        let status = state.absent.load(Ordering::Relaxed);
        write!(
            stream,
            "HTTP/1.1 {status} Absent\r\nContent-Length: 0\r\n\r\n"
        )?;
        return Ok(true);
    };
    let mut length = content.len();
    match &fault {
        Some(Fault::Status(status)) => {
            write!(stream, "HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n")?;
            return Ok(true);
        }
        Some(Fault::Reset) => return Ok(false),
        Some(Fault::Stall) => return stall(state),
        Some(Fault::StallHalfway | Fault::Truncate) => content.truncate(length / 2),
        Some(Fault::LengthTooLong) => length += 1,
        Some(Fault::LengthTooShort) => length -= 1,
        Some(Fault::Flip) => content[length / 2] ^= 1,
        _ => {}
    }
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
    )?;
    stream.write_all(&content)?;
    if fault == Some(Fault::StallHalfway) {
        return stall(state);
    }
    state
        .bytes
        .fetch_add(content.len() as u64, Ordering::Relaxed);
    Ok(length == content.len())
}

fn matches(path: &str, part: &str) -> bool {
    match part.strip_suffix('$') {
        Some(end) => path.ends_with(end),
        None => path.contains(part),
    }
}

/// Sends nothing until the server is dropped.
fn stall(state: &State) -> std::io::Result<bool> {
    while !state.stop.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(false)
}

fn fault_for(state: &State, path: &str) -> Option<Fault> {
    let mut faults = state.faults.lock().expect("no panic");
    let fault = faults
        .iter_mut()
        .find(|(part, _, left)| matches(path, part) && *left != Some(0))?;
    if let Some(left) = &mut fault.2 {
        *left -= 1;
    }
    Some(fault.1.clone())
}
