//! Entry points of the fuzz target `signature`.

/// Parses OpenPGP packets and status lines of GnuPG.
pub fn signature(bytes: &[u8]) {
    let _ = super::packets::issuers(bytes);
    let _ = super::gpg::parse_status(&String::from_utf8_lossy(bytes), 1_700_000_000);
}
