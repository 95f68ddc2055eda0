//! Transient units of systemd: a service as a sandbox, and a scope that limits memory.

use super::backend::Network;
use super::detect;
use super::error::{Gap, Reason};
use super::options::{Bind, Host};
use serde::{Deserialize, Serialize};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A service manager.
#[derive(Debug, Clone)]
pub(super) struct Manager {
    run: PathBuf,
    control: PathBuf,
    /// `XDG_RUNTIME_DIR` of a user's manager.
    runtime_dir: Option<PathBuf>,
}

/// The directory of the control groups of a manager, cgroups(7).
fn control_groups(is_user: bool) -> PathBuf {
    let top = PathBuf::from("/sys/fs/cgroup");
    match is_user {
        true => {
            let user = rustix::process::getuid().as_raw();
            top.join(format!("user.slice/user-{user}.slice/user@{user}.service"))
        }
        false => top,
    }
}

/// Finds the service manager of the system for root, and that of the user for others.
///
/// # Errors
/// Returns the reason if there is none.
pub(super) fn manager(host: &Host) -> Result<Manager, Reason> {
    let run = detect::program(host, "systemd-run")?;
    let control = detect::program(host, "systemctl")?;
    // sd_booted(3).
    if !Path::new("/run/systemd/system").is_dir() {
        return Err(Reason::NoManager);
    }
    let runtime_dir = match detect::is_root() {
        true => None,
        false => Some(host.runtime_dir.clone().ok_or(Reason::NoManager)?),
    };
    // systemd-run waits for a service through the message bus.
    let bus = match &runtime_dir {
        Some(folder) => folder.join("bus"),
        None => PathBuf::from("/run/dbus/system_bus_socket"),
    };
    if !bus.exists() {
        return Err(Reason::NoManager);
    }
    Ok(Manager {
        run,
        control,
        runtime_dir,
    })
}

/// The first version with `PrivatePIDs=`. Source: NEWS of systemd.
const WITH_PID_NAMESPACE: u32 = 257;

impl Manager {
    /// Returns what a service does not isolate.
    pub fn gaps(&self) -> Vec<Gap> {
        match self.has_pid_namespace() {
            true => Vec::new(),
            false => vec![Gap::Signals],
        }
    }

    /// Returns true if the manager can create a process namespace, which that of a user cannot.
    fn has_pid_namespace(&self) -> bool {
        if self.runtime_dir.is_some() {
            return false;
        }
        let output = Command::new(&self.run).arg("--version").output();
        // The first line is `systemd 257 (257.13-1)`.
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        let version = text.ok().and_then(|text| {
            let word = text.split_whitespace().nth(1)?;
            let digits = word.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse().ok()
        });
        version.is_some_and(|version: u32| version >= WITH_PID_NAMESPACE)
    }

    /// Returns true if the manager can limit memory: systemd ignores the setting where the controller belongs to
    /// the old hierarchy, or is not delegated to the user.
    pub fn has_memory_controller(&self) -> bool {
        let file = control_groups(self.runtime_dir.is_some()).join("cgroup.controllers");
        let controllers = std::fs::read_to_string(file).unwrap_or_default();
        controllers.split_whitespace().any(|name| name == "memory")
    }

    /// Returns the variables that `systemd-run` needs to find the manager.
    pub fn variables(&self) -> Vec<(OsString, OsString)> {
        let folder = self.runtime_dir.iter();
        folder
            .map(|folder| ("XDG_RUNTIME_DIR".into(), folder.clone().into()))
            .collect()
    }

    /// Returns the command line before a command that is to run with limited memory.
    pub fn scope(&self, memory: u64) -> Vec<OsString> {
        let mut words = self.start();
        words.extend(["--scope".into(), "--collect".into()]);
        for property in memory_properties(memory) {
            words.extend(["-p".into(), property]);
        }
        words.push("--".into());
        words
    }

    fn start(&self) -> Vec<OsString> {
        let mut words = vec![self.run.clone().into(), "--quiet".into()];
        words.extend(self.runtime_dir.iter().map(|_| "--user".into()));
        words
    }

    /// Returns the unit of a service.
    pub fn unit(&self) -> Unit {
        let name = format!("ostree-go-run-{}.service", std::process::id());
        Unit {
            name,
            control: self.control.clone().into(),
            is_user: self.runtime_dir.is_some(),
        }
    }
}

/// A service to start.
#[derive(Debug)]
pub(super) struct Service<'a> {
    pub network: Network,
    pub binds: Vec<(&'a Bind, bool)>,
    pub directory: &'a Path,
    pub environment_file: &'a Path,
    pub memory: Option<u64>,
    pub umask: Option<u32>,
    /// The numbers of the CPUs.
    pub cpus: Vec<usize>,
    /// True if the manager has no gaps.
    pub has_pid_namespace: bool,
}

impl Service<'_> {
    /// Returns the command line that starts the service and waits for its end. The command and its arguments have
    /// to be appended.
    ///
    /// Everything but the binds is an empty file system; `ProtectSystem=` must not be set, because it would show
    /// the host's again.
    pub fn words(&self, manager: &Manager, unit: &Unit) -> Vec<OsString> {
        let mut words = manager.start();
        words.extend(["--pipe", "--wait", "--service-type=exec"].map(Into::into));
        words.push(format!("--unit={}", unit.name).into());
        let mut add = |property: OsString| words.extend(["-p".into(), property]);
        for fixed in PROPERTIES {
            add(fixed.into());
        }
        if self.has_pid_namespace {
            add("PrivatePIDs=yes".into());
        }
        if unit.is_user {
            // Without it, a user's manager of systemd 252 cannot mount anything.
            add("PrivateUsers=yes".into());
        } else {
            // A user's manager cannot set these up.
            add("CapabilityBoundingSet=".into());
            add("ProtectHostname=yes".into());
            add("ProtectKernelLogs=yes".into());
            add("ProtectClock=yes".into());
            add("ProtectKernelModules=yes".into());
        }
        if self.network == Network::None {
            add("PrivateNetwork=yes".into());
        }
        for (bind, is_writable) in &self.binds {
            let name = match is_writable {
                true => "BindPaths=",
                false => "BindReadOnlyPaths=",
            };
            let mut property = OsString::from(name);
            property.push(escaped(bind.source.as_os_str(), b":"));
            property.push(":");
            property.push(escaped(bind.dest.as_os_str(), b":"));
            add(property);
        }
        let mut directory = OsString::from("WorkingDirectory=");
        directory.push(self.directory);
        add(directory);
        let mut file = OsString::from("EnvironmentFile=");
        file.push(self.environment_file);
        add(file);
        self.memory
            .map(memory_properties)
            .into_iter()
            .flatten()
            .for_each(&mut add);
        if let Some(umask) = self.umask {
            add(format!("UMask={umask:04o}").into());
        }
        if !self.cpus.is_empty() {
            let cpus: Vec<String> = self.cpus.iter().map(usize::to_string).collect();
            add(format!("CPUAffinity={}", cpus.join(" ")).into());
        }
        words.push("--".into());
        words
    }
}

/// The properties of every sandbox. Source: systemd.exec(5).
const PROPERTIES: [&str; 14] = [
    "TemporaryFileSystem=/:ro,mode=0755",
    // Otherwise it would be that of the host.
    "TemporaryFileSystem=/dev/shm:size=64M,mode=1777",
    "MountAPIVFS=yes",
    "PrivateDevices=yes",
    "PrivateIPC=yes",
    "ProtectProc=invisible",
    "ProtectKernelTunables=yes",
    "ProtectControlGroups=yes",
    "NoNewPrivileges=yes",
    "RestrictSUIDSGID=yes",
    "RestrictNamespaces=yes",
    "KeyringMode=private",
    "SystemCallArchitectures=native",
    // Time for the command to end after SIGTERM.
    "TimeoutStopSec=5",
];

/// Escapes a word of a command, in which the manager would replace `$NAME`. Source: systemd.service(5).
pub(super) fn command_word(word: &OsStr) -> OsString {
    let mut bytes = Vec::new();
    for byte in word.as_bytes() {
        bytes.push(*byte);
        if *byte == b'$' {
            bytes.push(b'$');
        }
    }
    OsString::from_vec(bytes)
}

fn memory_properties(memory: u64) -> [OsString; 2] {
    [
        format!("MemoryMax={memory}").into(),
        "MemorySwapMax=0".into(),
    ]
}

/// Escapes a word of a property: systemd.syntax(7) for quotes, spaces and backslashes, and `%`, which starts a
/// specifier.
fn escaped(text: &OsStr, more: &[u8]) -> OsString {
    let mut bytes = Vec::new();
    for byte in text.as_bytes() {
        match byte {
            b'\\' | b'"' | b'\'' | b' ' => bytes.extend([b'\\', *byte]),
            b'%' => bytes.extend(b"%%"),
            byte if more.contains(byte) => bytes.extend([b'\\', *byte]),
            byte => bytes.push(*byte),
        }
    }
    OsString::from_vec(bytes)
}

/// Returns the content of an `EnvironmentFile=`: in double quotes, a backslash keeps `"`, `\`, `$` and the
/// backquote. Source: systemd.exec(5).
pub(super) fn environment_file(variables: &[(OsString, OsString)]) -> Vec<u8> {
    let mut text = Vec::new();
    for (name, value) in variables {
        text.extend(name.as_bytes());
        text.extend(b"=\"");
        for byte in value.as_bytes() {
            if b"\"\\$`".contains(byte) {
                text.push(b'\\');
            }
            text.push(*byte);
        }
        text.extend(b"\"\n");
    }
    text
}

/// A unit that was started.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Unit {
    name: String,
    control: OsString,
    is_user: bool,
}

impl Unit {
    fn control(&self, words: &[&str]) -> Command {
        let mut command = Command::new(&self.control);
        command.args(self.is_user.then_some("--user"));
        command.arg("--quiet").args(words).arg(&self.name);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Sends a signal to all processes of the unit, and returns whether the unit has any.
    pub fn signal(&self, signal: i32) -> bool {
        let signal = format!("--signal={signal}");
        let status = self.control(&["kill", &signal, "--"]).status();
        status.is_ok_and(|status| status.success())
    }

    /// Sends a signal as [`signal`](Self::signal) does, and repeats it for up to two seconds while the unit has no
    /// processes: systemd may not have started it yet.
    pub fn signal_when_started(&self, signal: i32) {
        let end = Instant::now() + Duration::from_secs(2);
        while !self.signal(signal) && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills all processes of the unit.
    pub fn kill(&self) {
        // No processes mean that the unit has ended.
        let _ = self.signal(9);
        let _ = self.control(&["stop", "--"]).status();
        let _ = self.control(&["reset-failed", "--"]).status();
    }

    /// Returns the exit code of the command, after `systemd-run` has ended with another one than 0; the error is a
    /// message if the command was not started.
    pub fn exit_code(&self, code: u8) -> Result<u8, String> {
        let properties = "--property=LoadState,Result,ExecMainCode,ExecMainStatus";
        let output = self
            .control(&["show", properties, "--"])
            .stdout(Stdio::piped())
            .output();
        let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
        exit_code(&text.unwrap_or_default(), code)
    }
}

/// Reads the exit code from the properties of a unit.
///
/// Sources: waitid(2) for `ExecMainCode`, of which 2 and 3 mean that a signal ended the process; systemd.exec(5) for
/// the exit codes 200 to 243 of processes that could not be set up.
fn exit_code(properties: &str, code: u8) -> Result<u8, String> {
    let value = |name: &str| {
        let mut lines = properties.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    let status: u8 = value("ExecMainStatus")
        .and_then(|status| status.parse().ok())
        .unwrap_or(code);
    match (value("LoadState"), value("ExecMainCode")) {
        (Some("loaded"), Some("2" | "3")) => Ok(128u8.saturating_add(status)),
        (Some("loaded"), Some("1")) if value("Result") == Some("exit-code") && status == 226 => {
            Err("systemd cannot create its namespaces, exit code 226".to_owned())
        }
        (Some("loaded"), Some("1")) if status == 203 => {
            Err("systemd cannot execute the program, exit code 203".to_owned())
        }
        (Some("loaded"), Some("1")) => Ok(status),
        _ => Err("systemd did not start the service".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_of_units() {
        let of = |code: &str, status: &str| {
            let text = format!(
                "LoadState=loaded\nResult=exit-code\nExecMainCode={code}\nExecMainStatus={status}\n"
            );
            exit_code(&text, 255)
        };
        assert_eq!(of("1", "7"), Ok(7));
        assert_eq!(of("2", "15"), Ok(143));
        assert!(of("1", "226").is_err());
        assert!(exit_code("LoadState=not-found\n", 1).is_err());
        assert!(exit_code("", 1).is_err());
    }

    #[test]
    fn values_are_quoted() {
        let variables = [("A".into(), "x \"$y\" \\".into())];
        let text = environment_file(&variables);
        assert_eq!(text, b"A=\"x \\\"\\$y\\\" \\\\\"\n");
        assert_eq!(escaped("/a b%c:d".as_ref(), b":"), "/a\\ b%%c\\:d");
        assert_eq!(command_word("kill $$ $A".as_ref()), "kill $$$$ $$A");
    }
}
