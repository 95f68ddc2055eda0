//! Certificates for tests.

use crate::cli::run;
use crate::tools;
use std::path::PathBuf;
use std::process::Command;
use tempfile::TempDir;

/// Script that creates a certificate authority `ca`, and certificates that it signs: `server` for 127.0.0.1, and
/// `client`. `stranger` is an authority that has signed none of them.
const SCRIPT: &str = "
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -keyout ca.key -out ca.pem -subj /CN=ca -addext basicConstraints=critical,CA:TRUE
make() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.csr -subj /CN=$1
    echo \"$2\" > $1.ext
    openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem
}
make server subjectAltName=IP:127.0.0.1
make client extendedKeyUsage=clientAuth
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -keyout stranger.key -out stranger.pem -subj /CN=stranger
openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout tokens.key -out tokens.pem -subj /CN=tokens
";

/// A directory with `NAME.pem` and `NAME.key` for `ca`, `server`, `client` and `stranger`, and for
/// `tokens`, which has an RSA key.
#[derive(Debug)]
pub struct Certificates(TempDir);

impl Certificates {
    /// Creates new certificates, or returns `None` after printing why the test is skipped.
    ///
    /// # Panics
    ///
    /// Panics if the temporary directory cannot be created, or openssl fails.
    pub fn new() -> Option<Self> {
        tools::require("openssl")?;
        let folder = tempfile::tempdir().expect("a folder for certificates");
        run(Command::new("sh")
            .args(["-ec", SCRIPT])
            .current_dir(&folder))
        .ok();
        Some(Self(folder))
    }

    /// Returns the path of a file.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns the path of a file as text, for configuration files.
    pub fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }
}
