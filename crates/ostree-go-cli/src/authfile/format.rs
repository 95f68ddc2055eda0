//! The format of credentials files.
//!
//! Source: `containers-auth.json(5)`, and for `credsStore` the `config.json` of docker.
//!
//! The fuzz target `authfile` includes this file: it uses nothing else of this crate.

use ostree_go_sdk::registry::{ImageReference, RegistryAuth};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The parts of a credentials file that are used.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    /// Credential helpers of single registries.
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    /// Credential helper of all other registries.
    #[serde(default)]
    creds_store: String,
}

#[derive(Debug, Default, Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    identitytoken: String,
}

impl AuthFile {
    /// Parses a file.
    ///
    /// # Errors
    ///
    /// Returns an error when it is not JSON, or a known key has another type.
    pub fn parse(text: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(text)
    }

    /// Returns the credential helper for the image's registry, and the name under which the helper knows the registry.
    pub fn helper<'a>(&'a self, image: &'a ImageReference) -> Option<(&'a str, &'a str)> {
        let registry_helper = self
            .cred_helpers
            .iter()
            .find(|(key, _)| *key == image.host() || is_hub(image.host()) && is_hub(host_of(key)));
        match registry_helper {
            Some((key, name)) => Some((name, key)),
            None if self.creds_store.is_empty() => None,
            None if is_hub(image.host()) => Some((&self.creds_store, HUB)),
            None => Some((&self.creds_store, image.host())),
        }
    }

    /// Returns the credentials of the entry for the image, otherwise for a folder above it, otherwise for the registry.
    ///
    /// # Errors
    ///
    /// Returns an error when the entry does not hold a name and a password in base64.
    pub fn credentials_for(&self, image: &ImageReference) -> Result<Option<RegistryAuth>, ()> {
        let mut key = format!("{}/{}", image.host(), image.name());
        loop {
            if let Some(entry) = self.auths.get(&key) {
                return entry.auth();
            }
            match key.rsplit_once('/') {
                Some((parent, _)) => key.truncate(parent.len()),
                None => break,
            }
        }
        // Older files contain whole URLs.
        let old = self.auths.iter().find(|(key, _)| {
            let host = host_of(key);
            key.contains("://") && (host == image.host() || is_hub(host) && is_hub(image.host()))
        });
        old.map_or(Ok(None), |(_, entry)| entry.auth())
    }
}

/// The key of Docker Hub in credentials files.
const HUB: &str = "https://index.docker.io/v1/";

/// Returns the host in a registry's name or URL.
fn host_of(key: &str) -> &str {
    let host = key.split_once("://").map_or(key, |(_, rest)| rest);
    host.split('/').next().unwrap_or(host)
}

fn is_hub(host: &str) -> bool {
    matches!(host, "docker.io" | "index.docker.io")
}

impl Entry {
    /// Returns `None` where the entry is empty because a helper has the credentials.
    fn auth(&self) -> Result<Option<RegistryAuth>, ()> {
        if !self.identitytoken.is_empty() {
            let token = self.identitytoken.clone();
            return Ok(Some(RegistryAuth::IdentityToken(token)));
        }
        if self.auth.is_empty() {
            return Ok(None);
        }
        RegistryAuth::from_encoded(&self.auth).map(Some).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(file: &str, image: &str) -> String {
        let file = AuthFile::parse(file.as_bytes()).unwrap();
        format!("{:?}", file.credentials_for(&image.parse().unwrap()))
    }

    #[test]
    fn the_most_specific_entry_is_used() {
        // "team:x", "all:x", "hub:x"
        let file = r#"{"auths": {
            "r.example": {"auth": "YWxsOng="}, "r.example/team": {"auth": "dGVhbTp4"},
            "t.example": {"identitytoken": "secret"}, "bad.example": {"auth": "%"},
            "https://index.docker.io/v1/": {"auth": "aHViOng="}, "kept.example": {}
        }}"#;
        assert_eq!(
            found(file, "r.example/team/go-sdk:1"),
            "Ok(Some(Basic(team)))"
        );
        assert_eq!(
            found(file, "r.example/teams/go-sdk"),
            "Ok(Some(Basic(all)))"
        );
        assert_eq!(found(file, "t.example/a"), "Ok(Some(IdentityToken))");
        assert_eq!(found(file, "acme/go-sdk"), "Ok(Some(Basic(hub)))");
        assert_eq!(found(file, "other.example/a"), "Ok(None)");
        assert_eq!(found(file, "bad.example/a"), "Err(())");
        assert_eq!(found(file, "kept.example/a"), "Ok(None)");
    }

    #[test]
    fn the_helper_of_a_registry_precedes_the_default_helper() {
        let helper_of = |file: &str, image: &str| {
            let file = AuthFile::parse(file.as_bytes()).unwrap();
            let image = image.parse().unwrap();
            file.helper(&image)
                .map(|(name, server)| format!("{name} {server}"))
        };
        let some = r#"{"credHelpers": {"r.example": "ecr", "docker.io": "hub"}}"#;
        assert_eq!(
            helper_of(some, "r.example/team/a").unwrap(),
            "ecr r.example"
        );
        assert_eq!(helper_of(some, "acme/go-sdk").unwrap(), "hub docker.io");
        assert_eq!(helper_of(some, "s.example/a"), None);
        let all = r#"{"credHelpers": {"r.example": "ecr"}, "credsStore": "pass"}"#;
        assert_eq!(helper_of(all, "r.example/a").unwrap(), "ecr r.example");
        assert_eq!(helper_of(all, "s.example/a").unwrap(), "pass s.example");
        let hub = "pass https://index.docker.io/v1/";
        assert_eq!(helper_of(all, "acme/go-sdk").unwrap(), hub);
    }
}
