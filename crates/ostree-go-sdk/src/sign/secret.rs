//! Secret keys in a GnuPG home directory.

use super::error::SignError;
use super::gpg::{Keyring, PROGRAM, PublicKey, failed, gpg, parse_key_listing};
use super::{home, packets};
use crate::process;
use std::path::Path;

/// A secret GPG key: one of a GnuPG home directory, or one that only an external signer can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SecretKey {
    /// The fingerprint of the primary key; with a `!` after it, that of a subkey which is the only
    /// one to be used.
    pub(super) name: String,
    /// The fingerprints of the primary key and the subkeys that GnuPG may sign with. Subkeys that
    /// have expired or were revoked are left out, unless there are no others.
    fingerprints: Vec<String>,
}

impl SecretKey {
    /// Finds the key with an ID, fingerprint or user ID. Among several keys, the first one that can
    /// sign is chosen, as GnuPG does.
    ///
    /// # Errors
    /// Returns an error if there is no such key, or GnuPG cannot be run.
    pub(super) fn find(name: &str, home: Option<&Path>) -> Result<Self, SignError> {
        let mut command = gpg(home);
        command.args(["--with-colons", "--list-secret-keys", "--", name]);
        let out = process::output(PROGRAM, &mut command)?;
        let keys = parse_key_listing(&String::from_utf8_lossy(&out.stdout));
        let can_sign = keys.iter().find(|key| key.can_sign);
        match can_sign.or(keys.first()) {
            Some(key) if out.status.success() => Ok(Self::named(name, key)),
            _ => Err(home::failed(home, &out)),
        }
    }

    fn named(name: &str, key: &PublicKey) -> Self {
        if let Some(exact) = name.strip_suffix('!') {
            let exact = exact.trim_start_matches("0x").to_ascii_uppercase();
            let mut fingerprints = key.fingerprints.clone();
            fingerprints.retain(|fingerprint| fingerprint.ends_with(&exact));
            let name = name.to_owned();
            return Self { name, fingerprints };
        }
        let valid = key.fingerprints.iter().zip(&key.valid_by_key);
        let valid: Vec<String> = valid
            .filter(|(_, is_valid)| **is_valid)
            .map(|(fingerprint, _)| fingerprint.clone())
            .collect();
        Self {
            name: key.fingerprints[0].clone(),
            fingerprints: match valid.is_empty() {
                true => key.fingerprints.clone(),
                false => valid,
            },
        }
    }

    /// Returns the key that a public key belongs to, which this machine does not have.
    pub(super) fn of_public(key: &PublicKey) -> Self {
        Self::named(&key.fingerprints[0], key)
    }

    /// Returns whether an OpenPGP message that is not compressed names this key and contains `data`.
    /// Nothing is verified.
    pub(super) fn has_signed(&self, message: &[u8], data: &[u8]) -> bool {
        let contains = |part: &[u8]| {
            !part.is_empty() && message.windows(part.len()).any(|window| window == part)
        };
        let mut fingerprints = self.fingerprints.iter();
        let digits = |text: &str| -> Option<Vec<u8>> {
            let pairs = text.as_bytes().chunks(2);
            let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
            pairs.map(byte).collect()
        };
        contains(data)
            && fingerprints.any(|text| digits(text).is_some_and(|bytes| contains(&bytes)))
    }

    /// Returns whether this key has made a signature with this issuer, which is a fingerprint or a
    /// key ID.
    pub(super) fn is_issuer(&self, issuer: &str) -> bool {
        // The ID of a key is the end of its fingerprint.
        let mut fingerprints = self.fingerprints.iter();
        !issuer.is_empty() && fingerprints.any(|fingerprint| fingerprint.ends_with(issuer))
    }
}

/// Signs `data` with a secret key, and returns the packet.
///
/// # Errors
/// Returns an error if GnuPG cannot use the key.
pub(super) fn sign(
    data: &[u8],
    key: &SecretKey,
    home: Option<&Path>,
) -> Result<Vec<u8>, SignError> {
    let folder = Keyring::new()?;
    let file = folder.write("data", data)?;
    let mut command = gpg(home);
    command
        .args(["--local-user", &key.name, "--output", "-", "--detach-sign"])
        .arg(file);
    let out = process::output(PROGRAM, &mut command)?;
    match packets::split(&out.stdout).packets[..] {
        [packet] if out.status.success() => Ok(packet.to_vec()),
        _ => Err(home::failed(home, &out)),
    }
}

/// Signs `data`, and returns an OpenPGP message that contains both.
///
/// # Errors
/// Returns an error if GnuPG cannot use the key.
pub(super) fn sign_message(
    data: &[u8],
    key: &SecretKey,
    home: Option<&Path>,
) -> Result<Vec<u8>, SignError> {
    let folder = Keyring::new()?;
    let file = folder.write("data", data)?;
    let mut command = gpg(home);
    command
        .args(["--local-user", &key.name, "--output", "-"])
        .args(["--compress-algo", "none", "--sign"])
        .arg(file);
    let out = process::output(PROGRAM, &mut command)?;
    match out.status.success() {
        true => Ok(out.stdout),
        false => Err(home::failed(home, &out)),
    }
}

/// Returns the public part of a secret key as the bytes of a keyring.
pub(super) fn export(key: &SecretKey, home: Option<&Path>) -> Result<Vec<u8>, SignError> {
    let mut command = gpg(home);
    command.args(["--export", "--", &key.name]);
    let out = process::output(PROGRAM, &mut command)?;
    match out.status.success() {
        true => Ok(out.stdout),
        false => Err(failed(&out).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expired_and_revoked_subkeys_do_not_sign() {
        let text = "sec:u:255:22:0A:1700000000:::u:::cSC:::+::ed25519:::0:\n\
            fpr:::::::::AA0A:\n\
            ssb:e:255:22:0B:1700000000:1790000000:::::s:::+::ed25519::\n\
            fpr:::::::::BB0B:\n\
            ssb:r:255:22:0C:1700000000::::::s:::+::ed25519::\n\
            fpr:::::::::CC0C:\n\
            ssb:u:255:22:0D:1700000000::::::s:::+::ed25519::\n\
            fpr:::::::::DD0D:\n";
        let keys = parse_key_listing(text);
        assert!(keys[0].can_sign);
        let named = |name: &str| SecretKey::named(name, &keys[0]);
        assert_eq!(named("a@b").name, "AA0A");
        assert_eq!(named("a@b").fingerprints, ["AA0A", "DD0D"]);
        assert_eq!(named("0xdd0d!").fingerprints, ["DD0D"]);
        assert!(named("a@b").is_issuer("0D") && !named("a@b").is_issuer("CC0C"));
        assert!(!named("a@b").is_issuer(""));
        // Signatures of a key that has expired are found, and not added again.
        let expired = parse_key_listing(&text.replace(":u:", ":e:").replace("cSC", "c"));
        assert!(!expired[0].can_sign);
        assert_eq!(SecretKey::named("a@b", &expired[0]).fingerprints.len(), 4);
    }
}
