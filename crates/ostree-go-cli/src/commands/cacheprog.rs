use crate::args::size;
use crate::context::Context;
use crate::error::CliError;
use crate::text::count;
use ostree_go_sdk::format_bytes;
use ostree_go_sdk::stdcache::{CacheProg, Served, std_cache_dirs, verified_records};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::consts::{SIGINT, SIGTERM};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Serve Go's build cache from std caches and a writable directory
///
/// The go command runs this command for each build if GOCACHEPROG names it; `ostree-go env --cache`
/// prints the setting. Compiled packages of the standard library come from the std caches, which are
/// read-only and shared by all users. Everything else is stored in the directory of --write, in the layout of
/// GOCACHE, and removed again if it is not used or takes too much space.
///
/// Entries that are missing or damaged are compiled again. With -v, the numbers of requests are printed at
/// the end.
#[derive(Debug, clap::Args)]
pub struct CacheprogArgs {
    /// Directory of a std cache (default: all that are installed below --root or a part of the OS)
    #[arg(long = "stdcache", value_name = "DIR")]
    std_caches: Vec<PathBuf>,

    /// Directory for new entries (default: $GOCACHE, which the go command sets)
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,

    /// Size above which the least recently used entries are removed, for example 500M or 2GiB (default:
    /// 10G, or half of the file system if that is less)
    #[arg(long, value_name = "SIZE", value_parser = size::parse)]
    max_size: Option<u64>,
}

/// The largest number of damaged files that are named.
const MAX_NAMED: usize = 5;
/// The time in seconds without a request after which an interrupted service ends.
const GRACE: i64 = 1;

pub fn run(context: &Context, args: &CacheprogArgs) -> Result<ExitCode, CliError> {
    let absolute = |path: &PathBuf| std::path::absolute(path).map_err(CliError::file("find", path));
    let given = context.global.root.as_ref().map(absolute).transpose()?;
    let roots = context.settings.all_roots(given.as_deref());
    let std_caches = match args.std_caches.as_slice() {
        [] => std_cache_dirs(&roots),
        given => given.to_vec(),
    };
    let write = args.write.as_ref().map(absolute).transpose()?;
    let write = write.or_else(|| context.settings.gocache());
    let program = CacheProg::new()
        .std_caches(std_caches)
        .verified(verified_records(&roots))
        .write(write.clone())
        .scratch(context.settings.temporary())
        .max_size(args.max_size);
    let requests = Requests::new().map_err(CliError::file("read", Path::new("/dev/stdin")))?;
    let responses = take_stdout().map_err(CliError::Output)?;
    let served = program.serve(requests, responses)?;
    report(context, &served, write.as_deref());
    Ok(ExitCode::SUCCESS)
}

/// Prints what the user should know, on standard error, which is that of the go command.
fn report(context: &Context, served: &Served, write: Option<&Path>) {
    for problem in &served.problems {
        context.say(&format!("warning: {problem}"));
    }
    for path in served.damaged.iter().take(MAX_NAMED) {
        context.say(&format!(
            "warning: {} is missing or damaged; what it contains is compiled again",
            path.display()
        ));
    }
    let more = served.damaged.len().saturating_sub(MAX_NAMED);
    if more > 0 {
        context.say(&format!(
            "warning: {more} more files are missing or damaged"
        ));
    }
    if let (1.., true, Some(write)) = (served.lost, served.problems.is_empty(), write) {
        context.say(&format!(
            "warning: {} could not be stored in {}",
            number(served.lost, "entry", "entries"),
            write.display()
        ));
    }
    if !context.global.verbose {
        return;
    }
    context.say(&format!(
        "cacheprog: {} from std caches, {} from the write directory, {}, {} stored ({})",
        number(served.std_hits, "hit", "hits"),
        served.hits,
        number(served.misses, "miss", "misses"),
        served.puts,
        format_bytes(served.put_bytes)
    ));
    if let Some(trimmed) = served.trimmed {
        context.say(&format!(
            "cacheprog: removed {} ({}); {} left",
            number(trimmed.files, "file", "files"),
            format_bytes(trimmed.removed),
            format_bytes(trimmed.left)
        ));
    }
}

fn number(number: u64, one: &str, several: &str) -> String {
    let word = if number == 1 { one } else { several };
    format!("{} {word}", count(number))
}

/// Returns standard output, and puts `/dev/null` in its place: the go command waits until nobody has its
/// end of the pipe, and must not wait for the trim.
fn take_stdout() -> io::Result<File> {
    let stdout = rustix::io::dup(rustix::stdio::stdout())?;
    let null = File::options().write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&null)?;
    Ok(stdout.into())
}

/// Standard input, which ends when the process is asked to end.
#[derive(Debug)]
struct Requests {
    stdin: File,
    terminated: UnixStream,
    interrupted: Arc<AtomicBool>,
}

impl Requests {
    fn new() -> io::Result<Self> {
        let (terminated, sender) = UnixStream::pair()?;
        signal_hook::low_level::pipe::register(SIGTERM, sender)?;
        let interrupted = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(SIGINT, interrupted.clone())?;
        Ok(Self {
            stdin: rustix::io::dup(rustix::stdio::stdin())?.into(),
            terminated,
            interrupted,
        })
    }
}

impl Read for Requests {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            // Ctrl-C in a terminal reaches the go command as well, which still needs the cache until it has
            // ended its builds.
            let grace = self
                .interrupted
                .load(Ordering::Relaxed)
                .then_some(Timespec {
                    tv_sec: GRACE,
                    tv_nsec: 0,
                });
            let mut fds = [
                PollFd::new(&self.stdin, PollFlags::IN),
                PollFd::new(&self.terminated, PollFlags::IN),
            ];
            match poll(&mut fds, grace.as_ref()) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(errno) => return Err(errno.into()),
                Ok(0) => return Ok(0),
                Ok(_) => {}
            }
            if !fds[1].revents().is_empty() {
                return Ok(0);
            }
            if !fds[0].revents().is_empty() {
                return self.stdin.read(buffer);
            }
        }
    }
}
