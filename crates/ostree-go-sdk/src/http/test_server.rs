//! A web server on the loopback interface whose responses a test defines.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// A received request: the path, and header lines in lower case.
#[derive(Debug, Clone)]
pub struct Request {
    pub path: String,
    pub headers: Vec<String>,
}

impl Request {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Returns the first byte of the requested range.
    pub fn range(&self) -> Option<usize> {
        let range = self.header("range")?.strip_prefix("bytes=")?;
        range.strip_suffix('-')?.parse().ok()
    }
}

pub struct TestServer {
    pub url: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl TestServer {
    /// Answers the n-th request (from 1) with the output of `answer`, then closes the connection.
    pub fn start(answer: impl Fn(usize, &Request, &mut TcpStream) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&requests);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
                let Some(Ok(first)) = lines.next() else {
                    continue;
                };
                let request = Request {
                    path: first.split(' ').nth(1).unwrap_or_default().to_owned(),
                    headers: lines
                        .map_while(Result::ok)
                        .take_while(|line| !line.is_empty())
                        .map(|line| match line.split_once(": ") {
                            Some((name, value)) => format!("{}: {value}", name.to_lowercase()),
                            None => line,
                        })
                        .collect(),
                };
                let number = {
                    let mut log = log.lock().unwrap();
                    log.push(request.clone());
                    log.len()
                };
                answer(number, &request, &mut stream);
                let _ = stream.shutdown(std::net::Shutdown::Both);
            }
        });
        Self { url, requests }
    }

    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

/// Writes a response with a status, headers (each with its line ending) and a body.
pub fn respond(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\n\r\n");
    // The client may have closed the connection early.
    let _ = stream.write_all(head.as_bytes());
    let _ = stream.write_all(body);
}

/// Answers like a file server, with support for ranges.
pub fn serve(request: &Request, stream: &mut TcpStream, body: &[u8]) {
    serve_part(request, stream, body, body.len());
}

/// Answers like [`serve`], but closes the connection before byte `end` of the file.
pub fn serve_part(request: &Request, stream: &mut TcpStream, body: &[u8], end: usize) {
    let total = body.len();
    let is_current = request
        .header("if-range")
        .is_none_or(|etag| etag == "\"v1\"");
    match request.range() {
        Some(start) if is_current => {
            let headers = format!(
                "etag: \"v1\"\r\ncontent-length: {}\r\ncontent-range: bytes {start}-{}/{total}\r\n",
                total - start,
                total - 1,
            );
            respond(
                stream,
                "206 Partial",
                &headers,
                &body[start..end.max(start)],
            );
        }
        _ => {
            let headers = format!("etag: \"v1\"\r\ncontent-length: {total}\r\n");
            respond(stream, "200 OK", &headers, &body[..end]);
        }
    }
}

/// Makes the connection end with a reset instead of a regular end.
pub fn reset(stream: &TcpStream) {
    rustix::net::sockopt::set_socket_linger(stream, Some(std::time::Duration::ZERO)).unwrap();
}
