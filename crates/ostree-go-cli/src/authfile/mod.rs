//! Credentials for registries, in the files of podman, buildah and skopeo.

mod format;

use crate::error::CliError;
use crate::settings::Settings;
use format::AuthFile;
use ostree_go_sdk::registry::{ImageReference, RegistryAuth};
use std::path::{Path, PathBuf};

/// Returns the credentials for an image: those of the named file, otherwise those of the first usual file that has any.
pub fn credentials(
    settings: &Settings,
    named: Option<&Path>,
    image: &ImageReference,
) -> Result<RegistryAuth, CliError> {
    let default_files;
    let (files, must_exist): (&[PathBuf], bool) = match named.or(settings.auth_file.as_deref()) {
        Some(path) => (&[path.to_owned()], true),
        None => {
            default_files = settings.auth_files();
            (&default_files, false)
        }
    };
    for path in files {
        let failed = CliError::file("read", path);
        let text = match std::fs::read(path) {
            Err(error) if !must_exist && error.kind() == std::io::ErrorKind::NotFound => continue,
            read => read.map_err(&failed)?,
        };
        let file = AuthFile::parse(&text)
            .map_err(|error| failed(std::io::Error::new(std::io::ErrorKind::InvalidData, error)))?;
        if let Some((name, server)) = file.helper(image)
            && let Some(auth) = RegistryAuth::from_helper(name, server)?
        {
            return Ok(auth);
        }
        if let Some(auth) = file.credentials_for(image).map_err(|()| {
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
