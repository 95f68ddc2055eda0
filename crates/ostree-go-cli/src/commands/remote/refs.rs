//! `remote refs`: the refs that a remote offers.

use crate::args::transfer::TransferArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{short, table};
use crate::views::value::{Text, Time};
use ostree_go_sdk::pull::{OfferedRef, Pull};
use ostree_go_sdk::remote::Remote;
use ostree_go_sdk::{Arch, CommitId, RefName, Repo, StdCacheId, remote};
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

    /// Also list layers, std caches and all other refs
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
    let listed = offered
        .iter()
        .filter(|one| args.all || is_sdk(&one.name))
        .map(|one| OfferedView::new(one, &offered));
    let refs: Vec<OfferedView> = listed.collect();
    let is_empty = refs.is_empty();
    let code = context.report(&RefsReport {
        remote: remote.name.clone(),
        url: remote.url.clone(),
        refs,
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
    /// The std caches of a release or channel.
    std_caches: Vec<Text<StdCacheId>>,
}

impl OfferedView {
    fn new(one: &OfferedRef, all: &[OfferedRef]) -> Self {
        let version = one.version.as_deref().filter(|_| is_sdk(&one.name));
        let std_caches = version.map_or_else(Vec::new, |version| {
            let known = StdCacheId::all().into_iter().filter(|id| {
                let name = id.ref_beside(&one.name, version);
                name.is_ok_and(|name| all.iter().any(|other| other.name == name))
            });
            known.map(Text).collect()
        });
        Self {
            ref_name: Text(one.name.clone()),
            version: one.version.clone(),
            timestamp: one.timestamp.map(Time),
            commit: one.commit.map(Text),
            std_caches,
        }
    }

    /// Returns the targets of the std caches: `x86_64 aarch64`.
    fn targets(&self) -> String {
        let mut targets: Vec<String> = self
            .std_caches
            .iter()
            .map(|id| id.0.target.to_string())
            .collect();
        targets.dedup();
        match targets.is_empty() {
            true => "-".to_owned(),
            false => targets.join(" "),
        }
    }

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
        let mut rows: Vec<_> = self.refs.iter().map(OfferedView::row).collect();
        if rows.is_empty() {
            return String::new();
        }
        let mut header = vec!["REF", "GO", "TIME", "COMMIT"];
        if self.refs.iter().any(|one| !one.std_caches.is_empty()) {
            header.push("STD CACHE");
            for (row, one) in rows.iter_mut().zip(&self.refs) {
                row.push(one.targets());
            }
        }
        table(&header, &rows)
    }
}
