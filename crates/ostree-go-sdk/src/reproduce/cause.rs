//! Deduces why two programs differ.

use super::build::{find_in_flag, find_path};
use super::compare::{Difference, content, parse, printable};
use super::info::BuildLines;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A cause of a difference. In texts, `first` is the first build, and `second` the program that it is compared with;
/// a value is `None` if the program does not have it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// The programs are built by different versions of Go.
    GoVersion {
        /// The version of the first program, such as `go1.26.5`.
        first: String,
        /// The version of the second program.
        second: String,
    },
    /// A build flag contains the path of the sources, which the program contains too.
    PathInFlag {
        /// The name of the flag.
        flag: String,
        /// The path.
        path: PathBuf,
    },
    /// The programs are built without `-trimpath` and contain paths of their builds.
    Paths {
        /// The paths in the first program.
        paths: Vec<PathBuf>,
    },
    /// The state of the version control system is stamped into the programs, and differs.
    VcsStamp {
        /// The stamp of the first program, such as `vcs.revision=… vcs.modified=false`.
        first: Option<String>,
        /// The stamp of the second program.
        second: Option<String>,
    },
    /// A setting of the build differs.
    Setting {
        /// The name, such as `GOARCH` or `-tags`.
        name: String,
        /// The value of the first program.
        first: Option<String>,
        /// The value of the second program.
        second: Option<String>,
    },
    /// The modules in the programs differ.
    Module {
        /// The first line about modules that only the first program has.
        first: Option<String>,
        /// The first line about modules that only the second program has.
        second: Option<String>,
    },
    /// Only one of the programs has a symbol table or debugging information.
    Stripped {
        /// The section.
        section: String,
        /// True if the first program has it.
        in_first: bool,
    },
    /// The programs contain code of a C compiler, which differs.
    Cgo,
    /// Texts that look like times, versions or build numbers differ in their digits only.
    Time {
        /// The text in the first program.
        first: String,
        /// The text in the second program.
        second: String,
    },
    /// Flags and modules are the same, and code or data differ: the programs are built from different sources.
    Sources {
        /// Places in the sources, such as `main.go:12`, at which files are embedded.
        embeds: Vec<String>,
    },
    /// Nothing in the programs tells the cause.
    Unknown,
}

impl Cause {
    /// Returns a stable lower-case word.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::GoVersion { .. } => "go-version",
            Self::PathInFlag { .. } => "path-in-flag",
            Self::Paths { .. } => "paths",
            Self::VcsStamp { .. } => "vcs-stamp",
            Self::Setting { .. } => "setting",
            Self::Module { .. } => "module",
            Self::Stripped { .. } => "stripped",
            Self::Cgo => "cgo",
            Self::Time { .. } => "time",
            Self::Sources { .. } => "sources",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
        match self {
            Self::GoVersion { first, second } => {
                write!(f, "the first program is built by {first}, the second one by {second}")
            }
            Self::PathInFlag { flag, path } => write!(
                f,
                "the build flag {flag} puts the path of the sources, {}, into the program",
                path.display()
            ),
            Self::Paths { paths } => {
                let paths: Vec<String> = paths.iter().map(|p| p.display().to_string()).collect();
                let paths = paths.join(" and ");
                write!(f, "the program is built without -trimpath and contains {paths}")
            }
            Self::VcsStamp {
                first: None,
                second: Some(stamp),
            } => write!(f, "only the second program has a VCS stamp: {stamp}"),
            Self::VcsStamp { first, second } => write!(
                f,
                "the VCS stamps differ: the first program has {}, the second one {}",
                value(first),
                value(second)
            ),
            Self::Setting {
                name,
                first,
                second,
            } => write!(
                f,
                "the setting {name} differs: the first program has {}, the second one {}",
                value(first),
                value(second)
            ),
            Self::Module { first, second } => write!(
                f,
                "the modules differ: the first program has {}, the second one {}",
                value(first),
                value(second)
            ),
            Self::Stripped { section, in_first } => {
                let which = if *in_first { "first" } else { "second" };
                write!(f, "only the {which} program has the section {section}")
            }
            Self::Cgo => f.write_str(
                "the program contains code of a C compiler, and what the C compiler has written differs",
            ),
            Self::Time { first, second } => write!(
                f,
                "a text differs in its digits only: `{first}` in the first program, `{second}` in the second one"
            ),
            Self::Sources { embeds } if embeds.is_empty() => f.write_str(
                "flags and modules are the same, and code or data differ: the sources are not the same",
            ),
            Self::Sources { embeds } => write!(
                f,
                "flags and modules are the same, and code or data differ: the sources or the embedded files are not \
                 the same (//go:embed in {})",
                embeds.join(", ")
            ),
            Self::Unknown => f.write_str("nothing in the programs tells the cause"),
        }
    }
}

/// The evidence from which causes of a difference are deduced.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    pub first: &'a [u8],
    pub second: &'a [u8],
    pub difference: &'a Difference,
    /// The path of the sources in the first build.
    pub project: &'a Path,
    /// The paths of the first build that a program can contain, with that of the sources.
    pub paths: &'a [PathBuf],
    /// The build flags.
    pub flags: &'a [OsString],
    /// True if both programs were built by this process, from the same sources.
    pub is_rebuilt: bool,
}

/// The sections with the content of constants and variables. Source: `cmd/link/internal/ld/data.go`.
const DATA: [&str; 4] = [".rodata", ".noptrdata", ".data", ".data.rel.ro"];
/// The sections that Go leaves out with `-ldflags=-s` or `-w`.
const STRIPPED: [&str; 4] = [".symtab", ".debug_info", ".zdebug_info", ".debug_line"];
/// The section of the build ID of a C linker.
const GNU_BUILD_ID: &str = ".note.gnu.build-id";
/// The build flags whose value can contain a path and is the next argument if it does not follow `=`.
const WITH_VALUE: [&str; 11] = [
    "asmflags",
    "coverpkg",
    "gccgoflags",
    "gcflags",
    "installsuffix",
    "ldflags",
    "modfile",
    "overlay",
    "pgo",
    "pkgdir",
    "toolexec",
];
/// The largest number of settings that are named.
const MAX_SETTINGS: usize = 8;

impl Evidence<'_> {
    /// Returns the causes, the most likely first; at least one.
    pub fn causes(&self) -> Vec<Cause> {
        let (Some(one), Some(other)) = (parse(self.first), parse(self.second)) else {
            return vec![Cause::Unknown];
        };
        let infos = (BuildLines::read(self.first), BuildLines::read(self.second));
        let mut causes = Vec::new();
        if let (Some(first), Some(second)) = &infos {
            compare_infos(first, second, &mut causes);
        }
        let in_flag = self.path_in_flag();
        if in_flag.is_some() {
            // Without -trimpath, the flags themselves are among the settings.
            causes.retain(
                |cause| !matches!(cause, Cause::Setting { name, .. } if name.starts_with('-')),
            );
        }
        let has_path_in_flag = in_flag.is_some();
        if let Some(cause) = in_flag {
            causes.insert(0, cause);
        }
        let is_trimmed = infos.0.as_ref().is_some_and(BuildLines::is_trimmed);
        let found = self.paths.iter().filter(|path| contains(self.first, path));
        let paths: Vec<PathBuf> = found.cloned().collect();
        if !is_trimmed && !paths.is_empty() {
            causes.push(Cause::Paths { paths });
        }
        for section in STRIPPED {
            if let Some(found) = self.difference.section(section)
                && found.offset.is_none()
            {
                causes.push(Cause::Stripped {
                    section: section.to_owned(),
                    in_first: found.first_bytes.is_some(),
                });
                break;
            }
        }
        if self.is_of_c(&infos.0, &infos.1) {
            causes.push(Cause::Cgo);
        }
        if !has_path_in_flag {
            causes.extend(time(&one, &other, self.difference));
        }
        if causes.is_empty() {
            causes.push(self.other_cause(&infos.0, &infos.1));
        }
        causes
    }

    /// Returns the cause if there is no evidence of another one.
    fn other_cause(&self, first: &Option<BuildLines>, second: &Option<BuildLines>) -> Cause {
        let mut content = DATA.iter().chain(&[".text"]);
        let has_content = content.any(|name| self.difference.section(name).is_some());
        match has_content && first.is_some() && second.is_some() && !self.is_rebuilt {
            true => Cause::Sources { embeds: Vec::new() },
            false => Cause::Unknown,
        }
    }

    /// Returns the build flag that contains the path of the sources. That of the second build contains another one.
    fn path_in_flag(&self) -> Option<Cause> {
        let path = self.project.as_os_str().as_bytes();
        let in_program = contains(self.first, self.project);
        let mut flags = self.flags.iter().enumerate();
        let found = flags.find(|(_, flag)| find_in_flag(flag.as_bytes(), path).is_some());
        let (at, flag) = found.filter(|_| in_program && self.is_rebuilt)?;
        // The value can be an argument of its own, and may start with a dash, too.
        let before = at.checked_sub(1).map(|before| &self.flags[before]);
        let named = before.filter(|before| takes_value(before)).unwrap_or(flag);
        let name = named.to_string_lossy();
        Some(Cause::PathInFlag {
            flag: name.split('=').next().unwrap_or_default().to_owned(),
            path: self.project.to_owned(),
        })
    }

    fn is_of_c(&self, first: &Option<BuildLines>, second: &Option<BuildLines>) -> bool {
        let cgo = |info: &Option<BuildLines>| info.as_ref().is_some_and(BuildLines::has_cgo);
        let differs = self.difference.section(GNU_BUILD_ID).is_some()
            || self.difference.section(".debug_str").is_some()
            || self.difference.section(".comment").is_some();
        cgo(first) && cgo(second) && differs
    }
}

/// Returns true for a build flag whose value is the next argument. Source: `AddBuildFlags` of `cmd/go/internal/work`.
fn takes_value(flag: &OsString) -> bool {
    let name = flag.to_string_lossy();
    let name = name.strip_prefix("--").or_else(|| name.strip_prefix('-'));
    name.is_some_and(|name| WITH_VALUE.contains(&name))
}

/// Returns true if a program contains a path. What is before it does not count: texts in programs have no separator.
fn contains(program: &[u8], path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    find_path(program, path, |_| true).is_some()
}

/// Adds the causes that follow from the build information.
fn compare_infos(first: &BuildLines, second: &BuildLines, causes: &mut Vec<Cause>) {
    if first.go_version != second.go_version {
        causes.push(Cause::GoVersion {
            first: printable(first.go_version.as_bytes()),
            second: printable(second.go_version.as_bytes()),
        });
    }
    let stamp = |info: &BuildLines| {
        let of_vcs = info.settings.iter().filter(|(name, _)| is_of_vcs(name));
        let words: Vec<String> = of_vcs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        (!words.is_empty()).then(|| printable(words.join(" ").as_bytes()))
    };
    let stamps = (stamp(first), stamp(second));
    let has_stamp = stamps.0 != stamps.1;
    if has_stamp {
        causes.push(Cause::VcsStamp {
            first: stamps.0,
            second: stamps.1,
        });
    }
    let names = first.settings.keys().chain(second.settings.keys());
    let names: BTreeSet<&String> = names.filter(|name| !is_of_vcs(name)).collect();
    let differing = names.into_iter().filter_map(|name| {
        let value = |info: &BuildLines| {
            let value = info.settings.get(name);
            value.map(|value| printable(value.as_bytes()))
        };
        let (first, second) = (value(first), value(second));
        (first != second).then(|| Cause::Setting {
            name: printable(name.as_bytes()),
            first,
            second,
        })
    });
    causes.extend(differing.take(MAX_SETTINGS));
    let only_in = |one: &BuildLines, other: &BuildLines| {
        let mut lines = one
            .modules
            .iter()
            .filter(|line| !other.modules.contains(line));
        // The version of the main module is part of the stamp.
        let line = lines.find(|line| !(has_stamp && line.starts_with("mod\t")));
        line.map(|line| printable(line.trim_end().replace('\t', " ").as_bytes()))
    };
    let modules = (only_in(first, second), only_in(second, first));
    if modules != (None, None) {
        let (first, second) = modules;
        causes.push(Cause::Module { first, second });
    }
}

fn is_of_vcs(setting: &str) -> bool {
    setting == "vcs" || setting.starts_with("vcs.")
}

/// The length of a text, and the number of its digits, from which on it looks like a time.
const TIME_LENGTH: usize = 8;
const TIME_DIGITS: usize = 6;
/// The largest number of bytes before and after a difference that are taken for a time.
const TIME_REACH: usize = 40;

/// Returns texts that differ in their digits only, at the first difference of a section with data.
fn time(
    first: &object::File<'_>,
    second: &object::File<'_>,
    difference: &Difference,
) -> Option<Cause> {
    DATA.iter().find_map(|name| {
        let at = usize::try_from(difference.section(name)?.offset?).ok()?;
        let one = token(content(first, name), at)?;
        let other = token(content(second, name), at)?;
        let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
        (one != other && shape(&one) == shape(&other)).then_some(Cause::Time {
            first: one,
            second: other,
        })
    })
}

/// Returns the text around a position if it has the characters of a time.
fn token(data: &[u8], at: usize) -> Option<String> {
    let is_of_time = |byte: &u8| byte.is_ascii_digit() || b"-:.+TZ_".contains(byte);
    let before = data.get(at.saturating_sub(TIME_REACH)..at)?;
    let before = before.iter().rev().take_while(|byte| is_of_time(byte));
    let start = at - before.count();
    let rest = data.get(start..)?.iter().take(2 * TIME_REACH);
    let text: Vec<u8> = rest.take_while(|byte| is_of_time(byte)).copied().collect();
    let digits = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    (text.len() >= TIME_LENGTH && digits >= TIME_DIGITS && start + text.len() > at)
        .then(|| printable(&text))
}
