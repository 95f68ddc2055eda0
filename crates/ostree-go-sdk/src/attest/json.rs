//! Parsing and encoding of JSON documents.

use serde::de::DeserializeOwned;
use serde_json::Value;

/// Parses an object. The problem is part of an error message.
pub(super) fn parse_object<T: DeserializeOwned>(json: &[u8]) -> Result<T, String> {
    // The parser of a struct accepts an array with the values of its fields as well.
    if json
        .trim_ascii_start()
        .first()
        .is_some_and(|byte| *byte != b'{')
    {
        return Err("it is not a JSON object".to_owned());
    }
    serde_json::from_slice(json).map_err(|error| error.to_string())
}

/// Encodes a document in one line with sorted keys, so that equal documents have equal bytes
/// regardless of the features that `serde_json` is compiled with.
pub(super) fn compact(mut document: Value) -> Vec<u8> {
    document.sort_all_objects();
    document.to_string().into_bytes()
}

/// Encodes a document for people with sorted keys, indented by two spaces.
pub(super) fn indented(mut document: Value) -> Vec<u8> {
    document.sort_all_objects();
    format!("{document:#}").into_bytes()
}
