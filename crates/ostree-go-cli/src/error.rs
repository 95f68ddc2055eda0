//! Errors of the command: message, cause, hint and exit code.

use crate::hint::{kind_hint, library_hint};
use ostree_go_sdk::{Error, ErrorKind};
use std::io;
use std::path::{Path, PathBuf};

/// Error of a command.
#[derive(Debug)]
pub enum CliError {
    /// An error of the library.
    Library(Error),
    /// An error of the library during a deployment. The active SDK is unchanged.
    NotDeployed {
        error: Box<Error>,
        active: Option<String>,
    },
    /// A workspace differs from its lock. The differences were printed.
    Drift { count: usize },
    /// Invalid arguments.
    Usage {
        message: String,
        hint: Option<String>,
    },
    /// A file that was named on the command line cannot be read or written.
    File {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Writing to standard output failed.
    Output(io::Error),
}

impl<E: Into<Error>> From<E> for CliError {
    fn from(error: E) -> Self {
        Self::Library(error.into())
    }
}

impl CliError {
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: None,
        }
    }

    /// Returns the error for a format that the verb does not have.
    pub fn no_such_format(format: &str) -> Self {
        Self::Usage {
            message: format!("the result has no format `{format}`"),
            hint: Some(
                "`workspace check` has it; use --format human or --format json here".to_owned(),
            ),
        }
    }

    /// Returns a conversion for errors of a file. The message is `cannot ACTION PATH`.
    pub fn file(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            action,
            path: path.clone(),
            source,
        }
    }

    /// Converts an error of clap: its first paragraph becomes the message, and its tip the hint.
    pub fn of_arguments(error: &clap::Error) -> Self {
        let text = error.to_string();
        let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
        // An option that does not exist is a mistake, never a value.
        let tips = rest
            .lines()
            .filter_map(|line| line.trim().strip_prefix("tip: "));
        let tip = tips.into_iter().find(|tip| !tip.starts_with("to pass "));
        let usage = rest.lines().find_map(|line| line.strip_prefix("Usage: "));
        let is_option = error.kind() == clap::error::ErrorKind::UnknownArgument
            && message.contains("argument '-");
        let hint = match (tip, usage) {
            (Some(tip), _) => tip.to_owned(),
            (None, Some(usage)) if is_option => {
                let words = usage.split(' ');
                let verb = words.take_while(|word| !word.starts_with(['-', '[', '<']));
                format!(
                    "`{} --help` lists the options",
                    verb.collect::<Vec<_>>().join(" ")
                )
            }
            (None, Some(usage)) => format!("usage: {usage}"),
            (None, None) => "`--help` lists the allowed arguments".to_owned(),
        };
        Self::Usage {
            message: one_line(message.strip_prefix("error: ").unwrap_or(message)),
            hint: Some(hint),
        }
    }

    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Library(error) => error.kind(),
            Self::NotDeployed { error, .. } => error.kind(),
            Self::Drift { .. } => ErrorKind::Damaged,
            Self::Usage { .. } => ErrorKind::InvalidInput,
            Self::File { source, .. } | Self::Output(source) => ErrorKind::of_io(source),
        }
    }

    /// Returns the exit code: 1 failure, 2 usage error, 3 verification failed, 4 drift,
    /// 75 temporary failure, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => 2,
            Self::Drift { .. } => 4,
            _ => match self.kind() {
                ErrorKind::Mismatch => 3,
                ErrorKind::Cancelled => 130,
                kind if kind.is_temporary() => 75,
                _ => 1,
            },
        }
    }

    /// Returns the message, in one line.
    pub fn message(&self) -> String {
        match self {
            Self::Library(error) => error.to_string(),
            Self::NotDeployed { error, .. } => error.to_string(),
            Self::Drift { count: 1 } => {
                "the workspace differs from its lock in one place".to_owned()
            }
            Self::Drift { count } => {
                format!("the workspace differs from its lock in {count} places")
            }
            Self::Usage { message, .. } => message.clone(),
            Self::File { action, path, .. } => format!("cannot {action} {}", path.display()),
            Self::Output(_) => "cannot write to standard output".to_owned(),
        }
    }

    /// Returns the causes, in one line, if there are any.
    pub fn cause(&self) -> Option<String> {
        let mut source: Option<&dyn std::error::Error> = match self {
            Self::Library(error) => std::error::Error::source(error),
            Self::NotDeployed { error, .. } => std::error::Error::source(&**error),
            Self::Usage { .. } | Self::Drift { .. } => None,
            Self::File { source, .. } | Self::Output(source) => Some(source),
        };
        let mut causes: Vec<String> = Vec::new();
        while let Some(error) = source {
            let text = one_line(&error.to_string());
            // The text of a wrapper often contains the text of the error that it wraps.
            if !causes.last().is_some_and(|last| last.contains(&text)) {
                causes.push(text);
            }
            source = error.source();
        }
        (!causes.is_empty()).then(|| causes.join(": "))
    }

    /// Returns a suggestion for the user, if there is one.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Usage { hint, .. } => hint.clone(),
            Self::Drift { .. } => Some(
                "nothing was run; undo the changes, or accept them with `ostree-go workspace lock`"
                    .to_owned(),
            ),
            Self::Library(error) => library_hint(error),
            Self::NotDeployed { error, active } => {
                let stays = match active {
                    Some(version) => format!("nothing was deployed; go {version} stays active"),
                    None => "nothing was deployed".to_owned(),
                };
                let more = library_hint(error).or_else(|| kind_hint(error.kind()));
                Some(more.map_or(stays.clone(), |more| format!("{stays}; {more}")))
            }
            Self::File { .. } | Self::Output(_) => None,
        }
        .or_else(|| kind_hint(self.kind()))
    }
}

fn one_line(text: &str) -> String {
    text.split('\n')
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
}
