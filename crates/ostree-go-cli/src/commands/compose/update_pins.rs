//! `compose --update-pins`.

use super::args::ComposeArgs;
use super::operation::operation;
use crate::context::Context;
use crate::error::CliError;
use crate::files;
use crate::report::{Report, unchanged_exit_code};
use crate::text::table;
use crate::views::value::Text;
use ostree_go_sdk::compose::ComposeError;
use ostree_go_sdk::treefile::{Treefile, write_pins};
use ostree_go_sdk::{Arch, H1, Sha256};
use serde::Serialize;
use std::path::Path;
use std::process::ExitCode;

/// Writes the pins of each treefile's version into it.
pub fn update_pins(
    context: &Context,
    args: &ComposeArgs,
    treefiles: &[Treefile],
) -> Result<ExitCode, CliError> {
    let mut updated = Vec::new();
    for (path, treefile) in args.treefiles.iter().zip(treefiles) {
        let official = operation(context, args, treefile, None)?.official_pins();
        let official = official.map_err(|error| match error {
            // The hints for a compose do not apply.
            ComposeError::Upstream(error) => CliError::from(error),
            error => error.into(),
        })?;
        let text = files::read_text("read", path)?;
        let written = write_pins(&text, path, &official.pins)?;
        let changed = written != text;
        if changed && !args.dry_run {
            files::write(path, &written)?;
        }
        let pins = official.pins.iter().map(|(arch, pin)| PinView {
            arch: Text(*arch),
            h1: pin.h1.map(Text),
            sha256: pin.sha256.map(Text),
        });
        updated.push(TreefileView {
            treefile: path,
            version: official.version.to_string(),
            changed,
            pins: pins.collect(),
        });
    }
    context.report(&PinsReport {
        dry_run: args.dry_run,
        unchanged: updated.iter().all(|treefile| !treefile.changed),
        treefiles: updated,
        exit_77: args.unchanged_exit_77,
    })
}

#[derive(Serialize)]
struct PinsReport<'a> {
    dry_run: bool,
    unchanged: bool,
    treefiles: Vec<TreefileView<'a>>,
    #[serde(skip)]
    exit_77: bool,
}

#[derive(Serialize)]
struct TreefileView<'a> {
    treefile: &'a Path,
    version: String,
    changed: bool,
    pins: Vec<PinView>,
}

#[derive(Serialize)]
struct PinView {
    arch: Text<Arch>,
    h1: Option<Text<H1>>,
    sha256: Option<Text<Sha256>>,
}

impl Report for PinsReport<'_> {
    fn human(&self) -> String {
        let mut rows = Vec::new();
        for treefile in &self.treefiles {
            let state = match treefile.changed {
                true => "changed",
                false => "unchanged",
            };
            for pin in &treefile.pins {
                let h1 = pin.h1.map(|h1| h1.to_string());
                let sha256 = pin.sha256.map(|sha256| format!("sha256:{sha256}"));
                for hash in h1.into_iter().chain(sha256) {
                    rows.push(vec![
                        treefile.treefile.display().to_string(),
                        state.to_owned(),
                        pin.arch.to_string(),
                        hash,
                    ]);
                }
            }
        }
        table(&["TREEFILE", "STATE", "ARCH", "PIN"], &rows)
    }

    fn exit_code(&self) -> ExitCode {
        unchanged_exit_code(self.unchanged, self.exit_77)
    }
}
