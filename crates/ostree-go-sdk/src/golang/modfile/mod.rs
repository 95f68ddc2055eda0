//! `go.mod` and `go.work` files, as far as they decide which Go is used.
//!
//! Directives that this module does not know are accepted, so that a file that needs a newer Go than
//! this library knows can still say so.
//!
//! Source of the rules: `golang.org/x/mod/modfile`, `rule.go` and `work.go`.

mod error;
mod lexer;
mod string;
mod syntax;
#[cfg(test)]
mod tests;

pub use error::{ModFileError, Problem};

use super::release_number::ReleaseNumber;
use string::unquote;
use syntax::Directive;

/// The name in a `toolchain` line that stands for the toolchain that the user has configured.
pub const DEFAULT_TOOLCHAIN: &str = "default";

/// A `go.mod` file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoMod {
    /// The `go` line, with a version such as `1.26` or `1.26.5`.
    pub go: Option<Value>,
    /// The `toolchain` line, with a name such as `go1.26.5`, or `default`.
    pub toolchain: Option<Value>,
}

/// A `go.work` file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GoWork {
    /// The `go` line.
    pub go: Option<Value>,
    /// The `toolchain` line.
    pub toolchain: Option<Value>,
    /// The directories of modules in `use` lines, in their order. They are relative to the directory
    /// of the file, or absolute.
    pub uses: Vec<Value>,
}

/// The argument of a directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The argument, without quotes.
    pub text: String,
    /// The number of the line, from 1.
    pub line: usize,
}

impl GoMod {
    /// Parses a file. Bytes that are not UTF-8 are accepted where Go accepts them.
    ///
    /// # Errors
    /// Returns an error with the line if the syntax is wrong, or a `go` or `toolchain` line is
    /// repeated or names no version.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModFileError> {
        let file = GoWork::parse_lines(bytes, false)?;
        Ok(Self {
            go: file.go,
            toolchain: file.toolchain,
        })
    }
}

impl GoWork {
    /// Parses a file. Bytes that are not UTF-8 are accepted where Go accepts them.
    ///
    /// # Errors
    /// Returns an error with the line if the syntax is wrong, a `go` or `toolchain` line is repeated
    /// or names no version, or a `use` line is malformed.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModFileError> {
        Self::parse_lines(bytes, true)
    }

    fn parse_lines(bytes: &[u8], is_workspace: bool) -> Result<Self, ModFileError> {
        let text = String::from_utf8_lossy(bytes);
        let mut file = Self::default();
        for directive in syntax::parse(&text)? {
            let parsed = match directive.verb {
                "go" => version(&directive, "go", &mut file.go),
                "toolchain" => version(&directive, "toolchain", &mut file.toolchain),
                "use" if is_workspace => argument(&directive, "use").and_then(|text| {
                    let text = unquote(text)?;
                    let line = directive.line;
                    file.uses.push(Value { text, line });
                    Ok(())
                }),
                _ => Ok(()),
            };
            parsed.map_err(|problem| ModFileError {
                line: directive.line,
                problem,
            })?;
        }
        Ok(file)
    }
}

/// Reads a directive that may occur once and names a version.
fn version(
    directive: &Directive<'_>,
    verb: &'static str,
    value: &mut Option<Value>,
) -> Result<(), Problem> {
    if directive.is_in_block {
        return Err(Problem::Block { verb });
    }
    if value.is_some() {
        return Err(Problem::Repeated { verb });
    }
    let found = argument(directive, verb)?;
    let text = found.to_owned();
    match verb {
        "go" if ReleaseNumber::of_go_line(found).is_none() => {
            return Err(Problem::GoVersion { found: text });
        }
        "toolchain" if !is_toolchain(found) => return Err(Problem::Toolchain { found: text }),
        _ => {}
    }
    *value = Some(Value {
        text,
        line: directive.line,
    });
    Ok(())
}

fn argument<'a>(directive: &Directive<'a>, verb: &'static str) -> Result<&'a str, Problem> {
    match directive.arguments.as_slice() {
        [one] => Ok(one),
        other => Err(Problem::Arguments {
            verb,
            found: other.len(),
        }),
    }
}

/// Returns true for the names that Go accepts in a `toolchain` line. Source: `ToolchainRE`, and
/// `gover.FromToolchain`.
fn is_toolchain(name: &str) -> bool {
    let version = name.strip_prefix("go");
    let is_version = version.is_some_and(|version| {
        (version == "1" || version.starts_with("1."))
            && !name.contains(['/', '\\'])
            && ReleaseNumber::of_version(version).is_some()
    });
    name == DEFAULT_TOOLCHAIN || is_version
}
