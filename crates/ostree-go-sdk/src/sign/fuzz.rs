//! Entry points of the fuzz targets `signature` and `pkcs11_uri`.

use super::pkcs11_uri::Pkcs11Uri;

/// Parses OpenPGP packets, text with signatures, and status lines of GnuPG.
pub fn signature(bytes: &[u8]) {
    let _ = super::packets::issuers(bytes);
    let _ = super::text::Signatures::parse(bytes);
    let _ = super::gpg::parse_status(&String::from_utf8_lossy(bytes), 1_700_000_000);
}

/// Parses the URI of a key on a token. What is shown is a URI of the same token, without a PIN.
pub fn pkcs11_uri(bytes: &[u8]) {
    let Ok(uri) = Pkcs11Uri::parse(&String::from_utf8_lossy(bytes)) else {
        return;
    };
    let shown = uri.to_string();
    assert!(!shown.contains('?'));
    let again = Pkcs11Uri::parse(&shown);
    assert!(again.is_ok_and(|again| again.token == uri.token && again.id == uri.id));
}
