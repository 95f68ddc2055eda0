//! Writes a lock and its signatures.

use crate::args::signing::OPTIONS;
use crate::context::Context;
use crate::error::CliError;
use ostree_go_sdk::sign::{FileSignatures, SigningKey, remove_signatures, signature_path};
use ostree_go_sdk::workspace::Lock;
use std::path::Path;

/// Writes a lock, and signs it if there are keys. Signatures of another lock are removed.
pub fn write(
    context: &Context,
    lock: &Lock,
    path: &Path,
    keys: &[SigningKey],
) -> Result<(), CliError> {
    let text = lock.to_json();
    // A key that cannot be used must not leave a lock without a signature.
    let signatures = match keys {
        [] => None,
        keys => Some(FileSignatures::new(path, text.as_bytes(), keys)?),
    };
    let is_same = std::fs::read(path).is_ok_and(|old| old == text.as_bytes());
    // Removed before the lock is replaced, so that no lock is beside the signatures of another one.
    let removed = !is_same && remove_signatures(path)?;
    if !is_same {
        lock.write(path)?;
    }
    match signatures {
        Some(signatures) => {
            signatures.write()?;
        }
        None if removed => {
            let path = signature_path(path);
            let path = path.display();
            context.say(&format!(
                "warning: {path} was removed, because it signed another lock; sign the new one with {OPTIONS}"
            ));
        }
        None => {}
    }
    Ok(())
}
