//! Statements by which a key that is trusted introduces the next one, or withdraws an earlier one.
//!
//! The file `key-transitions.json` is beside `config` in a repository. Each statement is a JSON document
//! in a string, so that the signed bytes are unambiguous, and has the signatures of a file in the form
//! of `NAME.sig`.

use crate::clock::rfc3339;
use crate::sign::VerificationKey;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// The name of the file in a repository.
pub(crate) const FILE: &str = "key-transitions.json";
/// The maximum size of the file in bytes.
pub(crate) const MAX_SIZE: u64 = 1 << 20;
/// The type at the start of each statement. It is signed, so that a signature of something else is
/// never that of a statement.
const TYPE: &str = "ostree-go-key-transition/v1";
/// The maximum number of statements in a file.
const MAX_STATEMENTS: usize = 64;
/// The maximum number of repositories of a statement, and of keys that it removes.
const MAX_ITEMS: usize = 32;
/// The maximum length of a URL in bytes.
const MAX_URL: usize = 2048;

/// A statement about the keys of repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyTransition {
    /// Increases with every statement of a repository.
    pub sequence: u64,
    /// The URLs of the repositories that the statement is for.
    pub repositories: Vec<String>,
    /// The time from which the statement can be used, in seconds since 1970.
    pub created: u64,
    /// The time at which the statement expires, in seconds since 1970.
    pub expires: u64,
    /// The kind of all keys of the statement: `gpg` or `ed25519`.
    pub kind: String,
    /// The key that makes the statement: the fingerprint of a primary GPG key, or an Ed25519 public
    /// key in base64.
    pub signer: String,
    /// The key that is introduced. It succeeds the signer.
    pub adds: Option<AddedKey>,
    /// The keys that are not trusted any more.
    pub removes: Vec<String>,
}

/// A key that a statement introduces.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddedKey {
    /// The fingerprint of the primary GPG key, or an Ed25519 public key in base64.
    pub key: String,
    /// The public key in the binary format of OpenPGP; empty for an Ed25519 key.
    pub public: Vec<u8>,
}

/// The content of a statement as JSON.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    r#type: String,
    sequence: u64,
    repositories: Vec<String>,
    created: String,
    expires: String,
    kind: String,
    signer: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    adds: Option<AddedDocument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    removes: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct AddedDocument {
    key: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    public: String,
}

/// The file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    transitions: Vec<Signed>,
}

/// The text of a statement and its signatures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Signed {
    pub(crate) statement: String,
    pub(crate) signatures: String,
}

/// The file with statements, or one of them, is malformed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct InvalidTransitions {
    /// The reason.
    pub problem: String,
}

fn invalid<T>(problem: impl Into<String>) -> Result<T, InvalidTransitions> {
    Err(InvalidTransitions {
        problem: problem.into(),
    })
}

/// Parses the file. The signatures are not verified. The statements are in the order of their
/// sequence numbers.
pub(crate) fn parse_file(bytes: &[u8]) -> Result<Vec<(KeyTransition, Signed)>, InvalidTransitions> {
    if bytes.len() as u64 > MAX_SIZE {
        return invalid(format!("the file has more than {MAX_SIZE} bytes"));
    }
    let file: File = match serde_json::from_slice(bytes) {
        Ok(file) => file,
        Err(error) => return invalid(format!("the file is not in the expected format: {error}")),
    };
    if file.transitions.len() > MAX_STATEMENTS {
        let found = file.transitions.len();
        return invalid(format!(
            "there are {found} statements, expected at most {MAX_STATEMENTS}"
        ));
    }
    let mut found = Vec::new();
    for signed in file.transitions {
        let statement = KeyTransition::parse(&signed.statement)?;
        found.push((statement, signed));
    }
    found.sort_by_key(|(statement, _)| statement.sequence);
    let sequences = found.iter().map(|(statement, _)| statement.sequence);
    let mut pairs = sequences.clone().zip(sequences.skip(1));
    if let Some((sequence, _)) = pairs.find(|(one, next)| one == next) {
        return invalid(format!("there are two statements with sequence {sequence}"));
    }
    Ok(found)
}

/// Returns the text of the file.
pub(crate) fn file_text(transitions: Vec<Signed>) -> String {
    let file = File { transitions };
    // Strings and lists of strings can always be serialized.
    serde_json::to_string_pretty(&file).unwrap_or_default() + "\n"
}

impl KeyTransition {
    /// Parses a statement.
    ///
    /// # Errors
    /// Returns an error if it is malformed or has another type.
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidTransitions> {
        let document: Document = match serde_json::from_str(text) {
            Ok(document) => document,
            Err(error) => {
                return invalid(format!(
                    "a statement is not in the expected format: {error}"
                ));
            }
        };
        if document.r#type != TYPE {
            let found = document.r#type.escape_debug();
            return invalid(format!(
                "a statement is of type `{found}`, expected `{TYPE}`"
            ));
        }
        let sequence = document.sequence;
        let problem = |problem: String| InvalidTransitions {
            problem: format!("statement {sequence}: {problem}"),
        };
        let time = |text: &str| {
            let time = text.parse::<jiff::Timestamp>().ok();
            let seconds = time.and_then(|time| u64::try_from(time.as_second()).ok());
            seconds.ok_or_else(|| problem(format!("`{}` is not a time", text.escape_debug())))
        };
        let adds = match document.adds {
            None => None,
            Some(added) => Some(AddedKey {
                public: STANDARD
                    .decode(&added.public)
                    .map_err(|_| problem("the public key is not in base64".to_owned()))?,
                key: added.key,
            }),
        };
        let statement = Self {
            sequence,
            repositories: document.repositories,
            created: time(&document.created)?,
            expires: time(&document.expires)?,
            kind: document.kind,
            signer: document.signer,
            adds,
            removes: document.removes,
        };
        statement.check().map_err(problem)?;
        Ok(statement)
    }

    /// Checks that the statement is complete and does not contradict itself.
    pub(crate) fn check(&self) -> Result<(), String> {
        let is_gpg = match self.kind.as_str() {
            "gpg" => true,
            "ed25519" => false,
            other => return Err(format!("`{}` is not a kind of key", other.escape_debug())),
        };
        let is_key = |key: &str| match is_gpg {
            // Fingerprints of version 4 and 5 keys.
            true => {
                matches!(key.len(), 40 | 64)
                    && key.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'))
            }
            false => STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 32),
        };
        let added = self.adds.iter().map(|added| &added.key);
        let mut keys = added.chain(&self.removes).chain([&self.signer]);
        if let Some(other) = keys.find(|key| !is_key(key)) {
            let kind = &self.kind;
            return Err(format!("`{}` is not a {kind} key", other.escape_debug()));
        }
        let is_url = |url: &String| (1..=MAX_URL).contains(&url.len()) && url.contains("://");
        if self.repositories.is_empty() || !self.repositories.iter().all(is_url) {
            return Err("it does not list the URLs of repositories".to_owned());
        }
        // The file is public.
        if self.repositories.iter().any(|url| has_credentials(url)) {
            return Err("a URL contains a user name or a password".to_owned());
        }
        if self.repositories.len() > MAX_ITEMS || self.removes.len() > MAX_ITEMS {
            return Err(format!("a list has more than {MAX_ITEMS} items"));
        }
        if self.sequence == 0 || self.created >= self.expires {
            return Err("its sequence or its times are not valid".to_owned());
        }
        let signer = &self.signer;
        if self.removes.contains(signer)
            || self.adds.as_ref().is_some_and(|added| added.key == *signer)
        {
            return Err("it adds or removes the key that makes it".to_owned());
        }
        match &self.adds {
            None if self.removes.is_empty() => Err("it adds and removes no key".to_owned()),
            Some(added) if self.removes.contains(&added.key) => {
                Err("it adds and removes the same key".to_owned())
            }
            Some(added) if is_gpg == added.public.is_empty() => {
                Err("it does not contain the public key in the form of its kind".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Returns the JSON text.
    pub(crate) fn to_json(&self) -> String {
        let document = Document {
            r#type: TYPE.to_owned(),
            sequence: self.sequence,
            repositories: self.repositories.clone(),
            created: rfc3339(self.created),
            expires: rfc3339(self.expires),
            kind: self.kind.clone(),
            signer: self.signer.clone(),
            adds: self.adds.as_ref().map(|added| AddedDocument {
                key: added.key.clone(),
                public: STANDARD.encode(&added.public),
            }),
            removes: self.removes.clone(),
        };
        // Strings and numbers can always be serialized.
        serde_json::to_string(&document).unwrap_or_default()
    }
}

impl AddedKey {
    /// Returns the key that signatures are verified with; `None` if the public key is another one
    /// than the statement says.
    pub(crate) fn verification_key(&self) -> Option<VerificationKey> {
        let content = match self.public.is_empty() {
            true => self.key.as_bytes(),
            false => &self.public,
        };
        let key = VerificationKey::parse(content).ok()?;
        (key.id() == self.key).then_some(key)
    }
}

/// Returns whether a URL has a user name or a password before the name of the host.
fn has_credentials(url: &str) -> bool {
    let after_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = after_scheme.split(['/', '?', '#']).next();
    authority.is_some_and(|authority| authority.contains('@'))
}

/// Returns a URL in the form in which URLs of repositories are compared: without slashes at the end.
pub(crate) fn comparable(url: &str) -> &str {
    url.trim_end_matches('/')
}

/// Parses a file with statements. Each statement is written as it was read.
#[cfg(feature = "fuzzing")]
pub fn key_transitions(bytes: &[u8]) {
    for (statement, _) in parse_file(bytes).unwrap_or_default() {
        assert_eq!(KeyTransition::parse(&statement.to_json()), Ok(statement));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OLD: &str = "00112233445566778899AABBCCDDEEFF00112233";
    const NEW: &str = "FF112233445566778899AABBCCDDEEFF00112233";

    fn statement() -> KeyTransition {
        KeyTransition {
            sequence: 7,
            repositories: vec!["https://sdk.example.com/repo".to_owned()],
            created: 1_780_000_000,
            expires: 1_790_000_000,
            kind: "gpg".to_owned(),
            signer: OLD.to_owned(),
            adds: Some(AddedKey {
                key: NEW.to_owned(),
                public: b"key".to_vec(),
            }),
            removes: Vec::new(),
        }
    }

    fn problem(change: impl FnOnce(&mut KeyTransition)) -> String {
        let mut changed = statement();
        change(&mut changed);
        KeyTransition::parse(&changed.to_json())
            .unwrap_err()
            .problem
    }

    #[test]
    fn the_text_of_a_statement_is_fixed() {
        let text = statement().to_json();
        assert_eq!(
            text,
            format!(
                r#"{{"type":"ostree-go-key-transition/v1","sequence":7,"repositories":["https://sdk.example.com/repo"],"created":"2026-05-28T20:26:40Z","expires":"2026-09-21T14:13:20Z","kind":"gpg","signer":"{OLD}","adds":{{"key":"{NEW}","public":"a2V5"}}}}"#
            )
        );
        assert_eq!(KeyTransition::parse(&text), Ok(statement()));
    }

    #[test]
    fn a_statement_that_contradicts_itself_is_malformed() {
        let cases = [
            problem(|s| s.sequence = 0),
            problem(|s| s.expires = s.created),
            problem(|s| s.repositories.clear()),
            problem(|s| s.repositories = vec!["x".to_owned()]),
            problem(|s| s.repositories = vec!["https://user:secret@x/repo".to_owned()]),
            problem(|s| s.kind = "rsa".to_owned()),
            problem(|s| s.signer = "0D".to_owned()),
            problem(|s| s.adds = None),
            problem(|s| s.removes = vec![OLD.to_owned()]),
            problem(|s| s.removes = vec![NEW.to_owned()]),
            problem(|s| s.adds.as_mut().unwrap().public.clear()),
            problem(|s| s.removes = vec![NEW.replace('F', "0"); 33]),
        ];
        let expected = [
            "statement 0: its sequence or its times are not valid",
            "statement 7: its sequence or its times are not valid",
            "statement 7: it does not list the URLs of repositories",
            "statement 7: it does not list the URLs of repositories",
            "statement 7: a URL contains a user name or a password",
            "statement 7: `rsa` is not a kind of key",
            "statement 7: `0D` is not a gpg key",
            "statement 7: it adds and removes no key",
            "statement 7: it adds or removes the key that makes it",
            "statement 7: it adds and removes the same key",
            "statement 7: it does not contain the public key in the form of its kind",
            "statement 7: a list has more than 32 items",
        ];
        assert_eq!(cases, expected);
    }

    #[test]
    fn files_are_limited() {
        let signed = Signed {
            statement: statement().to_json(),
            signatures: String::new(),
        };
        let text = file_text(vec![signed.clone()]);
        assert_eq!(
            parse_file(text.as_bytes()),
            Ok(vec![(statement(), signed.clone())])
        );
        let problem = |bytes: &[u8]| parse_file(bytes).unwrap_err().problem;
        assert_eq!(
            problem(file_text(vec![signed.clone(); 2]).as_bytes()),
            "there are two statements with sequence 7"
        );
        assert_eq!(
            problem(file_text(vec![signed; 65]).as_bytes()),
            "there are 65 statements, expected at most 64"
        );
        assert_eq!(
            problem(&vec![b' '; (1 << 20) + 1]),
            "the file has more than 1048576 bytes"
        );
        for end in [0, 1, text.len() / 2, text.len() - 3] {
            let problem = problem(&text.as_bytes()[..end]);
            assert!(
                problem.starts_with("the file is not in the expected format: "),
                "{problem}"
            );
        }
        let other = text.replace("transition/v1", "transition/v2");
        assert_eq!(
            problem(other.as_bytes()),
            "a statement is of type `ostree-go-key-transition/v2`, expected `ostree-go-key-transition/v1`"
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_parsed(bytes: Vec<u8>) {
            let _ = parse_file(&bytes);
        }

        #[test]
        fn statements_are_read_as_written(
            sequence in 1u64.., created in 0u64..9_000_000_000, lifetime in 1u64..9_000_000_000,
            public in prop::collection::vec(any::<u8>(), 1..100), removes in prop::collection::vec("[0-9A-E]{40}", 0..3),
        ) {
            let mut made = statement();
            (made.sequence, made.created, made.expires) = (sequence, created, created + lifetime);
            made.removes = removes;
            made.removes.retain(|key| key != OLD);
            made.adds.as_mut().unwrap().public = public;
            prop_assert_eq!(KeyTransition::parse(&made.to_json()), Ok(made));
        }
    }
}
