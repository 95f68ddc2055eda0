//! Strings in `go.mod` and `go.work` files.

use super::error::Problem;

/// Returns the value of a word or of a string in double quotes. Raw strings are reserved, as in Go.
///
/// Source: `parseString` in `golang.org/x/mod/modfile`, and `strconv.Unquote`.
pub(super) fn unquote(token: &str) -> Result<String, Problem> {
    let invalid = || Problem::String {
        found: token.to_owned(),
    };
    let Some(inner) = token.strip_prefix('"') else {
        let has_quote = token.contains(['"', '\'', '`']);
        return if has_quote {
            Err(invalid())
        } else {
            Ok(token.to_owned())
        };
    };
    let inner = inner.strip_suffix('"').ok_or_else(invalid)?;
    let bytes = unescape(inner).ok_or_else(invalid)?;
    String::from_utf8(bytes).map_err(|_| invalid())
}

/// Returns the value of a string in double quotes, which are not part of `inner`; `None` if it is not
/// valid. The value may have any bytes.
///
/// Source: `strconv.Unquote`.
pub(in crate::golang) fn unescape(inner: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(first) = rest.chars().next() {
        rest = &rest[first.len_utf8()..];
        match first {
            '\\' => rest = escape(rest, &mut bytes)?,
            '"' => return None,
            other => bytes.extend_from_slice(other.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    Some(bytes)
}

/// Appends the value of an escape sequence, without its backslash, and returns what follows it.
fn escape<'a>(text: &'a str, bytes: &mut Vec<u8>) -> Option<&'a str> {
    let first = text.chars().next()?;
    let rest = &text[first.len_utf8()..];
    let digits = match first {
        'x' => 2,
        'u' => 4,
        'U' => 8,
        '0'..='7' => {
            let value = u32::from_str_radix(text.get(..3)?, 8).ok()?;
            bytes.push(u8::try_from(value).ok()?);
            return text.get(3..);
        }
        _ => {
            bytes.push(match first {
                'a' => 7,
                'b' => 8,
                'f' => 12,
                'n' => b'\n',
                'r' => b'\r',
                't' => b'\t',
                'v' => 11,
                '\\' => b'\\',
                '"' => b'"',
                _ => return None,
            });
            return Some(rest);
        }
    };
    let hex = rest.get(..digits)?;
    // `from_str_radix` would accept a sign.
    let is_hex = hex.bytes().all(|byte| byte.is_ascii_hexdigit());
    let value = u32::from_str_radix(hex, 16).ok().filter(|_| is_hex)?;
    if first == 'x' {
        bytes.push(u8::try_from(value).ok()?);
    } else {
        let character = char::from_u32(value)?;
        bytes.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
    }
    rest.get(digits..)
}
