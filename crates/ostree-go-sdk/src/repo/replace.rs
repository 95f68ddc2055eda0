//! Replacing a file of the repository by renaming another one from `tmp/`.

use super::Repo;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

impl Repo {
    /// Replaces a file, or creates it, so that a reader finds the old content or the new one. The content is durable when this
    /// returns, unless the repository does not sync; the name is durable when its folder is synced.
    ///
    /// A process that is killed leaves its temporary file in `tmp/`, where libostree removes it after a day when a transaction
    /// begins.
    pub(super) fn replace_file(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix("ostree-go-new-")
            .permissions(fs::Permissions::from_mode(0o644))
            .tempfile_in(self.path.join("tmp"))?;
        file.write_all(content)?;
        if self.is_sync_enabled() {
            file.as_file().sync_all()?;
        }
        file.persist(path)?;
        Ok(())
    }
}
