//! Checks the names, paths and words of a unit.

use super::{UnitError, UnitOptions};

/// Suffixes of the names of units. Source: systemd.unit(5).
const SUFFIXES: [&str; 11] = [
    "service",
    "socket",
    "device",
    "mount",
    "automount",
    "swap",
    "target",
    "path",
    "timer",
    "slice",
    "scope",
];

/// Maximum length of a name in bytes. systemd allows 255 with the suffix, and the names of the
/// directories for temporary files contain it.
const MAX_NAME: usize = 128;

/// Directories that the settings of the unit hide from the service, or that cannot have programs:
/// `ProtectHome=`, `PrivateTmp=`, `PrivateDevices=`, and the file systems of the kernel.
const HIDDEN: [&str; 8] = [
    "/home",
    "/root",
    "/run/user",
    "/tmp",
    "/var/tmp",
    "/dev",
    "/proc",
    "/sys",
];

/// Returns the name of a service without `.service`.
pub(super) fn name(found: &str) -> Result<&str, UnitError> {
    let invalid = |problem| UnitError::Name {
        found: found.to_owned(),
        problem,
    };
    let name = found.strip_suffix(".service").unwrap_or(found);
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
    if name.is_empty() {
        return Err(invalid("it is empty"));
    }
    if name.contains('@') {
        return Err(invalid("templates are not supported"));
    }
    if !name.bytes().all(is_plain) || !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return Err(invalid(
            "expected letters, digits, `_`, `.` and `-`, and a letter or digit at the start",
        ));
    }
    if name.len() > MAX_NAME {
        return Err(invalid("it has more than 128 bytes"));
    }
    let suffix = name.rsplit_once('.').map(|(_, suffix)| suffix);
    if suffix.is_some_and(|suffix| SUFFIXES.contains(&suffix)) {
        return Err(invalid("it has the suffix of another kind of unit"));
    }
    Ok(name)
}

/// Returns the path of the program on the host.
pub(super) fn install_path(options: &UnitOptions) -> Result<&str, UnitError> {
    let path = options.install_path.as_ref().unwrap_or(&options.binary);
    let invalid = |problem| UnitError::InstallPath {
        path: path.clone(),
        problem,
    };
    if !path.is_absolute() {
        return Err(invalid("it is a relative path"));
    }
    let text = path.to_str().filter(|text| is_plain_path(text));
    let text = text.ok_or_else(|| {
        invalid("it has other characters than letters, digits and `/._+-`, or a part `.` or `..`")
    })?;
    if HIDDEN.iter().any(|folder| path.starts_with(folder)) {
        return Err(invalid("the unit hides this directory from the service"));
    }
    Ok(text)
}

/// Returns true for an absolute path that means the same in every setting without quotes.
fn is_plain_path(path: &str) -> bool {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/._+-".contains(&b);
    let inner = path.strip_prefix('/');
    inner.is_some_and(|inner| {
        let mut parts = inner.split('/');
        path.bytes().all(is_plain) && parts.all(|part| !["", ".", ".."].contains(&part))
    })
}

/// Checks the words of the options, and that no two contradict each other.
pub(super) fn options(options: &UnitOptions) -> Result<(), UnitError> {
    let invalid = |what, found: &str, problem| UnitError::InvalidWord {
        what,
        found: found.to_owned(),
        problem,
    };
    let contradiction = |problem| Err(UnitError::Options { problem });
    if options.socket_activation && options.listen.is_empty() {
        return contradiction("socket activation needs a port to listen on");
    }
    if options.no_network && !options.listen.is_empty() && !options.socket_activation {
        return contradiction(
            "a service without a network cannot listen on a port, except by socket activation",
        );
    }
    if options.no_network && !options.socket_activation && !options.allow_addresses.is_empty() {
        return contradiction("a service without a network has no addresses to allow");
    }
    for address in &options.allow_addresses {
        if !is_address(address) {
            let problem = "is not an address, a network like 10.0.0.0/8, or `localhost`, `link-local` or `multicast`";
            return Err(invalid("the address", address, problem));
        }
    }
    for path in &options.writable {
        if !is_plain_path(path) {
            let problem = "is no absolute path of letters, digits, `.`, `_`, `+` and `-`";
            return Err(invalid("the path", path, problem));
        }
    }
    if let Some(user) = &options.user {
        // The rule of useradd(8) and systemd's sysusers.
        let is_user = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
        if user.is_empty() || user.starts_with('-') || !user.bytes().all(is_user) {
            return Err(invalid("the user", user, "is no name of a user"));
        }
        if ["root", "0"].contains(&&**user) {
            let problem = "could change the system despite the other settings";
            return Err(invalid("the user", user, problem));
        }
    }
    for (name, value) in &options.environment {
        let is_name = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        let digit = name.starts_with(|c: char| c.is_ascii_digit());
        if name.is_empty() || digit || !name.bytes().all(is_name) {
            return Err(invalid("the variable", name, "is no name of a variable"));
        }
        if value.contains(char::is_control) {
            return Err(invalid("the value", value, "has a control character"));
        }
        if options.memory_max.is_some() && name == "GOMEMLIMIT" {
            return contradiction("GOMEMLIMIT is derived from the maximum amount of memory");
        }
    }
    let description = options.description.iter();
    for text in description.chain(&options.args) {
        if text.contains(['\0', '\n', '\r']) {
            return Err(invalid("the text", text, "has a line break or a NUL"));
        }
    }
    if options.memory_max.is_some_and(|bytes| bytes < MIN_MEMORY) {
        return contradiction("less than 16 MiB of memory is too little for a Go service");
    }
    if options.cpus == Some(0) {
        return contradiction("a service needs at least one CPU");
    }
    Ok(())
}

/// Least `MemoryMax=`, in bytes: the runtime and the program itself need about 8 MiB.
const MIN_MEMORY: u64 = 16 << 20;

/// Returns true for the forms of `IPAddressAllow=` in systemd.resource-control(5).
fn is_address(text: &str) -> bool {
    if ["localhost", "link-local", "multicast"].contains(&text) {
        return true;
    }
    let (address, prefix) = match text.split_once('/') {
        Some((address, prefix)) => (address, Some(prefix)),
        None => (text, None),
    };
    let Ok(address) = address.parse::<std::net::IpAddr>() else {
        return false;
    };
    let most = if address.is_ipv4() { 32 } else { 128 };
    prefix.is_none_or(|prefix| {
        let is_number = prefix.bytes().all(|b| b.is_ascii_digit());
        is_number && prefix.parse::<u8>().is_ok_and(|bits| bits <= most)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_services() {
        assert_eq!(name("app").unwrap(), "app");
        assert_eq!(name("app.v2.service").unwrap(), "app.v2");
        for found in [
            "",
            ".service",
            "a b",
            "a/b",
            "-a",
            "app@",
            "app@.service",
            "app.socket",
            "ä",
        ] {
            assert!(name(found).is_err(), "{found}");
        }
        assert!(name(&"a".repeat(129)).is_err());
    }

    #[test]
    fn addresses() {
        for text in ["10.0.0.0/8", "::1", "2001:db8::/32", "localhost"] {
            assert!(is_address(text), "{text}");
        }
        for text in [
            "",
            "any",
            "10.0.0.0/33",
            "10.0.0.0/",
            "::1/+8",
            "example.com",
        ] {
            assert!(!is_address(text), "{text}");
        }
    }

    #[test]
    fn paths_on_the_host() {
        let path = |path: &str| install_path(&UnitOptions::new("a", path)).map(str::to_owned);
        assert_eq!(path("/opt/acme/bin/app").unwrap(), "/opt/acme/bin/app");
        for found in [
            "app",
            "/a b",
            "/opt/../app",
            "/opt//app",
            "/home/a/app",
            "/tmp/app",
            "/",
        ] {
            assert!(path(found).is_err(), "{found}");
        }
    }
}
