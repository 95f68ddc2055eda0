use crate::context::Context;
use crate::error::CliError;
use crate::files;
use crate::report::Report;
use crate::revision::resolve;
use crate::text::{bytes, count};
use crate::views::value::{PathText, Text};
use clap::ValueEnum;
use ostree_go_sdk::export::sysext::{SysextForm, SysextHost, SysextOptions, export_sysext};
use ostree_go_sdk::{CommitId, Sha256, StdCacheId};
use serde::Serialize;
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Write a system extension, which systemd-sysext merges into /usr
///
/// The name of the extension is that of DEST without `.raw`. Do not rename it: systemd-sysext merges
/// it only under this name, and under that of --name. Copy it to /var/lib/extensions on the host.
#[derive(Debug, clap::Args)]
pub struct SysextArgs {
    /// A ref, a commit, or a version or channel of this machine's architecture
    #[arg(value_name = "RELEASE")]
    release: String,

    /// Destination; NAME.raw is a squashfs image, NAME is a directory
    #[arg(value_name = "DEST")]
    dest: PathBuf,

    /// Form of the extension (default: derived from DEST)
    #[arg(long, value_enum, value_name = "FORM")]
    form: Option<Form>,

    /// Let systemd-sysext merge the extension under this name, too, for a link NAME.raw to a file
    /// with a version in its name
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// Restrict the extension to hosts with this ID or ID:VERSION_ID in os-release (default: any
    /// host)
    #[arg(long, value_name = "ID", conflicts_with = "os_release")]
    host: Option<String>,

    /// Restrict the extension to hosts with the ID and version in this os-release file
    #[arg(long, value_name = "FILE")]
    os_release: Option<PathBuf>,

    /// Omit files outside of /usr and /opt instead of failing
    #[arg(long)]
    leave_out_other: bool,

    /// Leave out the compiled standard library, which the extension has if the repository has it
    #[arg(long)]
    no_stdcache: bool,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Form {
    /// A directory
    Directory,
    /// A squashfs image, created by mksquashfs
    Squashfs,
    /// An EROFS image, created by mkfs.erofs
    Erofs,
}

impl From<Form> for SysextForm {
    fn from(form: Form) -> Self {
        match form {
            Form::Directory => Self::Directory,
            Form::Squashfs => Self::Squashfs,
            Form::Erofs => Self::Erofs,
        }
    }
}

pub fn run(context: &Context, args: &SysextArgs) -> Result<ExitCode, CliError> {
    if files::is_stdout(&args.dest) {
        return Err(CliError::Usage {
            message: "a system extension cannot be written to standard output".to_owned(),
            hint: Some("name a file, because its name is the name of the extension".to_owned()),
        });
    }
    let repo = context.repo()?;
    let commit = resolve(&repo, &args.release)?;
    let options = SysextOptions::default()
        .form(args.form.map(Into::into))
        .also_named(args.name.clone())
        .host(host(args)?)
        .leave_out_other(args.leave_out_other)
        .std_caches(!args.no_stdcache)
        .progress(context.progress());
    let made = export_sysext(&repo, commit, &args.dest, &options)?;
    if let Some(first) = made.left_out.first() {
        let more = match made.left_out.len() {
            1 => String::new(),
            n => format!(", and {} more", count(n as u64 - 1)),
        };
        let line = format!("note: omitted files outside of /usr and /opt: /{first}{more}");
        context.say(&line);
    }
    context.say(&format!(
        "{}: {}, {} files",
        args.dest.display(),
        bytes(made.bytes),
        count(made.files)
    ));
    let release = made.release.iter();
    let release = release.map(|(key, value)| ((*key).to_owned(), value.as_str().into()));
    context.report(&SysextReport {
        commit: Text(commit),
        path: PathText(&args.dest),
        name: &made.name,
        also_named: made.also_named.as_deref(),
        form: made.form.as_str(),
        bytes: made.bytes,
        sha256: made.sha256.map(Text),
        files: made.files,
        extension_release: release.collect(),
        left_out: made
            .left_out
            .iter()
            .map(|path| format!("/{path}"))
            .collect(),
        std_caches: made
            .std_caches
            .iter()
            .map(|(id, commit)| ExportedStdCache {
                id: Text(*id),
                commit: Text(*commit),
            })
            .collect(),
    })
}

/// Returns the hosts that the extension is for.
fn host(args: &SysextArgs) -> Result<SysextHost, CliError> {
    match (&args.host, &args.os_release) {
        (Some(host), _) => Ok(SysextHost::parse(host)?),
        (None, Some(path)) => {
            let text = files::read_text("read", path)?;
            Ok(SysextHost::from_os_release(&text, path)?)
        }
        (None, None) => Ok(SysextHost::Any),
    }
}

#[derive(Serialize)]
struct SysextReport<'a> {
    commit: Text<CommitId>,
    path: PathText<&'a Path>,
    name: &'a str,
    also_named: Option<&'a str>,
    form: &'static str,
    bytes: u64,
    sha256: Option<Text<Sha256>>,
    files: u64,
    extension_release: Map<String, Value>,
    left_out: Vec<String>,
    std_caches: Vec<ExportedStdCache>,
}

#[derive(Serialize)]
struct ExportedStdCache {
    id: Text<StdCacheId>,
    commit: Text<CommitId>,
}

impl Report for SysextReport<'_> {}
