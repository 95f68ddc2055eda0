//! Sockets that systemd passes (`sd_listen_fds(3)`).

use super::Settings;
use crate::error::CliError;
use listenfd::ListenFd;
use std::net::TcpListener;

impl Settings {
    /// Returns the sockets that systemd has passed to this process.
    ///
    /// # Errors
    /// Returns an error if there are none, or if one is no socket for TCP connections.
    #[allow(clippy::unused_self)]
    pub fn passed_sockets(&self) -> Result<Vec<TcpListener>, CliError> {
        let mut passed = ListenFd::from_env();
        let number = passed.len();
        if number == 0 {
            return Err(CliError::Usage {
                message: "no address to listen on, and no socket from systemd".to_owned(),
                hint: Some(
                    "give an address with --listen 127.0.0.1:3000, or start the socket unit of the service".to_owned(),
                ),
            });
        }
        let take = |index| {
            passed.take_tcp_listener(index).ok().flatten().ok_or_else(|| {
                CliError::usage(format!(
                    "socket {} of the {number} that systemd passes is not one for TCP connections",
                    index + 1
                ))
            })
        };
        (0..number).map(take).collect()
    }
}
