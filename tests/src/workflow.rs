//! Reads GitHub workflows as YAML, and runs the scripts of their steps unchanged.
//!
//! Only steps with `run` are supported. Expressions are allowed and evaluated only in `env`; an expression in a script
//! could allow injection, and is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use saphyr_parser::{Event, Parser};
use serde_json::{Map, Value, json};

/// A job of a workflow, and the state of its runner.
#[derive(Debug)]
pub struct Job {
    shell: String,
    steps: Vec<Value>,
    folder: PathBuf,
    /// Values of expressions such as `inputs.treefile` and `steps.key.outputs.fingerprint`.
    values: BTreeMap<String, String>,
    env: BTreeMap<String, String>,
    path: Vec<String>,
}

/// Reads a workflow as JSON, in which every scalar is a string.
///
/// # Panics
///
/// Panics if the file is not YAML.
pub fn read(path: &Path) -> Value {
    let text = fs::read_to_string(path).expect("a workflow");
    let mut open: Vec<(Value, Option<String>)> = vec![(Value::Null, None)];
    for event in Parser::new_from_str(&text) {
        let (event, mark) = event.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let done = match event {
            Event::Scalar(text, ..) => Value::String(text.into_owned()),
            Event::SequenceStart(..) => {
                open.push((Value::Array(Vec::new()), None));
                continue;
            }
            Event::MappingStart(..) => {
                open.push((Value::Object(Map::new()), None));
                continue;
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().expect("it was begun").0,
            Event::Alias(_) => panic!("{}: {mark:?}: aliases are not read", path.display()),
            _ => continue,
        };
        let (into, key) = open.last_mut().expect("the document");
        match (into, key.take()) {
            (Value::Array(list), _) => list.push(done),
            (Value::Object(map), Some(name)) => {
                assert!(map.insert(name, done).is_none(), "{mark:?}: a key twice");
            }
            (Value::Object(_), None) => {
                let name = done.as_str().expect("a key is a text");
                *key = Some(name.to_owned());
            }
            (document, _) => *document = done,
        }
    }
    open.pop().expect("the document").0
}

impl Job {
    /// Creates a job whose workspace is `folder`, with the defaults of the inputs of `workflow_call`.
    ///
    /// # Panics
    ///
    /// Panics if the job does not exist.
    pub fn new(workflow: &Value, name: &str, folder: &Path) -> Self {
        let steps = workflow["jobs"][name]["steps"].as_array();
        let shell = workflow["defaults"]["run"]["shell"].as_str();
        let mut job = Self {
            shell: shell.unwrap_or_default().to_owned(),
            steps: steps.expect("the job's steps").clone(),
            folder: folder.join("work"),
            values: BTreeMap::new(),
            env: BTreeMap::new(),
            path: Vec::new(),
        };
        let inputs = workflow["on"]["workflow_call"]["inputs"].as_object();
        for (input, keys) in inputs.into_iter().flatten() {
            let default = keys["default"].as_str().unwrap_or_default();
            job.set(&format!("inputs.{input}"), default);
        }
        let temp = folder.join("temp");
        for folder in [&job.folder, &temp] {
            fs::create_dir_all(folder).expect("a folder");
        }
        let workspace = job.folder.to_str().expect("UTF-8").to_owned();
        let temp = temp.to_str().expect("UTF-8").to_owned();
        job.env.insert("GITHUB_WORKSPACE".into(), workspace);
        job.env.insert("RUNNER_TEMP".into(), temp);
        job
    }

    /// Sets the value of an expression.
    pub fn set(&mut self, expression: &str, value: &str) {
        self.values.insert(expression.to_owned(), value.to_owned());
    }

    /// Adds a directory to the front of `PATH`.
    pub fn add_path(&mut self, folder: &Path) {
        self.path.push(folder.to_str().expect("UTF-8").to_owned());
    }

    /// Returns the workspace.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the IDs of the steps with a script, in order.
    pub fn scripts(&self) -> Vec<String> {
        let steps = self.steps.iter().filter(|step| step["run"].is_string());
        let ids = steps.map(|step| step["id"].as_str().expect("a script has an id").to_owned());
        ids.collect()
    }

    /// Runs the script of a step, and applies the outputs and environment variables that it sets for later steps.
    ///
    /// # Panics
    ///
    /// Panics if the step does not exist, or if it uses an unsupported feature.
    pub fn run(&mut self, id: &str) -> Output {
        let step = self.steps.iter().find(|step| step["id"] == json!(id));
        let step = step.unwrap_or_else(|| panic!("a step `{id}`")).clone();
        let script = step["run"].as_str().expect("a script");
        assert!(
            !script.contains("${{"),
            "an expression in the script of {id}"
        );
        assert_eq!(self.shell, "bash", "the one shell that is known here");
        let files = [
            "GITHUB_OUTPUT",
            "GITHUB_ENV",
            "GITHUB_PATH",
            "GITHUB_STEP_SUMMARY",
        ];
        let mut command = Command::new("bash");
        let file = self.folder.with_file_name("script.sh");
        fs::write(&file, script).expect("the script");
        // Source: GitHub's documentation of `defaults.run.shell`.
        command
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(&file);
        command.current_dir(&self.folder).env_clear();
        let inherited = std::env::var("PATH").expect("PATH");
        let path: Vec<&str> = self.path.iter().map(String::as_str).rev().collect();
        command.env("PATH", [path, vec![&*inherited]].concat().join(":"));
        command.env("HOME", self.folder.with_file_name("temp"));
        command.envs(&self.env).env("CI", "true");
        for (name, value) in step["env"].as_object().into_iter().flatten() {
            command.env(name, self.expanded(value.as_str().expect("a text")));
        }
        for name in files {
            let file = self.folder.with_file_name(name);
            fs::write(&file, "").expect("an empty file");
            command.env(name, file);
        }
        let output = command.output().expect("bash starts");
        let lines = |name: &str| {
            let text = fs::read_to_string(self.folder.with_file_name(name)).expect("the file");
            let lines = text.lines().map(str::to_owned);
            lines.collect::<Vec<_>>()
        };
        let pair = |line: String| {
            let (name, value) = line.split_once('=').expect("name=value");
            (name.to_owned(), value.to_owned())
        };
        let (outputs, env, path) = (lines(files[0]), lines(files[1]), lines(files[2]));
        for (name, value) in outputs.into_iter().map(pair) {
            self.set(&format!("steps.{id}.outputs.{name}"), &value);
        }
        self.env.extend(env.into_iter().map(pair));
        self.path.extend(path);
        output
    }

    /// Evaluates the expressions in a value.
    fn expanded(&self, text: &str) -> String {
        let mut parts = text.split("${{");
        let mut expanded = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (expression, rest) = part.split_once("}}").expect("an expression ends");
            let value = self.values.get(expression.trim());
            expanded += value.unwrap_or_else(|| panic!("nothing says what `{expression}` is"));
            expanded += rest;
        }
        expanded
    }
}
