//! A hostile HTTP server over a real repository.
//!
//! It serves a folder as a file server does, with strong ETags and ranges, and misbehaves for the paths that a test names:
//!
//! ```no_run
//! # use ostree_go_tests::hostile::{Attack, Hostile};
//! let server = Hostile::serving("repo".as_ref());
//! server.attack(".filez$", Attack::Endless);
//! server.attack("/summary$", Attack::Drip(1));
//! ```

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use sha2::{Digest, Sha256};

/// A way to misbehave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attack {
    /// The body begins as it should and never ends; no length is announced.
    Endless,
    /// The same in chunks.
    EndlessChunks,
    /// A length that no machine can hold is announced, and sent.
    Huge,
    /// So many bytes of the body a second.
    Drip(u64),
    /// So many bytes of the head a second.
    DripHead(u64),
    /// The connection ends after so many bytes of the body. Ranges are answered.
    CutAfter(u64),
    /// The connection ends after so many bytes; every request for the rest is answered with 416.
    CutAndDeny(u64),
    /// Another length than that of the body: so many bytes more, or fewer.
    WrongLength(i64),
    /// Other content.
    Replace(Vec<u8>),
    /// This status, with a body that never ends.
    Status(u16),
    /// A redirect to this address.
    Redirect(String),
    /// A redirect to the same address.
    RedirectLoop,
    /// Lines of headers without end.
    EndlessHeaders,
    /// One header without end.
    EndlessHeader,
    /// The length of a chunk with an extension that never ends.
    ChunkExtension,
    /// Trailers without end behind a chunk.
    Trailers,
}

#[derive(Debug)]
struct State {
    folder: PathBuf,
    attacks: Mutex<Vec<(String, Attack)>>,
    requests: Mutex<Vec<String>>,
    sent: AtomicU64,
    stop: AtomicBool,
}

/// The server; it ends when it is dropped.
#[derive(Debug)]
pub struct Hostile {
    port: u16,
    state: Arc<State>,
}

impl Hostile {
    /// Serves a folder, and behaves at first.
    ///
    /// # Panics
    ///
    /// Panics when there is no port.
    pub fn serving(folder: &Path) -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = socket.local_addr().expect("an address").port();
        let state = Arc::new(State {
            folder: folder.to_owned(),
            attacks: Mutex::default(),
            requests: Mutex::default(),
            sent: AtomicU64::new(0),
            stop: AtomicBool::new(false),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in socket.incoming().flatten() {
                if shared.stop.load(Ordering::Relaxed) {
                    return;
                }
                let shared = shared.clone();
                std::thread::spawn(move || {
                    // A client that has seen enough closes the connection.
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

    /// Misbehaves for every path that contains `path`; that ends with it, if it ends in `$`. The first attack that fits is
    /// carried out.
    pub fn attack(&self, path: &str, attack: Attack) {
        locked(&self.state.attacks).push((path.to_owned(), attack));
    }

    /// Behaves again, and forgets what was asked for and sent.
    pub fn reset(&self) {
        locked(&self.state.attacks).clear();
        locked(&self.state.requests).clear();
        self.state.sent.store(0, Ordering::Relaxed);
    }

    /// The paths that were asked for.
    pub fn requests(&self) -> Vec<String> {
        locked(&self.state.requests).clone()
    }

    /// Bytes of bodies that were sent.
    pub fn sent(&self) -> u64 {
        self.state.sent.load(Ordering::Relaxed)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(stream: &TcpStream, state: &State) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut lines = BufReader::new(stream.try_clone()?);
    loop {
        let mut request = String::new();
        if lines.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut start = None;
        loop {
            let mut header = String::new();
            if lines.read_line(&mut header)? == 0 || header.trim().is_empty() {
                break;
            }
            if let Some(range) = header.to_ascii_lowercase().strip_prefix("range: bytes=") {
                start = range.trim().trim_end_matches('-').parse::<usize>().ok();
            }
        }
        let path = request.split(' ').nth(1).unwrap_or("/").to_owned();
        locked(&state.requests).push(path.clone());
        if !answer(stream, state, &path, start)? {
            return Ok(());
        }
    }
}

/// Answers one request; returns whether the connection can be used again.
fn answer(stream: &TcpStream, state: &State, path: &str, start: Option<usize>) -> io::Result<bool> {
    let attack = locked(&state.attacks)
        .iter()
        .find(|(pattern, _)| fits(path, pattern))
        .map(|(_, attack)| attack.clone());
    let file = fs::read(state.folder.join(path.trim_start_matches('/')));
    let mut out = Out { stream, state };
    let body = match (&attack, file) {
        (Some(Attack::Replace(bytes)), _) => bytes.clone(),
        (_, Ok(bytes)) => bytes,
        // What is not there can be attacked as well.
        (Some(_), Err(_)) => Vec::new(),
        (None, Err(_)) => {
            out.head("404 Not Found", "content-length: 0\r\n")?;
            return Ok(true);
        }
    };
    let length = body.len();
    match attack {
        None | Some(Attack::Replace(_)) => {
            out.file(&body, start, length)?;
            return Ok(true);
        }
        Some(Attack::Endless) => {
            out.head("200 OK", "")?;
            out.body(&body)?;
            out.endless(&[0; 64 << 10])?;
        }
        Some(Attack::EndlessChunks) => {
            out.head("200 OK", "transfer-encoding: chunked\r\n")?;
            let mut chunk = b"10000\r\n".to_vec();
            chunk.resize(chunk.len() + 0x10000, 0);
            chunk.extend(b"\r\n");
            out.endless(&chunk)?;
        }
        Some(Attack::Huge) => {
            out.head("200 OK", "content-length: 9223372036854775807\r\n")?;
            out.endless(&[0; 64 << 10])?;
        }
        Some(Attack::Drip(rate)) => {
            out.head(
                "200 OK",
                &format!("content-length: {}\r\n", length.max(1 << 20)),
            )?;
            out.drip(&body, rate)?;
        }
        Some(Attack::DripHead(rate)) => out.drip(b"HTTP/1.1 200 OK\r\nx: ", rate)?,
        Some(Attack::CutAfter(bytes)) => {
            let end = usize::try_from(bytes)
                .unwrap_or(usize::MAX)
                .saturating_add(start.unwrap_or(0));
            out.file(&body, start, end.min(length))?;
        }
        Some(Attack::CutAndDeny(_)) if start.is_some() => {
            out.head("416 Range Not Satisfiable", "content-length: 0\r\n")?;
        }
        Some(Attack::CutAndDeny(bytes)) => {
            let end = usize::try_from(bytes).unwrap_or(usize::MAX);
            out.file(&body, None, end.min(length))?;
        }
        Some(Attack::WrongLength(by)) => {
            let told = i64::try_from(length).unwrap_or(i64::MAX).saturating_add(by);
            out.head("200 OK", &format!("content-length: {told}\r\n"))?;
            out.body(&body)?;
        }
        Some(Attack::Status(status)) => {
            out.head(&format!("{status} Hostile"), "")?;
            out.endless(&[b'x'; 64 << 10])?;
        }
        Some(Attack::Redirect(to)) => {
            out.head(
                "302 Found",
                &format!("location: {to}\r\ncontent-length: 0\r\n"),
            )?;
        }
        Some(Attack::RedirectLoop) => {
            out.head(
                "302 Found",
                &format!("location: {path}\r\ncontent-length: 0\r\n"),
            )?;
            return Ok(true);
        }
        Some(Attack::EndlessHeaders) => {
            out.stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            out.endless(b"x-header: value\r\n".repeat(1000).as_slice())?;
        }
        Some(Attack::EndlessHeader) => {
            out.stream.write_all(b"HTTP/1.1 200 OK\r\nx-header: ")?;
            out.endless(&[b'x'; 64 << 10])?;
        }
        Some(Attack::ChunkExtension) => {
            out.head("200 OK", "transfer-encoding: chunked\r\n")?;
            out.stream.write_all(b"10;")?;
            out.endless(&[b'x'; 64 << 10])?;
        }
        Some(Attack::Trailers) => {
            out.head("200 OK", "transfer-encoding: chunked\r\n")?;
            out.stream.write_all(b"1\r\nx\r\n0\r\n")?;
            out.endless(b"x-trailer: value\r\n".repeat(1000).as_slice())?;
        }
    }
    Ok(false)
}

fn fits(path: &str, pattern: &str) -> bool {
    match pattern.strip_suffix('$') {
        Some(end) => path.ends_with(end),
        None => path.contains(pattern),
    }
}

/// One answer.
struct Out<'a> {
    stream: &'a TcpStream,
    state: &'a State,
}

impl Out<'_> {
    fn head(&mut self, status: &str, headers: &str) -> io::Result<()> {
        write!(self.stream, "HTTP/1.1 {status}\r\n{headers}\r\n")
    }

    fn body(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)?;
        self.state
            .sent
            .fetch_add(bytes.len() as u64, Ordering::Relaxed);
        Ok(())
    }

    /// Sends the same again and again, until the client has had enough.
    fn endless(&mut self, bytes: &[u8]) -> io::Result<()> {
        while !self.state.stop.load(Ordering::Relaxed) {
            self.body(bytes)?;
        }
        Ok(())
    }

    /// Sends some bytes, and then others without end, so many a second.
    fn drip(&mut self, bytes: &[u8], rate: u64) -> io::Result<()> {
        let mut bytes = bytes.iter().copied().chain(std::iter::repeat(b'x'));
        while !self.state.stop.load(Ordering::Relaxed) {
            self.body(&[bytes.next().unwrap_or(b'x')])?;
            std::thread::sleep(Duration::from_micros(1_000_000 / rate.max(1)));
        }
        Ok(())
    }

    /// Sends a file from `start` on; the connection ends before byte `end` of it.
    fn file(&mut self, file: &[u8], start: Option<usize>, end: usize) -> io::Result<()> {
        let mut etag = String::new();
        for byte in &Sha256::digest(file)[..8] {
            let _ = write!(etag, "{byte:02x}");
        }
        let length = file.len();
        match start.filter(|start| *start < length) {
            Some(start) => {
                let headers = format!(
                    "etag: \"{etag}\"\r\ncontent-range: bytes {start}-{}/{length}\r\ncontent-length: {}\r\n",
                    length - 1,
                    length - start
                );
                self.head("206 Partial Content", &headers)?;
                self.body(&file[start..end.max(start)])
            }
            None => {
                self.head(
                    "200 OK",
                    &format!("etag: \"{etag}\"\r\ncontent-length: {length}\r\n"),
                )?;
                self.body(&file[..end])
            }
        }
    }
}

/// A `.filez` of zeros: its header claims `claimed` bytes, and its content has `bytes`. The bytes of the header are those of
/// the variant `(tuuuusa(ayay))`, see `_ostree_zlib_file_header_new` of libostree.
///
/// # Panics
///
/// Never: memory takes every byte.
pub fn filez_bomb(claimed: u64, bytes: u64) -> Vec<u8> {
    let mut header = Vec::new();
    header.extend(claimed.to_be_bytes());
    for number in [0u32, 0, 0o100_644, 0] {
        header.extend(number.to_be_bytes());
    }
    // The target, with the zero that ends it; no extended attributes; where the target ends.
    header.extend([0, 25]);
    let length = u32::try_from(header.len()).expect("a short header");
    let mut file = length.to_be_bytes().to_vec();
    file.extend([0; 4]);
    file.extend(header);
    let mut deflate = DeflateEncoder::new(file, Compression::fast());
    let zeros = vec![0; 1 << 20];
    let mut left = bytes;
    while left > 0 {
        let piece = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
        deflate.write_all(&zeros[..piece]).expect("memory");
        left -= piece as u64;
    }
    deflate.finish().expect("memory")
}

/// Replaces the header of a part in a superblock, so that it names another file: `old` is the SHA-256 of the part that it
/// names now. The bytes are those of the variant `(uayttay)`, see `OSTREE_STATIC_DELTA_META_ENTRY_FORMAT` of libostree.
///
/// # Panics
///
/// Panics when the superblock does not name `old`.
pub fn rename_part(superblock: &mut [u8], old: &[u8], part: &[u8], uncompressed: u64) {
    let old = Sha256::digest(old);
    let at = superblock
        .windows(old.len())
        .position(|window| window == old.as_slice())
        .expect("a superblock that names the part");
    superblock[at..at + 32].copy_from_slice(&Sha256::digest(part));
    superblock[at + 36..at + 44].copy_from_slice(&(part.len() as u64).to_le_bytes());
    superblock[at + 44..at + 52].copy_from_slice(&uncompressed.to_le_bytes());
}

/// Replaces every occurrence of a checksum, given in hexadecimal digits, in a file that has it in binary.
///
/// # Panics
///
/// Panics when one is no checksum.
pub fn replace_checksum(bytes: &mut [u8], old: &str, new: &str) {
    let (old, new) = (binary(old), binary(new));
    let mut at = 0;
    while at + 32 <= bytes.len() {
        if bytes[at..at + 32] == old[..] {
            bytes[at..at + 32].copy_from_slice(&new);
        }
        at += 1;
    }
}

fn binary(checksum: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&checksum[at..at + 2], 16).expect("hexadecimal digits");
    (0..64).step_by(2).map(byte).collect()
}
