//! The page "The first hour": what the command says when something is not right yet. The transcripts
//! on the page are the output of these commands.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{Output, run, workspace};
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::tmpfs::Tmpfs;
use ostree_go_tests::toy::Toy;
use ostree_go_tests::webserver::FaultyServer;
use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

const BEGIN: &str =
    "<!-- generated: UPDATE_DOCS=1 cargo test --workspace --test e2e transcripts:: -->\n";
const END: &str = "<!-- /generated -->\n";

/// The address of the repository on the page.
const URL: &str = "https://sdk.example.com/repo";

/// A publisher's repository on a web server, and a user of a host who has only heard of it.
struct Hour {
    publisher: Sandbox,
    gpg: Gpg,
    key: String,
    server: FaultyServer,
    /// The folder that contains the user's home, and where the commands run.
    host: Sandbox,
    /// What differs between runs, and what stands on the page instead.
    replaced: Vec<(String, String)>,
    page: String,
}

/// The result that a command on the page has to have.
#[derive(Clone, Copy, PartialEq)]
enum Ends {
    Well,
    WithError,
}

impl Hour {
    fn new() -> Self {
        let (publisher, gpg, host) = (Sandbox::new(), Gpg::new(), Sandbox::new());
        let key = gpg.key("publisher");
        let server = FaultyServer::serving(&publisher.repo());
        let hour = Self {
            replaced: vec![(server.url(), URL.to_owned())],
            publisher,
            gpg,
            key,
            server,
            host,
            page: String::new(),
        };
        hour.release("1.25.9", "arches: [x86_64]", "1.25", None);
        hour.release("1.26.4", "", "1.26", None);
        hour.release("1.26.5", "", "1.26", None);
        hour.publish();
        hour.give_key("acme.asc");
        hour.home("home");
        hour.owned_by_user(&hour.host.path(""));
        hour
    }

    /// Composes and signs a release, with a file of this many bytes that cannot be compressed.
    fn release(&self, version: &str, lines: &str, channel: &str, big: Option<usize>) {
        for arch in Arch::ALL {
            let mut toy = Toy::new(arch).version(version);
            if let Some(size) = big {
                toy = toy.with("src/big", noise(size));
            }
            let path = format!("toy-{}.tar.gz", arch.goarch());
            toy.tar_gz(&self.publisher.path(&path));
        }
        let channels = format!("channels: [\"go-sdk/${{basearch}}/{channel}\"]");
        let lines = format!("{TOY_SOURCE}\n{channels}\n{lines}");
        // On the other architecture, that one is the one the page calls x86_64.
        let lines = of_this_machine(&lines);
        self.publisher.treefile(version, &lines);
        self.publisher.compose(self.sign());
    }

    fn publish(&self) {
        let args = ["publish"].into_iter().chain(self.sign());
        self.publisher.run(args).ok();
    }

    fn sign(&self) -> [&str; 4] {
        let home = self.gpg.home().to_str().unwrap();
        ["--gpg-sign", &self.key, "--gpg-homedir", home]
    }

    /// Gives the publisher's public key to the user.
    fn give_key(&self, name: &str) {
        let key = self.gpg.export(&self.key);
        fs::copy(key, self.host.path(name)).unwrap();
        self.owned_by_user(&self.host.path(name));
    }

    /// Creates a home directory that belongs to the user.
    fn home(&self, name: &str) -> PathBuf {
        let path = self.host.path(name);
        fs::create_dir(&path).unwrap();
        self.owned_by_user(&path);
        path
    }

    /// The user is not root, because the page is about an ordinary user.
    fn owned_by_user(&self, path: &Path) {
        std::os::unix::fs::chown(path, self.uid(), self.uid()).expect("a new owner");
    }

    fn uid(&self) -> Option<u32> {
        ostree_go_tests::tools::is_root().then_some(1000)
    }

    /// Begins a section of the page.
    fn section(&mut self, title: &str, text: &str) {
        write!(self.page, "## {title}\n\n{text}\n\n").unwrap();
    }

    /// Runs commands of the user, one per line, and adds them to the page with their output.
    fn transcript(&mut self, home: &str, commands: &[(&str, Ends)]) {
        self.page.push_str("```console\n");
        for (line, ends) in commands {
            let args = line.replace(URL, &self.server.url());
            let args = args.split_whitespace().skip(1);
            let out = self.run(home, args);
            let is_documented = matches!(out.code(), Some(0..=4 | 75));
            assert!(is_documented, "`{line}` ends with {out}");
            assert_eq!(out.code() == Some(0), *ends == Ends::Well, "{out}");
            let said = self.normalized(&format!("{}{}", out.stdout, out.stderr));
            writeln!(self.page, "$ {line}").unwrap();
            self.page.push_str(&said);
            if let Some(code @ 1..) = out.code() {
                writeln!(self.page, "(exit code {code})").unwrap();
            }
        }
        self.page.push_str("```\n\n");
    }

    /// Runs a command as the user, with a home directory and nothing else from the environment.
    fn run<'a>(&self, home: &str, args: impl IntoIterator<Item = &'a str>) -> Output {
        let mut command = self.host.ostree_go(args);
        command
            .env_remove("OSTREE_REPO")
            .env_remove("XDG_CACHE_HOME")
            .env("HOME", self.host.path(home));
        if let Some(uid) = self.uid() {
            command.uid(uid).gid(uid);
        }
        run(&mut command)
    }

    /// Replaces what differs between runs and machines.
    fn normalized(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (found, shown) in &self.replaced {
            text = text.replace(found, shown);
        }
        let folder = self.host.path("");
        let folder = folder.to_str().expect("UTF-8").trim_end_matches('/');
        text = text.replace(&format!("{folder}/home"), "/home/user");
        text = text.replace(folder, "/home/user");
        let lines = of_this_machine(&text);
        let lines = lines.lines().map(|line| {
            let words: Vec<String> = line.split(' ').map(normal_word).collect();
            // The sizes of compressed files differ between versions of the libraries.
            match words.iter().position(|word| word == "downloaded") {
                Some(at) => format!("10.6 kB {} in 0.3 s, by delta\n", words[at]),
                None => words.join(" ").trim_end().to_owned() + "\n",
            }
        });
        lines.collect()
    }
}

/// Exchanges the names of the architectures on a machine that is not the one of the page.
fn of_this_machine(text: &str) -> String {
    let swap = |text: &str, a: &str, b: &str| {
        let parts: Vec<String> = text.split(a).map(|part| part.replace(b, a)).collect();
        parts.join(b)
    };
    match Arch::host() {
        Some(Arch::Aarch64) => swap(&swap(text, "x86_64", "aarch64"), "amd64", "arm64"),
        _ => text.to_owned(),
    }
}

/// Replaces checksums, keys and times with others of the same length, so that tables stay aligned; complete
/// checksums are abbreviated. Punctuation around them is kept.
fn normal_word(word: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || ":-+".contains(c);
    let Some(start) = word.find(is_part) else {
        return word.to_owned();
    };
    let end = word.rfind(is_part).map_or(start, |at| at + 1);
    let (core, end) = match word[start..end].strip_suffix([':', '-', '+']) {
        Some(core) => (core, start + core.len()),
        None => (&word[start..end], end),
    };
    let is_hex = core.bytes().all(|b| b.is_ascii_hexdigit());
    let has_digit = core.bytes().any(|b| b.is_ascii_digit());
    let is_time = core.len() == 20 && core.ends_with('Z') && core.as_bytes()[10] == b'T';
    let is_date = core.len() == 10
        && core.starts_with("20")
        && core.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let shown = match core.len() {
        64 if is_hex => "7f3a9c…".to_owned(),
        40 if is_hex => "3BA51F0C9D7E2A64B8350D1C6F92E7A4D05CEB4B".to_owned(),
        16 if is_hex && has_digit => "6F92E7A4D05CEB4B".to_owned(),
        12 if is_hex && has_digit => "7f3a9c0d1e2b".to_owned(),
        _ if is_time => "2026-07-01T12:00:00Z".to_owned(),
        _ if is_date => "2026-07-01".to_owned(),
        _ => core.to_owned(),
    };
    format!("{}{shown}{}", &word[..start], &word[end..])
}

/// Returns bytes that no compressor makes smaller.
fn noise(size: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        // Constants of Knuth's MMIX.
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    std::iter::repeat_with(next).take(size).collect()
}

/// Returns the generated part of the page, or `None` after printing why the test is skipped.
fn generated() -> Option<String> {
    use Ends::{Well, WithError};
    let disk = Tmpfs::mount(1 << 20)?;
    let mut hour = Hour::new();

    hour.section(
        "No remote yet",
        "A host knows no repository until a remote is added. Each remote names the keys whose signatures count.",
    );
    hour.transcript(
        "home",
        &[
            ("ostree-go install 1.26", WithError),
            ("ostree-go upgrade", WithError),
            ("ostree-go list", WithError),
            ("ostree-go remote list", Well),
            ("ostree-go status", Well),
        ],
    );
    hour.section(
        "A file that is no key",
        "The publisher's key has to be a file on this machine.",
    );
    hour.transcript(
        "home",
        &[(
            "ostree-go remote add acme https://sdk.example.com/repo --gpg-import missing.asc",
            WithError,
        )],
    );
    hour.section(
        "An address that is no repository",
        "A remote can be added before it is reachable; the first download shows that its address is wrong.",
    );
    hour.transcript(
        "home",
        &[
            (
                "ostree-go remote add wrong https://sdk.example.com/repo/nothing --gpg-import acme.asc",
                Well,
            ),
            ("ostree-go install 1.26", WithError),
            ("ostree-go remote delete wrong", Well),
        ],
    );
    hour.section(
        "A version that does not exist",
        "The repository has Go 1.25.9, 1.26.4 and 1.26.5, and the channels 1.25 and 1.26.",
    );
    hour.transcript(
        "home",
        &[
            (
                "ostree-go remote add acme https://sdk.example.com/repo --gpg-import acme.asc",
                Well,
            ),
            ("ostree-go install 1.26.6", WithError),
            ("ostree-go install 1.24", WithError),
        ],
    );
    hour.section(
        "The wrong architecture",
        "The publisher composed 1.25 only for x86_64. Go itself calls the architectures `amd64` and `arm64`.",
    );
    hour.transcript(
        "home",
        &[
            ("ostree-go install 1.25 --arch aarch64", WithError),
            ("ostree-go install 1.26 --arch riscv64", WithError),
        ],
    );
    hour.section(
        "An unknown option",
        "Options that do not exist are refused before anything is changed.",
    );
    hour.transcript(
        "home",
        &[("ostree-go install 1.26 --gpg-verify", WithError)],
    );

    let read_only = hour.home("read-only");
    fs::set_permissions(&read_only, PermissionsExt::from_mode(0o555)).unwrap();
    let path = read_only.display().to_string();
    hour.replaced.push((path, "/home/user".to_owned()));
    hour.section(
        "A home directory that cannot be written",
        "The SDKs of an ordinary user are below the home directory, unless `--root` names another place.",
    );
    hour.transcript(
        "read-only",
        &[
            (
                "ostree-go remote add acme https://sdk.example.com/repo --gpg-import acme.asc",
                WithError,
            ),
            ("ostree-go install 1.26", WithError),
        ],
    );

    // Everything fits except the SDK.
    hour.release("1.26.6", "", "1.26", Some(3 << 20));
    hour.publish();
    let path = disk.path().to_str().expect("UTF-8").to_owned();
    hour.owned_by_user(disk.path());
    hour.replaced.push((path.clone(), "/mnt/sdk".to_owned()));
    hour.section(
        "A full disk",
        "The file system of the root directory has 1 MB, and the SDK is larger.",
    );
    let at_disk = |hour: &mut Hour, line: &str, ends| {
        let args = format!("{line} --root {path}/root");
        let before = hour.page.len();
        hour.transcript("home", &[(&args, ends)]);
        let shown = hour.page[before..].replace(&path, "/mnt/sdk");
        hour.page.truncate(before);
        hour.page.push_str(&shown);
    };
    at_disk(
        &mut hour,
        "ostree-go remote add acme https://sdk.example.com/repo --gpg-import acme.asc",
        Well,
    );
    at_disk(&mut hour, "ostree-go install 1.26", WithError);

    hour.section(
        "An expired key",
        "The signature is by a key that has expired since. The publisher has to sign with a new key, or to extend this one and hand it \
         out again.",
    );
    hour.gpg.expire(&hour.key);
    hour.give_key("expired.asc");
    hour.home("second");
    let second = hour.host.path("second").display().to_string();
    hour.replaced.push((second, "/home/user".to_owned()));
    hour.transcript(
        "second",
        &[
            (
                "ostree-go remote add acme https://sdk.example.com/repo --gpg-import expired.asc",
                Well,
            ),
            ("ostree-go remote show-keys acme", Well),
            ("ostree-go install 1.26", WithError),
        ],
    );

    hour.section(
        "When everything is right",
        "With the remote from above and a key that was valid when the remote was added:",
    );
    hour.transcript(
        "home",
        &[
            ("ostree-go install 1.26.5", Well),
            ("ostree-go status", Well),
        ],
    );
    hour.section(
        "A server that cannot be reached",
        "The installed SDK stays active. Going back to an earlier SDK needs no network.",
    );
    let closed = FaultyServer::serving(&hour.publisher.repo()).url();
    hour.replaced
        .push((closed.clone(), "https://down.example.com".to_owned()));
    hour.run("home", ["remote", "delete", "acme"]).ok();
    let add = ["remote", "add", "acme", &closed, "--gpg-import", "acme.asc"];
    hour.run("home", add).ok();
    hour.transcript(
        "home",
        &[
            ("ostree-go install 1.26", WithError),
            ("ostree-go status", Well),
        ],
    );
    Some(hour.page)
}

#[test]
fn the_page_shows_what_the_command_says() {
    let Some(expected) = generated() else { return };
    let path = workspace().join("docs/src/guide/first-hour.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page
        .split_once(BEGIN)
        .expect("a place for the generated part");
    let (found, after) = rest.split_once(END).expect("its end");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else {
        assert!(
            found == expected,
            "docs/src/guide/first-hour.md is not what the command says: \
             UPDATE_DOCS=1 cargo test --workspace --test e2e transcripts:: writes it anew. Expected:\n{expected}"
        );
    }
}
