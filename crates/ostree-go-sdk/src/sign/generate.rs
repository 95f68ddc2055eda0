//! Generation of signing keys.

use super::{SignError, ed25519, home};
use crate::fs::atomic;
use crate::process::{self, ProcessError};
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A generated key pair and its location.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct GeneratedKey {
    /// The GPG fingerprint, or the Ed25519 public key in base64.
    pub key: String,
    /// The secret key: the GnuPG home directory, or the file with the Ed25519 secret key. Only its
    /// owner can read it.
    pub secret: PathBuf,
    /// The public key for verification: the file with the armoured GPG key or the Ed25519 public
    /// key.
    pub public: PathBuf,
}

/// Generates a GPG key without a passphrase (Ed25519, in GnuPG's default format) in the GnuPG home
/// directory `gnupg` in `folder`, and exports its public part to `public.asc` in `folder`. New
/// folders have mode 0700.
///
/// `user` has the form `NAME <MAIL>`, and `expires` is an expiry time in GnuPG's syntax (`2y`,
/// `never`).
///
/// # Errors
/// Returns an error if the `gpg` command is missing or fails, or the folder already has a key.
pub fn generate_gpg_key(
    folder: &Path,
    user: &str,
    expires: &str,
) -> Result<GeneratedKey, SignError> {
    let home = folder.join("gnupg");
    make_private(folder)
        .and_then(|()| fs::DirBuilder::new().mode(0o700).create(&home))
        .map_err(|source| not_written(&home, source))?;
    let made = gpg_key(&home, user, expires);
    // Otherwise the agent would keep running in the home directory.
    let mut stop = Command::new("gpgconf");
    let _ = process::run(
        "gpgconf",
        stop.arg("--homedir").arg(&home).args(["--kill", "all"]),
    );
    let (key, armoured) = made.map_err(|error| {
        let cause = home::explain(Some(&home), &error);
        cause.unwrap_or(SignError::Gpg(error))
    })?;
    let public = folder.join("public.asc");
    atomic::write(&public, armoured.as_bytes()).map_err(|source| not_written(&public, source))?;
    Ok(GeneratedKey {
        key,
        secret: home,
        public,
    })
}

/// Generates a key, and returns its fingerprint and armoured public key.
fn gpg_key(home: &Path, user: &str, expires: &str) -> Result<(String, String), ProcessError> {
    let gpg = |args: &[&str]| {
        let mut command = Command::new("gpg");
        command
            .arg("--homedir")
            .arg(home)
            .args(["--batch", "--no-tty"])
            .args(args);
        process::run("gpg", &mut command)
    };
    gpg(&[
        "--passphrase",
        "",
        "--quick-gen-key",
        user,
        "ed25519",
        "sign",
        expires,
    ])?;
    let listed = gpg(&["--with-colons", "--list-secret-keys"])?;
    // doc/DETAILS of GnuPG: record `fpr`, field 10.
    let fingerprint = listed
        .lines()
        .find(|line| line.starts_with("fpr:"))
        .and_then(|line| line.split(':').nth(9))
        .unwrap_or_default()
        .to_owned();
    let armoured = gpg(&["--armor", "--export", &fingerprint])?;
    Ok((fingerprint, armoured))
}

/// Generates an Ed25519 key pair: the files `secret.ed25519` and `public.ed25519` in `folder`, in
/// base64.
///
/// # Errors
/// Returns an error if the folder cannot be written or already has a key.
pub fn generate_ed25519_key(folder: &Path) -> Result<GeneratedKey, SignError> {
    let (secret, public) = (folder.join("secret.ed25519"), folder.join("public.ed25519"));
    make_private(folder).map_err(|source| not_written(folder, source))?;
    let mut seed = [0; 32];
    // getrandom(2) never returns fewer bytes for requests of up to 256.
    rustix::rand::getrandom(&mut seed, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| not_written(&secret, errno.into()))?;
    let (secret_key, key) = ed25519::key_pair(&seed);
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&secret)
        .and_then(|mut file| {
            file.write_all(format!("{secret_key}\n").as_bytes())?;
            file.sync_all()
        })
        .map_err(|source| not_written(&secret, source))?;
    atomic::write(&public, format!("{key}\n").as_bytes())
        .map_err(|source| not_written(&public, source))?;
    Ok(GeneratedKey {
        key,
        secret,
        public,
    })
}

/// Creates a folder and its missing parents, which only their owner can access. An existing folder
/// is not changed.
fn make_private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(folder)
}

fn not_written(path: &Path, source: io::Error) -> SignError {
    SignError::Generate {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_whose_path_is_too_long_is_the_cause_of_the_error() {
        let dir = tempfile::tempdir().unwrap();
        let user = "Acme <acme@example.com>";
        let long = dir.path().join("x".repeat(100));
        let error = match generate_gpg_key(&long, user, "never") {
            // The sockets are elsewhere if the user has a directory in /run/user.
            Ok(_) => return,
            Err(error) => error.to_string(),
        };
        assert!(error.contains("at most 107"), "{error}");
        assert!(error.contains("/gnupg"), "{error}");
        let short = dir.path().join("short");
        generate_gpg_key(&short, user, "never").unwrap();
        let failed = ProcessError::Failed {
            program: "gpg".to_owned(),
            stderr: "No agent running".to_owned(),
        };
        assert!(home::explain(Some(&short.join("gnupg")), &failed).is_none());
    }
}
