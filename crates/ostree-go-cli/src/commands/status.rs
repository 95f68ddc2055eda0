use super::deployments::{self, damaged_json};
use super::{Context, DAMAGED};
use crate::error::CliError;
use crate::output::{count, short, table, time};
use crate::progress::Terminal;
use clap::ValueEnum;
use ostree_go_sdk::{Check, DeploymentStatus, Status, Verify};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Show the installed SDKs and the active one
///
/// `*` marks the active SDK, `<` the target of a rollback, `+` a pinned SDK. All files of the
/// active SDK are verified; the exit code is 4 if any file is damaged.
#[derive(Debug, clap::Args)]
pub struct StatusArgs {
    /// SDKs whose files are verified
    #[arg(long, value_enum, default_value_t, value_name = "WHICH")]
    verify: VerifyArg,

    /// Also show the history of activations
    #[arg(long)]
    history: bool,
}

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
enum VerifyArg {
    /// None (fast)
    None,
    /// The active SDK
    #[default]
    Active,
    /// All SDKs
    All,
}

pub fn run(context: &Context<'_>, args: &StatusArgs) -> Result<ExitCode, CliError> {
    let root = deployments::open(context)?;
    let verify = match args.verify {
        VerifyArg::None => Verify::None,
        VerifyArg::Active => Verify::Active,
        VerifyArg::All => Verify::All,
    };
    let status = root.status(verify, &Terminal::new(&context.global))?;
    context
        .output
        .data(&document(&status), || text(&status, args.history))?;
    let mut damaged = false;
    for one in &status.deployments {
        if let Check::Damaged(files) = &one.check {
            damaged = true;
            let (name, active) = (deployments::title(&one.deployment), one.active);
            let what = if active { "the active " } else { "" };
            let files = match files.as_slice() {
                [one] => one.to_string(),
                [first, rest @ ..] => format!("{first}, and {} more", count(rest.len() as u64)),
                [] => String::new(),
            };
            let warning = format!("warning: {what}{name} no longer verifies: {files}");
            context.output.say(&warning);
        }
    }
    if status.deployments.is_empty() {
        let path = status.root.display();
        context
            .output
            .say(&format!("nothing is installed under {path}"));
    }
    Ok(if damaged {
        ExitCode::from(DAMAGED)
    } else {
        ExitCode::SUCCESS
    })
}

fn document(status: &Status) -> Value {
    let deployments = status.deployments.iter().map(|one| {
        let mut json = deployments::json(&one.deployment);
        json["path"] = json!(one.path);
        json["active"] = one.active.into();
        json["rollback_target"] = one.rollback_target.into();
        json["check"] = word(one).into();
        if let Check::Damaged(files) = &one.check {
            json["damaged"] = damaged_json(files);
        }
        json
    });
    let history = status.history.iter().map(|a| {
        json!({
            "at": time(a.at), "action": a.action.as_str(), "version": a.version,
            "ref": a.ref_name.as_str(), "commit": a.commit.to_string(),
            "remote": a.remote, "signed_by": a.signed_by,
        })
    });
    json!({
        "root": status.root,
        "deployments": deployments.collect::<Value>(),
        "history": history.collect::<Value>(),
    })
}

fn word(one: &DeploymentStatus) -> &'static str {
    match one.check {
        Check::Good => "good",
        Check::Damaged(_) => "damaged",
        _ if one.deployment.damaged_at.is_some() => "damaged",
        _ => "not-done",
    }
}

fn text(status: &Status, history: bool) -> String {
    let rows: Vec<Vec<String>> = status
        .deployments
        .iter()
        .map(|one| {
            let d = &one.deployment;
            let mark = match (one.active, one.rollback_target) {
                (true, _) => "*",
                (_, true) => "<",
                _ if d.pinned => " ",
                _ => "",
            };
            let pin = if d.pinned { "+" } else { "" };
            let signed = match (d.proof.unsigned, d.signed_by().next()) {
                (false, Some(key)) => key.get(key.len().saturating_sub(16)..).unwrap_or(key),
                _ => "unsigned",
            };
            let check = match word(one) {
                "not-done" => "-",
                word => word,
            };
            vec![
                format!("{mark}{pin}"),
                d.version.clone(),
                d.arch.to_string(),
                d.ref_name.to_string(),
                d.proof.remote.clone(),
                signed.to_owned(),
                check.to_owned(),
                time(d.deployed_at),
                short(d.commit),
            ]
        })
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let header = [
        "", "GO", "ARCH", "REF", "REMOTE", "SIGNED", "CHECK", "DEPLOYED", "COMMIT",
    ];
    let mut text = table(&header, &rows);
    if history {
        let rows: Vec<Vec<String>> = status
            .history
            .iter()
            .rev()
            .map(|a| {
                let signed = match a.signed_by.as_slice() {
                    [] => "unsigned".to_owned(),
                    keys => keys.join(" "),
                };
                vec![
                    time(a.at),
                    a.action.as_str().to_owned(),
                    a.version.clone(),
                    a.remote.clone(),
                    signed,
                    short(a.commit),
                ]
            })
            .collect();
        text.push('\n');
        text.push_str(&table(
            &["TIME", "ACTION", "GO", "REMOTE", "SIGNED", "COMMIT"],
            &rows,
        ));
    }
    text
}
