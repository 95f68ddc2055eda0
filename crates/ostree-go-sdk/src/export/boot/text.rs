//! The contents of the files on a host.

use super::config::BootRelease;
use super::options::BootOptions;
use crate::arch::Arch;
use crate::catalog::CommitInfo;
use crate::export::systemd::word;
use std::fmt::Write as _;

/// The root of the system's `ostree-go`, and the programs of its active SDK.
const ROOT: &str = "/var/lib/ostree-go";
const BIN: &str = "/var/lib/ostree-go/current/usr/bin";
/// The variables and folders of the build cache and the module cache.
const CACHES: [(&str, &str); 2] = [
    ("GOCACHE", "/var/cache/go-build"),
    ("GOMODCACHE", "/var/cache/go-mod"),
];

/// The validated parameters of the texts.
pub(super) struct TextParameters<'a> {
    pub(super) options: &'a BootOptions,
    pub(super) arch: Arch,
    /// The active SDK.
    pub(super) first: &'a CommitInfo,
    pub(super) releases: &'a [BootRelease],
    /// The paths of the files with the remote's keys.
    pub(super) keys: Vec<String>,
}

/// Describes the configuration in the syntax of `os-release(5)`: `KEY="value"`.
pub(super) fn sdk_meta(parameters: &TextParameters<'_>) -> String {
    let first = parameters.first;
    let release = &parameters.releases[0];
    let all = parameters.releases.iter().map(|one| one.ref_name.as_str());
    let variables = CACHES.iter().map(|(name, value)| format!("{name}={value}"));
    let more = parameters.options.environment.iter();
    let more = more.map(|(name, value)| format!("{name}={value}"));
    let mut lines = vec![
        ("sdk_lang", "go".to_owned()),
        ("go_version", release.version.clone()),
        ("sdk_arch", parameters.arch.basearch().to_owned()),
        ("sdk_ref", release.ref_name.to_string()),
        ("sdk_commit", release.commit.to_string()),
    ];
    if let Some(h1) = &first.h1 {
        lines.push(("sdk_h1", h1.clone()));
    }
    lines.push(("sdk_refs", all.collect::<Vec<_>>().join(" ")));
    lines.push(("sdk_remote", parameters.options.remote.name.clone()));
    lines.push((
        "build_env",
        variables.chain(more).collect::<Vec<_>>().join(" "),
    ));
    let mut text = "# The Go SDK that this host was made for; \
                    `ostree-go status` says which one it has now.\n"
        .to_owned();
    for (key, value) in lines {
        let _ = writeln!(text, "{key}=\"{value}\"");
    }
    text
}

/// Sets the environment of shells: the active SDK, and the caches for their owner.
pub(super) fn profile(parameters: &TextParameters<'_>) -> String {
    let mut text = format!(
        "# The active Go SDK, before any that the system has.\n\
         case \":$PATH:\" in\n\
         *:{BIN}:*) ;;\n\
         *) PATH={BIN}:$PATH ;;\n\
         esac\n\
         export PATH\n\
         # A cache has one user: whoever writes into it decides what is built from it.\n"
    );
    let _ = writeln!(text, "if [ -O {} ]; then", CACHES[0].1);
    for (name, value) in CACHES {
        let _ = writeln!(text, "    export {name}={value}");
    }
    let program = parameters.options.program.display();
    let _ = write!(
        text,
        "fi\n\
         # The compiled standard library of the SDKs, for every user.\n\
         if [ -z \"${{GOCACHEPROG-}}\" ] && [ -x {program} ]; then\n    \
             export GOCACHEPROG=\"{program} cacheprog --root {ROOT}\"\n\
         fi\n"
    );
    for (name, value) in &parameters.options.environment {
        let _ = writeln!(text, "export {name}=\"{value}\"");
    }
    text
}

/// Sets the environment of user services (`environment.d(5)`), which no shell starts.
pub(super) fn user_environment(parameters: &TextParameters<'_>) -> String {
    let mut text = format!("PATH=\"{BIN}:$PATH\"\n");
    for (name, value) in &parameters.options.environment {
        let _ = writeln!(text, "{name}=\"{value}\"");
    }
    text
}

/// Returns the units that mount a tmpfs for each cache. Their names are the escaped paths, see
/// systemd-escape(1). Programs in it can be executed, because `go run` and `go tool` store programs in
/// the build cache. systemd-tmpfiles sets the owner, because it runs after local-fs.target.
pub(super) fn cache_mounts() -> Vec<(String, String)> {
    let mount = |(_, path): (&str, &str)| {
        let name = path.trim_start_matches('/').replace('-', "\\x2d");
        let name = format!("{}.mount", name.replace('/', "-"));
        let text = format!(
            "[Unit]
Description=Cache of Go in memory
DefaultDependencies=no
Conflicts=umount.target
Before=local-fs.target umount.target

[Mount]
What=tmpfs
Where={path}
Type=tmpfs
Options=mode=0700,nosuid,nodev,size=50%

[Install]
WantedBy=local-fs.target
"
        );
        (name, text)
    };
    CACHES.into_iter().map(mount).collect()
}

/// Creates the caches with `tmpfiles.d(5)`; they persist across updates of the system, unless a tmpfs
/// is mounted there.
pub(super) fn tmpfiles(parameters: &TextParameters<'_>) -> String {
    let owner = &parameters.options.cache_owner;
    let mut text = "# Go trims its build cache by itself.\n".to_owned();
    for (_, path) in CACHES {
        let _ = writeln!(text, "d {path} 0700 {owner} - -");
    }
    text
}

/// Renders the unit that installs and upgrades. It is restarted after the exit code 75 (a
/// temporary failure), but not after 1 to 4 (see the exit codes in the guide).
pub(super) fn unit(parameters: &TextParameters<'_>) -> String {
    let program = parameters.options.program.display();
    let remote = &parameters.options.remote;
    let mut add = format!("{program} remote add --if-not-exists {} ", remote.name);
    add.push_str(&word(&remote.url));
    for key in &parameters.keys {
        let _ = write!(add, " --gpg-import {}", word(key));
    }
    let mut install = format!("{program} install --remote {}", remote.name);
    // The SDK that is installed last becomes active.
    for release in parameters.releases.iter().rev() {
        let _ = write!(install, " {}", word(release.ref_name.as_str()));
    }
    let systemd = Arch::systemd(parameters.arch);
    format!(
        "[Unit]
Description=Install or upgrade the Go SDK
Wants=network-online.target
After=network-online.target systemd-tmpfiles-setup.service
AssertArchitecture={systemd}
AssertFileIsExecutable={program}
StartLimitIntervalSec=1h
StartLimitBurst=20

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={add}
ExecStart={install}
# Exit code 75 is worth another try: the network, a lock, a full disk. These are not.
Restart=on-failure
RestartPreventExitStatus=1 2 3 4
RestartSec=30
TimeoutStartSec=30min
UMask=0022
Environment=OSTREE_GO_ROOT={ROOT}
StateDirectory=ostree-go
CacheDirectory=ostree-go
ProtectSystem=strict
ProtectHome=yes
PrivateTmp=yes
PrivateDevices=yes
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER
LockPersonality=yes
MemoryDenyWriteExecute=yes
NoNewPrivileges=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"
    )
}
