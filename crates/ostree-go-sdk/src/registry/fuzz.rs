//! What the fuzz target `challenge` does.

use super::auth::{Challenge, token_url};

/// Reads what a registry asks for, and makes the address of its token.
pub fn challenge(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Some(Challenge::Bearer { realm, service }) = Challenge::parse(&text) {
        let _ = token_url(&realm, service.as_deref(), "repository:acme/go-sdk:pull");
    }
}
