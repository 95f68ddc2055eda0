//! A signature.

use super::value::Time;
use ostree_go_sdk::sign::{Signature, SignatureStatus};
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct SignatureView {
    pub status: &'static str,
    pub kind: &'static str,
    pub key: String,
    pub primary_key: Option<String>,
    pub user: Option<String>,
    pub created: Option<Time>,
    pub expires: Option<Time>,
    pub key_expires: Option<Time>,
    #[serde(skip)]
    pub is_valid: bool,
}

impl From<&Signature> for SignatureView {
    fn from(signature: &Signature) -> Self {
        Self {
            status: signature.status.as_str(),
            kind: signature.kind,
            key: signature.key.clone(),
            primary_key: signature.primary_key.clone(),
            user: signature.user.clone(),
            created: signature.created.map(Time),
            expires: signature.expires.map(Time),
            key_expires: signature.key_expires.map(Time),
            is_valid: signature.status == SignatureStatus::Valid,
        }
    }
}

/// Returns the views of several signatures.
pub fn signatures(signatures: &[Signature]) -> Vec<SignatureView> {
    signatures.iter().map(SignatureView::from).collect()
}
