//! Options of the verbs that know about vulnerabilities.

/// Sources of what is known about the releases of Go.
#[derive(Debug, Clone, clap::Args)]
pub struct DatabaseArgs {
    /// Go vulnerability database: a URL such as https://vuln.go.dev, or a directory with the same
    /// layout
    #[arg(
        long,
        value_name = "URL|DIR",
        env = "OSTREE_GO_VULNDB",
        hide_env_values = true
    )]
    pub db: Option<String>,

    /// Go's download index, which tells the supported releases: a URL such as https://go.dev/dl/, or a
    /// file with its JSON
    #[arg(
        long,
        value_name = "URL|FILE",
        env = "OSTREE_GO_DOWNLOAD_INDEX",
        hide_env_values = true
    )]
    pub index: Option<String>,
}

impl DatabaseArgs {
    /// Returns the database. An empty text is none.
    pub fn database(&self) -> Option<&str> {
        self.db.as_deref().filter(|text| !text.is_empty())
    }

    /// Returns the download index. An empty text is none.
    pub fn index(&self) -> Option<&str> {
        self.index.as_deref().filter(|text| !text.is_empty())
    }

    /// Returns true if anything is configured.
    pub fn is_given(&self) -> bool {
        self.database().is_some() || self.index().is_some()
    }
}
