//! DSSE envelopes: bytes of any type, and their signatures.
//!
//! Source of the format: the DSSE specification 1.0.2, `envelope.md` and `protocol.md`. The keys are
//! Ed25519 keys as in [`sign`](crate::sign).

use super::error::AttestError;
use super::json::{compact, parse_object};
use crate::sign::{self, Signature, SignatureStatus, SigningKey, sign_bytes};
use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

/// The payload type of an in-toto statement. Source: the in-toto attestation specification,
/// `spec/v1/envelope.md`.
pub const STATEMENT_TYPE: &str = "application/vnd.in-toto+json";

/// The engines for both alphabets of base64, with or without padding: a reader has to accept both.
const READERS: [GeneralPurpose; 2] = [
    GeneralPurpose::new(&alphabet::STANDARD, ANY_PADDING),
    GeneralPurpose::new(&alphabet::URL_SAFE, ANY_PADDING),
];
const ANY_PADDING: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);

/// A DSSE envelope. Its signatures are not verified until [`Envelope::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The media type of the payload.
    pub payload_type: String,
    /// The payload.
    pub payload: Vec<u8>,
    /// The signatures.
    pub signatures: Vec<EnvelopeSignature>,
}

/// A signature in an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeSignature {
    /// A hint to the key, which proves nothing; empty if there is none.
    pub keyid: String,
    /// The signature: 64 bytes if it is an Ed25519 signature.
    pub signature: Vec<u8>,
}

/// The JSON form. Unknown fields are ignored, as the specification demands.
#[derive(Deserialize)]
struct Document {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<SignatureDocument>,
}

#[derive(Deserialize)]
struct SignatureDocument {
    #[serde(default)]
    keyid: Option<String>,
    sig: String,
}

impl Envelope {
    /// The largest envelope that is read, in bytes.
    pub const MAX_SIZE: usize = 16 << 20;

    /// Parses an envelope of at most 16 MiB. Base64 may have either alphabet, standard or URL-safe.
    ///
    /// # Errors
    /// Returns an error if the document is too large or no envelope.
    pub fn parse(json: &[u8]) -> Result<Self, AttestError> {
        if json.len() > Self::MAX_SIZE {
            return Err(AttestError::TooLarge {
                found: json.len(),
                limit: Self::MAX_SIZE,
            });
        }
        let document: Document =
            parse_object(json).map_err(|problem| AttestError::Envelope { problem })?;
        let signatures = document.signatures.into_iter().map(|one| {
            Ok(EnvelopeSignature {
                keyid: one.keyid.unwrap_or_default(),
                signature: decode(&one.sig, "a signature")?,
            })
        });
        Ok(Self {
            payload_type: document.payload_type,
            payload: decode(&document.payload, "the payload")?,
            signatures: signatures.collect::<Result<_, AttestError>>()?,
        })
    }

    /// Signs a payload with Ed25519 keys. Without keys, the envelope has no signatures. Ed25519 is
    /// deterministic: the same payload and keys give the same envelope.
    ///
    /// # Errors
    /// Returns an error if a key is no Ed25519 key, or cannot be used.
    pub fn sign(
        payload_type: impl Into<String>,
        payload: Vec<u8>,
        keys: &[SigningKey],
    ) -> Result<Self, AttestError> {
        let payload_type = payload_type.into();
        let signed = pre_authentication(&payload_type, &payload);
        let mut signatures = Vec::new();
        for key in keys {
            let made = sign_bytes(&signed, key)?.ok_or_else(|| AttestError::Key {
                key: format!("{key:?}"),
            })?;
            signatures.push(EnvelopeSignature {
                keyid: key_id(&made.public),
                signature: made.signature.to_vec(),
            });
        }
        Ok(Self {
            payload_type,
            payload,
            signatures,
        })
    }

    /// Checks that the envelope has at least one valid signature by one of the Ed25519 public keys,
    /// in base64.
    ///
    /// # Errors
    /// Returns [`AttestError::Unsigned`] if it has no signatures, and [`AttestError::Refused`] if
    /// none is valid; also an error if a key is malformed, or there are more than 64 different
    /// signatures.
    pub fn verify(&self, keys: &[String]) -> Result<(), AttestError> {
        let found = self.signatures(keys)?;
        if found.is_empty() {
            return Err(AttestError::Unsigned);
        }
        match found.iter().any(|s| s.status == SignatureStatus::Valid) {
            true => Ok(()),
            false => Err(AttestError::Refused { found }),
        }
    }

    /// Verifies all signatures with Ed25519 public keys, in base64, and returns the result for each.
    /// Repeated signatures are verified once.
    ///
    /// # Errors
    /// Returns an error if a key is malformed, or there are more than 64 different signatures.
    pub fn signatures(&self, keys: &[String]) -> Result<Vec<Signature>, AttestError> {
        let signed = pre_authentication(&self.payload_type, &self.payload);
        let signatures = self.signatures.iter().map(|one| one.signature.clone());
        let signatures: Vec<Vec<u8>> = signatures.collect();
        Ok(sign::ed25519_signatures(&signed, &signatures, keys)?)
    }

    /// Encodes the envelope as JSON in one line, without a line break at its end.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let signatures = self.signatures.iter();
        let signatures = signatures
            .map(|one| json!({ "keyid": one.keyid, "sig": STANDARD.encode(&one.signature) }));
        compact(json!({
            "payload": STANDARD.encode(&self.payload),
            "payloadType": self.payload_type,
            "signatures": signatures.collect::<Vec<_>>(),
        }))
    }
}

fn decode(text: &str, what: &str) -> Result<Vec<u8>, AttestError> {
    let mut decoded = READERS.iter().map(|reader| reader.decode(text));
    decoded
        .find_map(Result::ok)
        .ok_or_else(|| AttestError::Envelope {
            problem: format!("{what} is not base64"),
        })
}

/// Returns the bytes that are signed. Source: `PAE` in `protocol.md` of DSSE.
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let (type_length, length) = (payload_type.len(), payload.len());
    let mut bytes = format!("DSSEv1 {type_length} {payload_type} {length} ").into_bytes();
    bytes.extend_from_slice(payload);
    bytes
}

/// Returns the ID of a public key as defined by the TUF specification, 4.2, which in-toto and
/// securesystemslib use: the SHA-256 of the key as canonical JSON.
fn key_id(public: &[u8; 32]) -> String {
    let public: String = public.iter().map(|byte| format!("{byte:02x}")).collect();
    let key = json!({
        "keytype": "ed25519",
        "keyval": { "public": public },
        "scheme": "ed25519",
    });
    let digest = Sha256::digest(compact(key));
    crate::id::Sha256(digest.into()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::ed25519_key_pair;
    use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE};
    use proptest::prelude::*;

    fn key(seed: u8) -> (SigningKey, String) {
        let (secret, public) = ed25519_key_pair(&[seed; 32]);
        (SigningKey::Ed25519 { secret }, public)
    }

    fn error(text: &str) -> String {
        Envelope::parse(text.as_bytes()).unwrap_err().to_string()
    }

    /// The example in `protocol.md` of DSSE.
    #[test]
    fn the_signed_bytes_are_those_of_the_specification() {
        assert_eq!(
            pre_authentication("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn both_alphabets_are_read_with_and_without_padding() {
        let payload = [0xfb, 0xff, 0xfe, 0x01];
        for text in [
            STANDARD.encode(payload),
            STANDARD_NO_PAD.encode(payload),
            URL_SAFE.encode(payload),
        ] {
            let json = format!(
                r#"{{"payload":"{text}","payloadType":"t","signatures":[{{"sig":""}},{{"keyid":null,"sig":"AA==","other":1}}],"x":{{}}}}"#
            );
            let envelope = Envelope::parse(json.as_bytes()).unwrap();
            assert_eq!(envelope.payload, payload);
            assert_eq!(envelope.signatures[1].signature, [0]);
        }
    }

    #[test]
    fn a_document_that_is_no_envelope_is_refused() {
        insta::assert_snapshot!(error(""), @"the document is not a DSSE envelope: EOF while parsing a value at line 1 column 0");
        insta::assert_snapshot!(error("{}"), @"the document is not a DSSE envelope: missing field `payload` at line 1 column 2");
        insta::assert_snapshot!(error(r#"{"payload":"a-/","payloadType":"","signatures":[]}"#), @"the document is not a DSSE envelope: the payload is not base64");
        insta::assert_snapshot!(error(r#"{"payload":"","payloadType":"","signatures":[{"sig":"!"}]}"#), @"the document is not a DSSE envelope: a signature is not base64");
        let large = vec![b' '; Envelope::MAX_SIZE + 1];
        insta::assert_snapshot!(Envelope::parse(&large).unwrap_err(), @"the envelope has 16777217 bytes, expected at most 16777216");
    }

    #[test]
    fn only_a_valid_signature_by_a_trusted_key_is_accepted() {
        let (one, public) = key(1);
        let (two, other) = key(2);
        let keys = [public.clone()];
        let envelope = Envelope::sign("t", b"payload".to_vec(), &[two, one.clone()]).unwrap();
        envelope.verify(&keys).unwrap();
        envelope.verify(std::slice::from_ref(&other)).unwrap();
        let only = Envelope::sign("t", b"payload".to_vec(), &[one]).unwrap();
        let refused = |envelope: &Envelope, keys: &[String]| {
            let error = envelope.verify(keys).unwrap_err();
            assert_eq!(error.kind(), crate::kind::ErrorKind::Mismatch);
            error.to_string()
        };
        insta::assert_snapshot!(refused(&only, &[other]), @"the envelope has no valid signature by a trusted key: ed25519 made by an unknown key");
        insta::assert_snapshot!(refused(&only, &[]), @"the envelope has no valid signature by a trusted key: ed25519 made by an unknown key");
        let mut changed = only.clone();
        changed.payload[0] ^= 1;
        refused(&changed, &keys);
        let mut changed = only.clone();
        changed.payload_type = "u".to_owned();
        refused(&changed, &keys);
        let mut unsigned = only;
        unsigned.signatures.clear();
        insta::assert_snapshot!(refused(&unsigned, &keys), @"the envelope is not signed");
    }

    #[test]
    fn a_gpg_key_cannot_sign() {
        let gpg = SigningKey::Gpg {
            id: "a@b".to_owned(),
            homedir: None,
        };
        let error = Envelope::sign("t", Vec::new(), &[gpg]).unwrap_err();
        insta::assert_snapshot!(error, @"the key Gpg(a@b) cannot sign an envelope, expected an Ed25519 key");
    }

    proptest! {
        #[test]
        fn an_envelope_reads_back(payload: Vec<u8>, payload_type in ".{0,20}", seed in 1..9_u8) {
            let (key, public) = key(seed);
            let envelope = Envelope::sign(payload_type, payload, &[key]).unwrap();
            let read = Envelope::parse(&envelope.to_json()).unwrap();
            prop_assert_eq!(&read, &envelope);
            prop_assert!(read.verify(&[public]).is_ok());
        }

        #[test]
        fn any_text_is_an_envelope_or_an_error(text in r#"(\{|\}|\[|\]|"payload(Type)?"|"signatures"|"sig"|:|,|"[A-Za-z_=/-]{0,4}"){0,20}"#) {
            let _ = Envelope::parse(text.as_bytes());
        }
    }
}
