//! The text of a unit.
//!
//! Source of the settings: systemd.exec(5) and systemd.resource-control(5). All of them exist in
//! systemd 252, the version of Debian 12; older versions ignore what they do not know.

use super::UnitOptions;
use super::options::ListenPort;
use super::program::Program;
use crate::export::systemd::{assignment, word};
use std::fmt::Write as _;

/// Ports below this need a capability. Source: `ip_unprivileged_port_start` in ip-sysctl.
const FIRST_UNPRIVILEGED_PORT: u16 = 1024;

/// A unit whose options have been checked.
pub(super) struct Unit<'a> {
    pub(super) options: &'a UnitOptions,
    /// Without `.service`.
    pub(super) name: &'a str,
    /// The path of the program on the host.
    pub(super) path: &'a str,
    pub(super) program: &'a Program,
}

/// A section or group of settings.
struct Text(String);

impl Text {
    /// Adds a comment of several lines after an empty line.
    fn group(&mut self, comment: &str) {
        self.0.push('\n');
        for line in comment.lines() {
            let _ = writeln!(self.0, "# {line}");
        }
    }

    fn set(&mut self, key: &str, value: &str) {
        let _ = writeln!(self.0, "{key}={value}");
    }

    fn yes(&mut self, keys: &[&str]) {
        for key in keys {
            self.set(key, "yes");
        }
    }
}

impl Unit<'_> {
    /// Returns the service.
    pub(super) fn service(&self) -> String {
        let mut text = Text(format!(
            "# Written by `ostree-go export unit`. For changes on one host: systemctl edit {}.service\n\n",
            self.name
        ));
        text.0.push_str("[Unit]\n");
        text.set("Description", &self.description());
        if !self.options.no_network {
            text.set("Wants", "network-online.target");
            text.set("After", "network-online.target");
        }
        if self.options.socket_activation {
            text.set("Requires", &format!("{}.socket", self.name));
        }
        text.set("AssertArchitecture", self.program.arch.systemd());
        text.0.push_str("\n[Service]\n");
        text.set("Type", "exec");
        text.set("ExecStart", &self.command());
        // A panic exits with 2; a service that ends by itself with 0 has finished.
        text.set("Restart", "on-failure");
        text.set("RestartSec", "1s");
        self.runtime(&mut text);
        self.files(&mut text);
        self.code(&mut text);
        self.user(&mut text);
        self.kernel(&mut text);
        self.network(&mut text);
        self.calls(&mut text);
        text.0.push_str("\n[Install]\nWantedBy=multi-user.target\n");
        text.0
    }

    /// Returns the socket unit.
    pub(super) fn socket(&self) -> String {
        let mut text = Text(format!(
            "# Written by `ostree-go export unit`. The order of the ports is that of the file descriptors from 3 on.\n\n\
             [Unit]\nDescription={} (ports)\n\n[Socket]\n",
            self.description()
        ));
        for ListenPort { udp, port } in &self.options.listen {
            let key = match udp {
                true => "ListenDatagram",
                false => "ListenStream",
            };
            text.set(key, &port.to_string());
        }
        text.0.push_str("\n[Install]\nWantedBy=sockets.target\n");
        text.0
    }

    fn description(&self) -> String {
        let text = self.options.description.as_deref().unwrap_or(self.name);
        text.replace('%', "%%")
    }

    fn command(&self) -> String {
        let args = self
            .options
            .args
            .iter()
            .map(|arg| format!(" {}", word(arg)));
        format!("{}{}", self.path, args.collect::<String>())
    }

    /// Go's runtime: what differs from its defaults.
    fn runtime(&self, text: &mut Text) {
        text.group(
            "Go's runtime needs no settings: memory that is freed returns to the system at once\n\
             (GODEBUG=madvdontneed=1, the default on Linux since Go 1.16), the limit of open files is raised\n\
             to the hard limit at the start, and a panic prints the stack of its goroutine only\n\
             (GOTRACEBACK=single).",
        );
        for (name, value) in &self.options.environment {
            text.set("Environment", &assignment(name, value));
        }
        if let Some(bytes) = self.options.memory_max {
            text.group(
                "The runtime does not read MemoryMax=. GOMEMLIMIT, 90 percent of it, makes the garbage\n\
                 collector work harder before the kernel kills the service.",
            );
            text.set("MemoryMax", &bytes.to_string());
            text.set("Environment", &format!("GOMEMLIMIT={}", bytes / 10 * 9));
        }
        if let Some(cpus) = self.options.cpus {
            text.group(
                "With `go 1.25` or newer in go.mod, GOMAXPROCS follows this quota (containermaxprocs=1, the\n\
                 default then). Older programs run as many threads as the machine has CPUs.",
            );
            text.set("CPUQuota", &format!("{}%", u64::from(cpus) * 100));
        }
    }

    /// Files that the service sees and writes.
    fn files(&self, text: &mut Text) {
        let options = self.options;
        text.group(match (options.state, options.writable.is_empty()) {
            (true, true) => {
                "The file system is read-only, except for the directory in STATE_DIRECTORY, /tmp and\n/var/tmp, which only this service sees."
            }
            (_, false) => {
                "The file system is read-only, except for the directories that are named here, /tmp and\n/var/tmp, which only this service sees."
            }
            (false, true) => {
                "The file system is read-only, except for /tmp and /var/tmp, which only this service sees."
            }
        });
        text.set("ProtectSystem", "strict");
        if options.state {
            text.set("StateDirectory", self.name);
            text.set("StateDirectoryMode", "0700");
        }
        if !options.writable.is_empty() {
            text.set("ReadWritePaths", &options.writable.join(" "));
        }
        text.set("UMask", "0077");
        text.yes(&["ProtectHome", "PrivateTmp", "PrivateMounts"]);
    }

    /// Which files may be executed.
    fn code(&self, text: &mut Text) {
        let libraries = &self.program.libraries;
        let mut allowed = vec![self.path.to_owned()];
        allowed.extend(libraries.iter().map(|path| format!("-{path}")));
        let which = match libraries.is_empty() {
            true => "the program itself: it is static.",
            false => {
                "the program, and what is in the directories of its loader and shared libraries. Build with\nCGO_ENABLED=0 to allow only the program."
            }
        };
        text.group(&format!(
            "Nothing can be executed except {which}\n\
             systemd exempts writable directories from NoExecPaths=/, so that they are named as well; programs\n\
             in memory (memfd_create) are excluded below."
        ));
        let mut denied = vec!["/".to_owned(), "/tmp".to_owned(), "/var/tmp".to_owned()];
        if self.options.state {
            let name = self.name;
            denied.push(format!("-/var/lib/{name} -/var/lib/private/{name}"));
        }
        denied.extend(self.options.writable.iter().map(|path| format!("-{path}")));
        text.set("NoExecPaths", &denied.join(" "));
        text.set("ExecPaths", &allowed.join(" "));
        text.yes(&["MemoryDenyWriteExecute", "LockPersonality"]);
    }

    /// The user and its privileges.
    fn user(&self, text: &mut Text) {
        match &self.options.user {
            None => {
                text.group(
                    "A user that exists only while the service runs, and has no privileges.",
                );
                text.set("DynamicUser", "yes");
            }
            Some(user) => {
                text.group("The user has no privileges.");
                text.set("User", user);
            }
        }
        text.yes(&[
            "NoNewPrivileges",
            "RestrictSUIDSGID",
            "RemoveIPC",
            "PrivateIPC",
        ]);
        text.set("KeyringMode", "private");
        if self.needs_port_capability() {
            // In a user namespace, the capability would not count for the network of the host.
            text.0.push_str(
                "# A port below 1024 needs this capability, which has no effect with PrivateUsers=yes.\n",
            );
            text.set("AmbientCapabilities", "CAP_NET_BIND_SERVICE");
            text.set("CapabilityBoundingSet", "CAP_NET_BIND_SERVICE");
        } else {
            text.set("CapabilityBoundingSet", "");
            text.set("AmbientCapabilities", "");
            text.yes(&["PrivateUsers"]);
        }
    }

    fn needs_port_capability(&self) -> bool {
        let is_privileged = |listen: &ListenPort| listen.port < FIRST_UNPRIVILEGED_PORT;
        !self.options.socket_activation && self.options.listen.iter().any(is_privileged)
    }

    /// The parts of the kernel that the service sees.
    fn kernel(&self, text: &mut Text) {
        text.group("No devices except pseudo devices like /dev/null, no settings of the kernel, no other processes.");
        text.set("DevicePolicy", "closed");
        text.yes(&[
            "PrivateDevices",
            "ProtectClock",
            "ProtectControlGroups",
            "ProtectHostname",
            "ProtectKernelLogs",
            "ProtectKernelModules",
            "ProtectKernelTunables",
            "RestrictNamespaces",
            "RestrictRealtime",
        ]);
        text.set("ProtectProc", "invisible");
        if self.listens() {
            text.0.push_str(
                "# Go reads the length of the queue of connections from /proc/sys/net/core/somaxconn. With\n\
                 # ProcSubset=pid, which hides that file, it would be 128.\n",
            );
        } else {
            text.set("ProcSubset", "pid");
        }
    }

    /// Returns true if the service itself opens ports.
    fn listens(&self) -> bool {
        !self.options.listen.is_empty() && !self.options.socket_activation
    }

    /// Addresses and ports.
    fn network(&self, text: &mut Text) {
        let options = self.options;
        if options.no_network {
            text.group(match options.socket_activation {
                true => {
                    "No network: the service can only answer on the sockets that systemd passes."
                }
                false => "No network.",
            });
            text.yes(&["PrivateNetwork"]);
            text.set("RestrictAddressFamilies", "AF_UNIX");
        } else {
            text.group("No packet sockets, and no netlink: add AF_NETLINK for net.Interfaces.");
            text.set("RestrictAddressFamilies", "AF_INET AF_INET6 AF_UNIX");
        }
        if !options.allow_addresses.is_empty() {
            text.0.push_str("# Packets of all other addresses are dropped. The kernel needs BPF for control groups (version 2).\n");
            text.set("IPAddressDeny", "any");
            text.set("IPAddressAllow", &options.allow_addresses.join(" "));
        } else if options.no_network && !options.socket_activation {
            text.set("IPAddressDeny", "any");
        }
        if self.listens() {
            text.0.push_str(
                "# No other port, such as one of net/http/pprof. This is enforced only if `systemctl --version` shows\n\
                 # +BPF_FRAMEWORK, and the kernel has BPF for control groups (version 2); elsewhere systemd ignores it,\n\
                 # and socket activation is the way to exclude other ports. Port 0 is not denied, because Go binds to it\n\
                 # to find out whether there is IPv6. Handlers on an allowed port are the program's own matter.\n",
            );
            text.set("SocketBindDeny", "1-65535");
            for listen in &options.listen {
                text.set("SocketBindAllow", &listen.to_string());
            }
        }
    }

    /// System calls.
    fn calls(&self, text: &mut Text) {
        text.group("The system calls of ordinary services; all others fail with EPERM.");
        text.set("SystemCallArchitectures", "native");
        text.set("SystemCallErrorNumber", "EPERM");
        text.set("SystemCallFilter", "@system-service");
        text.set("SystemCallFilter", "~@privileged @resources memfd_create");
        if !self.listens() {
            text.0.push_str("# No TCP port besides those that systemd passes, so none of net/http/pprof either.\n");
            text.set("SystemCallFilter", "~listen");
        }
    }
}
