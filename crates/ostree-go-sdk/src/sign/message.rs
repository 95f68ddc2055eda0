//! OpenPGP messages: data together with its signature.

use super::SigningKey;
use super::error::SignError;
use super::secret::{self, SecretKey};
use std::path::Path;

/// A GPG key that signs messages.
pub(crate) struct MessageSigner<'k> {
    key: SecretKey,
    home: Option<&'k Path>,
}

impl<'k> MessageSigner<'k> {
    /// Finds a key. Returns `None` if it is no GPG key.
    ///
    /// # Errors
    /// Returns an error if there is no such key, or GnuPG cannot be run.
    pub(crate) fn find(key: &'k SigningKey) -> Result<Option<Self>, SignError> {
        match key {
            SigningKey::Gpg { id, homedir } => {
                let home = homedir.as_deref();
                let key = SecretKey::find(id, home)?;
                Ok(Some(Self { key, home }))
            }
            _ => Ok(None),
        }
    }

    /// Returns whether a message seems to be one of this key with this data. Nothing is verified.
    pub(crate) fn has_signed(&self, message: &[u8], data: &[u8]) -> bool {
        self.key.has_signed(message, data)
    }

    /// Signs data, and returns the message.
    ///
    /// # Errors
    /// Returns an error if GnuPG cannot use the key.
    pub(crate) fn sign(&self, data: &[u8]) -> Result<Vec<u8>, SignError> {
        secret::sign_message(data, &self.key, self.home)
    }
}
