//! The environment of a sandbox: variables, and generated files in `/etc`.

use super::backend::Network;
use super::options::Sandbox;
use super::places::Places;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The variables of the caller's environment that a command in a sandbox keeps.
const KEPT: [&str; 29] = [
    "CI",
    "COLORTERM",
    "LANG",
    "LANGUAGE",
    "NO_COLOR",
    "SOURCE_DATE_EPOCH",
    "TERM",
    "TZ",
    // Settings of the go command that select what is built. Source: `go help environment`.
    "GO386",
    "GOAMD64",
    "GOARCH",
    "GOARM",
    "GOARM64",
    "GODEBUG",
    "GOEXPERIMENT",
    "GOFIPS140",
    "GOFLAGS",
    "GOGC",
    "GOMAXPROCS",
    "GOMEMLIMIT",
    "GOMIPS",
    "GOMIPS64",
    "GOOS",
    "GOPPC64",
    "GORACE",
    "GORISCV64",
    "GOTRACEBACK",
    "GOWASM",
    "GOWORK",
];

/// The additional ones with the network of the host.
const KEPT_WITH_NETWORK: [&str; 12] = [
    "ALL_PROXY",
    "GOINSECURE",
    "GONOPROXY",
    "GONOSUMDB",
    "GOPRIVATE",
    "GOPROXY",
    "GOSUMDB",
    "HTTPS_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// The additional ones with the programs of the host.
const KEPT_WITH_TOOLS: [&str; 9] = [
    "AR",
    "CC",
    "CGO_CFLAGS",
    "CGO_CPPFLAGS",
    "CGO_CXXFLAGS",
    "CGO_ENABLED",
    "CGO_LDFLAGS",
    "CXX",
    "PKG_CONFIG",
];

/// Returns true if a command keeps a variable of the caller's environment. All others, which may contain
/// credentials, are removed.
#[must_use]
pub fn keep_variable(name: &OsStr, network: Network, host_tools: bool) -> bool {
    let is_in = |names: &[&str]| names.iter().any(|kept| name == *kept);
    is_in(&KEPT)
        || name.as_bytes().starts_with(b"LC_")
        || (network == Network::Host && is_in(&KEPT_WITH_NETWORK))
        || (host_tools && is_in(&KEPT_WITH_TOOLS))
}

/// The directories of the host's programs.
const TOOLS: [&str; 6] = [
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
];

/// Returns the directories of `PATH`.
pub(super) fn search_path(sandbox: &Sandbox) -> Vec<PathBuf> {
    let tools = TOOLS.iter().filter(|_| sandbox.host_tools);
    let own = sandbox.path.iter().cloned();
    own.chain(tools.map(PathBuf::from)).collect()
}

/// The name of the user in a sandbox.
const USER: &str = "sandbox";

/// Returns all variables of a sandbox. Those that the caller sets come last and replace others.
pub(super) fn variables(sandbox: &Sandbox, places: &Places) -> Vec<(OsString, OsString)> {
    let path = std::env::join_paths(search_path(sandbox)).unwrap_or_default();
    let mut all: Vec<(OsString, OsString)> = vec![
        ("HOME".into(), places.home.clone().into()),
        ("TMPDIR".into(), places.temporary.clone().into()),
        ("PATH".into(), path),
        ("USER".into(), USER.into()),
        ("LOGNAME".into(), USER.into()),
        ("GOCACHE".into(), places.go_cache.clone().into()),
        ("GOPATH".into(), places.home.join("go").into()),
        // The user's `go env -w` must not decide what is built, and nothing must be fetched.
        ("GOENV".into(), "off".into()),
        ("GOTOOLCHAIN".into(), "local".into()),
    ];
    if sandbox.network == Network::None {
        all.push(("GOPROXY".into(), "off".into()));
    }
    if !sandbox.host_tools {
        // There is neither a C compiler nor a dynamic linker.
        all.push(("CGO_ENABLED".into(), "0".into()));
    }
    if let Some(cpus) = sandbox.limits.cpus {
        all.push(("GOMAXPROCS".into(), cpus.to_string().into()));
    }
    for (name, value) in &sandbox.environment {
        all.retain(|(known, _)| known != name);
        all.push((name.clone(), value.clone()));
    }
    all
}

/// Returns generated files of `/etc`, which replace those of the host. `id` is the ID of the user and of the group, if
/// they are not those of this process.
pub(super) fn files(network: Network, home: &Path, id: Option<u32>) -> Vec<(&'static str, String)> {
    let uid = id.unwrap_or_else(|| rustix::process::getuid().as_raw());
    let gid = id.unwrap_or_else(|| rustix::process::getgid().as_raw());
    let home = home.display();
    let mut files = vec![
        (
            "/etc/passwd",
            format!("{USER}:x:{uid}:{gid}:{USER}:{home}:/bin/sh\n"),
        ),
        ("/etc/group", format!("{USER}:x:{gid}:\n")),
        (
            "/etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\n".to_owned(),
        ),
    ];
    if network == Network::None {
        let hosts = "127.0.0.1 localhost\n::1 localhost\n";
        files.push(("/etc/hosts", hosts.to_owned()));
    }
    files
}

/// Returns the files of the host that are needed to use its network: the path on the host, and the path in the
/// sandbox.
pub(super) fn network_files(network: Network) -> Vec<(PathBuf, PathBuf)> {
    if network == Network::None {
        return Vec::new();
    }
    let bundle = CERTIFICATES.iter().find(|path| Path::new(path).exists());
    let paths = ["/etc/resolv.conf", "/etc/hosts"];
    let paths = paths.iter().chain(bundle).map(PathBuf::from);
    // Some of them are symbolic links to directories that are not in the sandbox.
    let found = paths.filter_map(|path| Some((path.canonicalize().ok()?, path)));
    found.collect()
}

/// The files with certificates of authorities that Go searches. Source: `crypto/x509/root_linux.go`.
const CERTIFICATES: [&str; 6] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// The directories of the host with its programs, and the files that these need.
pub(super) const HOST_TOOLS: [&str; 12] = [
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/localtime",
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::options::Host;

    #[test]
    fn credentials_are_not_kept() {
        let kept = |name: &str| keep_variable(name.as_ref(), Network::None, false);
        assert!(kept("TERM") && kept("LC_ALL") && kept("GOAMD64"));
        for name in [
            "AWS_SECRET_ACCESS_KEY",
            "SSH_AUTH_SOCK",
            "GOPROXY",
            "GOROOT",
            "LD_PRELOAD",
            "CC",
            "LC",
        ] {
            assert!(!kept(name), "{name}");
        }
        assert!(keep_variable("GOPROXY".as_ref(), Network::Host, false));
        assert!(keep_variable("CC".as_ref(), Network::None, true));
    }

    #[test]
    fn variables_of_the_caller_replace_others() {
        let sandbox = Sandbox::new(Host::default(), ["go"])
            .path([PathBuf::from("/sdk/bin")])
            .variable("GOPROXY", "file:///proxy");
        let places = Places::below(Path::new("/tmp"));
        let all = variables(&sandbox, &places);
        let value = |name: &str| {
            let values: Vec<_> = all.iter().filter(|(known, _)| known == name).collect();
            assert_eq!(values.len(), 1, "{name}");
            values[0].1.to_str().unwrap()
        };
        assert_eq!(value("GOPROXY"), "file:///proxy");
        assert_eq!(value("PATH"), "/sdk/bin");
        assert_eq!(value("CGO_ENABLED"), "0");
        assert_eq!(value("GOCACHE"), "/tmp/go-build");
        assert_eq!(value("HOME"), "/tmp/home");
    }
}
