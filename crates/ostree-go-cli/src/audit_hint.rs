//! Suggestions for errors of vulnerability databases and download indexes.

use ostree_go_sdk::audit::AuditError;

/// Returns the suggestion for an error.
pub fn hint(error: &AuditError) -> Option<&'static str> {
    match error {
        AuditError::NoDatabase { .. } => {
            Some("name a directory or URL with the layout of https://vuln.go.dev")
        }
        AuditError::NoEntry { .. } | AuditError::Document { .. } | AuditError::Gzip { .. } => {
            Some("the database may be damaged: copy it again")
        }
        AuditError::Index { .. } | AuditError::NoReleases { .. } => Some(
            "name the URL of a download index such as https://go.dev/dl/, or a file with its JSON",
        ),
        _ => None,
    }
}
