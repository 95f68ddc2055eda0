//! Finds the SDK in the file system of RPMs.

use std::collections::BTreeMap;

use super::RpmProblem;
use super::header::{self, Header};
use crate::fs::path::TreePath;
use crate::source::{EntryProblem, SourceError};

/// The file type of a Unix mode.
const S_IFMT: u32 = 0o170_000;
const S_IFDIR: u32 = 0o040_000;
const S_IFLNK: u32 = 0o120_000;

/// A file that is not in the payload (`RPMFILE_GHOST` of rpm's `rpmfiles.h`).
const GHOST: u64 = 1 << 6;

/// The files that identify a GOROOT.
const VERSION: &str = "/VERSION";
const GO: &str = "/bin/go";

/// Files and links of an RPM, by path without the leading `/`. Folders and files that are not in
/// the payload are left out.
pub type Listed = BTreeMap<String, Kind>;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    File,
    Link(String),
}

/// Reads the list of files in a header. Invalid paths are left out: they cannot be in an SDK.
pub fn listed(header: &Header) -> Result<Listed, RpmProblem> {
    let names = header.texts(header::BASE_NAMES)?;
    let folders = header.texts(header::DIR_NAMES)?;
    let folder_of = header.numbers(header::DIR_INDEXES)?;
    let modes = header.numbers(header::FILE_MODES)?;
    let flags = header.numbers(header::FILE_FLAGS)?;
    let targets = header.texts(header::FILE_LINKTOS)?;
    let short = || RpmProblem::Header {
        what: "its lists of files differ in length".to_owned(),
    };
    let mut files = Listed::new();
    for (index, name) in names.iter().enumerate() {
        let folder = folder_of
            .get(index)
            .and_then(|folder| folders.get(usize::try_from(*folder).ok()?));
        let (Some(folder), Some(mode)) = (folder, modes.get(index)) else {
            return Err(short());
        };
        let kind = match u32::try_from(*mode).unwrap_or_default() & S_IFMT {
            S_IFDIR => continue,
            S_IFLNK => {
                let target = targets.get(index).ok_or_else(short)?;
                Kind::Link(String::from_utf8_lossy(target).into_owned())
            }
            _ => Kind::File,
        };
        let is_ghost = flags.get(index).is_some_and(|flags| flags & GHOST != 0);
        if let (false, Ok(path)) = (is_ghost, String::from_utf8([*folder, *name].concat())) {
            files.insert(path.trim_start_matches('/').to_owned(), kind);
        }
    }
    Ok(files)
}

/// The SDK's folder, and parts of the SDK outside of it.
#[derive(Debug)]
pub struct Goroot {
    /// The path without the leading `/`.
    folder: String,
    /// Files and folders outside that links inside point to, with the paths of the links.
    grafts: Vec<(String, String)>,
}

impl Goroot {
    /// Finds the folder with `VERSION` and `bin/go` among the files of all RPMs.
    pub fn find(rpms: &[(&str, &Listed)]) -> Result<Self, SourceError> {
        let has = |path: &str| rpms.iter().any(|(_, files)| files.contains_key(path));
        let mut with_version: Vec<&str> = rpms
            .iter()
            .flat_map(|(_, files)| files.keys())
            .filter_map(|path| path.strip_suffix(VERSION))
            .collect();
        with_version.sort_unstable();
        with_version.dedup();
        let candidates = with_version.iter();
        let candidates: Vec<&&str> = candidates
            .filter(|folder| has(&format!("{folder}{GO}")))
            .collect();
        let [folder] = candidates[..] else {
            let locations: Vec<&str> = rpms.iter().map(|(location, _)| *location).collect();
            let location = locations.join(", ");
            let shown = |folder: &str| format!("/{folder}");
            return Err(if candidates.is_empty() {
                SourceError::NoGoroot {
                    location,
                    found: with_version.into_iter().map(shown).collect(),
                }
            } else {
                SourceError::SeveralGoroots {
                    location,
                    found: candidates.into_iter().map(|folder| shown(folder)).collect(),
                }
            });
        };
        let mut goroot = Self {
            folder: (*folder).to_owned(),
            grafts: Vec::new(),
        };
        goroot.graft(rpms)?;
        Ok(goroot)
    }

    /// Resolves the links that point out of the folder.
    fn graft(&mut self, rpms: &[(&str, &Listed)]) -> Result<(), SourceError> {
        for (location, files) in rpms {
            for (path, kind) in *files {
                let Kind::Link(target) = kind else { continue };
                let Some(link) = self.below(path) else {
                    continue;
                };
                let destination = resolve(path, target);
                if destination
                    .as_deref()
                    .is_some_and(|to| self.below(to).is_some())
                {
                    continue;
                }
                let refused = || SourceError::Entry {
                    location: (*location).to_owned(),
                    entry: format!("/{path}"),
                    problem: EntryProblem::LinkLeaves {
                        target: target.clone(),
                    },
                };
                let to = destination.ok_or_else(refused)?;
                let inside = format!("{to}/");
                let exists = rpms.iter().any(|(_, files)| {
                    let mut below = files.range(inside.clone()..);
                    files.get(&to) == Some(&Kind::File)
                        || below
                            .next()
                            .is_some_and(|(path, _)| path.starts_with(&inside))
                });
                // A file in the payload can have only one path in the SDK.
                let is_taken =
                    |(other, _): &(String, String)| is_in(other, &to) || is_in(&to, other);
                let known = self
                    .grafts
                    .iter()
                    .position(|graft| graft.0 == to && graft.1 == link);
                if known.is_some() {
                    continue;
                }
                if !exists || is_in(&self.folder, &to) || self.grafts.iter().any(is_taken) {
                    return Err(refused());
                }
                self.grafts.push((to, link.to_owned()));
            }
        }
        Ok(())
    }

    /// Returns the folder with its leading `/`.
    pub fn folder(&self) -> String {
        format!("/{}", self.folder)
    }

    fn below<'p>(&self, path: &'p str) -> Option<&'p str> {
        path.strip_prefix(&self.folder)?.strip_prefix('/')
    }

    /// Maps a path in the file system to one in the SDK, both without a leading `/`.
    pub fn sdk_path(&self, path: &str) -> Option<String> {
        if let Some(path) = self.below(path) {
            return Some(path.to_owned());
        }
        self.grafts.iter().find_map(|(outside, inside)| {
            let rest = path.strip_prefix(outside)?;
            (rest.is_empty() || rest.starts_with('/')).then(|| format!("{inside}{rest}"))
        })
    }

    /// Returns whether the link at this path of the SDK is replaced by its target.
    pub fn is_grafted(&self, link: &str) -> bool {
        self.grafts.iter().any(|(_, inside)| inside == link)
    }

    /// Returns the target of a link relative to its path in the SDK, if it stays in the SDK.
    pub fn target(&self, path: &str, target: &str) -> Option<String> {
        let link: TreePath = self.sdk_path(path)?.parse().ok()?;
        let to: TreePath = self.sdk_path(&resolve(path, target)?)?.parse().ok()?;
        if link
            .resolve_link(target)
            .is_ok_and(|destination| destination == to)
        {
            return Some(target.to_owned());
        }
        Some(link.link_to(&to))
    }
}

/// Resolves the target of a link in the file system, without the leading `/`.
fn resolve(link: &str, target: &str) -> Option<String> {
    let (from, target) = match target.strip_prefix('/') {
        // An absolute target is resolved as one of a link in the root folder.
        Some(absolute) => ("link", absolute.trim_start_matches('/')),
        None => (link, target),
    };
    let from: TreePath = from.parse().ok()?;
    let to = from.resolve_link(target).ok()?;
    Some(to.as_str().to_owned())
}

fn is_in(path: &str, top: &str) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(paths: &[&str]) -> Listed {
        let entry = |path: &&str| match path.split_once(" -> ") {
            Some((link, target)) => (link.to_owned(), Kind::Link(target.to_owned())),
            None => ((*path).to_owned(), Kind::File),
        };
        paths.iter().map(entry).collect()
    }

    fn find(paths: &[&str]) -> Result<Goroot, String> {
        let files = files(paths);
        Goroot::find(&[("a.rpm", &files)]).map_err(|error| error.to_string())
    }

    const SDK: [&str; 3] = [
        "usr/lib/golang/VERSION",
        "usr/lib/golang/bin/go",
        "usr/share/doc/golang/VERSION",
    ];

    #[test]
    fn the_goroot_has_version_and_go() {
        let goroot = find(&SDK).unwrap();
        assert_eq!(goroot.folder(), "/usr/lib/golang");
        assert_eq!(goroot.sdk_path("usr/lib/golang/src/a").unwrap(), "src/a");
        assert_eq!(goroot.sdk_path("usr/lib/golang2/src/a"), None);
        insta::assert_snapshot!(find(&SDK[..1]).unwrap_err(), @"a.rpm: no folder has both VERSION and bin/go; VERSION is in /usr/lib/golang");
        insta::assert_snapshot!(find(&SDK[1..2]).unwrap_err(), @"a.rpm: no folder has both VERSION and bin/go, and none has VERSION");
        let two = [SDK[0], SDK[1], "opt/go/VERSION", "opt/go/bin/go"];
        insta::assert_snapshot!(find(&two).unwrap_err(), @"a.rpm: more than one folder has VERSION and bin/go: /opt/go, /usr/lib/golang");
    }

    #[test]
    fn links_outside_the_sdk_are_not_followed() {
        let goroot = find(&SDK).unwrap();
        let go = "usr/lib/golang/bin/linux_amd64/go";
        for (target, expected) in [
            ("/usr/lib/golang/bin/go", Some("../go")),
            ("//usr/lib/../lib/golang/bin/go", Some("../go")),
            ("../go", Some("../go")),
            ("../../../golang/bin/go", Some("../go")),
            ("/etc/alternatives/go", None),
            ("../../../../../../go", None),
            ("/usr/lib/golang", None),
        ] {
            assert_eq!(goroot.target(go, target).as_deref(), expected, "{target}");
        }
    }

    #[test]
    fn the_target_of_an_outside_link_is_included() {
        let mut paths = SDK.to_vec();
        paths.push("usr/lib/golang/src -> ../../share/golang/src");
        paths.push("usr/share/golang/src/fmt/print.go");
        let goroot = find(&paths).unwrap();
        let path = goroot.sdk_path("usr/share/golang/src/fmt/print.go");
        assert_eq!(path.as_deref(), Some("src/fmt/print.go"));
        assert!(goroot.is_grafted("src"));
        for link in [
            "../src",
            "/etc/alternatives/go",
            "/",
            "/usr",
            "../../../../../x",
        ] {
            let link = format!("usr/lib/golang/x -> {link}");
            assert!(find(&[SDK[0], SDK[1], &link]).is_err(), "{link}");
        }
    }
}
