//! The lines and blocks of `go.mod` and `go.work` files, without the meaning of the directives.
//!
//! Source: `golang.org/x/mod/modfile`, `read.go`.

use super::error::{ModFileError, Problem};
use super::lexer::{Kind, Token, tokens};

/// A directive: a line, or a line of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive<'a> {
    /// The first word of the line, or of the block that it is in.
    pub(super) verb: &'a str,
    /// The other tokens, as they are in the file.
    pub(super) arguments: Vec<&'a str>,
    /// The text of the comment that ends the line, without `//`; empty if there is none.
    pub(super) comment: &'a str,
    /// The number of the line, from 1.
    pub(super) line: usize,
    /// The numbers of the first and of the last line: those of the block if the line is in one.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) is_in_block: bool,
}

/// Parses a file.
pub(super) fn parse(text: &str) -> Result<Vec<Directive<'_>>, ModFileError> {
    let tokens = tokens(text)?;
    let mut parser = Parser {
        tokens: &tokens,
        directives: Vec::new(),
    };
    while let Some(first) = parser.next() {
        if first.kind != Kind::EndOfLine {
            parser.statement(first)?;
        }
    }
    Ok(parser.directives)
}

struct Parser<'t, 'a> {
    tokens: &'t [Token<'a>],
    directives: Vec<Directive<'a>>,
}

impl<'a> Parser<'_, 'a> {
    fn next(&mut self) -> Option<Token<'a>> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(*first)
    }

    fn kind(&self, at: usize) -> Kind {
        self.tokens
            .get(at)
            .map_or(Kind::EndOfLine, |token| token.kind)
    }

    /// Parses a line, or a block that starts on this line.
    fn statement(&mut self, first: Token<'a>) -> Result<(), ModFileError> {
        let mut arguments = Vec::new();
        let mut comment = "";
        while let Some(token) = self.next() {
            match token.kind {
                Kind::EndOfLine => {
                    comment = token.text;
                    break;
                }
                // Otherwise, the parenthesis is part of a line.
                Kind::Open if self.kind(0) == Kind::EndOfLine => {
                    return self.block(first, &arguments);
                }
                Kind::Open if self.kind(0) == Kind::Close && self.kind(1) == Kind::EndOfLine => {
                    self.next();
                    return Ok(());
                }
                _ => arguments.push(token.text),
            }
        }
        self.directives.push(Directive {
            verb: first.text,
            arguments,
            comment,
            line: first.line,
            start: first.line,
            end: first.line,
            is_in_block: false,
        });
        Ok(())
    }

    /// Parses the lines of a block. Blocks with more than one word before the parenthesis have no
    /// meaning, and their lines are dropped.
    fn block(&mut self, verb: Token<'a>, more: &[&str]) -> Result<(), ModFileError> {
        let first = self.directives.len();
        while let Some(token) = self.next() {
            match token.kind {
                Kind::EndOfLine => {}
                Kind::Close => {
                    for directive in self.directives.iter_mut().skip(first) {
                        directive.end = token.line;
                    }
                    let after = self.next();
                    return match after.filter(|after| after.kind != Kind::EndOfLine) {
                        None => Ok(()),
                        Some(after) => Err(ModFileError {
                            line: after.line,
                            problem: Problem::AfterBlock {
                                found: after.text.to_owned(),
                            },
                        }),
                    };
                }
                Kind::Text | Kind::Open => {
                    let mut arguments = vec![token.text];
                    let mut comment = "";
                    while let Some(next) = self.next() {
                        if next.kind == Kind::EndOfLine {
                            comment = next.text;
                            break;
                        }
                        arguments.push(next.text);
                    }
                    if more.is_empty() {
                        self.directives.push(Directive {
                            verb: verb.text,
                            arguments,
                            comment,
                            line: token.line,
                            start: verb.line,
                            end: token.line,
                            is_in_block: true,
                        });
                    }
                }
            }
        }
        Err(ModFileError {
            line: verb.line,
            problem: Problem::UnterminatedBlock,
        })
    }
}
