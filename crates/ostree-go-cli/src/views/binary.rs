//! A program, for `inspect`.

use super::error::ErrorFields;
use super::value::{PathText, Text};
use crate::text::{bytes, count, short};
use ostree_go_sdk::inspect::{Binary, BuildModule, Requirement, Unmet};
use ostree_go_sdk::{Arch, CommitId, GoVersion, RefName};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// A file, with what was found in it or why that is not known.
#[derive(Debug, Serialize)]
pub struct FileView<'a> {
    pub path: PathText<&'a Path>,
    #[serde(flatten)]
    pub content: Content<'a>,
}

#[derive(Debug, Serialize)]
#[serde(untagged)]
pub enum Content<'a> {
    Binary(Box<BinaryView<'a>>),
    Failed { error: ErrorFields },
}

#[derive(Debug, Serialize)]
pub struct BinaryView<'a> {
    pub bytes: u64,
    pub arch: Option<Text<Arch>>,
    pub machine: u16,
    pub kind: &'static str,
    #[serde(rename = "static")]
    pub is_static: bool,
    pub interpreter: Option<&'a str>,
    pub needed: &'a [String],
    pub rpath: &'a [String],
    pub runpath: &'a [String],
    pub writable_code: Vec<SegmentView>,
    pub executable_stack: Option<bool>,
    pub relro: &'static str,
    pub symbols: bool,
    pub debug_info: bool,
    pub go_version: &'a str,
    pub version: Option<Text<GoVersion>>,
    pub experiments: Vec<&'a str>,
    pub releases: Vec<ReleaseView>,
    pub package: Option<&'a str>,
    pub module: Option<ModuleView<'a>>,
    pub dependencies: Vec<ModuleView<'a>>,
    pub settings: BTreeMap<&'a str, &'a str>,
    pub godebug: BTreeMap<&'a str, &'a str>,
    pub pprof: Option<bool>,
    pub unmet: Vec<UnmetView>,
}

/// A segment that can be both written and executed.
#[derive(Debug, Serialize)]
pub struct SegmentView {
    pub address: String,
    pub bytes: u64,
}

/// A release, or an installed SDK, with the version that a program was built with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReleaseView {
    #[serde(rename = "ref")]
    pub ref_name: Text<RefName>,
    pub commit: Text<CommitId>,
}

#[derive(Debug, Serialize)]
pub struct ModuleView<'a> {
    pub path: &'a str,
    pub version: &'a str,
    pub sum: Option<&'a str>,
    pub replacement: Option<Box<Self>>,
}

#[derive(Debug, Serialize)]
pub struct UnmetView {
    pub requirement: Text<Requirement>,
    pub expected: String,
    pub found: String,
}

impl<'a> BinaryView<'a> {
    /// Creates the view of a program, with the releases of its version.
    pub fn new(binary: &'a Binary, releases: Vec<ReleaseView>, unmet: Vec<Unmet>) -> Self {
        let (loading, build) = (&binary.loading, &binary.build);
        let settings = build.settings.iter();
        Self {
            bytes: binary.bytes,
            arch: binary.arch.map(Text),
            machine: binary.machine,
            kind: loading.kind.as_str(),
            is_static: loading.is_static(),
            interpreter: loading.interpreter.as_deref(),
            needed: &loading.needed,
            rpath: &loading.rpath,
            runpath: &loading.runpath,
            writable_code: loading
                .writable_code
                .iter()
                .map(|segment| SegmentView {
                    address: format!("{:#x}", segment.address),
                    bytes: segment.bytes,
                })
                .collect(),
            executable_stack: loading.executable_stack,
            relro: loading.relro.as_str(),
            symbols: binary.has_symbols,
            debug_info: binary.has_debug_info,
            go_version: &build.go_version,
            version: build.version().map(Text),
            experiments: build.experiments(),
            releases,
            package: build.package.as_deref(),
            module: build.module.as_ref().map(ModuleView::from),
            dependencies: build.dependencies.iter().map(ModuleView::from).collect(),
            settings: settings
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect(),
            godebug: build.godebug().into_iter().collect(),
            pprof: binary.has_pprof,
            unmet: unmet.into_iter().map(UnmetView::from).collect(),
        }
    }

    /// Returns the lines about the program for people. The dependencies are listed with `with_modules`,
    /// otherwise counted.
    pub fn human(&self, with_modules: bool) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: &str| {
            let _ = writeln!(text, "{key:<9} {value}");
        };
        line("kind", &self.kind_line());
        if !self.needed.is_empty() {
            line("needs", &self.needed.join(", "));
        }
        for (key, directories) in [("rpath", self.rpath), ("runpath", self.runpath)] {
            if !directories.is_empty() {
                line(key, &directories.join(":"));
            }
        }
        line("memory", &self.memory_line());
        line("symbols", self.symbols_line());
        line("go", self.go_version);
        for release in &self.releases {
            let commit = short(release.commit);
            line("", &format!("the version of {} {commit}", release.ref_name));
        }
        if let Some(package) = self.package {
            line("package", package);
        }
        if let Some(module) = &self.module {
            line("module", &module.line());
        }
        line("modules", &self.count_line());
        if with_modules {
            for module in &self.dependencies {
                line("", &module.line());
            }
        }
        for (key, value) in self.setting_lines() {
            line(key, &value);
        }
        let pprof = match self.pprof {
            Some(true) => "linked",
            Some(false) => "not linked",
            None => "unknown",
        };
        line("pprof", pprof);
        for unmet in &self.unmet {
            let UnmetView {
                requirement,
                expected,
                found,
            } = unmet;
            let value = format!("{requirement}: expected {expected}, found {found}");
            line(UNMET, &value);
        }
        text
    }

    /// Returns the kind of the program, its architecture and its size.
    fn kind_line(&self) -> String {
        let arch = match self.arch {
            Some(arch) => arch.to_string(),
            None => format!("ELF machine {}", self.machine),
        };
        let loader = match (self.interpreter, self.is_static) {
            (Some(loader), _) => format!("loaded by {loader}"),
            (None, true) => "static".to_owned(),
            (None, false) => "dynamic".to_owned(),
        };
        format!("{}, {arch}, {loader}, {}", self.kind, bytes(self.bytes))
    }

    /// Returns the protection of memory.
    fn memory_line(&self) -> String {
        let code = match self.writable_code.len() {
            0 => "no writable code".to_owned(),
            segments => format!("{segments} segments of writable code"),
        };
        let stack = match self.executable_stack {
            Some(true) => "executable stack",
            Some(false) => "no executable stack",
            None => "stack unknown",
        };
        let relro = match self.relro {
            "none" => "no RELRO".to_owned(),
            relro => format!("{relro} RELRO"),
        };
        format!("{code}, {stack}, {relro}")
    }

    fn symbols_line(&self) -> &'static str {
        match (self.symbols, self.debug_info) {
            (true, true) => "symbols and debugging information",
            (true, false) => "symbols, no debugging information",
            (false, true) => "debugging information, no symbols",
            (false, false) => "stripped",
        }
    }

    /// Returns the number of dependencies.
    fn count_line(&self) -> String {
        let replaced = self.dependencies.iter();
        let replaced = replaced.filter(|module| module.replacement.is_some());
        let dependencies = match self.dependencies.len() {
            1 => "1 dependency".to_owned(),
            many => format!("{} dependencies", count(many as u64)),
        };
        match replaced.count() {
            0 => dependencies,
            replaced => format!("{dependencies}, {} replaced", count(replaced as u64)),
        }
    }

    /// Returns the settings of the build: those of the revision, the GODEBUG settings, and all others,
    /// without empty ones.
    fn setting_lines(&self) -> Vec<(&'static str, String)> {
        let others = self.settings.iter().filter(|(key, value)| {
            !value.is_empty() && **key != "DefaultGODEBUG" && !key.starts_with("vcs")
        });
        let others: Vec<String> = others
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let mut lines = Vec::new();
        if !others.is_empty() {
            lines.push(("build", others.join(" ")));
        }
        let get = |key: &str| self.settings.get(key).copied();
        if let Some(revision) = get("vcs.revision") {
            let changes = match get("vcs.modified") {
                Some("false") => "no changes",
                Some("true") => "with changes",
                _ => "changes unknown",
            };
            let name = get("vcs").unwrap_or("vcs");
            let time = get("vcs.time").unwrap_or_default();
            lines.push(("revision", format!("{name} {revision} {time}, {changes}")));
        }
        if !self.godebug.is_empty() {
            let words = self.godebug.iter();
            let words: Vec<String> = words.map(|(key, value)| format!("{key}={value}")).collect();
            lines.push(("godebug", words.join(" ")));
        }
        lines
    }
}

/// The first word of a line about a requirement that is not met.
pub const UNMET: &str = "unmet";

impl<'a> From<&'a BuildModule> for ModuleView<'a> {
    fn from(module: &'a BuildModule) -> Self {
        let replacement = module.replacement.as_deref();
        Self {
            path: &module.path,
            version: &module.version,
            sum: module.sum.as_deref(),
            replacement: replacement.map(|one| Box::new(one.into())),
        }
    }
}

impl ModuleView<'_> {
    /// Returns the path and the version, also of the replacement.
    fn line(&self) -> String {
        let line = format!("{} {}", self.path, self.version);
        match &self.replacement {
            Some(replacement) => format!("{line} => {}", replacement.line()),
            None => line,
        }
    }
}

impl From<Unmet> for UnmetView {
    fn from(unmet: Unmet) -> Self {
        Self {
            requirement: Text(unmet.requirement),
            expected: unmet.expected,
            found: unmet.found,
        }
    }
}
