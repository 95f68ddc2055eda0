//! The `module` line of a `go.mod` file.

use super::error::{ModFileError, Problem};
use super::string::unquote;
use super::{Value, argument, syntax};

/// Returns the path in the `module` line of a `go.mod` file; `None` if there is no such line.
///
/// # Errors
/// Returns an error with the line if the syntax is wrong, or the line is repeated or names no path.
pub(crate) fn module_path(bytes: &[u8]) -> Result<Option<Value>, ModFileError> {
    let text = String::from_utf8_lossy(bytes);
    let mut found: Option<Value> = None;
    for directive in syntax::parse(&text)? {
        if directive.verb != "module" {
            continue;
        }
        let line = directive.line;
        let value = match found {
            Some(_) => Err(Problem::Repeated { verb: "module" }),
            None => argument(&directive, "module").and_then(unquote),
        };
        let text = value.map_err(|problem| ModFileError { line, problem })?;
        found = Some(Value { text, line });
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_module() {
        for (text, path) in [
            ("module example.com/a\n", Some("example.com/a")),
            (
                "// x\nmodule \"example.com/a\" // y\ngo 1.26\n",
                Some("example.com/a"),
            ),
            ("module (\n\texample.com/a\n)\n", Some("example.com/a")),
            ("go 1.26\n", None),
        ] {
            let found = module_path(text.as_bytes()).unwrap();
            assert_eq!(found.map(|value| value.text).as_deref(), path, "{text}");
        }
        for (text, message) in [
            ("module a\nmodule b\n", "line 2: second `module` line"),
            (
                "module a b\n",
                "line 1: `module` has 2 arguments, expected one",
            ),
        ] {
            let error = module_path(text.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
