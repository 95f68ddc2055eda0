//! Suggestions for a module proxy that cannot be started.

use ostree_go_sdk::goproxy::{GoProxyError, PolicyError};

/// Returns a suggestion for an error of a module proxy.
pub fn hint(error: &GoProxyError) -> Option<String> {
    let hint = match error {
        GoProxyError::Policy(PolicyError::Invalid { .. }) => {
            "nothing is served with a policy that is not understood; `--dry-run` checks it"
        }
        GoProxyError::NoProxy { .. } => {
            "`direct` and `off` are no proxies; name one with --upstream https://proxy.golang.org"
        }
        GoProxyError::Key { .. } => {
            "`go env GOSUMDB` shows the database of the go command; --sumdb takes the same key, and its URL after `=`"
        }
        GoProxyError::Listen { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
            "another process listens there; choose another port with --listen"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}
