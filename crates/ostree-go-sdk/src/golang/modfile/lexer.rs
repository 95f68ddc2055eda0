//! The tokens of `go.mod` and `go.work` files.
//!
//! Source: `golang.org/x/mod/modfile`, `read.go`. A comment is part of the end of its line.

use super::error::{ModFileError, Problem};

/// A token, with the number of its line from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    /// The text as it is in the file, with the quotes of a string. At the end of a line, the text of
    /// its comment without `//`; empty if there is none.
    pub(super) text: &'a str,
    pub(super) line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word, a string, or punctuation that has no meaning of its own: `[`, `]`, `{`, `}` and `,`.
    Text,
    /// `(`
    Open,
    /// `)`
    Close,
    /// The end of a line or of the file.
    EndOfLine,
}

/// Splits a file into tokens. The last one is always the end of a line.
pub(super) fn tokens(text: &str) -> Result<Vec<Token<'_>>, ModFileError> {
    let mut lexer = Lexer {
        rest: text,
        line: 1,
        comment: "",
    };
    let mut tokens = Vec::new();
    while let Some(token) = lexer.next()? {
        tokens.push(token);
    }
    tokens.push(Token {
        kind: Kind::EndOfLine,
        text: lexer.comment,
        line: lexer.line,
    });
    Ok(tokens)
}

struct Lexer<'a> {
    rest: &'a str,
    line: usize,
    /// The comment before the next token, without `//`.
    comment: &'a str,
}

impl<'a> Lexer<'a> {
    fn next(&mut self) -> Result<Option<Token<'a>>, ModFileError> {
        self.rest = self.rest.trim_start_matches([' ', '\t', '\r']);
        self.comment = "";
        if let Some(comment) = self.rest.strip_prefix("//") {
            let end = comment.find('\n').unwrap_or(comment.len());
            (self.comment, self.rest) = comment.split_at(end);
        }
        let Some(first) = self.rest.chars().next() else {
            return Ok(None);
        };
        let token = match first {
            '\n' => {
                let token = self.take(1, Kind::EndOfLine);
                self.line += 1;
                Token {
                    text: self.comment,
                    ..token
                }
            }
            '(' => self.take(1, Kind::Open),
            ')' => self.take(1, Kind::Close),
            '[' | ']' | '{' | '}' | ',' => self.take(1, Kind::Text),
            '"' | '`' => {
                let end = self.end_of_string(first)?;
                self.take(end, Kind::Text)
            }
            _ => {
                let end = self.end_of_word()?;
                self.take(end, Kind::Text)
            }
        };
        Ok(Some(token))
    }

    fn take(&mut self, length: usize, kind: Kind) -> Token<'a> {
        let (text, rest) = self.rest.split_at(length);
        self.rest = rest;
        Token {
            kind,
            text,
            line: self.line,
        }
    }

    fn end_of_string(&self, quote: char) -> Result<usize, ModFileError> {
        let mut chars = self.rest.char_indices().skip(1);
        while let Some((at, found)) = chars.next() {
            match found {
                '\n' => break,
                _ if found == quote => return Ok(at + 1),
                // The escaped character may be the quote. An escaped line break is refused here;
                // Go refuses it when it interprets the string.
                '\\' if quote == '"' && chars.next().is_some_and(|(_, next)| next == '\n') => break,
                _ => {}
            }
        }
        Err(self.error(Problem::UnterminatedString))
    }

    fn end_of_word(&self) -> Result<usize, ModFileError> {
        let mut end = 0;
        for (at, found) in self.rest.char_indices() {
            let rest = &self.rest[at..];
            if rest.starts_with("/*") {
                return Err(self.error(Problem::BlockComment));
            }
            if !is_word(found) || rest.starts_with("//") {
                break;
            }
            end = at + found.len_utf8();
        }
        if end == 0 {
            let found = self.rest.chars().next().unwrap_or_default();
            return Err(self.error(Problem::Character { found }));
        }
        Ok(end)
    }

    fn error(&self, problem: Problem) -> ModFileError {
        ModFileError {
            line: self.line,
            problem,
        }
    }
}

/// Returns true for the characters of words (`isIdent`). Go also refuses characters that Unicode calls
/// not printable; of these, only control characters and byte order marks occur in files.
fn is_word(c: char) -> bool {
    let is_punctuation = matches!(c, '(' | ')' | '[' | ']' | '{' | '}' | ',');
    !is_punctuation && !c.is_whitespace() && !c.is_control() && c != '\u{feff}'
}
