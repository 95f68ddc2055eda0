//! The flags that every command with a download has.

use ostree_go_sdk::HttpOptions;
use std::time::Duration;

/// Retries and timeouts of downloads.
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
    /// Applies the flags to what the environment says.
    pub fn http(&self, options: HttpOptions) -> HttpOptions {
        options
            .retries(self.retries)
            .read_timeout(Duration::from_secs(self.stall_timeout.max(1)))
            .min_rate(self.min_rate)
    }
}
