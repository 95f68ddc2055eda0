//! Real HTTP proxies on the loopback interface: squid and tinyproxy, with their default rules.

use crate::tools;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A proxy that is stopped when dropped.
#[derive(Debug)]
pub struct HttpProxy {
    folder: TempDir,
    port: u16,
    child: Child,
}

impl HttpProxy {
    /// Starts squid with the rules of its default configuration, in which tunnels are allowed only to port 443 and to
    /// these ports. Returns `None` after printing why the test is skipped.
    ///
    /// # Panics
    ///
    /// Panics if the proxy does not start.
    pub fn squid(tls_ports: &[u16]) -> Option<Self> {
        let squid = tools::require("squid")?;
        let tls: String = tls_ports
            .iter()
            .map(|port| format!("acl SSL_ports port {port}\n"))
            .collect();
        Some(Self::start(|folder, port| {
            let path = folder.display();
            let config = format!(
                "acl SSL_ports port 443\n{tls}acl Safe_ports port 80 443 1025-65535\n\
                 http_access deny !Safe_ports\nhttp_access deny CONNECT !SSL_ports\n\
                 http_access allow localhost\nhttp_access deny all\n\
                 http_port 127.0.0.1:{port}\nvisible_hostname proxy.example\npinger_enable off\n\
                 cache deny all\nshutdown_lifetime 0 seconds\npid_filename {path}/squid.pid\n\
                 cache_log {path}/cache.log\nlogformat short %rm %ru %>Hs\n\
                 access_log stdio:{path}/access.log short\ncoredump_dir {path}\n"
            );
            let file = folder.join("squid.conf");
            fs::write(&file, config).expect("a configuration");
            let mut command = Command::new(&squid);
            command.arg("-N").arg("-f").arg(file);
            command
        }))
    }

    /// Starts tinyproxy with the rules of its default configuration, in which tunnels are allowed only to the ports 443
    /// and 563. It requires a user name and a password. Returns `None` after printing why the test is skipped.
    ///
    /// # Panics
    ///
    /// Panics if the proxy does not start.
    pub fn tinyproxy(user: &str, password: &str) -> Option<Self> {
        let tinyproxy = tools::require("tinyproxy")?;
        Some(Self::start(|folder, port| {
            let config = format!(
                "Port {port}\nListen 127.0.0.1\nTimeout 600\nAllow 127.0.0.1\nMaxClients 100\n\
                 ConnectPort 443\nConnectPort 563\nBasicAuth {user} {password}\nLogLevel Connect\n\
                 LogFile \"{}/access.log\"\n",
                folder.display()
            );
            let file = folder.join("tinyproxy.conf");
            fs::write(&file, config).expect("a configuration");
            let mut command = Command::new(&tinyproxy);
            command.arg("-d").arg("-c").arg(file);
            command
        }))
    }

    fn start(command: impl Fn(&Path, u16) -> Command) -> Self {
        // If another process takes the port before the proxy does, try again with another port.
        for _ in 0..5 {
            let folder = tempfile::tempdir().expect("a folder for the proxy");
            // A proxy that is started by root writes its logs as another user.
            let everyone = fs::Permissions::from_mode(0o777);
            fs::set_permissions(folder.path(), everyone).expect("a mode");
            let port = tools::free_port();
            let child = command(folder.path(), port)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("the proxy runs");
            let mut proxy = Self {
                folder,
                port,
                child,
            };
            if proxy.is_up() {
                return proxy;
            }
        }
        panic!("the proxy does not start");
    }

    fn is_up(&mut self) -> bool {
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline {
            if let Ok(Some(_)) = self.child.try_wait() {
                return false;
            }
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        false
    }

    /// Returns `127.0.0.1:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Waits until the log has a line that starts with a text, or panics with the log. A proxy may write the line after
    /// its client has ended.
    ///
    /// # Panics
    ///
    /// Panics if there is no such line after 20 seconds, which guards against hanging.
    #[track_caller]
    pub fn wait_for(&self, start: &str) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !self.log().iter().any(|line| line.starts_with(start)) {
            let log = self.log();
            assert!(Instant::now() < deadline, "no `{start}` in {log:#?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Returns the log, with squid one finished request per line: `GET http://HOST/PATH 200`.
    pub fn log(&self) -> Vec<String> {
        let path = self.folder.path().join("access.log");
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

impl Drop for HttpProxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
