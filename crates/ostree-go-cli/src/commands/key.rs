mod transition;

use crate::context::Context;
use crate::error::CliError;
use crate::report::Report;
use crate::views::value::PathText;
use clap::ValueEnum;
use ostree_go_sdk::sign::{generate_ed25519_key, generate_gpg_key};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Generate signing keys, and introduce new ones to hosts
#[derive(Debug, clap::Args)]
pub struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, clap::Subcommand)]
enum KeyCommand {
    Generate(GenerateArgs),
    Transition(Box<transition::TransitionArgs>),
}

/// Generate a signing key, and export its public part
///
/// The key has no passphrase: make sure that only the publisher can read the directory. Prints the
/// fingerprint of a GPG key, or the Ed25519 public key.
#[derive(Debug, clap::Args)]
struct GenerateArgs {
    /// Directory for the key; created if it does not exist
    #[arg(long, value_name = "DIR")]
    output_dir: PathBuf,

    /// Type of the key
    #[arg(long, value_enum, default_value_t, value_name = "TYPE")]
    r#type: KeyType,

    /// User ID of the GPG key
    #[arg(
        long,
        value_name = "NAME <MAIL>",
        default_value = "ostree-go publisher"
    )]
    user: String,

    /// Time after which the GPG key expires: 2y, 18m, never
    #[arg(long, value_name = "TIME", default_value = "never")]
    expires: String,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum KeyType {
    /// Verified by every OSTree client
    #[default]
    Gpg,
    /// Smaller; verified by clients that are configured for it
    Ed25519,
}

pub fn run(context: &Context, args: &KeyArgs) -> Result<ExitCode, CliError> {
    match &args.command {
        KeyCommand::Generate(args) => generate(context, args),
        KeyCommand::Transition(args) => transition::run(context, args),
    }
}

fn generate(context: &Context, args: &GenerateArgs) -> Result<ExitCode, CliError> {
    let (key, kind, option) = match args.r#type {
        KeyType::Gpg => {
            let key = generate_gpg_key(&args.output_dir, &args.user, &args.expires)?;
            let option = format!(
                "--gpg-sign {} --gpg-homedir {}",
                key.key,
                key.secret.display()
            );
            (key, "gpg", option)
        }
        KeyType::Ed25519 => {
            let key = generate_ed25519_key(&args.output_dir)?;
            let option = format!("--sign-from-file {}", key.secret.display());
            (key, "ed25519", option)
        }
    };
    context.say(&format!("sign with      {option}"));
    context.say(&format!("give to others {}", key.public.display()));
    context.report(&KeyReport {
        kind,
        key: &key.key,
        secret: PathText(&key.secret),
        public: PathText(&key.public),
    })
}

#[derive(Serialize)]
struct KeyReport<'a> {
    kind: &'static str,
    key: &'a str,
    secret: PathText<&'a Path>,
    public: PathText<&'a Path>,
}

impl Report for KeyReport<'_> {
    fn human(&self) -> String {
        format!("{}\n", self.key)
    }
}
