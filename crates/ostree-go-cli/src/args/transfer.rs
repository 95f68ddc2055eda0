//! Options that all commands with downloads have.

use ostree_go_sdk::http::HttpOptions;
use std::time::Duration;

/// Options for retries and timeouts of downloads.
#[derive(Debug, Clone, clap::Args)]
pub struct TransferArgs {
    /// Number of retries after a failure of the network or the server
    #[arg(long, value_name = "N", default_value_t = 5)]
    retries: u32,

    /// Maximum time for which a server may send nothing
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    stall_timeout: u64,

    /// Minimum average rate of downloads over the stall timeout; 0 disables the check
    #[arg(long, value_name = "BYTES-PER-SECOND", default_value_t = 1000)]
    min_rate: u64,
}

impl TransferArgs {
    /// Applies the options to those from the environment.
    pub fn http(&self, options: HttpOptions) -> HttpOptions {
        options
            .retries(self.retries)
            .read_timeout(Duration::from_secs(self.stall_timeout.max(1)))
            .min_rate(self.min_rate)
    }
}
