use crate::args::database::DatabaseArgs;
use crate::args::signing::SigningArgs;
use crate::audit;
use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{bytes, count, short, table};
use crate::upstream::{StoredProofView, upstream};
use crate::views::delta::DeltaView;
use crate::views::value::{PathText, Text};
use ostree_go_sdk::delta::{ComparedDelta, DeltaPreset};
use ostree_go_sdk::publish::{PlannedDelta, Publish, PublishPlan, Published};
use ostree_go_sdk::sign::SigningKey;
use ostree_go_sdk::upstream::DATABASE;
use ostree_go_sdk::{CommitId, GoVersion, RefName, Repo};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Prepare a repository for serving
///
/// Generates the missing static deltas (to every release and channel from nothing, and to each
/// channel from its previous commits), an index page, and the summary; deletes superseded deltas.
/// With keys, commits of refs without any signature are signed as well. Any static web server can
/// then serve the repository's directory: what is published is readable for every user.
#[derive(Debug, clap::Args)]
pub struct PublishArgs {
    /// Number of previous commits of each channel from which to generate deltas
    #[arg(long, default_value_t = 2, value_name = "N")]
    history: usize,

    /// Publish this file with public keys beside the index page (may be repeated)
    #[arg(long, value_name = "FILE")]
    public_key: Vec<PathBuf>,

    /// Compression effort for new deltas: `best` makes them smaller, but takes several times as
    /// long
    #[arg(long, value_enum, default_value_t = Preset::Fast, value_name = "PRESET")]
    delta_preset: Preset,

    /// Generate each new delta with libostree as well, and keep the smaller one; takes minutes
    #[arg(long)]
    compare_deltas: bool,

    /// Sign the deltas as well, with the Ed25519 keys among the options, for `ostree static-delta
    /// apply-offline` and ostree-go; the stock `ostree pull` cannot read signed deltas
    #[arg(long)]
    sign_deltas: bool,

    /// Add the proof that their content is Go's own, from Go's checksum database, to all releases and channels, so that anyone can
    /// check it with `verify --upstream --offline`; a release with other content is an error
    #[arg(long)]
    upstream_proof: bool,

    /// URL of the checksum database: a mirror, or a module proxy's URL followed by /sumdb/sum.golang.org. If the default is out of
    /// reach, the proxies in GOPROXY are asked
    #[arg(long, value_name = "URL", requires = "upstream_proof", default_value = DATABASE)]
    sumdb: String,

    /// Print which deltas would be generated and deleted, and change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    signing: SigningArgs,

    #[command(flatten)]
    database: DatabaseArgs,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Preset {
    Fast,
    Best,
}

pub fn run(context: &Context, args: &PublishArgs) -> Result<ExitCode, CliError> {
    let repo = context.repo()?;
    let keys = args.signing.keys()?;
    if args.sign_deltas && !keys.iter().any(SigningKey::is_ed25519) {
        return Err(CliError::Usage {
            message: "--sign-deltas requires an Ed25519 key".to_owned(),
            hint: Some(
                "name one with --sign-from-file, --sign-command or --sign-pkcs11".to_owned(),
            ),
        });
    }
    let mut publish = Publish::new()
        .history(args.history)
        .public_keys(args.public_key.clone())
        .sign_with(keys)
        .delta_preset(match args.delta_preset {
            Preset::Fast => DeltaPreset::Fast,
            Preset::Best => DeltaPreset::Best,
        })
        .compare_deltas(args.compare_deltas)
        .sign_deltas(args.sign_deltas)
        .upstream_proof(match args.upstream_proof && !args.dry_run {
            true => Some(upstream(context, &args.sumdb)?),
            false => None,
        })
        .progress(context.progress());
    if let Some(clock) = context.fixed_clock()? {
        publish = publish.clock(clock);
    }
    if args.dry_run {
        return context.report(&DryRunReport::from(&publish.plan(&repo)?));
    }
    let versions = versions(&repo)?;
    let advisories = audit::configured(context, &args.database, &versions, 0)?;
    let plan = publish.advisories(advisories).plan(&repo)?;
    let published = plan.execute()?;
    let report = PublishReport::new(repo.path(), &published);
    for line in report.messages() {
        context.say(&line);
    }
    context.report(&report)
}

/// Returns the versions of the releases and channels.
fn versions(repo: &Repo) -> Result<Vec<GoVersion>, CliError> {
    let listed = repo.list()?.into_iter();
    let versions = listed.filter_map(|(_, commit)| commit.version?.parse().ok());
    Ok(versions.collect())
}

#[derive(Serialize)]
struct PublishReport<'a> {
    repo: PathText<&'a Path>,
    refs: usize,
    deltas: Vec<PublishedDelta>,
    removed: Vec<DeltaView>,
    signed: Vec<SignedRef>,
    upstream_proofs: Vec<StoredProofView>,
}

/// A ref whose commit had no signature.
#[derive(Serialize)]
struct SignedRef {
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    commit: Text<CommitId>,
}

impl From<&(RefName, CommitId)> for SignedRef {
    fn from((name, commit): &(RefName, CommitId)) -> Self {
        Self {
            ref_name: Text(name.clone()),
            commit: Text(*commit),
        }
    }
}

#[derive(Serialize)]
struct PublishedDelta {
    #[serde(flatten)]
    delta: DeltaView,
    bytes: u64,
    made: bool,
    compared: Option<ComparedView>,
}

/// The sizes of two deltas, the smaller of which is kept.
#[derive(Serialize)]
struct ComparedView {
    bytes: u64,
    libostree_bytes: u64,
}

impl<'a> PublishReport<'a> {
    fn new(repo: &'a Path, published: &Published) -> Self {
        let deltas = published.deltas.iter().map(|delta| {
            let mut compared = published.compared.iter();
            let compared = compared.find(|compared| compared.name == delta.name);
            PublishedDelta {
                delta: DeltaView::from(&delta.name),
                bytes: delta.bytes,
                made: published.made.contains(&delta.name),
                compared: compared.map(Into::into),
            }
        });
        Self {
            repo: PathText(repo),
            refs: published.refs,
            deltas: deltas.collect(),
            removed: published.removed.iter().map(Into::into).collect(),
            signed: published.signed.iter().map(Into::into).collect(),
            upstream_proofs: published.upstream_proofs.iter().map(Into::into).collect(),
        }
    }

    fn messages(&self) -> Vec<String> {
        let made = self.deltas.iter().filter(|delta| delta.made).map(|delta| {
            let compared = delta.compared.as_ref().map(ComparedView::human);
            format!(
                "delta {}  {}{}",
                delta.delta.short(),
                bytes(delta.bytes),
                compared.unwrap_or_default()
            )
        });
        let removed = self.removed.iter();
        let removed = removed.map(|delta| format!("delta {}  removed", delta.short()));
        // Deltas of the same tree share their parts, so that the sum of their sizes would be
        // misleading.
        let summary = format!(
            "summary of {} refs, {} deltas",
            count(self.refs as u64),
            count(self.deltas.len() as u64),
        );
        let signed = self.signed.iter().map(|signed| {
            let commit = short(signed.commit.0);
            format!(
                "{}  {commit}  had no signature and was signed",
                signed.ref_name
            )
        });
        let proofs = self.upstream_proofs.iter().filter(|proof| proof.new);
        let proofs = proofs.map(|proof| {
            let commit = short(proof.commit.0);
            format!("commit {commit}  proof of Go's checksum database added")
        });
        signed
            .chain(proofs)
            .chain(made)
            .chain(removed)
            .chain([summary])
            .collect()
    }
}

impl From<&ComparedDelta> for ComparedView {
    fn from(compared: &ComparedDelta) -> Self {
        Self {
            bytes: compared.ours,
            libostree_bytes: compared.libostree,
        }
    }
}

impl ComparedView {
    /// Returns which of two deltas was kept, and the size of the other one.
    fn human(&self) -> String {
        match self.libostree_bytes < self.bytes {
            true => format!(", libostree's; ours has {}", bytes(self.bytes)),
            false => format!(", libostree's has {}", bytes(self.libostree_bytes)),
        }
    }
}

impl Report for PublishReport<'_> {}

#[derive(Serialize)]
struct DryRunReport {
    dry_run: bool,
    deltas: Vec<PlannedView>,
    superseded: Vec<DeltaView>,
    unsigned: Vec<SignedRef>,
}

#[derive(Serialize)]
struct PlannedView {
    #[serde(flatten)]
    delta: DeltaView,
    exists: bool,
    refs: Vec<Text<RefName>>,
}

impl From<&PublishPlan> for DryRunReport {
    fn from(plan: &PublishPlan) -> Self {
        Self {
            dry_run: true,
            deltas: plan.deltas().iter().map(Into::into).collect(),
            superseded: plan.superseded().iter().map(Into::into).collect(),
            unsigned: plan.unsigned().iter().map(Into::into).collect(),
        }
    }
}

impl From<&PlannedDelta> for PlannedView {
    fn from(planned: &PlannedDelta) -> Self {
        Self {
            delta: DeltaView::from(&planned.name),
            exists: planned.exists,
            refs: planned.refs.iter().cloned().map(Text).collect(),
        }
    }
}

impl Report for DryRunReport {
    fn human(&self) -> String {
        let wanted = self.deltas.iter().flat_map(|planned| {
            let action = if planned.exists { "keep" } else { "make" };
            let first = [action.to_owned(), planned.delta.short()];
            let refs = planned.refs.iter().enumerate();
            // A delta can be for many refs, each of which has a line.
            refs.map(move |(at, name)| {
                let [action, delta] = match at {
                    0 => first.clone(),
                    _ => [String::new(), String::new()],
                };
                vec![action, delta, name.to_string()]
            })
        });
        let superseded = self.superseded.iter();
        let removed =
            superseded.map(|delta| vec!["remove".to_owned(), delta.short(), String::new()]);
        let unsigned = self.unsigned.iter().map(|unsigned| {
            let commit = short(unsigned.commit.0);
            vec!["sign".to_owned(), commit, unsigned.ref_name.to_string()]
        });
        let rows: Vec<_> = unsigned.chain(wanted).chain(removed).collect();
        table(&["WOULD", "DELTA", "FOR"], &rows)
    }
}
