//! Assessments of releases: the common part of the verbs that show vulnerabilities.

use crate::args::database::DatabaseArgs;
use crate::context::Context;
use crate::error::CliError;
use crate::views::advisory::stale_warning;
use ostree_go_sdk::audit::{
    Advisories, AuditError, DATABASE, Database, DownloadIndex, INDEX, UpstreamReleases,
    Vulnerabilities,
};
use ostree_go_sdk::http::HttpOptions;
use ostree_go_sdk::{Clock, ErrorKind, GoVersion, SystemClock};
use std::sync::Arc;

/// The folder of documents in the cache.
const CACHE: &str = "audit";

/// Reads databases and download indexes with the options of a command.
pub struct Reader<'c> {
    context: &'c Context,
    http: HttpOptions,
    clock: Arc<dyn Clock>,
    max_age: u64,
}

impl<'c> Reader<'c> {
    /// Creates a reader that uses copies in the cache up to an age in seconds without a request.
    pub fn new(context: &'c Context, http: HttpOptions, max_age: u64) -> Result<Self, CliError> {
        let fixed = context.fixed_clock()?;
        let clock: Arc<dyn Clock> = match fixed {
            Some(clock) => clock,
            None => Arc::new(SystemClock),
        };
        Ok(Self {
            context,
            http,
            clock,
            max_age,
        })
    }

    /// Returns the time in seconds since 1970.
    pub fn now(&self) -> u64 {
        self.clock.now()
    }

    /// Reads the entries of a database that can affect some releases, and prints a warning if a copy
    /// had to be used.
    pub fn database(
        &self,
        location: &str,
        versions: &[GoVersion],
    ) -> Result<Vulnerabilities, AuditError> {
        let known = Database::new(location)
            .http(self.http.clone())
            .cache(self.context.settings.cache().join(CACHE))
            .max_age(self.max_age)
            .clock(self.clock.clone())
            .progress(self.context.progress())
            .load(versions)?;
        if let Some(text) = stale_warning("vulnerability database", known.origin(), self.now()) {
            self.context.say(&text);
        }
        Ok(known)
    }

    /// Reads a download index, and prints a warning if a copy had to be used.
    pub fn index(&self, location: &str) -> Result<UpstreamReleases, AuditError> {
        let releases = DownloadIndex::new(location)
            .http(self.http.clone())
            .cache(self.context.settings.cache().join(CACHE))
            .max_age(self.max_age)
            .clock(self.clock.clone())
            .progress(self.context.progress())
            .load()?;
        if let Some(text) = stale_warning("download index", releases.origin(), self.now()) {
            self.context.say(&text);
        }
        Ok(releases)
    }

    /// Reads the download index that is configured, or else Go's own one. If Go's own one cannot be
    /// reached, a warning is printed and nothing is known about the end of support.
    pub fn index_or_default(
        &self,
        given: Option<&str>,
    ) -> Result<Option<UpstreamReleases>, CliError> {
        match self.index(given.unwrap_or(INDEX)) {
            Err(error) if given.is_none() && error.kind() == ErrorKind::Network => {
                self.context.say(&format!(
                    "warning: {error}; the end of support is not known"
                ));
                Ok(None)
            }
            releases => Ok(Some(releases?)),
        }
    }
}

/// Returns the location of the database for a verb that always needs one.
pub fn database_or_default(args: &DatabaseArgs) -> &str {
    args.database().unwrap_or(DATABASE)
}

/// Returns what the configured sources know about releases, for verbs whose result does not depend on
/// them: what cannot be read is a warning. `None` if nothing is configured.
pub fn configured(
    context: &Context,
    args: &DatabaseArgs,
    versions: &[GoVersion],
    max_age: u64,
) -> Result<Option<Advisories>, CliError> {
    if !args.is_given() {
        return Ok(None);
    }
    let reader = Reader::new(context, context.settings.http()?, max_age)?;
    let or_warning = |error: CliError| match error.kind() {
        ErrorKind::Cancelled => Err(error),
        _ => {
            let cause = error.cause().map(|cause| format!(": {cause}"));
            let cause = cause.unwrap_or_default();
            context.say(&format!("warning: {}{cause}", error.message()));
            Ok(())
        }
    };
    let mut advisories = Advisories::new();
    if let Some(location) = args.database() {
        match reader.database(location, versions) {
            Ok(known) => advisories = advisories.vulnerabilities(known),
            Err(error) => or_warning(error.into())?,
        }
    }
    match reader.index_or_default(args.index()) {
        Ok(releases) => advisories = advisories.releases(releases),
        Err(error) => or_warning(error)?,
    }
    Ok(Some(advisories))
}
