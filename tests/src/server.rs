//! A small web server on the loopback interface, for files that tests download.

use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

/// A server that runs until the process ends. It supports strong ETags and open-ended ranges.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    files: Arc<BTreeMap<String, Vec<u8>>>,
}

impl Server {
    /// Starts a server for files, given by their names.
    ///
    /// # Panics
    ///
    /// Panics if no port is available.
    pub fn start(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let address = listener.local_addr().expect("an address");
        let files = Arc::new(files.into_iter().collect());
        let served = Arc::clone(&files);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let files = Arc::clone(&served);
                // Errors are ignored, because clients may be killed.
                std::thread::spawn(move || answer(stream, &files).ok());
            }
        });
        Self { address, files }
    }

    /// Returns the URL of a file.
    pub fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }

    /// Returns the hexadecimal digest of a file.
    ///
    /// # Panics
    ///
    /// Panics if the file does not exist.
    pub fn sha256(&self, name: &str) -> String {
        hex(&self.files[name])
    }
}

fn hex(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn answer(stream: TcpStream, files: &BTreeMap<String, Vec<u8>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut start = None;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if line.trim().is_empty() {
            break;
        }
        if let Some(range) = line.to_ascii_lowercase().strip_prefix("range: bytes=") {
            start = range.trim().trim_end_matches('-').parse::<usize>().ok();
        }
    }
    let mut stream = stream;
    let name = request.split(' ').nth(1).unwrap_or_default();
    let Some(file) = files.get(name.trim_start_matches('/')) else {
        return stream.write_all(
            b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        );
    };
    let etag = &hex(file)[..16];
    let (status, range, body) = match start.filter(|start| *start < file.len()) {
        Some(start) => {
            let (last, all) = (file.len() - 1, file.len());
            let range = format!("Content-Range: bytes {start}-{last}/{all}\r\n");
            ("206 Partial Content", range, &file[start..])
        }
        None => ("200 OK", String::new(), &file[..]),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nETag: \"{etag}\"\r\n{range}Content-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(body)
}
