//! JSON objects of channels that were moved.

use super::value::Text;
use ostree_go_sdk::compose::ComposedChannel;
use ostree_go_sdk::{CommitId, RefName};
use serde::Serialize;

/// A channel after a compose or a promotion.
#[derive(Serialize)]
pub struct ChannelView {
    #[serde(rename = "ref")]
    ref_name: Text<RefName>,
    pub commit: Text<CommitId>,
    state: &'static str,
}

impl From<&ComposedChannel> for ChannelView {
    fn from(channel: &ComposedChannel) -> Self {
        Self {
            ref_name: Text(channel.ref_name.clone()),
            commit: Text(channel.commit),
            state: channel.state.as_str(),
        }
    }
}
