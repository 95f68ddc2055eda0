//! SHA-256 digests of files.

use std::io::{self, Read};

use sha2::Digest;

use crate::id::Sha256;
use crate::progress::{Event, Phase, Progress};

/// The size of a read in bytes.
pub const CHUNK: usize = 128 * 1024;

/// Hashes the content of `reader`. Returns the hasher and the number of bytes, or `None` if the
/// operation was cancelled.
pub fn hash(
    reader: &mut dyn Read,
    item: &str,
    total: Option<u64>,
    progress: &dyn Progress,
) -> io::Result<Option<(sha2::Sha256, u64)>> {
    let mut hasher = sha2::Sha256::new();
    let mut done = 0;
    let mut buffer = vec![0; CHUNK];
    loop {
        if progress.is_cancelled() {
            return Ok(None);
        }
        let read = match reader.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        done += read as u64;
        progress.event(&Event::Advanced {
            phase: Phase::Verify,
            item,
            done,
            total,
        });
    }
    progress.event(&Event::Finished {
        phase: Phase::Verify,
        item,
    });
    Ok(Some((hasher, done)))
}

/// Returns the digest of a hasher.
pub fn finish(hasher: sha2::Sha256) -> Sha256 {
    Sha256(hasher.finalize().into())
}

/// Returns the digest of `bytes`.
pub fn of(bytes: &[u8]) -> Sha256 {
    Sha256(sha2::Sha256::digest(bytes).into())
}
