//! Entry points of the fuzz targets `challenge` and `credentials`.

use super::auth::{Challenge, RegistryAuth, token_url};
use super::helper::HelperOutput;

/// Parses `WWW-Authenticate` headers, one per line, and builds the URLs of tokens.
pub fn challenge(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    for challenge in Challenge::parse_all(text.lines()) {
        if let Challenge::Bearer { realm, service } = challenge {
            let _ = token_url(&realm, service.as_deref(), "repository:acme/go-sdk:pull");
        }
    }
}

/// Parses the output of a credential helper, and credentials in base64.
pub fn credentials(bytes: &[u8]) {
    let _ = serde_json::from_slice::<HelperOutput>(bytes).map(HelperOutput::auth);
    let _ = RegistryAuth::from_encoded(&String::from_utf8_lossy(bytes));
}
