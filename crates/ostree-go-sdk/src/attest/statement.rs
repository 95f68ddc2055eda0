//! In-toto statements: what is said about which artifacts.
//!
//! Source of the format: the in-toto attestation specification, `spec/v1/statement.md`,
//! `resource_descriptor.md` and `digest_set.md`.

use super::error::AttestError;
use super::json::{compact, parse_object};
use super::subject::Subject;
use crate::id::Sha256;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The type of a statement.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// An in-toto statement, version 1.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// The artifacts that the statement is about; never empty in a parsed statement.
    pub subjects: Vec<Subject>,
    /// The URI of the predicate's type.
    pub predicate_type: String,
    /// The predicate; null if there is none.
    pub predicate: Value,
}

/// The JSON form. Unknown fields are ignored, as the specification demands.
#[derive(Deserialize)]
struct Document {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<SubjectDocument>,
    #[serde(rename = "predicateType")]
    predicate_type: String,
    #[serde(default)]
    predicate: Value,
}

#[derive(Deserialize)]
struct SubjectDocument {
    #[serde(default)]
    name: Option<String>,
    digest: BTreeMap<String, String>,
}

impl Statement {
    /// Parses a statement.
    ///
    /// # Errors
    /// Returns an error if the document is no statement of version 1, or a subject has no digest.
    pub fn parse(json: &[u8]) -> Result<Self, AttestError> {
        let invalid = |problem: String| AttestError::Statement { problem };
        let document: Document = parse_object(json).map_err(invalid)?;
        if document.kind != STATEMENT {
            let found = document.kind.escape_debug();
            return Err(invalid(format!(
                "its type is `{found}`, expected `{STATEMENT}`"
            )));
        }
        if document.subject.is_empty() {
            return Err(invalid("it has no subject".to_owned()));
        }
        let subjects = document.subject.into_iter().map(|subject| {
            let name = subject.name.unwrap_or_default();
            if subject.digest.is_empty() {
                let name = name.escape_debug();
                return Err(invalid(format!("its subject `{name}` has no digest")));
            }
            Ok(Subject {
                name,
                digests: subject.digest,
            })
        });
        Ok(Self {
            subjects: subjects.collect::<Result<_, _>>()?,
            predicate_type: document.predicate_type,
            predicate: document.predicate,
        })
    }

    /// Returns true if one of the subjects has this SHA-256.
    #[must_use]
    pub fn is_about(&self, sha256: Sha256) -> bool {
        let mut subjects = self.subjects.iter();
        subjects.any(|subject| subject.sha256() == Some(sha256))
    }

    /// Encodes the statement as JSON in one line with sorted keys, without a line break at its end.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        compact(self.to_value())
    }

    pub(super) fn to_value(&self) -> Value {
        let subjects = self.subjects.iter();
        let subjects =
            subjects.map(|subject| json!({ "name": subject.name, "digest": subject.digests }));
        json!({
            "_type": STATEMENT,
            "subject": subjects.collect::<Vec<_>>(),
            "predicateType": self.predicate_type,
            "predicate": self.predicate,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golang::h1::H1;
    use proptest::prelude::*;

    fn error(text: &str) -> String {
        Statement::parse(text.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn the_hash_of_a_module_is_that_of_the_specification() {
        // The example in `digest_set.md`.
        let h1: H1 = "h1:Khu2En+0gcYPZ2kuIihfswbzxv/mIHXgzPZ018Oty48="
            .parse()
            .unwrap();
        let hex = "2a1bb6127fb481c60f67692e22285fb306f3c6ffe62075e0ccf674d7c3adcb8f";
        let subject = Subject::with_h1("m", h1);
        assert_eq!(subject.digests["dirHash"], hex);
        assert_eq!(subject.h1(), Some(h1));
        let digests = BTreeMap::from([("dirHash1".to_owned(), hex.to_owned())]);
        let subject = Subject {
            name: String::new(),
            digests,
        };
        assert_eq!((subject.h1(), subject.sha256()), (Some(h1), None));
    }

    #[test]
    fn a_document_that_is_no_statement_is_refused() {
        let text = |kind: &str, subject: &str| {
            format!(r#"{{"_type":"{kind}","subject":{subject},"predicateType":"p"}}"#)
        };
        insta::assert_snapshot!(error("[]"), @"the document is not an in-toto statement: it is not a JSON object");
        insta::assert_snapshot!(error("{}"), @"the document is not an in-toto statement: missing field `_type` at line 1 column 2");
        insta::assert_snapshot!(error(&text("https://in-toto.io/Statement/v0.1", "[]")), @"the document is not an in-toto statement: its type is `https://in-toto.io/Statement/v0.1`, expected `https://in-toto.io/Statement/v1`");
        insta::assert_snapshot!(error(&text(STATEMENT, "[]")), @"the document is not an in-toto statement: it has no subject");
        insta::assert_snapshot!(error(&text(STATEMENT, r#"[{"name":"a","digest":{}}]"#)), @"the document is not an in-toto statement: its subject `a` has no digest");
        let whole = text(STATEMENT, r#"[{"digest":{"sha256":"00"},"uri":"u"}]"#);
        let statement = Statement::parse(whole.as_bytes()).unwrap();
        assert_eq!(statement.predicate, Value::Null);
        assert_eq!(statement.subjects[0].sha256(), None);
    }

    #[test]
    fn a_statement_is_about_the_digests_of_its_subjects() {
        let digest = |byte| Sha256([byte; 32]);
        let statement = Statement {
            subjects: vec![
                Subject::with_sha256("a", digest(1)),
                Subject::with_sha256("b", digest(2)),
            ],
            predicate_type: "p".to_owned(),
            predicate: json!({ "b": 1, "a": [] }),
        };
        assert!(statement.is_about(digest(2)) && !statement.is_about(digest(3)));
        assert_eq!(Statement::parse(&statement.to_json()).unwrap(), statement);
        let text = String::from_utf8(statement.to_json()).unwrap();
        assert!(text.contains(r#""predicate":{"a":[],"b":1}"#), "{text}");
    }

    proptest! {
        #[test]
        fn a_statement_reads_back(names in proptest::collection::vec((".{0,9}", "[a-z0-9]{1,9}", "[0-9a-f]{0,9}"), 1..4), predicate_type in ".{0,20}") {
            let subjects = names.into_iter().map(|(name, algorithm, digest)| Subject {
                name,
                digests: BTreeMap::from([(algorithm, digest)]),
            });
            let statement = Statement { subjects: subjects.collect(), predicate_type, predicate: json!({}) };
            prop_assert_eq!(Statement::parse(&statement.to_json()).unwrap(), statement);
        }

        #[test]
        fn any_text_is_a_statement_or_an_error(text in r#"(\{|\}|\[|\]|"_type"|"subject"|"digest"|"predicateType"|:|,|"https://in-toto.io/Statement/v1"){0,20}"#) {
            let _ = Statement::parse(text.as_bytes());
        }
    }
}
