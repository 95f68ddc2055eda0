//! GPG keys for tests, in a separate GnuPG home directory.

use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A GnuPG home directory. Its agent is stopped when it is dropped.
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
    /// Creates an empty home directory.
    ///
    /// # Panics
    ///
    /// Panics if the directory cannot be created.
    pub fn new() -> Self {
        // The path has to be short, because it is part of the path of the agent's socket, whose length is limited.
        let home = tempfile::Builder::new()
            .prefix("gpg")
            .tempdir_in("/tmp")
            .expect("a home");
        Self { home }
    }

    /// Returns the path of the home directory.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Creates a key without a passphrase, and returns its fingerprint.
    ///
    /// # Panics
    ///
    /// Panics if GnuPG fails.
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

    /// Creates a primary key that can only certify, and a subkey that signs, without a passphrase; returns the fingerprints
    /// of both. The user's address is `name@example.com`, which several keys can have.
    ///
    /// # Panics
    ///
    /// Panics if GnuPG fails.
    pub fn key_with_subkey(&self, name: &str, comment: &str) -> [String; 2] {
        let user = format!("{name} {comment} <{name}@example.com>");
        let batch = ["--batch", "--passphrase", ""];
        self.gpg(
            &[
                &batch[..],
                &["--quick-gen-key", &user, "ed25519", "cert", "never"],
            ]
            .concat(),
        );
        let exact = format!("={user}");
        let list = || {
            let listed = self.gpg(&["--batch", "--with-colons", "--list-keys", &exact]);
            let found = listed.lines().filter_map(|line| line.strip_prefix("fpr:"));
            let found = found.map(|line| line.trim_matches(':').to_owned());
            found.collect::<Vec<_>>()
        };
        let primary = list().swap_remove(0);
        self.gpg(
            &[
                &batch[..],
                &["--quick-add-key", &primary, "ed25519", "sign", "never"],
            ]
            .concat(),
        );
        let subkey = list().swap_remove(1);
        [primary, subkey]
    }

    /// Writes the public part of a key to a file, and returns its path.
    ///
    /// # Panics
    ///
    /// Panics if GnuPG fails.
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

    /// Returns an armoured secret key without a passphrase.
    ///
    /// # Panics
    ///
    /// Panics if GnuPG fails.
    pub fn export_secret(&self, fingerprint: &str) -> String {
        self.gpg(&["--batch", "--armor", "--export-secret-keys", fingerprint])
    }

    /// Makes a key expire, and waits until it has expired. Signatures made before are
    /// older than the expiry, so there is no race with the clock.
    ///
    /// # Panics
    ///
    /// Panics if GnuPG fails.
    pub fn expire(&self, fingerprint: &str) {
        self.gpg(&["--batch", "--quick-set-expire", fingerprint, "seconds=1"]);
        std::thread::sleep(std::time::Duration::from_secs(2));
        self.export(fingerprint);
    }

    /// Revokes a key with the revocation certificate that GnuPG created together with it.
    ///
    /// # Panics
    ///
    /// Panics if GnuPG fails.
    pub fn revoke(&self, fingerprint: &str) {
        let certificate = self
            .home()
            .join(format!("openpgp-revocs.d/{fingerprint}.rev"));
        let text = std::fs::read_to_string(&certificate).expect("a revocation certificate");
        // GnuPG puts a colon in front of the certificate, to prevent accidental use.
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
