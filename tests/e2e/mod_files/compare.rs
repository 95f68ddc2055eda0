//! Reads module files with the go command and with this library, and compares what they read.

use ostree_go_sdk::Arch;
use ostree_go_sdk::gomod::{FileKind, GoMod, GoWork, ModFileProblem, ModuleVersion, Replace};
use ostree_go_tests::sdk::sdk;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns the go command of an SDK.
pub fn go() -> Option<PathBuf> {
    Some(sdk("1.26.5", Arch::host()?)?.dir.join("bin/go"))
}

/// Runs a go command that needs neither a module cache nor the network.
pub fn run_go(go: &Path, args: &[&str], file: &Path) -> Result<String, String> {
    let mut command = Command::new(go);
    command
        .args(args)
        .arg(file)
        .env_clear()
        .env("HOME", "/nonexistent")
        .env("GOTOOLCHAIN", "local")
        .env("GOTELEMETRY", "off");
    let out = command.output().expect("the go command runs");
    match out.status.success() {
        true => Ok(String::from_utf8(out.stdout).expect("UTF-8")),
        false => Err(String::from_utf8_lossy(&out.stderr).into_owned()),
    }
}

/// Returns what the go command reads from a file. Comments that this library does not read are left out.
pub fn read_by_go(go: &Path, kind: FileKind, file: &Path) -> Result<Value, String> {
    let command = match kind {
        FileKind::Module => "mod",
        FileKind::Workspace => "work",
    };
    let text = run_go(go, &[command, "edit", "-json"], file)?;
    let mut value: Value = serde_json::from_str(&text).expect("JSON");
    if let Some(module) = value.get_mut("Module").and_then(Value::as_object_mut) {
        module.remove("Deprecated");
    }
    for retract in value
        .get_mut("Retract")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
    {
        if let Some(retract) = retract.as_object_mut() {
            retract.remove("Rationale");
        }
    }
    Ok(value)
}

fn module(module: &ModuleVersion) -> Value {
    match &module.version {
        Some(version) => json!({"Path": module.path, "Version": version}),
        None => json!({"Path": module.path}),
    }
}

fn replacements(all: &[Replace]) -> Vec<Value> {
    let pair = |one: &Replace| json!({"Old": module(&one.old), "New": module(&one.new)});
    all.iter().map(pair).collect()
}

/// Returns a list as the go command writes it: `null` if it is empty.
fn list(values: Vec<Value>) -> Value {
    match values.is_empty() {
        true => Value::Null,
        false => Value::Array(values),
    }
}

fn without_absent(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        let optional = ["Go", "Toolchain", "GoDebug"];
        fields.retain(|name, value| !(value.is_null() && optional.contains(&name.as_str())));
    }
    value
}

/// Returns what this library reads, in the same form.
fn read_by_us(kind: FileKind, bytes: &[u8]) -> Result<Value, ModFileProblem> {
    if kind == FileKind::Workspace {
        let file = GoWork::parse(bytes).map_err(|error| error.problem)?;
        return Ok(without_absent(json!({
            "Go": file.go.map(|line| line.text),
            "Use": list(file.uses.iter().map(|one| json!({"DiskPath": one.text})).collect()),
            "Replace": list(replacements(&file.replace)),
        })));
    }
    let file = GoMod::parse(bytes).map_err(|error| error.problem)?;
    let require = file.require.iter().map(|one| match one.is_indirect {
        true => json!({"Path": one.path, "Version": one.version, "Indirect": true}),
        false => json!({"Path": one.path, "Version": one.version}),
    });
    let debug = file.godebug.iter();
    Ok(without_absent(json!({
        "Module": {"Path": file.module.map(|line| line.text).unwrap_or_default()},
        "Go": file.go.map(|line| line.text),
        "Toolchain": file.toolchain.map(|line| line.text),
        "GoDebug": list(debug.map(|(key, value)| json!({"Key": key, "Value": value})).collect()),
        "Require": list(require.collect()),
        "Exclude": list(file.exclude.iter().map(module).collect()),
        "Replace": list(replacements(&file.replace)),
        "Retract": list(file.retract.iter().map(|one| json!({"Low": one.low, "High": one.high})).collect()),
        "Tool": list(file.tool.iter().map(|one| json!({"Path": one.text})).collect()),
        "Ignore": list(file.ignore.iter().map(|one| json!({"Path": one.text})).collect()),
    })))
}

/// The outcomes of comparisons.
#[derive(Debug, Default)]
pub struct Compared {
    pub equal: usize,
    pub refused: usize,
}

impl Compared {
    /// Asserts that both read the same from a file, or both refuse it, except where the difference is documented.
    pub fn compare(&mut self, go: &Path, kind: FileKind, file: &Path) {
        let bytes = fs::read(file).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        match (read_by_go(go, kind, file), read_by_us(kind, &bytes)) {
            (Ok(expected), Ok(found)) => {
                assert_eq!(found, expected, "{}:\n{text}", file.display());
                self.equal += 1;
            }
            (Err(_), Err(_)) => self.refused += 1,
            (Err(error), Ok(_)) => {
                let mut problems = error.lines().filter(|line| line.contains(": "));
                let is_unknown = |line: &str| {
                    line.contains("unknown directive: ") || line.contains("unknown block type: ")
                };
                assert!(
                    problems.all(|line| is_unknown(line) || line.starts_with("go: errors parsing")),
                    "go refuses this file, and ostree-go does not: {error}\n{text}"
                );
            }
            (Ok(_), Err(problem)) => {
                let is_documented = matches!(problem, ModFileProblem::Conflict { .. });
                assert!(is_documented, "go accepts this file: {problem}\n{text}");
            }
        }
    }

    pub fn compare_text(&mut self, go: &Path, kind: FileKind, folder: &Path, text: &str) {
        let name = match kind {
            FileKind::Module => "go.mod",
            FileKind::Workspace => "go.work",
        };
        let file = folder.join(name);
        fs::write(&file, text).unwrap();
        self.compare(go, kind, &file);
    }
}
