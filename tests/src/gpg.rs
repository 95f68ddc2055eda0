//! GPG keys for tests, in a home of their own.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A GnuPG home. Its agent is stopped when it is dropped.
#[derive(Debug)]
pub struct Gpg {
    home: TempDir,
}

impl Default for Gpg {
    fn default() -> Self {
        Self::new()
    }
}

impl Gpg {
    /// An empty home.
    ///
    /// # Panics
    ///
    /// When it cannot be made.
    pub fn new() -> Self {
        // A short path: the agent's socket is in it.
        let home = tempfile::Builder::new()
            .prefix("gpg")
            .tempdir_in("/tmp")
            .expect("a home");
        Self { home }
    }

    /// The home's folder.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Makes a key that signs without asking, and returns its fingerprint.
    ///
    /// # Panics
    ///
    /// When GnuPG cannot.
    pub fn key(&self, name: &str) -> String {
        let user = format!("{name} <{name}@example.com>");
        self.gpg(&[
            "--batch",
            "--passphrase",
            "",
            "--quick-gen-key",
            &user,
            "ed25519",
            "sign",
            "never",
        ]);
        let listed = self.gpg(&["--batch", "--with-colons", "--list-keys", &user]);
        let fingerprint = listed.lines().find_map(|line| line.strip_prefix("fpr:"));
        fingerprint
            .expect("a fingerprint")
            .trim_matches(':')
            .to_owned()
    }

    /// Writes a key's public part to a file.
    ///
    /// # Panics
    ///
    /// When GnuPG cannot.
    pub fn export(&self, fingerprint: &str) -> PathBuf {
        let path = self.home().join(format!("{fingerprint}.asc"));
        let path_arg = path.to_str().expect("UTF-8");
        self.gpg(&[
            "--batch",
            "--yes",
            "--armor",
            "--output",
            path_arg,
            "--export",
            fingerprint,
        ]);
        path
    }

    /// A secret key in armour, without a passphrase.
    ///
    /// # Panics
    ///
    /// When GnuPG cannot.
    pub fn export_secret(&self, fingerprint: &str) -> String {
        self.gpg(&["--batch", "--armor", "--export-secret-keys", fingerprint])
    }

    /// Lets a key expire now, and waits until it has. What it has signed before is as old as
    /// the key was good: there is no race with the clock.
    ///
    /// # Panics
    ///
    /// When GnuPG cannot.
    pub fn expire(&self, fingerprint: &str) {
        self.gpg(&["--batch", "--quick-set-expire", fingerprint, "seconds=1"]);
        std::thread::sleep(std::time::Duration::from_secs(2));
        self.export(fingerprint);
    }

    /// Revokes a key, by the certificate that GnuPG made with it.
    ///
    /// # Panics
    ///
    /// When GnuPG cannot.
    pub fn revoke(&self, fingerprint: &str) {
        let certificate = self
            .home()
            .join(format!("openpgp-revocs.d/{fingerprint}.rev"));
        let text = std::fs::read_to_string(&certificate).expect("a revocation certificate");
        // GnuPG guards it against use by mistake with a colon.
        std::fs::write(&certificate, text.replace(":-----BEGIN", "-----BEGIN")).expect("written");
        self.gpg(&["--batch", "--import", certificate.to_str().expect("UTF-8")]);
    }

    fn gpg(&self, args: &[&str]) -> String {
        let mut command = Command::new("gpg");
        command.arg("--homedir").arg(self.home()).args(args);
        let out = crate::cli::run(&mut command).ok();
        out.stdout
    }
}

impl Drop for Gpg {
    fn drop(&mut self) {
        let _ = Command::new("gpgconf")
            .arg("--homedir")
            .arg(self.home())
            .args(["--kill", "all"])
            .status();
    }
}
