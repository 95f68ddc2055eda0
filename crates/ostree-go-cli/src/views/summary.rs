//! Messages about the summary and the signatures of a repository after refs have moved.

use ostree_go_sdk::RefName;
use ostree_go_sdk::publish::SummaryState;

/// Returns the message about the summary, if there is something to say.
pub fn summary_message(state: SummaryState) -> Option<&'static str> {
    match state {
        SummaryState::Refreshed => Some("the summary was refreshed"),
        SummaryState::Outdated => Some(
            "warning: the summary is signed, so it was not refreshed, and clients do not see what \
             has changed; run `ostree-go publish` with the key of the summary",
        ),
        _ => None,
    }
}

/// Returns the warning about a channel that lost its signature.
pub fn unsigned_warning(channel: &RefName) -> String {
    format!(
        "warning: the new commit of {channel} is not signed, and clients that verify signatures \
         refuse it; sign it with `ostree-go sign {channel}`"
    )
}
