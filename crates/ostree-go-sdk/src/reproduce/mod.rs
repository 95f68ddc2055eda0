//! Proves that a Go program is reproducible: builds it in two sandboxes whose surroundings differ, and compares the
//! bytes of the results.
//!
//! [`Reproduce`] has the options, [`Reproduce::execute`] returns a [`Reproduction`]: what was varied, what could not be
//! varied, and, if the programs differ, in which sections and symbols, and the likely [`Cause`]s.
//!
//! The sources, the SDK and the module cache are read-only, the sandboxes have no network, and each build has a build
//! cache of its own. A difference is a result and not an error.
//!
//! The files, lowest first: `error`, `info`, `compare`, `variation`, `copy`, `embed`, `build`, `cause`, `result`,
//! `given`.

mod build;
mod cause;
mod compare;
mod copy;
mod embed;
mod error;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod given;
mod info;
mod result;
#[cfg(test)]
mod tests;
mod variation;

pub use build::Build;
pub use cause::Cause;
pub use compare::{Difference, SectionDifference};
pub use error::ReproduceError;
pub use given::GivenProgram;
pub use result::{Comparison, Peer, Reproduction, Skipped};
pub use variation::{NotVaried, Variation, Varied};

use crate::arch::Arch;
use crate::deploy::{Deployment, Root};
use crate::fs::context::IoContext;
use crate::fs::digest;
use crate::progress::{Event, Phase, Progress};
use crate::run::Sources;
use crate::sandbox::{Backend, Host};
use crate::setters::setters;
use build::{Built, Request};
use cause::Evidence;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use variation::{Inputs, Surroundings};

/// The options of a proof that a program is reproducible.
#[derive(Debug)]
pub struct Reproduce {
    root: Root,
    deployment: Deployment,
    host: Host,
    directory: PathBuf,
    package: OsString,
    flags: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    project: Option<PathBuf>,
    home: Option<PathBuf>,
    module_cache: Option<PathBuf>,
    backend: Option<Backend>,
    accept_gaps: bool,
    host_tools: bool,
    std_cache: bool,
    against: Option<GivenProgram>,
    other_sdk: Option<Deployment>,
    temporary: PathBuf,
}

/// The build flags that would change where the program is built or written.
const REFUSED: [(&str, &str); 3] = [
    ("-o", "the programs are written to temporary directories"),
    (
        "-C",
        "it changes the directory; name the directory of the project instead",
    ),
    ("-n", "it builds nothing"),
];

impl Reproduce {
    /// Describes a proof: the SDK, what sandboxes use of the host, and the working directory, which is in the sources.
    /// [`toolchains::select`](crate::toolchains::select) chooses the SDK for a directory.
    #[must_use]
    pub fn new(
        root: Root,
        deployment: Deployment,
        host: Host,
        directory: impl Into<PathBuf>,
    ) -> Self {
        Self {
            root,
            deployment,
            host,
            directory: directory.into(),
            package: ".".into(),
            flags: vec!["-trimpath".into()],
            environment: Vec::new(),
            project: None,
            home: None,
            module_cache: None,
            backend: None,
            accept_gaps: false,
            host_tools: false,
            std_cache: true,
            against: None,
            other_sdk: None,
            temporary: PathBuf::from("/tmp"),
        }
    }

    setters! {
        /// Sets the package, as an argument of `go build`. Default: `.`.
        package: OsString;
        /// Sets the build flags. The path of the sources in them is replaced by the path that they have in each build.
        /// Default: `-trimpath`.
        flags: Vec<OsString>;
        /// Sets environment variables of all builds. Those that [`Variation`] names are replaced. Default: none, and
        /// `CGO_ENABLED` is 0.
        environment: Vec<(OsString, OsString)>;
        /// Sets the directory of the sources. Default: the highest directory above the working directory with a
        /// `go.work`, `go.mod` or `.git`, or else the working directory.
        project: Option<PathBuf>;
        /// Sets the home directory of the user, which is never shown as a whole.
        home: Option<PathBuf>;
        /// Sets the module cache of the user, which is left out if it does not exist. Default: none.
        module_cache: Option<PathBuf>;
        /// Sets the backend. Default: `None`, the first of [`Backend::ISOLATING`] that works.
        backend: Option<Backend>;
        /// Sets whether a backend with gaps is used. Default: false.
        accept_gaps: bool;
        /// Sets whether the builds can run the programs of the host, for example for cgo. Default: false.
        host_tools: bool;
        /// Sets whether the compiled standard library is taken from the std caches of the SDK. Default: true.
        std_cache: bool;
        /// Sets a program to compare with as well. Default: none.
        against: Option<GivenProgram>;
        /// Sets an SDK for another architecture that also builds the program, which needs the static emulator
        /// `qemu-ARCH-static` in [`Host::path`]. Default: none.
        other_sdk: Option<Deployment>;
        /// Sets the directory in which a directory for temporary files is created. Default: `/tmp`.
        temporary: PathBuf;
    }

    /// Builds the program and compares the results. The temporary directories are removed at the end.
    ///
    /// # Errors
    /// Returns an error if the sources would be a home directory or a system directory, no sandbox works, the go
    /// command fails, the program to compare with cannot be read, or the operation is cancelled.
    pub fn execute(self, progress: &dyn Progress) -> Result<Reproduction, ReproduceError> {
        require_flags(&self.flags)?;
        let peer = self.against.as_ref().map(GivenProgram::read).transpose()?;
        let sources = Sources::find(
            &self.directory,
            self.project.as_deref(),
            self.home.as_deref(),
        )?;
        let made = tempfile::Builder::new()
            .prefix("ostree-go-reproduce-")
            .tempdir_in(&self.temporary);
        let folder = made.context("make a directory in", &self.temporary)?;
        let top = folder.path().canonicalize();
        let top = top.context("find", folder.path())?;
        let item = self.package.to_string_lossy().into_owned();
        let work = Work {
            options: &self,
            sources: &sources,
            top: &top,
            item: &item,
            progress,
        };
        let result = work.run(peer);
        let phase = Phase::Compile;
        progress.event(&Event::Finished { phase, item: &item });
        result
    }
}

/// Checks that no flag changes where the program is built or written.
fn require_flags(flags: &[OsString]) -> Result<(), ReproduceError> {
    for flag in flags {
        let name = flag.as_bytes().split(|byte| *byte == b'=').next();
        let name = name.unwrap_or_default();
        // Go also accepts two dashes.
        let name = name
            .strip_prefix(b"-")
            .filter(|rest| rest.starts_with(b"-"))
            .unwrap_or(name);
        let refused = REFUSED
            .iter()
            .find(|(refused, _)| refused.as_bytes() == name);
        if let Some((_, reason)) = refused {
            let flag = flag.to_string_lossy().into_owned();
            return Err(ReproduceError::Flag { flag, reason });
        }
    }
    Ok(())
}

/// The work of a proof.
struct Work<'a> {
    options: &'a Reproduce,
    sources: &'a Sources,
    /// The directory for temporary files.
    top: &'a Path,
    /// The subject of progress events.
    item: &'a str,
    progress: &'a dyn Progress,
}

impl Work<'_> {
    fn run(&self, peer: Option<Vec<u8>>) -> Result<Reproduction, ReproduceError> {
        let options = self.options;
        let inputs = self.inputs(&options.deployment)?;
        let std_caches = self.std_caches();
        let mut request = Request {
            host: &options.host,
            backend: options.backend,
            accept_gaps: options.accept_gaps,
            host_tools: options.host_tools,
            environment: &options.environment,
            std_caches: &std_caches,
            project: &self.sources.project,
            directory: &self.sources.directory,
            package: &options.package,
            flags: &options.flags,
        };
        let one = Surroundings::first(&inputs, &self.top.join("first"))?;
        let first = self.build(&request, &options.deployment, &one, None, 0)?;
        request.backend = Some(first.backend);
        let copy = match variation::can_move(first.backend) {
            true => None,
            false => {
                let copy = self.top.join("copies/source");
                copy::copy(&self.sources.project, &copy, self.progress)?;
                Some(copy)
            }
        };
        let other = Surroundings::second(&inputs, &self.top.join("second"), copy.as_deref())?;
        let second = self.build(&request, &options.deployment, &other, None, 1)?;
        let (varied, mut not_varied) = variation::compare(&one, &other, first.backend);
        if first.uses_std_cache && second.uses_std_cache {
            not_varied.push(NotVaried {
                what: Variation::StandardLibrary,
                reason: "all builds took it from the std cache".to_owned(),
            });
        }
        let paths = self.paths(&one);
        let compare = |with, content: &[u8]| self.compare(&first.content, &paths, with, content);
        let mut comparisons = vec![compare(Peer::Rebuild, &second.content)];
        let mut builds = vec![first.build.clone(), second.build];
        drop(second.content);
        let mut skipped = Vec::new();
        if let Some(deployment) = &options.other_sdk {
            let with = Peer::OtherSdk(deployment.arch);
            match self.emulator(deployment.arch) {
                Ok(emulator) => {
                    let inputs = self.inputs(deployment)?;
                    let place = Surroundings::first(&inputs, &self.top.join("third"))?;
                    let third = self.build(&request, deployment, &place, Some(&emulator), 2)?;
                    comparisons.push(compare(with, &third.content));
                    builds.push(third.build);
                }
                Err(reason) => skipped.push(Skipped { with, reason }),
            }
        }
        if let (Some(content), Some(program)) = (peer, &options.against) {
            comparisons.push(compare(program.peer(), &content));
        }
        Ok(Reproduction {
            project: self.sources.project.clone(),
            backend: first.backend,
            command: request.shown_command(),
            builds,
            varied,
            not_varied,
            comparisons,
            skipped,
        })
    }

    /// Builds the program. `number` counts the builds from 0.
    fn build(
        &self,
        request: &Request<'_>,
        deployment: &Deployment,
        surroundings: &Surroundings,
        emulator: Option<&Path>,
        number: u64,
    ) -> Result<Built, ReproduceError> {
        let advanced = |done| {
            self.progress.event(&Event::Advanced {
                phase: Phase::Compile,
                item: self.item,
                done,
                total: Some(if self.options.other_sdk.is_some() {
                    3
                } else {
                    2
                }),
            });
        };
        advanced(number);
        let folder = self.top.join(format!("result-{number}"));
        let built = request.build(deployment, surroundings, emulator, &folder, self.progress)?;
        advanced(number + 1);
        Ok(built)
    }

    fn inputs(&self, deployment: &Deployment) -> Result<Inputs, ReproduceError> {
        let options = self.options;
        let sdk = options.root.deployment_path(deployment.commit);
        let modules = options.module_cache.as_deref();
        Ok(Inputs {
            project: self.sources.project.clone(),
            sdk: sdk.canonicalize().context("find", sdk)?,
            modules: modules.and_then(|path| path.canonicalize().ok()),
        })
    }

    /// Returns the directories of the std caches. Those of the first SDK are also used by the other one: what an SDK
    /// compiles does not depend on the machine that it runs on.
    fn std_caches(&self) -> Vec<PathBuf> {
        let options = self.options;
        let caches = options.root.std_caches(&options.deployment).into_iter();
        caches
            .filter(|_| options.std_cache)
            .filter_map(|(_, dir)| dir.canonicalize().ok())
            .collect()
    }

    /// Returns the emulator for an architecture, or the reason why there is none.
    fn emulator(&self, arch: Arch) -> Result<PathBuf, String> {
        let name = format!("qemu-{arch}-static");
        let mut candidates = self
            .options
            .host
            .path
            .iter()
            .map(|folder| folder.join(&name));
        let found = candidates.find(|path| path.is_file());
        found
            .and_then(|path| path.canonicalize().ok())
            .ok_or_else(|| format!("needs the program `{name}`, which is not installed"))
    }

    /// Returns the paths of a build that a program can contain.
    fn paths(&self, surroundings: &Surroundings) -> Vec<PathBuf> {
        let modules = surroundings.modules.iter().map(|bind| bind.dest.clone());
        let mut paths = vec![
            surroundings.project.dest.clone(),
            build::goroot(&surroundings.sdk),
        ];
        paths.extend(modules);
        paths
    }

    fn compare(&self, first: &[u8], paths: &[PathBuf], with: Peer, second: &[u8]) -> Comparison {
        let difference = Difference::of(first, second);
        let mut causes = difference.as_ref().map_or_else(Vec::new, |difference| {
            let evidence = Evidence {
                first,
                second,
                difference,
                project: &self.sources.project,
                paths,
                flags: &self.options.flags,
                is_rebuilt: !matches!(with, Peer::File(_) | Peer::Committed { .. }),
            };
            evidence.causes()
        });
        for cause in &mut causes {
            if let Cause::Sources { embeds } = cause {
                *embeds = embed::embeds(&self.sources.project);
            }
        }
        Comparison {
            with,
            sha256: digest::of(second),
            bytes: second.len() as u64,
            difference,
            causes,
        }
    }
}
