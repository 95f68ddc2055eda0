//! Credentials for registries, where podman, buildah and skopeo keep them.
//!
//! Source: `containers-auth.json(5)`.

use crate::error::CliError;
use crate::settings::Settings;
use ostree_go_sdk::{ImageReference, RegistryAuth};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

#[derive(Debug, Default, Deserialize)]
struct AuthFile {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
}

#[derive(Debug, Default, Deserialize)]
struct Entry {
    #[serde(default)]
    auth: String,
    #[serde(default)]
    identitytoken: String,
}

/// What is known for an image: of the file that is named, else of the first file that has
/// anything for it.
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
    /// The entry for the image, else for a folder that it is in, else for the registry.
    fn of(&self, image: &ImageReference) -> Result<Option<RegistryAuth>, ()> {
        let mut key = format!("{}/{}", image.host(), image.name());
        loop {
            if let Some(entry) = self.auths.get(&key) {
                return entry.auth().map(Some);
            }
            match key.rsplit_once('/') {
                Some((above, _)) => key.truncate(above.len()),
                None => break,
            }
        }
        // Older files have whole addresses.
        let old = self.auths.iter().find(|(key, _)| {
            let host = key.split_once("://").map_or(key.as_str(), |(_, rest)| rest);
            let host = host.split('/').next().unwrap_or(host);
            key.contains("://") && (host == image.host() || is_hub(host) && is_hub(image.host()))
        });
        old.map(|(_, entry)| entry.auth()).transpose()
    }
}

fn is_hub(host: &str) -> bool {
    matches!(host, "docker.io" | "index.docker.io")
}

impl Entry {
    fn auth(&self) -> Result<RegistryAuth, ()> {
        if !self.identitytoken.is_empty() {
            return Ok(RegistryAuth::IdentityToken(self.identitytoken.clone()));
        }
        RegistryAuth::from_encoded(&self.auth).ok_or(())
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
            "https://index.docker.io/v1/": {"auth": "aHViOng="}
        }, "credsStore": "desktop"}"#;
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
    }
}
