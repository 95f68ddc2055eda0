//! Signed statements about the hashes of private modules: in-toto statements in DSSE envelopes.
//!
//! A statement has a subject with the name `MODULE@VERSION` for the content of the module, and one with the name
//! `MODULE@VERSION/go.mod` for its `go.mod` file, as in the two lines of a `go.sum`. The digest of both is `dirHash` or
//! `dirHash1`, the `h1:` hash in hexadecimal.
//!
//! Sources: <https://github.com/secure-systems-lab/dsse/blob/master/envelope.md>, and
//! <https://github.com/in-toto/attestation/tree/main/spec/v1>, `statement.md` and `digest_set.md`.

use super::alert::AlertKind;
use super::answer::{Block, with_causes};
use super::sums::{Origin, Sums};
use crate::attest::{Envelope, STATEMENT_TYPE, Statement};
use crate::golang::module_id::ModuleId;
use std::error::Error;

/// The extension of the file with a statement, beside those of the module.
pub(super) const EXTENSION: &str = "intoto.json";

/// The largest statement in bytes.
pub(super) const MAX_STATEMENT: u64 = 1 << 20;

/// Returns the hashes that a statement by one of the keys has for a version.
pub(super) fn sums(json: &[u8], keys: &[String], id: &ModuleId) -> Result<Sums, Block> {
    let invalid = |error: &(dyn Error + 'static)| {
        let message = format!(
            "the statement of the private module {id} is malformed: {}",
            with_causes(error)
        );
        Block::new(AlertKind::InvalidStatement, message)
    };
    let envelope = Envelope::parse(json).map_err(|error| invalid(&error))?;
    envelope.verify(keys).map_err(|error| {
        let message = format!(
            "the statement of the private module {id} is not signed by a key of the policy: {}",
            with_causes(&error)
        );
        Block::new(AlertKind::ForeignStatement, message)
    })?;
    if envelope.payload_type != STATEMENT_TYPE {
        let message = format!(
            "the statement of the private module {id} has the type `{}`, expected `{STATEMENT_TYPE}`",
            envelope.payload_type.escape_debug()
        );
        return Err(Block::new(AlertKind::InvalidStatement, message));
    }
    let statement = Statement::parse(&envelope.payload).map_err(|error| invalid(&error))?;
    let digest = |name: &str| {
        let mut subjects = statement.subjects.iter();
        let subject = subjects.find(|subject| subject.name == name)?;
        subject.h1()
    };
    let sums = Sums {
        zip: digest(&id.to_string()),
        go_mod: digest(&format!("{id}/go.mod")),
        origin: Origin::Statement,
    };
    if sums.zip.is_none() && sums.go_mod.is_none() {
        let message = format!(
            "the statement of the private module {id} has no subject `{id}` with the digest dirHash1"
        );
        return Err(Block::new(AlertKind::InvalidStatement, message));
    }
    Ok(sums)
}
