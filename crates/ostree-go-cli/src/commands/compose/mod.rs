//! `compose`: the order of its steps.

mod args;
mod composejson;
mod dry_run;
mod messages;
mod operation;
mod result;
mod update_pins;

pub use args::ComposeArgs;

use crate::context::Context;
use crate::error::CliError;
use crate::files;
use crate::report::Report;
use crate::views::summary::summary_message;
use crate::views::value::{PathText, Text};
use dry_run::dry_run;
use messages::print_messages;
use operation::operation;
use ostree_go_sdk::compose::{ComposeError, ComposedRelease};
use ostree_go_sdk::publish::SummaryState;
use ostree_go_sdk::treefile::Treefile;
use ostree_go_sdk::{Progress, Repo, RepoMode};
use result::{ComposeReport, ExpandedTreefiles, commit_lines};
use std::path::Path;
use std::process::ExitCode;
use update_pins::update_pins;

pub fn run(context: &Context, args: &ComposeArgs) -> Result<ExitCode, CliError> {
    let treefiles = args
        .treefiles
        .iter()
        .map(|path| Ok(Treefile::load(path)?))
        .collect::<Result<Vec<_>, CliError>>()?;
    if args.print_treefile {
        return context.report(&ExpandedTreefiles::of(&treefiles));
    }
    if args.update_pins {
        return update_pins(context, args, &treefiles);
    }
    // Errors in the arguments are reported before anything is created.
    context.settings.source_date_epoch()?;
    args.metadata()?;
    args.workspace_lock.digest()?;
    let files = args.write_commitid_to.iter();
    let files = files.chain(&args.write_composejson_to);
    let is_stdout_taken = context.output.is_stdout_taken(files)?;
    let path = context.repo_path()?;
    if args.dry_run && Repo::is_absent(path) {
        return dry_run(context, args, &treefiles, None);
    }
    let repo = open_or_create(context, path)?;
    if args.dry_run {
        return dry_run(context, args, &treefiles, Some(&repo));
    }
    let (mut releases, mut modules) = (Vec::new(), Vec::new());
    let (mut std_caches, mut skipped) = (Vec::new(), Vec::new());
    let mut proofs = Vec::new();
    let (mut unchanged, mut summary) = (true, SummaryState::Absent);
    for treefile in &treefiles {
        let compose = operation(context, args, treefile, Some(&repo))?;
        // The library notices a signal only while it reads a source or before it moves refs.
        if context.progress().is_cancelled() {
            return Err(ComposeError::Cancelled.into());
        }
        let composed = compose.plan(&repo)?.execute()?;
        print_messages(context, &composed);
        unchanged &= composed.is_unchanged();
        // The summary lists the refs of the whole repository.
        summary = composed.summary;
        releases.extend(composed.releases);
        modules.extend(composed.modules);
        std_caches.extend(composed.std_caches);
        skipped.extend(composed.skipped_std_caches.into_iter().map(Text));
        proofs.extend(composed.upstream_proofs.iter().map(Into::into));
    }
    if let Some(message) = summary_message(summary) {
        context.say(message);
    }
    write_files(args, &releases, unchanged)?;
    let report = ComposeReport {
        repo: PathText(path),
        unchanged,
        summary: summary.as_str(),
        releases: releases.iter().map(Into::into).collect(),
        modules: modules.iter().map(Into::into).collect(),
        std_caches: std_caches.iter().map(Into::into).collect(),
        skipped_std_caches: skipped,
        upstream_proofs: proofs,
        exit_77: args.unchanged_exit_77,
    };
    match is_stdout_taken {
        true => Ok(report.exit_code()),
        false => context.report(&report),
    }
}

fn open_or_create(context: &Context, path: &Path) -> Result<Repo, CliError> {
    if !Repo::is_absent(path) {
        return Ok(Repo::open(path)?);
    }
    let repo = Repo::create(path, RepoMode::Archive)?;
    context.say_created(&repo);
    Ok(repo)
}

/// Writes the files with the result that the arguments name.
fn write_files(
    args: &ComposeArgs,
    releases: &[ComposedRelease],
    unchanged: bool,
) -> Result<(), CliError> {
    if let (false, Some(path)) = (unchanged, &args.touch_if_changed) {
        files::touch(path)?;
    }
    if let Some(path) = &args.write_commitid_to {
        // As in rpm-ostree, the file of a single release contains only the commit ID without a
        // newline.
        let commits = releases.iter().map(|release| release.commit);
        files::write(path, commit_lines(commits).trim_end())?;
    }
    if let Some(path) = &args.write_composejson_to {
        let set_refs = args.write_commitid_to.is_none();
        let text = composejson::text(releases, set_refs);
        let text = text.map_err(|error| CliError::file("write", path)(error.into()))?;
        files::write(path, &text)?;
    }
    Ok(())
}
