//! The forms of values in the state file.

/// Serialization of values as their text form.
pub(super) mod text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::fmt::Display;
    use std::str::FromStr;

    pub(in crate::deploy) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_str(value)
    }

    pub(in crate::deploy) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// Serialization of a selection of std caches as a list of words.
pub(super) mod selection {
    use crate::deploy::selection::StdCacheSelection;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(in crate::deploy) fn serialize<S: Serializer>(
        selection: &StdCacheSelection,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        selection.words().serialize(serializer)
    }

    pub(in crate::deploy) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<StdCacheSelection, D::Error> {
        let words = Vec::<String>::deserialize(deserializer)?;
        Ok(StdCacheSelection::from_words(&words))
    }
}

/// Serialization of a proof.
pub(super) mod proof {
    use crate::sign::{Proof, Signature, SignatureStatus};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    struct Record {
        remote: String,
        unsigned: bool,
        verified_at: u64,
        signatures: Vec<SignatureRecord>,
    }

    #[derive(Serialize, Deserialize)]
    struct SignatureRecord {
        status: String,
        kind: String,
        key: String,
        primary_key: Option<String>,
        user: Option<String>,
        created: Option<u64>,
        expires: Option<u64>,
        key_expires: Option<u64>,
    }

    pub(in crate::deploy) fn serialize<S: Serializer>(
        proof: &Proof,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let signatures = proof.signatures.iter().map(|s| SignatureRecord {
            status: s.status.as_str().to_owned(),
            kind: s.kind.to_owned(),
            key: s.key.clone(),
            primary_key: s.primary_key.clone(),
            user: s.user.clone(),
            created: s.created,
            expires: s.expires,
            key_expires: s.key_expires,
        });
        let record = Record {
            remote: proof.remote.clone(),
            unsigned: proof.unsigned,
            verified_at: proof.at,
            signatures: signatures.collect(),
        };
        record.serialize(serializer)
    }

    pub(in crate::deploy) fn deserialize<'de, D: Deserializer<'de>>(
        de: D,
    ) -> Result<Proof, D::Error> {
        let record = Record::deserialize(de)?;
        let signatures = record.signatures.into_iter().map(|s| Signature {
            status: status(&s.status),
            kind: if s.kind == "ed25519" {
                "ed25519"
            } else {
                "gpg"
            },
            key: s.key,
            primary_key: s.primary_key,
            user: s.user,
            created: s.created,
            expires: s.expires,
            key_expires: s.key_expires,
        });
        Ok(Proof {
            signatures: signatures.collect(),
            remote: record.remote,
            unsigned: record.unsigned,
            at: record.verified_at,
        })
    }

    /// Parses a signature status. An unknown word counts as a bad signature.
    fn status(word: &str) -> SignatureStatus {
        use SignatureStatus as S;
        [
            S::Valid,
            S::UnknownKey,
            S::KeyExpired,
            S::KeyRevoked,
            S::Expired,
            S::Malformed,
        ]
        .into_iter()
        .find(|status| status.as_str() == word)
        .unwrap_or(S::Bad)
    }
}
