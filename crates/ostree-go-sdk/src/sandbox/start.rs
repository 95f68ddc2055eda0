//! Chooses a backend, and starts the command with it.

use super::backend::Backend;
use super::error::{Gap, SandboxError, Unavailable};
use super::helper::{self, Mount};
use super::landlock;
use super::limits;
use super::options::{Bind, Sandbox};
use super::places::Places;
use super::running::{Ended, Running};
use super::scratch::Scratch;
use super::seed::seed_cache;
use super::unit::{self, Service};
use super::{bwrap, environment, program};
use crate::fs::context::IoContext;
use crate::process::available_memory;
use crate::progress::Progress;
use std::ffi::OsString;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

type Variables = Vec<(OsString, OsString)>;

/// The size of `/tmp` if the available memory is unknown.
const DEFAULT_SIZE: u64 = 1 << 30;
/// The file in a kept build cache that says that it was filled from std caches.
const SEEDED: &str = "ostree-go-seeded";

impl Sandbox {
    /// Starts the command and waits for its end. It is killed if the operation is cancelled.
    ///
    /// # Errors
    /// Returns an error if no allowed backend works on this machine, or the backend fails. An exit code of
    /// the command is not an error but part of the result.
    pub fn run(&self, progress: &dyn Progress) -> Result<Ended, SandboxError> {
        self.start()?.wait(Some(progress))
    }

    /// Starts the command. Its standard streams are those of this process.
    ///
    /// # Errors
    /// Returns an error if no allowed backend works on this machine, or there is no such program in the
    /// sandbox.
    pub fn start(&self) -> Result<Running, SandboxError> {
        if let Some(cpus) = self.limits.cpus {
            limits::cpus(cpus)?;
        }
        let program = match self.backend {
            // Without a sandbox, the system searches the program.
            Some(Backend::None) => PathBuf::new(),
            _ => program::find(self)?,
        };
        if let Some(cache) = &self.go_cache {
            self.prepare_cache(cache)?;
        }
        let mounts = self.mounts()?;
        match self.backend {
            Some(backend) => self.start_with(backend, &program, &mounts),
            None => self.start_with_first(&program, &mounts),
        }
    }

    fn start_with_first(&self, program: &Path, mounts: &[Mount]) -> Result<Running, SandboxError> {
        let mut reasons = Vec::new();
        for backend in Backend::ISOLATING {
            match self.start_with(backend, program, mounts) {
                Err(SandboxError::Unavailable(unavailable)) => reasons.push(unavailable),
                result => return result,
            }
        }
        Err(SandboxError::NoBackend { reasons })
    }

    fn start_with(
        &self,
        backend: Backend,
        program: &Path,
        mounts: &[Mount],
    ) -> Result<Running, SandboxError> {
        match backend {
            Backend::Bwrap => self.start_bwrap(program, mounts),
            Backend::Systemd => self.start_systemd(program, mounts),
            Backend::Landlock => self.start_landlock(program, mounts),
            Backend::None => self.start_unrestricted(),
        }
    }

    fn start_bwrap(&self, program: &Path, mounts: &[Mount]) -> Result<Running, SandboxError> {
        let places = self.with_cache(bwrap::places());
        let plan = bwrap::Plan {
            sandbox: self,
            program,
            mounts: mounts.to_vec(),
            files: environment::files(self.network, &places.home, self.uid),
            environment: environment::variables(self, &places),
            scope: self.memory_scope()?,
            size: available_memory().map_or(DEFAULT_SIZE, |bytes| bytes / 2),
        };
        plan.start()
    }

    fn start_systemd(&self, program: &Path, mounts: &[Mount]) -> Result<Running, SandboxError> {
        let backend = Backend::Systemd;
        let unavailable = |reason| SandboxError::Unavailable(Unavailable { backend, reason });
        let manager = unit::manager(&self.host).map_err(unavailable)?;
        if self.limits.memory.is_some() && !manager.has_memory_controller() {
            return Err(SandboxError::MemoryLimit);
        }
        let gaps = self.accepted(backend, manager.gaps())?;
        let scratch = Scratch::create(&self.host.scratch)?;
        let is_cold = self.seed(&scratch);
        let places = self.with_cache(bwrap::places());
        let variables = environment::variables(self, &places);
        let variables =
            helper::write(&scratch, "environment", &unit::environment_file(&variables))?;
        let temporary = Bind {
            source: scratch.temporary(),
            dest: PathBuf::from(bwrap::TEMPORARY),
        };
        let mut generated = Vec::new();
        for (path, text) in environment::files(self.network, &places.home, None) {
            generated.push(helper::write(&scratch, path, text.as_bytes())?);
        }
        let mut binds = vec![(&temporary, true)];
        binds.extend(generated.iter().map(|bind| (bind, false)));
        binds.extend(mounts.iter().map(|mount| (&mount.bind, mount.is_writable)));
        let unit = manager.unit();
        let service = Service {
            network: self.network,
            binds,
            directory: &self.directory,
            environment_file: &variables.source,
            memory: self.limits.memory,
            umask: self.umask,
            cpus: self.limits.cpus.map_or(Ok(Vec::new()), limits::cpus)?,
            has_pid_namespace: !gaps.contains(&Gap::Signals),
        };
        let mut command = service.words(&manager, &unit);
        command.push(unit::command_word(program.as_os_str()));
        let arguments = self.command.iter().skip(1);
        command.extend(arguments.map(|word| unit::command_word(word)));
        let environment = manager.variables();
        let plan = helper::Plan {
            sandbox: self,
            backend,
            gaps,
            rules: None,
            unit: Some(unit),
            command,
            environment,
            unset: Vec::new(),
            is_cold,
            scratch,
        };
        plan.start()
    }

    fn start_landlock(&self, program: &Path, mounts: &[Mount]) -> Result<Running, SandboxError> {
        let backend = Backend::Landlock;
        let unavailable = |reason| SandboxError::Unavailable(Unavailable { backend, reason });
        let gaps = landlock::gaps().map_err(unavailable)?;
        let gaps = self.accepted(backend, gaps)?;
        let scratch = Scratch::create(&self.host.scratch)?;
        let rules = helper::rules(self, mounts, &scratch)?;
        let mut command = vec![program.into()];
        command.extend(self.command.iter().skip(1).cloned());
        self.start_helper(backend, gaps, scratch, Some(rules), command)
    }

    fn start_unrestricted(&self) -> Result<Running, SandboxError> {
        let scratch = Scratch::create(&self.host.scratch)?;
        let command = self.command.clone();
        if command.is_empty() {
            return Err(SandboxError::NoCommand);
        }
        self.start_helper(Backend::None, Vec::new(), scratch, None, command)
    }

    fn start_helper(
        &self,
        backend: Backend,
        gaps: Vec<Gap>,
        scratch: Scratch,
        rules: Option<landlock::Rules>,
        command: Vec<OsString>,
    ) -> Result<Running, SandboxError> {
        let is_cold = self.seed(&scratch);
        let places = self.with_cache(Places::below(&scratch.temporary()));
        let mut environment = environment::variables(self, &places);
        let (mut words, variables) = self.memory_scope()?;
        words.extend(command);
        let unset = variables.iter().map(|(name, _)| name.clone()).collect();
        environment.extend(variables);
        let plan = helper::Plan {
            sandbox: self,
            backend,
            gaps,
            rules,
            unit: None,
            command: words,
            environment,
            unset,
            is_cold,
            scratch,
        };
        plan.start()
    }

    /// Returns the command line that limits memory, and the variables that it needs.
    fn memory_scope(&self) -> Result<(Vec<OsString>, Variables), SandboxError> {
        let Some(memory) = self.limits.memory else {
            return Ok((Vec::new(), Vec::new()));
        };
        let manager = unit::manager(&self.host).ok();
        let manager = manager.filter(unit::Manager::has_memory_controller);
        let manager = manager.ok_or(SandboxError::MemoryLimit)?;
        Ok((manager.scope(memory), manager.variables()))
    }

    /// Returns the gaps of a backend if they are accepted.
    fn accepted(&self, backend: Backend, gaps: Vec<Gap>) -> Result<Vec<Gap>, SandboxError> {
        if self.accept_gaps || gaps.is_empty() {
            return Ok(gaps);
        }
        let reason = super::error::Reason::Gaps(gaps);
        Err(SandboxError::Unavailable(Unavailable { backend, reason }))
    }

    fn with_cache(&self, mut places: Places) -> Places {
        if let Some(cache) = &self.go_cache {
            places.go_cache.clone_from(cache);
        }
        places
    }

    /// Fills a fresh build cache; returns true if that fails.
    fn seed(&self, scratch: &Scratch) -> bool {
        let cache = Places::below(&scratch.temporary()).go_cache;
        let is_needed = self.go_cache.is_none() && !self.std_caches.is_empty();
        is_needed && seed_cache(&self.std_caches, &cache).is_err()
    }

    /// Creates a kept build cache, and fills it once.
    fn prepare_cache(&self, cache: &Path) -> Result<(), SandboxError> {
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true).mode(0o700);
        builder.create(cache).context("make directory", cache)?;
        let mark = cache.join(SEEDED);
        if !self.std_caches.is_empty() && !mark.exists() {
            seed_cache(&self.std_caches, cache).context("fill the build cache", cache)?;
            std::fs::write(&mark, "").context("write", &mark)?;
        }
        Ok(())
    }

    /// Returns the files and directories of the host in the sandbox, parents before their children. A path that can
    /// be written stays writable if it can also be read.
    fn mounts(&self) -> Result<Vec<Mount>, SandboxError> {
        let mount = |bind: &Bind, is_writable| Mount {
            bind: bind.clone(),
            is_writable,
        };
        let kept = self.go_cache.iter().map(|path| Bind::from(path.clone()));
        let writable = self.writable.iter().cloned().chain(kept);
        let mut all: Vec<Mount> = writable.map(|bind| mount(&bind, true)).collect();
        all.extend(self.read_only.iter().map(|bind| mount(bind, false)));
        for Mount { bind, .. } in &all {
            for path in [&bind.source, &bind.dest] {
                if !path.is_absolute() {
                    return Err(SandboxError::Relative { path: path.clone() });
                }
            }
            bind.source.metadata().context("find", &bind.source)?;
        }
        let tools = environment::HOST_TOOLS.iter().filter(|_| self.host_tools);
        let tools = tools.filter(|path| Path::new(path).exists());
        all.extend(tools.map(|path| mount(&Bind::from(path), false)));
        for (source, dest) in environment::network_files(self.network) {
            all.push(mount(&Bind { source, dest }, false));
        }
        // The sort is stable, so that the writable one of two equal paths comes first.
        all.sort_by_key(|mount| mount.bind.dest.components().count());
        let mut seen = std::collections::BTreeSet::new();
        all.retain(|mount| seen.insert(mount.bind.dest.clone()));
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::options::Host;

    #[test]
    fn mounts_are_sorted_and_unique() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        std::fs::create_dir_all(path("a/b/c")).unwrap();
        let sandbox = Sandbox::new(Host::default(), ["x"])
            .read(path("a/b/c"))
            .read(path("a/b"))
            .read(path("a"))
            .write(path("a/b"));
        let mounts = sandbox.mounts().unwrap();
        let names = mounts.iter().map(|mount| {
            let name = mount.bind.dest.strip_prefix(dir.path()).unwrap().display();
            format!("{name} {}", mount.is_writable)
        });
        assert_eq!(
            names.collect::<Vec<_>>(),
            ["a false", "a/b true", "a/b/c false"]
        );
        let error = Sandbox::new(Host::default(), ["x"]).read("relative");
        insta::assert_snapshot!(error.mounts().unwrap_err(), @"relative is not an absolute path");
        let missing = Sandbox::new(Host::default(), ["x"]).read("/ostree-go/missing");
        insta::assert_snapshot!(missing.mounts().unwrap_err(), @"cannot find /ostree-go/missing");
    }

    #[test]
    fn a_command_needs_a_program() {
        let none: [OsString; 0] = [];
        let error = Sandbox::new(Host::default(), none).start().unwrap_err();
        insta::assert_snapshot!(error, @"there is no command to run in the sandbox");
    }
}
