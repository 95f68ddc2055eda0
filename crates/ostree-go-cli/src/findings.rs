//! Findings in files, in the formats of code scanners: SARIF 2.1.0, and annotations of GitHub Actions.
//!
//! Source of SARIF: OASIS, "Static Analysis Results Interchange Format Version 2.1.0"; the sections are
//! named where they matter. Source of annotations: GitHub's documentation, "Workflow commands for GitHub
//! Actions", and the escaping in `packages/core/src/command.ts` of `actions/toolkit`.

use crate::error::CliError;
use serde_json::{Value, json};
use std::fmt::Write;

/// The schema of a SARIF document.
const SCHEMA: &str =
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// The name that stands for the directory to which paths are relative, as GitHub and Visual Studio use it.
const BASE: &str = "%SRCROOT%";
/// The name of the fingerprint of a finding, with the version of its definition (section 3.27.17).
const FINGERPRINT: &str = "ostreeGoFinding/v1";

/// The result of a check of files.
#[derive(Debug)]
pub struct Findings {
    /// The checks that were made, with or without a finding.
    pub rules: Vec<Rule>,
    /// The findings, in the order of the report.
    pub found: Vec<Finding>,
}

/// A check.
#[derive(Debug)]
pub struct Rule {
    /// A stable word.
    pub id: &'static str,
    /// The problem that the rule finds, in one sentence.
    pub description: String,
    /// The advice for a finding.
    pub help: String,
}

/// Something that a check found.
#[derive(Debug)]
pub struct Finding {
    /// The ID of the rule.
    pub rule: &'static str,
    /// The message.
    pub message: String,
    /// The file, relative to the directory of the sources, with `/` between names.
    pub path: String,
    /// The line in the file, from 1.
    pub line: Option<usize>,
    /// The subject of the finding, in addition to its rule and its file. It is the same in the next run, also if
    /// the line has moved.
    pub subject: String,
}

/// Returns the SARIF document of a check.
pub fn sarif(findings: &Findings) -> Result<String, CliError> {
    let results = findings.found.iter().map(|finding| {
        let mut rules = findings.rules.iter();
        let mut result = json!({
            "ruleId": finding.rule,
            "level": "error",
            "message": { "text": finding.message },
            "locations": [{ "physicalLocation": {
                "artifactLocation": { "uri": uri(&finding.path), "uriBaseId": BASE },
            }}],
            "partialFingerprints": {
                FINGERPRINT: format!("{}:{}:{}", finding.rule, finding.path, finding.subject),
            },
        });
        if let Some(index) = rules.position(|rule| rule.id == finding.rule) {
            result["ruleIndex"] = index.into();
        }
        if let Some(line) = finding.line {
            result["locations"][0]["physicalLocation"]["region"] = json!({ "startLine": line });
        }
        result
    });
    let rules = findings.rules.iter().map(|rule| {
        json!({
            "id": rule.id,
            "shortDescription": { "text": rule.description },
            "help": { "text": rule.help },
            "defaultConfiguration": { "level": "error" },
        })
    });
    let invocation = json!({ "executionSuccessful": true });
    document(rules.collect(), results.collect(), &invocation)
}

/// Returns the SARIF document of a check that failed: it has no results, which does not mean that there
/// is nothing to find (section 3.20.14).
pub fn sarif_failure(error: &CliError) -> Result<String, CliError> {
    let invocation = json!({
        "executionSuccessful": false,
        "exitCode": error.exit_code(),
        "toolExecutionNotifications": [{
            "level": "error",
            "message": { "text": whole_message(error) },
            "descriptor": { "id": error.kind().as_str() },
        }],
    });
    document(Vec::new(), Vec::new(), &invocation)
}

fn document(
    rules: Vec<Value>,
    results: Vec<Value>,
    invocation: &Value,
) -> Result<String, CliError> {
    let document = json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "ostree-go",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules,
            }},
            "invocations": [invocation],
            "results": results,
        }],
    });
    let text = serde_json::to_string_pretty(&document);
    text.map(|text| text + "\n")
        .map_err(|error| CliError::Output(error.into()))
}

/// Returns the annotations for the findings, one per line.
pub fn github(findings: &Findings) -> String {
    let mut text = String::new();
    for finding in &findings.found {
        let line = finding
            .line
            .map_or_else(String::new, |line| format!(",line={line}"));
        let _ = writeln!(
            text,
            "::error file={}{line},title={}::{}",
            property(&finding.path),
            property(finding.rule),
            data(&finding.message)
        );
    }
    text
}

/// Returns the annotation for an error.
pub fn github_failure(error: &CliError) -> String {
    format!("::error title=ostree-go::{}\n", data(&whole_message(error)))
}

/// Returns the message of an error, its cause and its hint, in lines.
fn whole_message(error: &CliError) -> String {
    let lines = [Some(error.message()), error.cause(), error.hint()];
    lines.into_iter().flatten().collect::<Vec<_>>().join("\n")
}

/// Escapes the message of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

/// Escapes the value of a property of a workflow command.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// Returns a relative path as a URI. Everything but unreserved characters and `/` is percent-encoded; an
/// unencoded `:` would end a scheme. Source: RFC 3986, sections 2.3 and 4.2.
fn uri(path: &str) -> String {
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => uri.push(byte.into()),
            byte if byte.is_ascii_alphanumeric() => uri.push(byte.into()),
            byte => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings() -> Findings {
        let rule = |id| Rule {
            id,
            description: format!("The {id}."),
            help: "Do something.".to_owned(),
        };
        let found = |path: &str, line| Finding {
            rule: "two",
            message: "100% wrong:\r\nfound a, expected b".to_owned(),
            path: path.to_owned(),
            line,
            subject: "unit .".to_owned(),
        };
        Findings {
            rules: ["one", "two"].map(rule).into(),
            found: vec![found("a b/ü:,%.go", Some(3)), found("go.mod", None)],
        }
    }

    #[test]
    fn annotations_are_escaped_as_by_the_toolkit() {
        assert_eq!(
            github(&findings()),
            "::error file=a b/ü%3A%2C%25.go,line=3,title=two::100%25 wrong:%0D%0Afound a, expected b\n\
             ::error file=go.mod,title=two::100%25 wrong:%0D%0Afound a, expected b\n"
        );
        let error = CliError::usage("a\nb");
        assert_eq!(
            github_failure(&error).lines().count(),
            1,
            "{}",
            github_failure(&error)
        );
    }

    #[test]
    fn paths_are_relative_uris() {
        assert_eq!(uri("a b/ü:,%.go"), "a%20b/%C3%BC%3A%2C%25.go");
        assert_eq!(uri("vendor/a.b/c-d_e~/f.go"), "vendor/a.b/c-d_e~/f.go");
    }

    /// The properties that the schema of SARIF 2.1.0 requires of the objects used here, and those that it
    /// allows: it has `additionalProperties: false` everywhere.
    const OBJECTS: [(&str, &[&str], &[&str]); 12] = [
        ("", &["version", "runs"], &["$schema"]),
        ("run", &["tool"], &["invocations", "results"]),
        ("tool", &["driver"], &[]),
        ("driver", &["name"], &["version", "informationUri", "rules"]),
        (
            "rule",
            &["id"],
            &["shortDescription", "help", "defaultConfiguration"],
        ),
        (
            "invocation",
            &["executionSuccessful"],
            &["exitCode", "toolExecutionNotifications"],
        ),
        ("notification", &["message"], &["level", "descriptor"]),
        (
            "result",
            &["message"],
            &[
                "ruleId",
                "ruleIndex",
                "level",
                "locations",
                "partialFingerprints",
            ],
        ),
        ("location", &[], &["physicalLocation"]),
        ("physicalLocation", &["artifactLocation"], &["region"]),
        ("artifactLocation", &["uri"], &["uriBaseId"]),
        ("region", &["startLine"], &[]),
    ];

    fn check(kind: &str, object: &Value) {
        let (_, required, allowed) = OBJECTS.iter().find(|(name, ..)| *name == kind).unwrap();
        let keys: Vec<&str> = object.as_object().unwrap().keys().map(|k| &**k).collect();
        for key in *required {
            assert!(keys.contains(key), "{kind} has no {key}");
        }
        for key in keys {
            assert!(
                required.contains(&key) || allowed.contains(&key),
                "{kind} has {key}"
            );
        }
    }

    fn check_all(kind: &str, list: &Value) {
        list.as_array()
            .unwrap()
            .iter()
            .for_each(|one| check(kind, one));
    }

    fn check_document(text: &str) -> Value {
        let document: Value = serde_json::from_str(text).unwrap();
        check("", &document);
        assert_eq!(document["version"], "2.1.0");
        let run = &document["runs"][0];
        check("run", run);
        check("tool", &run["tool"]);
        check("driver", &run["tool"]["driver"]);
        check_all("rule", &run["tool"]["driver"]["rules"]);
        check_all("invocation", &run["invocations"]);
        check_all("result", &run["results"]);
        for result in run["results"].as_array().unwrap() {
            check_all("location", &result["locations"]);
            let place = &result["locations"][0]["physicalLocation"];
            check("physicalLocation", place);
            check("artifactLocation", &place["artifactLocation"]);
            if let Some(region) = place.get("region") {
                check("region", region);
            }
            let rule = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
            let rules = &run["tool"]["driver"]["rules"];
            assert_eq!(rules[rule]["id"], result["ruleId"]);
        }
        run.clone()
    }

    #[test]
    fn sarif_has_what_the_schema_requires_and_nothing_else() {
        let run = check_document(&sarif(&findings()).unwrap());
        let places: Vec<&Value> = run["results"].as_array().unwrap().iter().collect();
        let place = &places[0]["locations"][0]["physicalLocation"];
        assert_eq!(place["artifactLocation"]["uri"], "a%20b/%C3%BC%3A%2C%25.go");
        assert_eq!(place["region"]["startLine"], 3);
        assert_eq!(
            places[1]["partialFingerprints"][FINGERPRINT],
            "two:go.mod:unit ."
        );
        let run = check_document(&sarif_failure(&CliError::usage("no")).unwrap());
        let failure = &run["invocations"][0];
        check_all("notification", &failure["toolExecutionNotifications"]);
        assert_eq!(failure["executionSuccessful"], false);
        assert_eq!(failure["exitCode"], 2);
    }
}
