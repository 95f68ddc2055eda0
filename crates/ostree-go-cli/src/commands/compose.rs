use super::init::created_message;
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
/// Reads each treefile, commits the Go distributions that it names as layers and releases, and
/// moves the channels. Each treefile is one transaction: either all of its commits are created or
/// none. If the inputs of a release have not changed, its source is not read again.
///
/// Prints the commit of each release, one per line, in the order of treefiles and architectures.
#[derive(Debug, clap::Args)]
pub struct ComposeArgs {
    /// Treefiles to compose
    #[arg(required = true, value_name = "TREEFILE")]
    treefiles: Vec<PathBuf>,

    /// Compose only this architecture of the treefile (may be repeated)
    #[arg(long, value_name = "ARCH", value_parser = parse_arch)]
    arch: Vec<Arch>,

    /// Print what would be composed, without changing the repository
    #[arg(long)]
    dry_run: bool,

    /// Print the treefile as JSON, with its includes merged and its variables expanded, and exit
    #[arg(long, conflicts_with = "dry_run")]
    print_treefile: bool,

    /// Compose even if the inputs have not changed
    #[arg(long)]
    force_nocache: bool,

    /// Exit with 77 if nothing changed
    #[arg(long)]
    unchanged_exit_77: bool,

    /// Update the modification time of this file if something changed
    #[arg(long, value_name = "FILE")]
    touch_if_changed: Option<PathBuf>,

    /// Write the commit of each release to this file, one per line, instead of moving the refs of
    /// releases and channels
    #[arg(long, value_name = "FILE")]
    write_commitid_to: Option<PathBuf>,

    /// Write a description of the result to this file, as rpm-ostree does: a JSON object, or an
    /// array of objects if there is more than one release
    #[arg(long, value_name = "FILE")]
    write_composejson_to: Option<PathBuf>,

    /// Add a string to the metadata of the release (may be repeated)
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_key_value)]
    add_metadata_string: Vec<(String, String)>,

    /// Add the keys of the JSON object in this file to the metadata of the release
    #[arg(long, value_name = "FILE")]
    add_metadata_from_json: Option<PathBuf>,

    /// Parent of the release commit (default: none)
    #[arg(long, value_name = "REV", conflicts_with = "no_parent")]
    parent: Option<String>,

    /// Create the release commit without a parent; this is the default, and accepted for
    /// compatibility with rpm-ostree
    #[arg(long)]
    no_parent: bool,

    /// Allow the ref of the release to move to another commit
    #[arg(long)]
    replace: bool,

    /// Directory for cached downloads (default: $XDG_CACHE_HOME/ostree-go)
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
    // Errors in the arguments are reported before anything is created.
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
    context.output.say(&created_message(&repo));
    Ok(repo)
}

/// Returns the compose operation for the given arguments.
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
        .goproxy(if needs_goproxy(treefile) {
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

/// Returns true if a source needs the default of `GOPROXY`. It is only looked up in that case,
/// because that runs the go command.
fn needs_goproxy(treefile: &Treefile) -> bool {
    treefile.releases().iter().any(|release| {
        let is_module = |source: &SourceSpec| matches!(source, SourceSpec::Module { .. });
        release.goproxy.is_none() && release.sources.iter().any(is_module)
    })
}

/// Returns the requested architectures without duplicates.
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
        // Without a repository, everything has to be composed.
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
    let text = || table(&["RELEASE", "ACTION", "SOURCES"], &rows);
    context.output.data(&document, text)?;
    Ok(match unchanged && args.unchanged_exit_77 {
        true => ExitCode::from(UNCHANGED),
        false => ExitCode::SUCCESS,
    })
}

/// Returns the planned action for a release: `check` means that the source has to be opened to decide.
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

/// Prints one line for each layer, release and channel.
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
                ChannelState::Newer => ("not moved", format!("{name} has a newer version")),
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

/// A right-aligned column of numbers.
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
        // As in rpm-ostree, the file of a single release contains only the commit ID without a
        // newline.
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

/// Formats a release like rpm-ostree's `--write-composejson-to`. As there, fields without a value are
/// omitted.
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
            // The number of files that are not hashed because their inode is known, which does
            // not apply here.
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
