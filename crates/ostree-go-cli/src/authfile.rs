//! Credentials for registries, from the files that podman, buildah, skopeo and docker use.
//!
//! Source: `containers-auth.json(5)`, and for `credsStore` the `config.json` of docker.

use crate::error::CliError;
use crate::settings::Settings;
use ostree_go_sdk::{ImageReference, RegistryAuth};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    /// Credential helpers for single registries.
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
    /// Credential helper for all other registries.
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

/// Finds the credentials for an image: in the named file, or in the first of the default files
/// that has an entry for it.
pub fn credentials(
    settings: &Settings,
    named: Option<&Path>,
    image: &ImageReference,
) -> Result<RegistryAuth, CliError> {
    let usual;
    let (files, must_exist): (&[PathBuf], bool) = match named.or(settings.auth_file.as_deref()) {
        Some(path) => (&[path.to_owned()], true),
        None => {
            usual = settings.auth_files();
            (&usual, false)
        }
    };
    for path in files {
        let failed = |source| CliError::File {
            action: "read",
            path: path.clone(),
            source,
        };
        let text = match std::fs::read(path) {
            Err(error) if !must_exist && error.kind() == std::io::ErrorKind::NotFound => continue,
            read => read.map_err(failed)?,
        };
        let file: AuthFile = serde_json::from_slice(&text)
            .map_err(|error| failed(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?;
        if let Some((name, server)) = file.helper(image)
            && let Some(auth) = RegistryAuth::from_helper(name, server)?
        {
            return Ok(auth);
        }
        if let Some(auth) = file.of(image).map_err(|()| {
            let problem = format!("the entry for {} is damaged", image.host());
            failed(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                problem,
            ))
        })? {
            return Ok(auth);
        }
    }
    Ok(RegistryAuth::Anonymous)
}

impl AuthFile {
    /// Returns the credential helper for the image's registry, and the server name to pass to it.
    fn helper<'a>(&'a self, image: &'a ImageReference) -> Option<(&'a str, &'a str)> {
        let own = self
            .cred_helpers
            .iter()
            .find(|(key, _)| *key == image.host() || is_hub(image.host()) && is_hub(host_of(key)));
        match own {
            Some((key, name)) => Some((name, key)),
            None if self.creds_store.is_empty() => None,
            None if is_hub(image.host()) => Some((&self.creds_store, HUB)),
            None => Some((&self.creds_store, image.host())),
        }
    }

    /// Returns the entry for the image, for the longest matching prefix of its name, or for the
    /// registry.
    fn of(&self, image: &ImageReference) -> Result<Option<RegistryAuth>, ()> {
        let mut key = format!("{}/{}", image.host(), image.name());
        loop {
            if let Some(entry) = self.auths.get(&key) {
                return entry.auth();
            }
            match key.rsplit_once('/') {
                Some((above, _)) => key.truncate(above.len()),
                None => break,
            }
        }
        // Older files have URLs as keys.
        let old = self.auths.iter().find(|(key, _)| {
            let host = host_of(key);
            key.contains("://") && (host == image.host() || is_hub(host) && is_hub(image.host()))
        });
        old.map_or(Ok(None), |(_, entry)| entry.auth())
    }
}

/// The key that docker uses for its own registry.
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
    /// Returns `None` if a credential helper has the credentials.
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
        let file: AuthFile = serde_json::from_str(file).unwrap();
        format!("{:?}", file.of(&image.parse().unwrap()))
    }

    #[test]
    fn the_nearest_entry_counts() {
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
    fn a_registrys_own_helper_comes_before_that_of_all() {
        let asked = |file: &str, image: &str| {
            let file: AuthFile = serde_json::from_str(file).unwrap();
            let image = image.parse().unwrap();
            file.helper(&image)
                .map(|(name, server)| format!("{name} {server}"))
        };
        let some = r#"{"credHelpers": {"r.example": "ecr", "docker.io": "hub"}}"#;
        assert_eq!(asked(some, "r.example/team/a").unwrap(), "ecr r.example");
        assert_eq!(asked(some, "acme/go-sdk").unwrap(), "hub docker.io");
        assert_eq!(asked(some, "s.example/a"), None);
        let all = r#"{"credHelpers": {"r.example": "ecr"}, "credsStore": "pass"}"#;
        assert_eq!(asked(all, "r.example/a").unwrap(), "ecr r.example");
        assert_eq!(asked(all, "s.example/a").unwrap(), "pass s.example");
        let hub = "pass https://index.docker.io/v1/";
        assert_eq!(asked(all, "acme/go-sdk").unwrap(), hub);
    }
}
