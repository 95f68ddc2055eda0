mod alerts;

use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::text::{bytes, count};
use alerts::Alerts;
use ostree_go_sdk::Repo;
use ostree_go_sdk::goproxy::toolchains::Toolchains;
use ostree_go_sdk::goproxy::{GoProxyError, ModuleProxy, Policy, Served, listen};
use serde::Serialize;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// The word for `--listen` that stands for the sockets of systemd.
const SYSTEMD: &str = "systemd";

/// The largest value of `--timeout` in seconds.
const MAX_TIMEOUT: i64 = 3600;

/// Serve Go modules that are verified with the checksum database
///
/// A module proxy for GOPROXY that fetches modules from other proxies. It serves go.mod and zip files only after the
/// checksum database has proven their hashes, also to clients with GOSUMDB=off, and keeps them in a cache, where they
/// are verified again each time. A policy says which modules are served, from which age on, and whose signed
/// statements private modules need. With --repo, versions of golang.org/toolchain come from the releases in an OSTree
/// repository.
///
/// Refused requests get the status 403, with which the go command stops and shows the reason. SIGTERM ends the proxy
/// after the requests in progress.
#[derive(Debug, clap::Args)]
pub struct ProxyArgs {
    /// Address to listen on, such as 127.0.0.1:3000, or `systemd` for the sockets that systemd passes (default: these
    /// sockets)
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,

    /// Proxies to fetch modules from, in the syntax of GOPROXY
    #[arg(long, value_name = "LIST")]
    upstream: String,

    /// Directory for verified files, in the layout of a proxy: GOPROXY=file://DIR can use it
    #[arg(long, value_name = "DIR")]
    cache: PathBuf,

    /// Directory for the newest head of the checksum database, and for the evidence of forks (default:
    /// $STATE_DIRECTORY, which systemd sets, or `state` in the cache)
    #[arg(long, value_name = "DIR", env = "STATE_DIRECTORY", hide_env = true)]
    state: Option<PathBuf>,

    /// File with the policy (default: all modules are served, and none is private)
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,

    /// Append each alert to this file, as a line of JSON
    #[arg(long, value_name = "FILE")]
    alert: Option<PathBuf>,

    /// Run this program for each alert, with the JSON object on standard input
    #[arg(long, value_name = "PROGRAM")]
    alert_command: Option<PathBuf>,

    /// Write counters to this file every few seconds, in the text format of Prometheus
    #[arg(long, value_name = "FILE")]
    metrics: Option<PathBuf>,

    /// Checksum database: its key as in GOSUMDB, or sum.golang.org, and optionally its URL
    #[arg(long, value_name = "KEY[=URL]")]
    sumdb: Option<String>,

    /// Time in seconds in which an upstream proxy or the checksum database has to send something
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=MAX_TIMEOUT as u64))]
    timeout: u64,

    /// Only check the policy and the other options
    #[arg(long)]
    dry_run: bool,
}

pub fn run(context: &Context, args: ProxyArgs) -> Result<ExitCode, CliError> {
    // A mistake in the policy is reported before anything else is done.
    let policy = args.policy.as_deref().map(Policy::load).transpose();
    let policy = policy.map_err(GoProxyError::from)?;
    let alerts = Arc::new(Alerts::new(
        args.alert.as_deref(),
        args.alert_command.clone(),
        &context.output,
    )?);
    let timeout = Duration::from_secs(args.timeout);
    let http = context.settings.http()?;
    let http = http
        .retries(1)
        .connect_timeout(timeout)
        .read_timeout(timeout);
    let mut proxy = ModuleProxy::new(&args.upstream, &args.cache)
        .policy(policy.unwrap_or_default())
        .alerts(alerts.clone())
        .metrics_file(args.metrics.clone())
        .http(http);
    if let Some(state) = &args.state {
        proxy = proxy.state(state.clone());
    }
    if let Some(sumdb) = &args.sumdb {
        let (key, url) = match sumdb.split_once('=') {
            Some((key, url)) => (key, Some(url.to_owned())),
            None => (sumdb.as_str(), None),
        };
        proxy = proxy.database_key(key.to_owned()).database_urls(url);
    }
    if let Some(path) = &context.global.repo {
        let repo = Repo::open(path)?;
        proxy = proxy.toolchains(Arc::new(Toolchains::of_repo(&repo)));
    }
    warn_about_fallback(context);
    if args.dry_run {
        proxy.check()?;
        return context.report(&ProxyReport {
            dry_run: true,
            served: None,
        });
    }
    let listeners = listeners(context, args.listen.as_deref())?;
    let served = proxy.progress(context.progress()).serve(listeners);
    alerts.finish();
    context.report(&ProxyReport {
        dry_run: false,
        served: Some((&served?).into()),
    })
}

/// Opens the sockets, and says where they are.
fn listeners(context: &Context, address: Option<&str>) -> Result<Vec<TcpListener>, CliError> {
    let listeners = match address.filter(|address| *address != SYSTEMD) {
        Some(address) => vec![listen(address)?],
        None => context.settings.passed_sockets()?,
    };
    for listener in &listeners {
        if let Ok(address) = listener.local_addr() {
            context.say(&format!("listening on http://{address}"));
        }
    }
    Ok(listeners)
}

/// Warns if the clients of this environment do not stop after a refusal.
fn warn_about_fallback(context: &Context) {
    let list = context.settings.goproxy().unwrap_or_default();
    if list.contains('|') {
        context.say(
            "warning: GOPROXY has `|`, after which the go command asks the next proxy for what this one has refused; \
             separate proxies by commas",
        );
    }
}

#[derive(Serialize)]
struct ProxyReport {
    dry_run: bool,
    /// `null` for a dry run.
    served: Option<ServedView>,
}

#[derive(Serialize)]
struct ServedView {
    requests: u64,
    alerts: u64,
    cache_hits: u64,
    cache_misses: u64,
    sent_bytes: u64,
}

impl From<&Served> for ServedView {
    fn from(served: &Served) -> Self {
        Self {
            requests: served.requests,
            alerts: served.alerts,
            cache_hits: served.cache_hits,
            cache_misses: served.cache_misses,
            sent_bytes: served.sent_bytes,
        }
    }
}

impl Report for ProxyReport {
    fn human(&self) -> String {
        match &self.served {
            None => "the options and the policy are valid\n".to_owned(),
            Some(served) => format!(
                "{} requests answered ({} sent): {} files from the cache, {} fetched; {} alerts\n",
                count(served.requests),
                bytes(served.sent_bytes),
                count(served.cache_hits),
                count(served.cache_misses),
                count(served.alerts),
            ),
        }
    }
}
