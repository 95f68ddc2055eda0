//! nginx on the loopback interface.

use crate::tools;
use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// nginx that serves its own temporary directory; stopped when dropped.
#[derive(Debug)]
pub struct Nginx {
    folder: TempDir,
    scheme: &'static str,
    port: u16,
    _running: Running,
}

#[derive(Debug)]
struct Running(Child);

impl Nginx {
    /// Starts a server, or returns `None` after printing why the test is skipped.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn start() -> Option<Self> {
        Self::start_with("")
    }

    /// Starts a server with additional lines for its `location /`, such as `limit_rate 1k;`.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn start_with(location: &str) -> Option<Self> {
        Self::start_as("http", "", location)
    }

    /// Starts a server with additional lines for its `server` section, such as other locations.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn start_with_server(server: &str) -> Option<Self> {
        Self::start_as("http", server, "")
    }

    /// Starts a server with TLS, and with additional lines for its `server` section, which name the certificates.
    ///
    /// # Panics
    ///
    /// Panics if the server does not start.
    pub fn start_https(server: &str) -> Option<Self> {
        Self::start_as("https", server, "")
    }

    fn start_as(scheme: &'static str, server: &str, location: &str) -> Option<Self> {
        let nginx = tools::require("nginx")?;
        let folder = tempfile::tempdir().expect("a folder for the server");
        fs::create_dir(folder.path().join("www")).expect("a folder to serve");
        // If another process takes the port before nginx does, try again with another port.
        (0..5)
            .find_map(|_| Self::try_start(&nginx, folder.path(), scheme, server, location))
            .map(|(port, running)| Self {
                folder,
                scheme,
                port,
                _running: running,
            })
            .or_else(|| panic!("nginx does not start"))
    }

    fn try_start(
        nginx: &Path,
        folder: &Path,
        scheme: &str,
        server: &str,
        location: &str,
    ) -> Option<(u16, Running)> {
        let port = tools::free_port();
        let config = folder.join("nginx.conf");
        fs::write(&config, config_text(folder, port, scheme, server, location))
            .expect("a configuration");
        let child = Command::new(nginx)
            .arg("-c")
            .arg(&config)
            .arg("-e")
            .arg(folder.join("error.log"))
            .stdin(Stdio::null())
            .spawn();
        let mut running = Running(child.expect("nginx runs"));
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if let Ok(Some(_)) = running.0.try_wait() {
                return None;
            }
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some((port, running));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        None
    }

    /// Returns a path below the served directory, and creates its parent directories.
    ///
    /// # Panics
    ///
    /// Panics if they cannot be created.
    pub fn path(&self, name: &str) -> PathBuf {
        let path = self.folder.path().join("www").join(name);
        fs::create_dir_all(path.parent().expect("a path in a folder")).expect("a folder");
        path
    }

    /// Returns the URL of the server, without a trailing slash.
    pub fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// Returns the log of finished requests, one per line: `GET /x 200`.
    pub fn requests(&self) -> Vec<String> {
        let log = fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Configuration of a single process in the foreground that writes only to its own directory.
fn config_text(folder: &Path, port: u16, scheme: &str, server: &str, location: &str) -> String {
    let folder = folder.display();
    let ssl = if scheme == "https" { " ssl" } else { "" };
    format!(
        "daemon off;
master_process off;
pid {folder}/nginx.pid;
events {{}}
http {{
    log_format short '$request_method $uri $status';
    access_log {folder}/access.log short;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_timeout 60;
    server {{
        listen 127.0.0.1:{port}{ssl};
        {server}
        root {folder}/www;
        location /denied/ {{ return 403; }}
        location / {{ index index.json; {location} }}
    }}
}}
"
    )
}
