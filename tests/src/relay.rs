//! Relays between a client and a server: a connection that can break or stall, and an HTTP proxy.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Forwards bytes in both directions until the process ends.
#[derive(Debug)]
pub struct Relay {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    /// Target of connections; `None` for a proxy, which receives the target from the client.
    to: Option<String>,
    /// First line of each request; for a proxy, of the first request of each connection.
    asked: Mutex<Vec<String>>,
    /// Number of response bytes after which a connection is closed.
    cut: AtomicU64,
    /// True while nothing is forwarded.
    held: AtomicBool,
    /// Number of bytes received from clients and from servers.
    up: AtomicU64,
    down: AtomicU64,
}

impl Relay {
    /// Starts a relay to `HOST:PORT`.
    ///
    /// # Panics
    ///
    /// Panics if no port is available.
    pub fn to(host: &str) -> Self {
        Self::start(Some(host.to_owned()))
    }

    /// Starts an HTTP proxy.
    ///
    /// # Panics
    ///
    /// Panics if no port is available.
    pub fn proxy() -> Self {
        Self::start(None)
    }

    fn start(to: Option<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State {
            to,
            asked: Mutex::default(),
            cut: AtomicU64::new(u64::MAX),
            held: AtomicBool::new(false),
            up: AtomicU64::new(0),
            down: AtomicU64::new(0),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || connect(&stream, &state));
            }
        });
        Self { port, state }
    }

    /// Returns `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the requests to a proxy: `CONNECT HOST:PORT`, or `GET URL`.
    ///
    /// # Panics
    ///
    /// Panics if one of the relay's threads has panicked.
    pub fn asked(&self) -> Vec<String> {
        self.state.asked.lock().expect("no panic").clone()
    }

    /// Closes every connection after this number of bytes from the server.
    pub fn cut_after(&self, bytes: u64) {
        self.state.cut.store(bytes, Ordering::Relaxed);
    }

    /// Stops forwarding, or continues.
    pub fn hold(&self, held: bool) {
        self.state.held.store(held, Ordering::Relaxed);
    }

    /// Returns the number of bytes received from clients.
    pub fn up(&self) -> u64 {
        self.state.up.load(Ordering::Relaxed)
    }

    /// Returns the number of bytes received from servers.
    pub fn down(&self) -> u64 {
        self.state.down.load(Ordering::Relaxed)
    }
}

fn connect(client: &TcpStream, state: &Arc<State>) -> Option<()> {
    let (to, head) = match &state.to {
        Some(to) => (to.clone(), Vec::new()),
        None => asked(client, state)?,
    };
    let server = TcpStream::connect(to).ok()?;
    (&server).write_all(&head).ok()?;
    let (from, into) = (client.try_clone().ok()?, server.try_clone().ok()?);
    let shared = state.clone();
    std::thread::spawn(move || pass(&from, &into, &shared, &shared.up, &AtomicU64::new(u64::MAX)));
    pass(&server, client, state, &state.down, &state.cut);
    Some(())
}

/// Reads the target that a proxy's client requests, and returns it with the bytes to forward first.
fn asked(client: &TcpStream, state: &State) -> Option<(String, Vec<u8>)> {
    // Read byte by byte, so that no bytes after the header are consumed.
    let mut lines = BufReader::with_capacity(1, client);
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if lines.read_until(b'\n', &mut head).ok()? == 0 {
            return None;
        }
    }
    let text = String::from_utf8_lossy(&head).into_owned();
    let mut words = text.split(' ');
    let (method, target) = (words.next()?, words.next()?);
    let line = format!("{method} {target}");
    state.asked.lock().expect("no panic").push(line);
    if method == "CONNECT" {
        let mut client = client;
        client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
        return Some((target.to_owned(), Vec::new()));
    }
    let host = target.strip_prefix("http://")?.split('/').next()?;
    Some((host.to_owned(), head))
}

fn pass(
    mut from: &TcpStream,
    mut into: &TcpStream,
    state: &State,
    count: &AtomicU64,
    cut: &AtomicU64,
) {
    let mut buffer = vec![0; 64 << 10];
    let mut passed = 0;
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        while state.held.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let left = cut.load(Ordering::Relaxed).saturating_sub(passed);
        let read = usize::try_from(left).map_or(read, |left| left.min(read));
        count.fetch_add(read as u64, Ordering::Relaxed);
        passed += read as u64;
        if read == 0 || into.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = from.shutdown(Shutdown::Both);
    let _ = into.shutdown(Shutdown::Both);
}
