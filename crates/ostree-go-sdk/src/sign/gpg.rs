//! GnuPG, run as a separate program.
//!
//! The library that libostree uses (GPGME) aborts the process if it cannot create a pipe or a child
//! process, and reports a full disk as a bad signature. Here a failure of `gpg` is a separate
//! error, never a failed verification.
//!
//! Each [`Keyring`] is a GnuPG home directory in a temporary folder with a single keyring and
//! without options, so that no keys or settings of the system or the user are used. Source of the
//! status lines and listings: `doc/DETAILS` of GnuPG, "Format of the --status-fd output" and
//! "Format of the colon listings".

use super::error::SignError;
use super::packets;
use super::signature::{Signature, SignatureStatus};
use crate::clock::{Clock, SystemClock};
use crate::kind::ErrorKind;
use crate::process::{self, ProcessError};
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

pub(super) const PROGRAM: &str = "gpg";
/// The file name of the keyring in the temporary home directory.
const KEYRING_FILE: &str = "keys.gpg";
/// The prefix of status lines.
const STATUS_PREFIX: &str = "[GNUPG:] ";
/// The flag for errors of the system in GnuPG's error codes (`gpg-error.h`,
/// `GPG_ERR_SYSTEM_ERROR`).
const SYSTEM_ERROR: u32 = 1 << 15;

/// Public keys in a separate GnuPG home directory, which is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Keyring {
    home: TempDir,
}

/// A public key in a listing of GnuPG.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PublicKey {
    /// The fingerprints of the primary key and then of its subkeys. Never empty.
    pub(crate) fingerprints: Vec<String>,
    pub(crate) users: Vec<String>,
    /// Seconds since 1970.
    pub(crate) created: u64,
    /// The expiry time of the primary key, in seconds since 1970; `None` if it does not expire.
    pub(crate) expires: Option<u64>,
    /// The expiry times of the keys in `fingerprints`.
    expires_by_key: Vec<Option<u64>>,
    /// True for each key in `fingerprints` that is valid: neither expired nor revoked nor disabled.
    pub(super) valid_by_key: Vec<bool>,
    /// Set if the primary key or a subkey can sign now.
    pub(super) can_sign: bool,
    pub(crate) revoked: bool,
    pub(crate) expired: bool,
}

impl Keyring {
    /// Creates an empty keyring.
    ///
    /// # Errors
    /// Returns an error if the temporary folder cannot be written.
    pub(crate) fn new() -> Result<Self, SignError> {
        // Only the owner can access the folder (tempfile).
        let folder = std::env::temp_dir();
        let home = tempfile::Builder::new().prefix("ostree-go-gpg-").tempdir();
        let home = home.map_err(|source| match folder.is_dir() {
            false => SignError::NoTemporaryFolder { path: folder },
            true => SignError::TemporaryFile {
                path: folder,
                source,
            },
        })?;
        let keyring = Self { home };
        keyring.write(KEYRING_FILE, &[])?;
        Ok(keyring)
    }

    /// Creates a keyring from the bytes of a keyring in the binary format of OpenPGP.
    ///
    /// # Errors
    /// Returns an error if the temporary folder cannot be written.
    pub(crate) fn of(bytes: &[u8]) -> Result<Self, SignError> {
        let keyring = Self::new()?;
        keyring.write(KEYRING_FILE, bytes)?;
        Ok(keyring)
    }

    /// Adds the keys in a file's content, armoured or binary, and updates existing keys. Returns
    /// the number of keys in the content; everything else in it is ignored.
    ///
    /// # Errors
    /// Returns an error if the temporary folder cannot be written or GnuPG cannot be run.
    pub(crate) fn import(&self, content: &[u8]) -> Result<u64, SignError> {
        let file = self.write("import", content)?;
        let out = self.run(&["--import".as_ref(), file.as_os_str()])?;
        let status = String::from_utf8_lossy(&out.stdout);
        // `IMPORT_RES <count> <no_user_id> …`; without keys there is none, or `NODATA`.
        let count = lines(&status).find_map(|line| line.strip_prefix("IMPORT_RES "));
        match count.and_then(|counts| counts.split(' ').next()?.parse().ok()) {
            // GnuPG does not count keys that it could not write.
            Some(0) if failed(&out).kind() == ErrorKind::DiskFull => Err(failed(&out).into()),
            Some(count) => Ok(count),
            None if lines(&status).any(|line| line.starts_with("NODATA")) => Ok(0),
            None => Err(failed(&out).into()),
        }
    }

    /// Removes a key with all its subkeys. A key that is not there is no error.
    ///
    /// # Errors
    /// Returns an error if the temporary folder cannot be written or GnuPG cannot be run.
    pub(crate) fn remove(&self, fingerprint: &str) -> Result<(), SignError> {
        let is_key = |key: &PublicKey| key.fingerprints.first().is_some_and(|id| id == fingerprint);
        if !self.keys()?.iter().any(is_key) {
            return Ok(());
        }
        let arguments = ["--yes", "--delete-keys", "--", fingerprint];
        let out = self.run(&arguments.map(AsRef::as_ref))?;
        match out.status.success() {
            true => Ok(()),
            false => Err(failed(&out).into()),
        }
    }

    /// Returns the bytes of the keyring, in the binary format of OpenPGP.
    ///
    /// # Errors
    /// Returns an error if the temporary folder cannot be read.
    pub(crate) fn bytes(&self) -> Result<Vec<u8>, SignError> {
        let path = self.path(KEYRING_FILE);
        fs::read(&path).map_err(|source| SignError::TemporaryFile { path, source })
    }

    /// Returns all keys.
    ///
    /// # Errors
    /// Returns an error if GnuPG cannot be run.
    pub(crate) fn keys(&self) -> Result<Vec<PublicKey>, SignError> {
        let out = self.run(&["--with-colons".as_ref(), "--list-keys".as_ref()])?;
        if !out.status.success() || keyring_failed(&String::from_utf8_lossy(&out.stdout)) {
            return Err(failed(&out).into());
        }
        Ok(parse_key_listing(&String::from_utf8_lossy(&out.stdout)))
    }

    /// Verifies signatures of `data`, one OpenPGP packet each, and returns the result for each.
    ///
    /// # Errors
    /// Returns an error if the temporary folder cannot be written or GnuPG cannot be run. Invalid
    /// signatures are not errors.
    pub(crate) fn verify(
        &self,
        data: &[u8],
        signatures: &[&[u8]],
    ) -> Result<Vec<Signature>, SignError> {
        if signatures.is_empty() {
            return Ok(Vec::new());
        }
        let keys = self.keys()?;
        let data = self.write("data", data)?;
        let check = |packet: &&[u8]| {
            let file = self.write("signature", packet)?;
            let args = ["--verify".as_ref(), file.as_os_str(), data.as_os_str()];
            let out = self.run(&args)?;
            // GnuPG uses the clock of the system as well.
            let now = SystemClock.now();
            let found = parse_status(&String::from_utf8_lossy(&out.stdout), now);
            // GnuPG exits with success only if all signatures are valid.
            let found = found.filter(|found| {
                out.status.code().is_some()
                    && (found.status != SignatureStatus::Valid || out.status.success())
            });
            let mut found = found.ok_or_else(|| failed(&out))?;
            if found.key.len() < 40 {
                // GnuPG printed the key ID of 16 digits; current signatures also contain the
                // fingerprint.
                let issuer = packets::issuer(packet);
                found.key = issuer
                    .filter(|id| id.ends_with(&found.key))
                    .unwrap_or(found.key);
            }
            found.add_key_details(&keys);
            Ok(found)
        };
        signatures.iter().map(check).collect()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<PathBuf, SignError> {
        let path = self.path(name);
        match fs::write(&path, bytes) {
            Ok(()) => Ok(path),
            Err(source) => Err(SignError::TemporaryFile { path, source }),
        }
    }

    fn run(&self, args: &[&std::ffi::OsStr]) -> Result<Output, ProcessError> {
        let mut ring = std::ffi::OsString::from("gnupg-ring:");
        ring.push(self.path(KEYRING_FILE));
        let mut command = gpg(Some(self.home.path()));
        command
            .args([
                "--no-options",
                "--no-default-keyring",
                "--trust-model",
                "always",
            ])
            .args(["--no-auto-check-trustdb", "--no-auto-key-retrieve"])
            // Public keys need no agent; one that an import starts would outlive the command if its
            // home cannot be removed.
            .arg("--no-autostart")
            .arg("--keyring")
            .arg(ring)
            .args(["--status-fd", "1"])
            .args(args)
            // The caller handles Ctrl-C. It must not look like a failed verification.
            .process_group(0);
        process::output(PROGRAM, &mut command)
    }
}

impl Signature {
    /// Adds the details of the signing key.
    fn add_key_details(&mut self, keys: &[PublicKey]) {
        let made = |key: &&PublicKey| key.fingerprints.contains(&self.key);
        let Some(key) = keys.iter().find(made) else {
            return;
        };
        let index = key.fingerprints.iter().position(|id| *id == self.key);
        self.key_expires = key
            .expires
            .or_else(|| *key.expires_by_key.get(index.unwrap_or(0))?);
        let primary = key.fingerprints.first();
        self.primary_key = primary.filter(|primary| **primary != self.key).cloned();
    }
}

/// Returns the first line that `gpg --version` prints.
///
/// # Errors
/// Returns an error if GnuPG cannot be run.
pub(crate) fn version() -> Result<String, ProcessError> {
    let text = process::run(PROGRAM, gpg(None).arg("--version"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Returns the command in the C locale, with the given home directory or the user's default.
pub(super) fn gpg(home: Option<&Path>) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env("LC_ALL", "C").args(["--batch", "--no-tty"]);
    if let Some(home) = home {
        command.arg("--homedir").arg(home);
    }
    command
}

pub(super) fn failed(out: &Output) -> ProcessError {
    process::failure(PROGRAM, out)
}

fn lines(status: &str) -> impl Iterator<Item = &str> {
    status
        .lines()
        .filter_map(|line| line.strip_prefix(STATUS_PREFIX))
}

/// Returns true if GnuPG could not read the keyring. It then reports all keys as unknown.
fn keyring_failed(status: &str) -> bool {
    lines(status).any(|line| {
        let mut words = line.split(' ');
        words.next() == Some("ERROR")
            && words.next().is_some_and(|location| {
                location.starts_with("add_keyblock_resource") || location.starts_with("keydb")
            })
    })
}

/// Parses the status lines of GnuPG for a single signature, which it verified at the time `now`.
/// Returns `None` if there is no result, or more than one.
pub(super) fn parse_status(status: &str, now: u64) -> Option<Signature> {
    if keyring_failed(status) {
        return None;
    }
    let mut found: Option<Signature> = None;
    let mut valid = None;
    for line in lines(status) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let status = match word {
            "GOODSIG" => SignatureStatus::Valid,
            "EXPSIG" => SignatureStatus::Expired,
            "EXPKEYSIG" => SignatureStatus::KeyExpired,
            "REVKEYSIG" => SignatureStatus::KeyRevoked,
            "BADSIG" => SignatureStatus::Bad,
            "ERRSIG" => match error_code(rest)? {
                NO_PUBLIC_KEY => SignatureStatus::UnknownKey,
                // GnuPG does not use a key that was created in the future.
                BAD_PUBLIC_KEY | TIME_CONFLICT if error_time(rest) > Some(now) => {
                    SignatureStatus::InFuture
                }
                _ => SignatureStatus::Bad,
            },
            "VALIDSIG" => {
                valid = Some(rest);
                continue;
            }
            _ => continue,
        };
        let (key, user) = rest.split_once(' ').unwrap_or((rest, ""));
        let signature = Signature {
            status,
            kind: "gpg",
            key: key.to_owned(),
            primary_key: None,
            user: (word != "ERRSIG" && !user.is_empty()).then(|| unescaped(user, '%')),
            created: match word {
                "ERRSIG" => error_time(rest),
                _ => None,
            },
            expires: None,
            key_expires: None,
        };
        if found.replace(signature).is_some() {
            return None;
        }
    }
    let mut found = found?;
    if let Some(valid) = valid {
        // `<fingerprint> <date> <created> <expires> …`, and the primary key's fingerprint last.
        let mut words = valid.split(' ');
        let time = |word: Option<&str>| word?.parse().ok().filter(|seconds| *seconds > 0);
        found.key = words.next()?.to_owned();
        found.created = time(words.nth(1));
        found.expires = time(words.next());
    }
    // A valid signature requires both lines.
    (valid.is_some() || found.status != SignatureStatus::Valid).then_some(found)
}

/// `GPG_ERR_NO_PUBKEY` (`gpg-error.h`).
const NO_PUBLIC_KEY: u32 = 9;
/// `GPG_ERR_BAD_PUBKEY`, also for a key that was created in the future.
const BAD_PUBLIC_KEY: u32 = 6;
/// `GPG_ERR_TIME_CONFLICT`.
const TIME_CONFLICT: u32 = 97;

/// Returns the error code in `ERRSIG <keyid> <pkalgo> <hashalgo> <sig_class> <time> <rc> <fpr>`;
/// `None` for an error of the system, which says nothing about the signature.
fn error_code(line: &str) -> Option<u32> {
    let code: u32 = line.split(' ').nth(5)?.parse().ok()?;
    (code & SYSTEM_ERROR == 0).then_some(code)
}

/// Returns the time of the signature in the same line, in seconds since 1970.
fn error_time(line: &str) -> Option<u64> {
    let time = line.split(' ').nth(4)?.parse().ok();
    time.filter(|seconds| *seconds > 0)
}

/// Parses a listing of keys.
pub(super) fn parse_key_listing(text: &str) -> Vec<PublicKey> {
    let mut keys: Vec<PublicKey> = Vec::new();
    let (mut expires, mut is_valid) = (None, true);
    for line in text.lines() {
        let fields: Vec<&str> = line.split(':').collect();
        let field = |index: usize| fields.get(index).copied().unwrap_or_default();
        let time = |index| field(index).parse().ok().filter(|seconds| *seconds > 0);
        if matches!(field(0), "pub" | "sec" | "sub" | "ssb") {
            expires = time(6);
            is_valid = !matches!(field(1), "r" | "e" | "d" | "i");
        }
        match field(0) {
            "pub" | "sec" => {
                keys.push(PublicKey {
                    created: time(5).unwrap_or(0),
                    expires,
                    revoked: field(1) == "r",
                    expired: field(1) == "e",
                    // Capital letters are the capabilities of the key with its subkeys that can be
                    // used now; `D` marks a disabled key.
                    can_sign: field(11).contains('S') && !field(11).contains('D'),
                    ..PublicKey::default()
                });
            }
            "fpr" => {
                if let Some(key) = keys.last_mut() {
                    key.fingerprints.push(field(9).to_owned());
                    key.expires_by_key.push(expires);
                    key.valid_by_key.push(is_valid);
                }
            }
            "uid" => {
                if let Some(key) = keys.last_mut() {
                    key.users.push(unescaped(field(9), '\\'));
                }
            }
            _ => {}
        }
    }
    keys.retain(|key| !key.fingerprints.is_empty());
    keys
}

/// Decodes text in which GnuPG wrote some bytes in hexadecimal, after `%` in status lines and after
/// `\x` in listings. Control characters stay encoded.
fn unescaped(text: &str, mark: char) -> String {
    let prefix = if mark == '%' { "%" } else { "\\x" };
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(prefix) {
        bytes.extend(before.as_bytes());
        let byte = after
            .get(..2)
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match byte.filter(|byte| !byte.is_ascii_control()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.extend(prefix.as_bytes());
                rest = after;
            }
        }
    }
    bytes.extend(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Reads a key file.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, SignError> {
    let keys = |source: io::Error| SignError::Keys {
        path: path.to_owned(),
        source,
    };
    fs::read(path).map_err(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: u64 = 1_770_000_000;
    const GOOD: &str = "[GNUPG:] NEWSIG\n\
        [GNUPG:] GOODSIG 0D0E0F1011121314 A B%3a <a@b>\n\
        [GNUPG:] VALIDSIG 0102030405060708090A0B0C0D0E0F1011121314 2026-01-02 1767312000 0 4 0 22 8 00 \
        0102030405060708090A0B0C0D0E0F1011121314\n\
        [GNUPG:] TRUST_ULTIMATE 0 always\n";

    #[test]
    fn a_valid_signature_requires_both_lines_exactly_once() {
        let found = parse_status(GOOD, NOW).unwrap();
        assert_eq!(found.status, SignatureStatus::Valid);
        assert_eq!(found.key, "0102030405060708090A0B0C0D0E0F1011121314");
        assert_eq!(found.user.as_deref(), Some("A B: <a@b>"));
        assert_eq!((found.created, found.expires), (Some(1_767_312_000), None));
        assert_eq!(parse_status(&GOOD.replace("VALIDSIG", "X"), NOW), None);
        assert_eq!(parse_status(&GOOD.replace("GOODSIG", "X"), NOW), None);
        assert_eq!(parse_status(&format!("{GOOD}{GOOD}"), NOW), None);
        let ring = "[GNUPG:] ERROR add_keyblock_resource 33554433\n";
        assert_eq!(parse_status(&format!("{ring}{GOOD}"), NOW), None);
    }

    #[test]
    fn an_import_starts_no_agent() {
        let folder = tempfile::tempdir().unwrap();
        let key = crate::sign::generate_gpg_key(folder.path(), "A <a@b>", "never").unwrap();
        let keyring = Keyring::new().unwrap();
        let imported = keyring.import(&fs::read(key.public).unwrap()).unwrap();
        assert_eq!(imported, 1);
        let files = fs::read_dir(keyring.home.path()).unwrap();
        let names: Vec<_> = files.map(|file| file.unwrap().file_name()).collect();
        let socket = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("S.");
        assert!(!names.iter().any(socket), "{names:?}");
    }

    #[test]
    fn invalid_signatures_are_distinguished_from_failures() {
        let of =
            |line: &str| parse_status(&format!("[GNUPG:] {line}\n"), NOW).map(|found| found.status);
        assert_eq!(of("EXPSIG 1 a"), Some(SignatureStatus::Expired));
        assert_eq!(of("EXPKEYSIG 1 a"), Some(SignatureStatus::KeyExpired));
        assert_eq!(of("REVKEYSIG 1 a"), Some(SignatureStatus::KeyRevoked));
        assert_eq!(of("BADSIG 1 a"), Some(SignatureStatus::Bad));
        let error = |code: u32| of(&format!("ERRSIG 1 22 8 00 5 {code} -"));
        assert_eq!(error(9), Some(SignatureStatus::UnknownKey));
        assert_eq!(error(4), Some(SignatureStatus::Bad));
        // ENOSPC.
        assert_eq!(error(SYSTEM_ERROR + 86), None);
        assert_eq!(of("NEWSIG"), None);
        assert_eq!(parse_status("", NOW), None);
    }

    #[test]
    fn a_key_of_the_future_is_distinguished_from_a_bad_signature() {
        let of = |code: u32, time: u64| {
            let line = format!("[GNUPG:] ERRSIG 0D 22 8 00 {time} {code} AA\n");
            let found = parse_status(&line, NOW).unwrap();
            assert_eq!(found.created, Some(time));
            found.status
        };
        for code in [BAD_PUBLIC_KEY, TIME_CONFLICT] {
            assert_eq!(of(code, NOW + 1), SignatureStatus::InFuture);
            assert_eq!(of(code, NOW), SignatureStatus::Bad);
        }
        // `GPG_ERR_BAD_SIGNATURE`: the date of a signature that is wrong proves nothing.
        assert_eq!(of(8, NOW + 1), SignatureStatus::Bad);
    }

    #[test]
    fn key_listings_are_parsed() {
        let text = "tru:o:0:1:1:3:1:5\n\
            pub:e:255:22:0D0E:1700000000:1800000000::-:::sc::::::23::0:\n\
            fpr:::::::::AA:\n\
            uid:e::::1700000000::BB::a\\x3ab <a@b>::::::::::0:\n\
            sub:e:255:18:0102:1700000000:1790000000:::::e::::::23:\n\
            fpr:::::::::CC:\n";
        let keys = parse_key_listing(text);
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].fingerprints, ["AA", "CC"]);
        assert_eq!(
            keys[0].expires_by_key,
            [Some(1_800_000_000), Some(1_790_000_000)]
        );
        assert_eq!(keys[0].users, ["a:b <a@b>"]);
        assert!(keys[0].expired && !keys[0].revoked);
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(text: String) {
            parse_status(&text, NOW);
            parse_key_listing(&text);
            unescaped(&text, '%');
            unescaped(&text, '\\');
        }
    }
}
