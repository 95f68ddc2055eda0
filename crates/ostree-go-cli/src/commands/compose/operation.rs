//! The operation of the library for one treefile.

use super::args::ComposeArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::revision::resolve;
use ostree_go_sdk::compose::Compose;
use ostree_go_sdk::treefile::{ModuleSource, SourceSpec, Treefile};
use ostree_go_sdk::{Cache, Repo};

/// Returns the compose operation for the given arguments.
pub fn operation(
    context: &Context,
    args: &ComposeArgs,
    treefile: &Treefile,
    repo: Option<&Repo>,
) -> Result<Compose, CliError> {
    let settings = &context.settings;
    let private = settings.private_modules();
    let mut compose = Compose::new(treefile.clone())
        .source_date_epoch(settings.source_date_epoch()?)
        .sign_with(args.signing.keys()?)
        .force(args.force_nocache)
        .replace(args.replace)
        .workspace(args.workspace_lock.digest()?)
        .set_refs(args.write_commitid_to.is_none())
        .std_caches(!args.no_stdcache)
        .cache(Cache::new(
            args.cachedir.clone().unwrap_or_else(|| settings.cache()),
        ))
        .heads(settings.heads())
        .upstream_proof(args.upstream_proof)
        .goproxy(
            if args.update_pins || args.upstream_proof || needs_goproxy(treefile) {
                settings.goproxy()
            } else {
                None
            },
        )
        .no_sumdb_for(private.no_sumdb)
        .no_proxy_for(private.no_proxy)
        .sumdb((!args.no_sumdb).then(|| args.sumdb.clone()))
        .http(settings.http()?)
        .progress(context.progress());
    if !args.arch.is_empty() {
        compose = compose.arches(args.arches());
    }
    if let Some(clock) = context.fixed_clock()? {
        compose = compose.clock(clock);
    }
    if let (Some(rev), Some(repo)) = (&args.parent, repo) {
        compose = compose.parent(Some(resolve(repo, rev)?));
    }
    for (key, value) in args.metadata()? {
        compose = compose.add_metadata(key, value);
    }
    Ok(compose)
}

/// Returns true if a source needs the default of `GOPROXY`. It is only looked up in that case,
/// because that runs the go command.
fn needs_goproxy(treefile: &Treefile) -> bool {
    treefile.releases().iter().any(|release| {
        let is_module = |source: &SourceSpec| matches!(source, SourceSpec::Module { .. });
        let is_version = |source: &ModuleSource| matches!(source, ModuleSource::Version { .. });
        let has_modules = release.modules.iter().any(|one| is_version(&one.source));
        release.goproxy.is_none() && (has_modules || release.sources.iter().any(is_module))
    })
}
