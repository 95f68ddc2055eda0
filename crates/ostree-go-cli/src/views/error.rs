//! An error, for every verb.

use crate::error::CliError;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct ErrorFields {
    pub kind: &'static str,
    pub message: String,
    pub cause: Option<String>,
    pub hint: Option<String>,
}

impl From<&CliError> for ErrorFields {
    fn from(error: &CliError) -> Self {
        Self {
            kind: error.kind().as_str(),
            message: error.message(),
            cause: error.cause(),
            hint: error.hint(),
        }
    }
}
