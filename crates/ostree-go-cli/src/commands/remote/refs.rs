//! `remote refs`: the refs that a remote offers.

use crate::args::transfer::TransferArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{short, table};
use crate::views::value::{Text, Time};
use ostree_go_sdk::pull::{OfferedRef, Pull};
use ostree_go_sdk::remote::Remote;
use ostree_go_sdk::{Arch, CommitId, RefName, Repo, remote};
use serde::Serialize;
use std::process::ExitCode;

/// List the releases and channels that a remote offers
///
/// The list is that of the remote's summary, or of the tags of its images. Nothing is verified:
/// `install` and `pull` do that.
#[derive(Debug, clap::Args)]
pub struct RefsArgs {
    /// Name of the remote, required if there are several
    name: Option<String>,

    /// Also list layers and all other refs
    #[arg(short, long)]
    all: bool,

    #[command(flatten)]
    transfer: TransferArgs,
}

pub fn run(context: &Context, repo: &Repo, args: &RefsArgs) -> Result<ExitCode, CliError> {
    let remote = select(repo, args.name.as_deref())?;
    let image = remote::registry(repo, &remote.name)?;
    let offered = Pull::new(&remote.name, [])
        .http(args.transfer.http(context.settings.http()?))
        .auth(context.registry_auth(image.as_ref())?)
        .progress(context.progress())
        .list(repo)?;
    let offered = offered.into_iter();
    let refs: Vec<OfferedRef> = offered
        .filter(|offered| args.all || is_sdk(&offered.name))
        .collect();
    let is_empty = refs.is_empty();
    let code = context.report(&RefsReport {
        remote: remote.name.clone(),
        url: remote.url.clone(),
        refs: refs.into_iter().map(Into::into).collect(),
    })?;
    if is_empty {
        let Remote { name, url, .. } = &remote;
        context.say(&format!(
            "remote {name} at {url} offers no releases and no channels"
        ));
    }
    Ok(code)
}

/// Returns the remote with a name, or the only one.
fn select(repo: &Repo, name: Option<&str>) -> Result<Remote, CliError> {
    if let Some(name) = name {
        return Ok(remote::get(repo, name)?);
    }
    let mut known = remote::list(repo)?;
    match (known.len(), known.pop()) {
        (1, Some(only)) => Ok(only),
        (0, _) | (_, None) => Err(CliError::Usage {
            message: format!("no remote in repository {}", repo.path().display()),
            hint: Some(
                "add a remote with `ostree-go remote add NAME URL --gpg-import KEY-FILE`"
                    .to_owned(),
            ),
        }),
        (_, Some(last)) => {
            let names = known.iter().map(|remote| remote.name.as_str());
            let names: Vec<&str> = names.chain([last.name.as_str()]).collect();
            Err(CliError::Usage {
                message: "there are several remotes".to_owned(),
                hint: Some(format!("name one of {}", names.join(", "))),
            })
        }
    }
}

/// Returns true for the form of releases and channels, `go-sdk/ARCH/NAME`, and for the tag of an
/// image.
fn is_sdk(name: &RefName) -> bool {
    let mut parts = name.as_str().rsplit('/');
    match (parts.next(), parts.next()) {
        (Some(_), Some(arch)) => arch.parse::<Arch>().is_ok(),
        _ => true,
    }
}

#[derive(Serialize)]
struct RefsReport {
    remote: String,
    url: String,
    refs: Vec<OfferedView>,
}

#[derive(Serialize)]
struct OfferedView {
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    version: Option<String>,
    timestamp: Option<Time>,
    commit: Option<Text<CommitId>>,
}

impl From<OfferedRef> for OfferedView {
    fn from(offered: OfferedRef) -> Self {
        Self {
            ref_name: Text(offered.name),
            version: offered.version,
            timestamp: offered.timestamp.map(Time),
            commit: offered.commit.map(Text),
        }
    }
}

impl OfferedView {
    fn row(&self) -> Vec<String> {
        let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            self.ref_name.to_string(),
            or_dash(self.version.clone()),
            or_dash(self.timestamp.as_ref().map(ToString::to_string)),
            or_dash(self.commit.as_ref().map(short)),
        ]
    }
}

impl Report for RefsReport {
    fn human(&self) -> String {
        let rows: Vec<_> = self.refs.iter().map(OfferedView::row).collect();
        match rows.is_empty() {
            true => String::new(),
            false => table(&["REF", "GO", "TIME", "COMMIT"], &rows),
        }
    }
}
