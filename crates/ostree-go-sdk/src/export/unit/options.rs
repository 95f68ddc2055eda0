//! Options of a unit.

use crate::arch::Arch;
use crate::setters::setters;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

/// A port that a service listens on. Displayed as in `SocketBindAllow=`: `tcp:8080`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListenPort {
    /// True for UDP, false for TCP.
    pub udp: bool,
    /// The number of the port, which is not 0.
    pub port: u16,
}

impl fmt::Display for ListenPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.udp {
            true => "udp",
            false => "tcp",
        };
        write!(f, "{protocol}:{}", self.port)
    }
}

/// The error for a text that is not a port.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not a port, expected the form 8080, tcp:8080 or udp:53", found.escape_debug())]
pub struct InvalidListenPort {
    /// The invalid text.
    pub found: String,
}

impl FromStr for ListenPort {
    type Err = InvalidListenPort;

    fn from_str(text: &str) -> Result<Self, InvalidListenPort> {
        let (udp, port) = match text.split_once(':') {
            Some(("tcp", port)) => (false, port),
            Some(("udp", port)) => (true, port),
            Some(_) => (false, ""),
            None => (false, text),
        };
        let digits = port.bytes().all(|b| b.is_ascii_digit());
        let port = port.parse().ok().filter(|port| digits && *port != 0);
        port.map(|port| Self { udp, port })
            .ok_or_else(|| InvalidListenPort {
                found: text.to_owned(),
            })
    }
}

/// Options of a unit for a Go service.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct UnitOptions {
    pub(super) name: String,
    pub(super) binary: PathBuf,
    pub(super) install_path: Option<PathBuf>,
    pub(super) args: Vec<String>,
    pub(super) description: Option<String>,
    pub(super) arch: Option<Arch>,
    pub(super) listen: Vec<ListenPort>,
    pub(super) socket_activation: bool,
    pub(super) no_network: bool,
    pub(super) allow_addresses: Vec<String>,
    pub(super) state: bool,
    pub(super) writable: Vec<String>,
    pub(super) user: Option<String>,
    pub(super) environment: Vec<(String, String)>,
    pub(super) memory_max: Option<u64>,
    pub(super) cpus: Option<u32>,
}

impl UnitOptions {
    /// Creates options for a service with a name, with or without `.service`, that runs a program.
    /// The file is read to find out how it is loaded.
    #[must_use]
    pub fn new(name: impl Into<String>, binary: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            binary: binary.into(),
            install_path: None,
            args: Vec::new(),
            description: None,
            arch: None,
            listen: Vec::new(),
            socket_activation: false,
            no_network: false,
            allow_addresses: Vec::new(),
            state: false,
            writable: Vec::new(),
            user: None,
            environment: Vec::new(),
            memory_max: None,
            cpus: None,
        }
    }

    setters! {
        /// Sets the path of the program on the host. Default: the path of the file that is read.
        install_path: Option<PathBuf>;
        /// Sets the arguments of the program. Default: none.
        args: Vec<String>;
        /// Sets the description. Default: the name.
        description: Option<String>;
        /// Sets the architecture that the program must be for. Default: any that Go SDKs are
        /// composed for.
        arch: Option<Arch>;
        /// Sets the ports that the service listens on. Default: none.
        listen: Vec<ListenPort>;
        /// Sets whether systemd opens the ports and passes them to the service, which then cannot
        /// listen by itself (`sd_listen_fds(3)`). Default: no.
        socket_activation: bool;
        /// Sets whether the service has no network besides the sockets that systemd passes.
        /// Default: no.
        no_network: bool;
        /// Sets the only addresses that the service exchanges packets with, in the form of
        /// `IPAddressAllow=`. Default: all.
        allow_addresses: Vec<String>;
        /// Sets whether the service has a directory to write to, `/var/lib/NAME`. Default: no.
        state: bool;
        /// Sets other directories and files to which the service may write. Default: none.
        writable: Vec<String>;
        /// Sets the existing user to run as. Default: one that systemd allocates while the service
        /// runs.
        user: Option<String>;
        /// Sets environment variables. Default: none.
        environment: Vec<(String, String)>;
        /// Sets the maximum amount of memory in bytes, which also limits the heap. Default: none.
        memory_max: Option<u64>;
        /// Sets the maximum number of CPUs. Default: all.
        cpus: Option<u32>;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports() {
        for (text, shown) in [
            ("8080", "tcp:8080"),
            ("tcp:1", "tcp:1"),
            ("udp:65535", "udp:65535"),
        ] {
            let port: ListenPort = text.parse().unwrap();
            assert_eq!(port.to_string(), shown);
        }
        for text in [
            "", "0", "65536", "+80", "sctp:80", "tcp:", ":80", "80-90", "::80",
        ] {
            assert!(text.parse::<ListenPort>().is_err(), "{text}");
        }
    }
}
