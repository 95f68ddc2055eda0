//! Entry points of the fuzz target `signature`.

/// Parses OpenPGP packets, and the status lines that GnuPG would write.
pub fn signature(bytes: &[u8]) {
    let _ = super::packets::issuers(bytes);
    let _ = super::gpg::result(&String::from_utf8_lossy(bytes));
}
