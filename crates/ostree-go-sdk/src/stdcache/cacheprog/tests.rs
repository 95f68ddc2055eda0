use super::*;
use crate::fs::digest;
use crate::stdcache::open::tests::write;
use crate::stdcache::verified::FILE_NAME;
use ::base64::Engine;
use ::base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use std::fs;

/// A std cache with two outputs, and a write folder.
struct Fixture {
    dir: tempfile::TempDir,
    actions: Vec<Sha256>,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let actions = write(&dir.path().join("std"), &[b"archive", b"facts"]);
        Self { dir, actions }
    }

    fn program(&self) -> CacheProg {
        CacheProg::new()
            .std_caches([self.dir.path().join("std")])
            .write(self.dir.path().join("write"))
    }

    fn output(&self, content: &[u8]) -> PathBuf {
        let name = digest::of(content).to_string();
        self.dir
            .path()
            .join("std/outputs")
            .join(&name[..2])
            .join(&name)
    }
}

fn get(id: i64, action: Sha256) -> String {
    let action = STANDARD.encode(action.as_bytes());
    format!(
        "{}\n\n",
        json!({"ID": id, "Command": "get", "ActionID": action})
    )
}

fn put(id: i64, action: Sha256, output: Sha256, body: &[u8]) -> String {
    let [action, output] = [action, output].map(|id| STANDARD.encode(id.as_bytes()));
    let mut request = json!({"ID": id, "Command": "put", "ActionID": action, "OutputID": output});
    if body.is_empty() {
        return format!("{request}\n\n");
    }
    request["BodySize"] = body.len().into();
    format!("{request}\n\n\"{}\"\n", STANDARD.encode(body))
}

const CLOSE: &str = "{\"ID\":99,\"Command\":\"close\"}\n\n";

/// Serves requests, and returns the responses in the order of their numbers.
fn serve(program: &CacheProg, requests: &[String]) -> (Vec<Value>, Served) {
    let input = requests.concat() + CLOSE;
    let mut responses = Vec::new();
    let served = program.serve(input.as_bytes(), &mut responses).unwrap();
    let text = String::from_utf8(responses).unwrap();
    let mut all: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(all.last().unwrap(), &json!({"ID": 99}));
    all.sort_by_key(|response| response["ID"].as_i64());
    (all, served)
}

#[test]
fn entries_are_served_from_both_places() {
    let fixture = Fixture::new();
    let program = fixture.program();
    let new = Sha256::new([200; 32]);
    let body = vec![7; 300_000];
    let requests = [
        get(1, fixture.actions[0]),
        get(2, new),
        put(3, new, digest::of(&body), &body),
        get(4, new),
        put(5, fixture.actions[1], digest::of(b""), b""),
    ];
    let (all, served) = serve(&program, &requests);
    assert_eq!(
        all[0],
        json!({"ID": 0, "KnownCommands": ["get", "put", "close"]})
    );
    assert_eq!(
        all[1]["DiskPath"],
        fixture.output(b"archive").to_str().unwrap()
    );
    assert_eq!(all[1]["Size"], 7);
    assert_eq!(all[2], json!({"ID": 2, "Miss": true}));
    assert_eq!(all[3]["DiskPath"], all[4]["DiskPath"]);
    assert!(all[4]["Time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(
        fs::read(all[4]["DiskPath"].as_str().unwrap()).unwrap(),
        body
    );
    assert_eq!((served.std_hits, served.hits, served.misses), (1, 1, 1));
    assert_eq!(
        (served.puts, served.put_bytes, served.lost),
        (2, 300_000, 0)
    );
    // The next process finds what this one has written, and hashes nothing again.
    let stored = fixture.dir.path().join("write").join(FILE_NAME);
    let before = fs::read_to_string(&stored).unwrap();
    let (_, served) = serve(&program, &[get(1, new), get(2, fixture.actions[0])]);
    assert_eq!((served.std_hits, served.hits), (1, 1));
    assert_eq!(fs::read_to_string(&stored).unwrap(), before);
}

#[test]
fn damaged_outputs_are_entries_that_do_not_exist() {
    let fixture = Fixture::new();
    let [changed, cut] = [fixture.output(b"archive"), fixture.output(b"facts")];
    fs::write(&changed, "archivE").unwrap();
    fs::write(&cut, "fact").unwrap();
    let requests = [get(1, fixture.actions[0]), get(2, fixture.actions[1])];
    let (all, served) = serve(&fixture.program(), &requests);
    assert_eq!(
        all[1..3],
        [
            json!({"ID": 1, "Miss": true}),
            json!({"ID": 2, "Miss": true})
        ]
    );
    let mut damaged = served.damaged;
    damaged.sort();
    let mut expected = [changed, cut];
    expected.sort();
    assert_eq!(damaged, expected);
    // What the go command stores instead is used from then on.
    let stored = put(1, fixture.actions[0], digest::of(b"archive"), b"archive");
    serve(&fixture.program(), &[stored]);
    let (all, _) = serve(&fixture.program(), &[get(1, fixture.actions[0])]);
    let path = all[1]["DiskPath"].as_str().unwrap();
    assert!(
        path.starts_with(fixture.dir.path().join("write").to_str().unwrap()),
        "{path}"
    );
}

#[test]
fn an_output_with_another_digest_is_refused() {
    let fixture = Fixture::new();
    let action = Sha256::new([200; 32]);
    let requests = [
        put(1, action, digest::of(b"other"), b"body"),
        get(2, action),
    ];
    let (all, served) = serve(&fixture.program(), &requests);
    assert_eq!(
        all[1],
        json!({"ID": 1, "Err": "the body has another SHA-256 digest than OutputID"})
    );
    assert_eq!(all[2], json!({"ID": 2, "Miss": true}));
    assert_eq!(served.lost, 1);
}

#[test]
fn a_folder_that_cannot_be_used_is_replaced_for_one_go_command() {
    let fixture = Fixture::new();
    fs::write(fixture.dir.path().join("write"), "a file").unwrap();
    let action = Sha256::new([200; 32]);
    let requests = [put(1, action, digest::of(b"body"), b"body"), get(2, action)];
    let read_only = fixture.program();
    let (all, served) = serve(&read_only, &[get(1, fixture.actions[0])]);
    assert_eq!(all[0]["KnownCommands"], json!(["get", "close"]));
    assert_eq!((served.std_hits, served.problems.len()), (1, 1));
    let scratch = fixture.dir.path().join("tmp");
    fs::create_dir(&scratch).unwrap();
    let (all, served) = serve(&read_only.scratch(scratch.clone()), &requests);
    assert_eq!(all[0]["KnownCommands"], json!(["get", "put", "close"]));
    assert_eq!(all[1]["DiskPath"], all[2]["DiskPath"]);
    assert_eq!((served.lost, served.hits), (1, 1));
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
}

#[test]
fn the_end_of_the_input_ends_the_service() {
    let fixture = Fixture::new();
    let body = [5; 1000];
    let request = put(1, fixture.actions[0], digest::of(&body), &body);
    for end in [0, 20, request.len() - 10] {
        let mut responses = Vec::new();
        let program = fixture.program();
        let served = program
            .serve(&request.as_bytes()[..end], &mut responses)
            .unwrap();
        assert_eq!(served.puts, 0);
        assert_eq!(responses.iter().filter(|byte| **byte == b'\n').count(), 1);
    }
    let error = fixture
        .program()
        .serve(&b"x\n"[..], Vec::new())
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the go command sent an invalid request")
    );
    // No file of the interrupted `put` is left.
    let folder = fs::read_dir(fixture.dir.path().join("write")).unwrap();
    let dirs = folder.flatten().filter(|entry| entry.path().is_dir());
    let files = dirs.flat_map(|dir| fs::read_dir(dir.path()).unwrap());
    assert_eq!(files.count(), 0);
}

#[test]
fn the_folder_is_trimmed_at_the_end() {
    let fixture = Fixture::new();
    let program = fixture.program().max_size(1000);
    let contents: Vec<Vec<u8>> = (0..10).map(|number| vec![number; 200]).collect();
    let requests: Vec<String> = (1..)
        .zip(&contents)
        .map(|(id, body)| put(id, Sha256::new([200 + body[0]; 32]), digest::of(body), body))
        .collect();
    let (_, served) = serve(&program, &requests);
    let trimmed = served.trimmed.unwrap();
    assert!(trimmed.left <= 1000 && trimmed.files > 0, "{trimmed:?}");
    let (_, served) = serve(&program, &[get(1, fixture.actions[0])]);
    assert_eq!(served.trimmed, None);
}
