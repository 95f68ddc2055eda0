//! What the fuzz target `signature` does.

/// Reads who made the signatures in OpenPGP packets.
pub fn signature(bytes: &[u8]) {
    let _ = super::issuer::issuers(bytes);
}
