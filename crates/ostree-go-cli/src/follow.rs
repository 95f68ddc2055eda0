//! Messages about the keys of remotes that follow their publisher's key transitions.

use crate::context::Context;
use crate::error::CliError;
use ostree_go_sdk::http::HttpOptions;
use ostree_go_sdk::remote::{self, Followed, RemoteError};
use ostree_go_sdk::{ErrorKind, Repo, SystemClock};

/// Follows the keys of a remote, if it is configured for it, and prints what was done. A failure is only
/// a warning: the commits are verified with the keys that are trusted already.
pub fn follow_keys(
    context: &Context,
    repo: &Repo,
    name: &str,
    http: &HttpOptions,
) -> Result<(), CliError> {
    if !remote::follows_keys(repo, name)? {
        return Ok(());
    }
    let progress = context.progress();
    let followed = remote::follow_keys(repo, name, http, &SystemClock, &*progress);
    print(context, name, followed)
}

/// Prints the result of following the keys of a remote.
pub fn print(
    context: &Context,
    name: &str,
    followed: Result<Followed, RemoteError>,
) -> Result<(), CliError> {
    match followed {
        Ok(followed) => print_followed(context, name, &followed),
        Err(error) if error.kind() == ErrorKind::Cancelled => return Err(error.into()),
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                text.push_str(&format!(": {error}"));
                cause = error.source();
            }
            context.say(&format!(
                "warning: the keys of remote {name} stay as they are: {text}"
            ));
        }
    }
    Ok(())
}

/// Prints the statements that were applied, and those that were not.
pub fn print_followed(context: &Context, name: &str, followed: &Followed) {
    for statement in &followed.applied {
        if let Some(added) = &statement.adds {
            let (new, old) = (&added.key, &statement.signer);
            context.say(&format!(
                "remote {name} trusts key {new} from now on, because key {old} introduced it"
            ));
        }
        for removed in &statement.removes {
            let signer = &statement.signer;
            context.say(&format!(
                "remote {name} does not trust key {removed} any more, because key {signer} withdrew it"
            ));
        }
    }
    for ignored in &followed.ignored {
        let (sequence, reason) = (ignored.sequence, &ignored.reason);
        context.say(&format!(
            "warning: key transition {sequence} of remote {name} was ignored: {reason}"
        ));
    }
}
