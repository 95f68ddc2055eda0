use super::init::made;
use super::signing::SigningArgs;
use super::{Context, UNCHANGED, resolve};
use crate::error::CliError;
use crate::output::{bytes, count, short, table, time};
use crate::progress::Terminal;
use ostree_go_sdk::{
    Arch, ChannelState, Compose, Composed, ComposedRelease, FixedClock, HttpClient, PlannedRelease,
    Repo, RepoMode, SourceInfo, SourceSpec, Treefile,
};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Compose Go SDKs into a repository
///
/// Reads each treefile, takes the Go distributions it names, and commits them as layers and
/// releases, then moves the channels. Each treefile is one transaction: all of it is there
/// afterwards, or nothing. A release whose inputs did not change is not read again.
///
/// Prints the commit of each release, one a line, in the order of treefiles and architectures.
#[derive(Debug, clap::Args)]
pub struct ComposeArgs {
    /// What to compose
    #[arg(required = true, value_name = "TREEFILE")]
    treefiles: Vec<PathBuf>,

    /// Only this architecture of the treefile; may be given more than once
    #[arg(long, value_name = "ARCH", value_parser = parse_arch)]
    arch: Vec<Arch>,

    /// Say what would be composed, and stop
    #[arg(long)]
    dry_run: bool,

    /// Print the treefile merged with what it includes and expanded, as JSON, and stop
    #[arg(long, conflicts_with = "dry_run")]
    print_treefile: bool,

    /// Read the sources even if nothing changed
    #[arg(long)]
    force_nocache: bool,

    /// Exit with 77 if nothing changed
    #[arg(long)]
    unchanged_exit_77: bool,

    /// Update the time of this file if something changed
    #[arg(long, value_name = "FILE")]
    touch_if_changed: Option<PathBuf>,

    /// Write the commit of each release to this file, one a line, instead of moving the refs of
    /// releases and channels
    #[arg(long, value_name = "FILE")]
    write_commitid_to: Option<PathBuf>,

    /// Write what was composed to this file, as rpm-ostree does: an object, or an array of them
    /// if there is more than one release
    #[arg(long, value_name = "FILE")]
    write_composejson_to: Option<PathBuf>,

    /// Add a string to the metadata of the release; may be given more than once
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_key_value)]
    add_metadata_string: Vec<(String, String)>,

    /// Add the keys of a JSON object to the metadata of the release
    #[arg(long, value_name = "FILE")]
    add_metadata_from_json: Option<PathBuf>,

    /// The commit before the release's
    #[arg(long, value_name = "REV", conflicts_with = "no_parent")]
    parent: Option<String>,

    /// Give the release no parent (the default; for scripts that say so)
    #[arg(long)]
    no_parent: bool,

    /// Let the release's ref move to another commit
    #[arg(long)]
    replace: bool,

    /// The folder that keeps downloads
    #[arg(long, value_name = "DIR")]
    cachedir: Option<PathBuf>,

    #[command(flatten)]
    signing: SigningArgs,
}

fn parse_arch(name: &str) -> Result<Arch, String> {
    name.parse()
        .map_err(|error: ostree_go_sdk::UnknownArch| error.to_string())
}

fn parse_key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

pub fn run(context: &Context<'_>, args: &ComposeArgs) -> Result<ExitCode, CliError> {
    let treefiles = args
        .treefiles
        .iter()
        .map(|path| Ok(Treefile::load(path)?))
        .collect::<Result<Vec<_>, CliError>>()?;
    if args.print_treefile {
        return print_treefiles(context, &treefiles);
    }
    // What the caller got wrong is told before anything is made.
    context.settings.source_date_epoch()?;
    metadata(args)?;
    let path = context.repo_path()?;
    if args.dry_run && Repo::is_absent(path) {
        return dry_run(context, args, &treefiles, None);
    }
    let repo = open_or_create(context, path)?;
    if args.dry_run {
        return dry_run(context, args, &treefiles, Some(&repo));
    }
    let mut releases = Vec::new();
    let mut unchanged = true;
    for treefile in &treefiles {
        let compose = prepare(context, args, treefile, Some(&repo))?;
        let composed = compose.plan(&repo)?.execute()?;
        say(context, &composed);
        unchanged &= composed.is_unchanged();
        releases.extend(composed.releases);
    }
    write_files(args, &releases, unchanged)?;
    let document = json!({
        "repo": path,
        "unchanged": unchanged,
        "releases": releases.iter().map(release_json).collect::<Value>(),
    });
    context.output.data(&document, || commit_lines(&releases))?;
    Ok(match unchanged && args.unchanged_exit_77 {
        true => ExitCode::from(UNCHANGED),
        false => ExitCode::SUCCESS,
    })
}

fn open_or_create(context: &Context<'_>, path: &Path) -> Result<Repo, CliError> {
    if !Repo::is_absent(path) {
        return Ok(Repo::open(path)?);
    }
    let repo = Repo::create(path, RepoMode::Archive)?;
    context.output.say(&made(&repo));
    Ok(repo)
}

/// The compose that the command line asks for.
fn prepare(
    context: &Context<'_>,
    args: &ComposeArgs,
    treefile: &Treefile,
    repo: Option<&Repo>,
) -> Result<Compose, CliError> {
    let settings = context.settings;
    let epoch = settings.source_date_epoch()?;
    let mut compose = Compose::new(treefile.clone())
        .source_date_epoch(epoch)
        .sign_with(args.signing.keys()?)
        .force(args.force_nocache)
        .replace(args.replace)
        .set_refs(args.write_commitid_to.is_none())
        .cache(args.cachedir.clone().unwrap_or_else(|| settings.cache()))
        .goproxy(if asks_a_proxy(treefile) {
            settings.goproxy()
        } else {
            None
        })
        .http(HttpClient::new(&settings.http())?)
        .progress(Arc::new(Terminal::new(&context.global)));
    if !args.arch.is_empty() {
        compose = compose.arches(arches(args));
    }
    if let Some(epoch) = epoch {
        compose = compose.clock(Arc::new(FixedClock(epoch)));
    }
    if let (Some(rev), Some(repo)) = (&args.parent, repo) {
        compose = compose.parent(Some(resolve(repo, rev)?));
    }
    for (key, value) in metadata(args)? {
        compose = compose.add_metadata(key, value);
    }
    Ok(compose)
}

/// Whether a source needs `GOPROXY`, which takes a run of the go command to know.
fn asks_a_proxy(treefile: &Treefile) -> bool {
    treefile.releases().iter().any(|release| {
        let is_module = |source: &SourceSpec| matches!(source, SourceSpec::Module { .. });
        release.goproxy.is_none() && release.sources.iter().any(is_module)
    })
}

/// The architectures asked for, each once.
fn arches(args: &ComposeArgs) -> Vec<Arch> {
    let mut arches: Vec<Arch> = Vec::new();
    for arch in &args.arch {
        if !arches.contains(arch) {
            arches.push(*arch);
        }
    }
    arches
}

fn metadata(args: &ComposeArgs) -> Result<Map<String, Value>, CliError> {
    let mut metadata = Map::new();
    if let Some(path) = &args.add_metadata_from_json {
        let failed = |source| CliError::File {
            action: "read metadata from",
            path: path.clone(),
            source,
        };
        let text = std::fs::read(path).map_err(failed)?;
        metadata = serde_json::from_slice(&text).map_err(|error| failed(error.into()))?;
    }
    let strings = args.add_metadata_string.iter().cloned();
    metadata.extend(strings.map(|(key, value)| (key, Value::from(value))));
    Ok(metadata)
}

fn print_treefiles(context: &Context<'_>, treefiles: &[Treefile]) -> Result<ExitCode, CliError> {
    let expanded: Vec<Value> = treefiles.iter().map(Treefile::expanded).collect();
    let document = match expanded.as_slice() {
        [one] => one.clone(),
        several => json!({"treefiles": several}),
    };
    let text = || format!("{document:#}\n");
    context.output.data(&document, text)?;
    Ok(ExitCode::SUCCESS)
}

fn dry_run(
    context: &Context<'_>,
    args: &ComposeArgs,
    treefiles: &[Treefile],
    repo: Option<&Repo>,
) -> Result<ExitCode, CliError> {
    let (mut rows, mut releases, mut unchanged) = (Vec::new(), Vec::new(), true);
    for treefile in treefiles {
        let compose = prepare(context, args, treefile, repo)?;
        // Where there is no repository yet, everything is left to do.
        let planned: Vec<(_, &str)> = match repo {
            Some(repo) => {
                let plan = compose.plan(repo)?;
                let planned = plan.releases().iter();
                planned
                    .map(|release| (release.spec.clone(), action(release)))
                    .collect()
            }
            None => {
                let wanted = match args.arch.is_empty() {
                    true => treefile.arches().to_vec(),
                    false => arches(args),
                };
                wanted
                    .into_iter()
                    .map(|arch| Ok((treefile.for_arch(arch)?.clone(), "compose")))
                    .collect::<Result<_, CliError>>()?
            }
        };
        for (spec, action) in planned {
            unchanged &= action == "unchanged";
            let sources: Vec<String> = spec.sources.iter().map(ToString::to_string).collect();
            rows.push(vec![
                spec.release_ref.to_string(),
                action.to_owned(),
                sources.join(", "),
            ]);
            releases.push(json!({
                "ref": spec.release_ref.as_str(), "action": action, "sources": sources,
                "channels": spec.channels.iter().map(ToString::to_string).collect::<Value>(),
            }));
        }
    }
    if let (false, Some(path)) = (unchanged, &args.touch_if_changed) {
        touch(path)?;
    }
    let repo = context.repo_path()?;
    let document =
        json!({"repo": repo, "dry_run": true, "unchanged": unchanged, "releases": releases});
    let text = || table(&["RELEASE", "WOULD", "SOURCES"], &rows);
    context.output.data(&document, text)?;
    Ok(match unchanged && args.unchanged_exit_77 {
        true => ExitCode::from(UNCHANGED),
        false => ExitCode::SUCCESS,
    })
}

/// What would be done about a release. Without a pin, only its source can say.
fn action(release: &PlannedRelease<'_>) -> &'static str {
    match release {
        PlannedRelease {
            unchanged: true, ..
        } => "unchanged",
        PlannedRelease {
            current: Some(_),
            input_hash: None,
            ..
        } => "check",
        _ => "compose",
    }
}

/// A line per layer, release and channel.
fn say(context: &Context<'_>, composed: &Composed) {
    if context.output.is_json_lines() {
        for release in &composed.releases {
            let mut event = release_json(release);
            event["event"] = "release".into();
            context.output.event(&event);
        }
        return;
    }
    let state = |unchanged| if unchanged { "unchanged" } else { "new" };
    let mut rows: Vec<[String; 6]> = Vec::new();
    for release in &composed.releases {
        let layers = &release.layers;
        let files = Column::of(layers.iter().map(|layer| count(layer.files)));
        let sizes = Column::of(layers.iter().map(|layer| bytes(layer.bytes)));
        for layer in layers {
            let mut detail = format!(
                "{} files {}",
                files.right(&count(layer.files)),
                sizes.right(&bytes(layer.bytes)),
            );
            if layer.new.objects > 0 {
                let (objects, size) = (count(layer.new.objects), bytes(layer.new.bytes));
                detail.push_str(&format!(", {objects} new objects of {size}"));
            }
            let arch = if layer.noarch {
                "noarch"
            } else {
                release.arch.basearch()
            };
            rows.push([
                "layer".to_owned(),
                layer.name.clone(),
                arch.to_owned(),
                short(layer.commit),
                state(layer.unchanged).to_owned(),
                detail,
            ]);
        }
        rows.push([
            "release".to_owned(),
            release.version.to_string(),
            release.arch.to_string(),
            short(release.commit),
            state(release.unchanged).to_owned(),
            release.ref_name.to_string(),
        ]);
        for channel in &release.channels {
            let name = channel.ref_name.as_str();
            let (state, detail) = match channel.state {
                ChannelState::Newer => ("stays", format!("{name} has a newer version")),
                state => (state.as_str(), name.to_owned()),
            };
            rows.push([
                "channel".to_owned(),
                name.rsplit('/').next().unwrap_or_default().to_owned(),
                release.arch.to_string(),
                short(channel.commit),
                state.to_owned(),
                detail,
            ]);
        }
    }
    let rows: Vec<Vec<String>> = rows.into_iter().map(Vec::from).collect();
    for line in table(&[""; 6], &rows).lines().skip(1) {
        context.output.say(line);
    }
    if composed.is_unchanged() {
        context.output.say("nothing changed");
    }
}

/// A column of numbers, which stand right.
struct Column(usize);

impl Column {
    fn of(cells: impl Iterator<Item = String>) -> Self {
        Self(cells.map(|cell| cell.len()).max().unwrap_or(0))
    }

    fn right(&self, cell: &str) -> String {
        format!("{cell:>width$}", width = self.0)
    }
}

fn commit_lines(releases: &[ComposedRelease]) -> String {
    releases
        .iter()
        .map(|release| format!("{}\n", release.commit))
        .collect()
}

fn write_files(
    args: &ComposeArgs,
    releases: &[ComposedRelease],
    unchanged: bool,
) -> Result<(), CliError> {
    let write = |path: &PathBuf, text: &str| {
        std::fs::write(path, text).map_err(|source| CliError::File {
            action: "write",
            path: path.clone(),
            source,
        })
    };
    if let (false, Some(path)) = (unchanged, &args.touch_if_changed) {
        touch(path)?;
    }
    if let Some(path) = &args.write_commitid_to {
        // As there, a single one is nothing but the commit.
        write(path, commit_lines(releases).trim_end())?;
    }
    if let Some(path) = &args.write_composejson_to {
        let documents: Vec<Value> = {
            let set_refs = args.write_commitid_to.is_none();
            let releases = releases.iter();
            releases
                .map(|release| composejson(release, set_refs))
                .collect()
        };
        let document = match documents.as_slice() {
            [one] => one.clone(),
            _ => Value::from(documents),
        };
        write(path, &format!("{document:#}\n"))?;
    }
    Ok(())
}

pub(super) fn touch(path: &PathBuf) -> Result<(), CliError> {
    let touched = std::fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .and_then(|file| file.set_modified(std::time::SystemTime::now()));
    touched.map_err(|source| CliError::File {
        action: "touch",
        path: path.clone(),
        source,
    })
}

/// A release in the shape of rpm-ostree's `--write-composejson-to`. What there is none of is left
/// out, as there.
///
/// Source: `rpmostree_composeutil_write_composejson` in `src/app/rpmostree-composeutil.cxx`.
fn composejson(release: &ComposedRelease, set_refs: bool) -> Value {
    let mut document = Map::new();
    if set_refs {
        document.insert("ref".into(), release.ref_name.as_str().into());
    }
    if let Some(objects) = release.objects {
        for (key, number) in [
            ("ostree-n-metadata-total", objects.metadata),
            ("ostree-n-metadata-written", objects.new_metadata),
            ("ostree-n-content-total", objects.content),
            ("ostree-n-content-written", objects.new_content),
            // Files that need not be hashed because their inode is known: there are none here.
            ("ostree-n-cache-hits", 0),
            ("ostree-content-bytes-written", objects.new_content_bytes),
        ] {
            document.insert(key.into(), number.into());
        }
    }
    for (key, text) in [
        ("ostree-commit", Some(release.commit.to_string())),
        ("ostree-content-checksum", Some(release.content.to_string())),
        ("ostree-version", Some(release.version.to_string())),
        ("ostree-timestamp", Some(time(release.timestamp))),
        ("rpm-ostree-inputhash", release.input_hash.clone()),
    ] {
        if let Some(text) = text {
            document.insert(key.into(), text.into());
        }
    }
    document.into()
}

fn release_json(release: &ComposedRelease) -> Value {
    let layers = release.layers.iter().map(|layer| {
        json!({
            "name": layer.name,
            "ref": layer.ref_name.as_str(),
            "commit": layer.commit.to_string(),
            "content": layer.content.to_string(),
            "noarch": layer.noarch,
            "files": layer.files,
            "bytes": layer.bytes,
            "new_objects": layer.new.objects,
            "new_bytes": layer.new.bytes,
            "unchanged": layer.unchanged,
        })
    });
    let channels = release.channels.iter().map(|channel| {
        json!({
            "ref": channel.ref_name.as_str(),
            "commit": channel.commit.to_string(),
            "state": channel.state.as_str(),
        })
    });
    json!({
        "ref": release.ref_name.as_str(),
        "arch": release.arch.basearch(),
        "version": release.version.as_str(),
        "commit": release.commit.to_string(),
        "content": release.content.to_string(),
        "parent": release.parent.map(|id| id.to_string()),
        "timestamp": time(release.timestamp),
        "unchanged": release.unchanged,
        "input_hash": release.input_hash,
        "source": release.source.as_ref().map(source_json),
        "layers": layers.collect::<Value>(),
        "channels": channels.collect::<Value>(),
    })
}

fn source_json(source: &SourceInfo) -> Value {
    json!({
        "name": source.name,
        "form": source.form.as_str(),
        "sha256": source.sha256.map(|sha256| sha256.to_string()),
        "bytes": source.size,
    })
}
