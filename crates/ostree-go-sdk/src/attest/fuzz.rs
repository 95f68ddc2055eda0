//! The entry point of the fuzz target.

use super::{Envelope, Statement};

/// Parses an envelope and the statement in it. What is written is read back.
pub fn attestation(bytes: &[u8]) {
    if let Ok(statement) = Statement::parse(bytes) {
        let again = Statement::parse(&statement.to_json()).expect("a statement");
        assert_eq!(again.subjects, statement.subjects);
        assert_eq!(again.predicate_type, statement.predicate_type);
    }
    if let Ok(envelope) = Envelope::parse(bytes) {
        let again = Envelope::parse(&envelope.to_json());
        assert_eq!(again.as_ref().ok(), Some(&envelope));
        let _ = (envelope.verify(&[]), Statement::parse(&envelope.payload));
    }
}
