//! The texts of the files that a host gets.

use super::Facts;
use crate::arch::Arch;
use std::fmt::Write as _;

/// The root of the system's `ostree-go`, and the programs of its active SDK.
const ROOT: &str = "/var/lib/ostree-go";
const BIN: &str = "/var/lib/ostree-go/current/usr/bin";
/// The caches: what `go` builds, and the modules that it downloads.
const CACHES: [(&str, &str); 2] = [
    ("GOCACHE", "/var/cache/go-build"),
    ("GOMODCACHE", "/var/cache/go-mod"),
];

/// What the host was made for, in the form of `os-release(5)`: `KEY="value"`.
pub(super) fn sdk_meta(facts: &Facts<'_>) -> String {
    let first = facts.first;
    let release = &facts.releases[0];
    let all = facts.releases.iter().map(|one| one.ref_name.as_str());
    let variables = CACHES.iter().map(|(name, value)| format!("{name}={value}"));
    let more = facts.options.environment.iter();
    let more = more.map(|(name, value)| format!("{name}={value}"));
    let mut lines = vec![
        ("sdk_lang", "go".to_owned()),
        ("go_version", release.version.clone()),
        ("sdk_arch", facts.arch.basearch().to_owned()),
        ("sdk_ref", release.ref_name.to_string()),
        ("sdk_commit", release.commit.to_string()),
    ];
    if let Some(h1) = &first.h1 {
        lines.push(("sdk_h1", h1.clone()));
    }
    lines.push(("sdk_refs", all.collect::<Vec<_>>().join(" ")));
    lines.push(("sdk_remote", facts.options.remote.name.clone()));
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

/// For shells: the active SDK, and the caches for whom they belong to.
pub(super) fn profile(facts: &Facts<'_>) -> String {
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
    text.push_str("fi\n");
    for (name, value) in &facts.options.environment {
        let _ = writeln!(text, "export {name}=\"{value}\"");
    }
    text
}

/// For the services of users (`environment.d(5)`), which no shell has started.
pub(super) fn user_environment(facts: &Facts<'_>) -> String {
    let mut text = format!("PATH=\"{BIN}:$PATH\"\n");
    for (name, value) in &facts.options.environment {
        let _ = writeln!(text, "{name}=\"{value}\"");
    }
    text
}

/// `tmpfiles.d(5)`: the caches, which outlive updates of the system.
pub(super) fn tmpfiles(facts: &Facts<'_>) -> String {
    let owner = &facts.options.cache_owner;
    let mut text = "# Go trims its build cache by itself.\n".to_owned();
    for (_, path) in CACHES {
        let _ = writeln!(text, "d {path} 0700 {owner} - -");
    }
    text
}

/// The unit that installs and upgrades. An exit code of 75 is worth another try; 1 to 4 are not
/// (a page of the guide says what they are).
pub(super) fn unit(facts: &Facts<'_>) -> String {
    let program = facts.options.program.display();
    let remote = &facts.options.remote;
    let mut add = format!("{program} remote add --if-not-exists {} ", remote.name);
    add.push_str(&word(&remote.url));
    for key in &facts.keys {
        let _ = write!(add, " --gpg-import {}", word(key));
    }
    let mut install = format!("{program} install --remote {}", remote.name);
    // The last one becomes active.
    for release in facts.releases.iter().rev() {
        let _ = write!(install, " {}", word(release.ref_name.as_str()));
    }
    let systemd = Arch::systemd(facts.arch);
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

/// A word of a command line, as `systemd.service(5)` reads it: `%` and `$` doubled, quoted where
/// it has other than these characters.
fn word(text: &str) -> String {
    let doubled = text.replace('%', "%%").replace('$', "$$");
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_./:@=+,%$~?&".contains(&b);
    if !doubled.is_empty() && doubled.bytes().all(is_plain) {
        return doubled;
    }
    let mut quoted = String::from('"');
    for c in doubled.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(quoted, "\\x{:02x}", u32::from(c));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_mean_to_systemd_what_they_are() {
        assert_eq!(
            word("https://x.example/a?b=1&c"),
            "https://x.example/a?b=1&c"
        );
        assert_eq!(word("https://x/%20$HOME"), "https://x/%%20$$HOME");
        assert_eq!(word("file:///a b\"\\"), r#""file:///a b\"\\""#);
        assert_eq!(word("a;b"), "\"a;b\"");
    }
}
