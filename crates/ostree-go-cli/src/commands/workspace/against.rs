//! `workspace check --against`: compares the lock with the one that a commit or an image was made with.

use crate::context::Context;
use crate::error::CliError;
use crate::registry::RegistryArgs;
use crate::revision::resolve;
use ostree_go_sdk::catalog::CommitInfo;
use ostree_go_sdk::oci::{ImageLocation, InvalidLocation};
use ostree_go_sdk::pull::image_labels;
use ostree_go_sdk::toolchains;
use ostree_go_sdk::workspace::{Drift, Lock};
use ostree_go_sdk::{Arch, Repo};

/// The prefixes of the locations of images. Nothing else with a `:` names a commit.
const IMAGES: [&str; 3] = ["oci:", "oci-archive:", "docker://"];

#[derive(Debug, clap::Args)]
pub struct AgainstArgs {
    /// Compare the lock with the one that this was made with, too: a ref, commit, version or channel in
    /// the repository of --repo; without --repo, an installed SDK; or an image: `oci:DIR[:TAG]`,
    /// `oci-archive:FILE[:TAG]` or `docker://REGISTRY/NAME[:TAG]`
    #[arg(long, value_name = "COMMIT-or-IMAGE")]
    against: Option<String>,

    #[command(flatten)]
    registry: RegistryArgs,
}

impl AgainstArgs {
    /// Returns the differences between the lock and the one that the commit or image records.
    pub fn compare(&self, context: &Context, lock: &Lock) -> Result<Vec<Drift>, CliError> {
        let Some(name) = &self.against else {
            return Ok(Vec::new());
        };
        if IMAGES.iter().any(|prefix| name.starts_with(prefix)) {
            return self.compare_with_image(context, lock, name);
        }
        let commit = commit(context, name)?;
        let name = format!("commit {}", commit.id);
        let drift = lock.compare_with_commit(&name, &commit)?;
        Ok(drift.into_iter().collect())
    }

    fn compare_with_image(
        &self,
        context: &Context,
        lock: &Lock,
        name: &str,
    ) -> Result<Vec<Drift>, CliError> {
        let location = name.parse();
        let location: ImageLocation =
            location.map_err(|error: InvalidLocation| CliError::usage(error.to_string()))?;
        let options = self.registry.options(context, &location)?;
        let mut found = Vec::new();
        for image in image_labels(&location, &options, &*context.progress())? {
            found.extend(lock.compare_with_image(name, &image)?);
        }
        Ok(found)
    }
}

/// Returns a commit of the repository on the command line, or of an installed SDK.
fn commit(context: &Context, name: &str) -> Result<CommitInfo, CliError> {
    if let Some(path) = &context.global.repo {
        let repo = Repo::open(path)?;
        return Ok(CommitInfo::read(&repo, resolve(&repo, name)?)?);
    }
    let root = context.root()?;
    let deployment = toolchains::find(&root, name, Arch::host())?;
    Ok(CommitInfo::read(&root.repo()?, deployment.commit)?)
}
