//! `export attest` of releases that are damaged, and `verify --attestation` of envelopes that are signed and still no
//! attestation of the commit.

use crate::attest::{PUBLIC, REF, SECRET, attest, keyed, masked, write_keys};
use insta::assert_snapshot;
use ostree_go_sdk::Arch;
use ostree_go_sdk::attest::Envelope;
use ostree_go_sdk::sign::SigningKey;
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::toy::Toy;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// Runs `verify` for a file `envelope.json` with this content, and returns the error message.
#[track_caller]
fn refused(sandbox: &Sandbox, content: &[u8], code: i32) -> String {
    fs::write(sandbox.path("envelope.json"), content).unwrap();
    let args = ["verify", REF, "--attestation", "envelope.json"];
    let out = sandbox.run([&args[..], &["--attestation-keys", "public"]].concat());
    let out = out.exits(code);
    assert_eq!(out.stdout, "");
    masked(sandbox, &out.stderr)
}

/// Returns an envelope that the trusted key has signed.
fn signed(payload_type: &str, payload: impl Into<Vec<u8>>) -> Vec<u8> {
    let secret = SECRET.to_owned();
    let key = SigningKey::Ed25519 { secret };
    let envelope = Envelope::sign(payload_type, payload.into(), &[key]);
    envelope.unwrap().to_json()
}

const STATEMENT: &str = "application/vnd.in-toto+json";

#[test]
fn a_valid_signature_is_not_enough() {
    let sandbox = keyed();
    let commit = sandbox.rev(REF).unwrap();
    let statement = |subject: Value| {
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": subject,
            "predicateType": "https://example.com/claim",
        });
        signed(STATEMENT, statement.to_string())
    };
    // This is what is accepted: one of the subjects is the commit, whatever its name is.
    let own = json!({ "name": "anything", "digest": { "sha256": commit } });
    let other = json!({ "name": "other\n", "digest": { "sha512": commit } });
    fs::write(
        sandbox.path("envelope.json"),
        statement(json!([other, own])),
    )
    .unwrap();
    let args = ["verify", REF, "--attestation", "envelope.json"];
    let keys = ["--attestation-keys", "public"];
    sandbox.run([&args[..], &keys].concat()).ok();

    // The digest is one of another algorithm, and there is no second subject.
    assert_snapshot!(refused(&sandbox, &statement(json!([other])), 3), @r#"
    error: envelope.json is no valid attestation
      the statement is about `other\n`, expected commit [commit]
    hint: a channel and its release are different commits: name the one that was attested
    "#);
    assert_snapshot!(refused(&sandbox, &statement(json!([])), 1), @"
    error: envelope.json is no valid attestation
      the document is not an in-toto statement: it has no subject
    ");
    assert_snapshot!(refused(&sandbox, &signed(STATEMENT, "no JSON"), 1), @"
    error: envelope.json is no valid attestation
      the document is not an in-toto statement: it is not a JSON object
    ");
    let old = json!({ "_type": "https://in-toto.io/Statement/v0.1", "subject": [own], "predicateType": "p" });
    assert_snapshot!(refused(&sandbox, &signed(STATEMENT, old.to_string()), 1), @"
    error: envelope.json is no valid attestation
      the document is not an in-toto statement: its type is `https://in-toto.io/Statement/v0.1`, expected `https://in-toto.io/Statement/v1`
    ");
    let text = signed("text/plain\n", "go 1.99.1 is fine");
    assert_snapshot!(refused(&sandbox, &text, 1), @r#"
    error: envelope.json is no valid attestation
      the payload of the envelope is of type `text/plain\n`, expected `application/vnd.in-toto+json`
    "#);
    let large = vec![b' '; (16 << 20) + 1];
    assert_snapshot!(refused(&sandbox, &large, 1), @"
    error: envelope.json is no valid attestation
      the envelope has 16777217 bytes, expected at most 16777216
    ");
}

#[test]
fn each_byte_of_a_signature_counts() {
    let sandbox = keyed();
    let sign = ["--slsa", "--sign-from-file", "secret"];
    attest(
        &sandbox,
        [&[REF][..], &sign, &["--output", "good.json"]].concat(),
    )
    .ok();
    let honest = Envelope::parse(&fs::read(sandbox.path("good.json")).unwrap()).unwrap();
    honest.verify(&[PUBLIC.to_owned()]).unwrap();
    for at in [0, 31, 32, 63] {
        let mut forged = honest.clone();
        forged.signatures[0].signature[at] ^= 1;
        let said = refused(&sandbox, &forged.to_json(), 3);
        assert!(
            said.contains("has no valid signature by a trusted key"),
            "{said}"
        );
    }
    let mut short = honest.clone();
    short.signatures[0].signature.pop();
    assert_snapshot!(refused(&sandbox, &short.to_json(), 3), @"
    error: envelope.json is no valid attestation
      the envelope has no valid signature by a trusted key: ed25519 made by an unknown key
    ");
    // The hint to a key proves nothing, and nothing depends on it.
    let mut renamed = honest.clone();
    renamed.signatures[0].keyid = "somebody".to_owned();
    fs::write(sandbox.path("renamed.json"), renamed.to_json()).unwrap();
    let args = ["verify", REF, "--attestation", "renamed.json"];
    // The keys for the commit are used if there are no others; this commit has no signature.
    let keys = ["--attestation-keys", "public"];
    sandbox.run([&args[..], &keys].concat()).ok();
    let unsigned = [&args[..], &["--ed25519-keys", "public", "--format", "json"]];
    sandbox.run(unsigned.concat()).exits(3);
    let sign = ["sign", REF, "--sign-from-file", "secret"];
    sandbox.run(sign).ok();
    let out = sandbox.run(unsigned.concat()).ok();
    let found: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(found["valid"], true);
    assert_eq!(found["attestations"][0]["signatures"][0]["status"], "valid");
    // Sixty-four signatures are verified, and no more.
    let mut many = honest;
    let one = many.signatures[0].clone();
    many.signatures.extend((0..64_u8).map(|number| {
        let mut other = one.clone();
        other.signature[0] = other.signature[0].wrapping_add(number + 1);
        other
    }));
    assert_snapshot!(refused(&sandbox, &many.to_json(), 3), @"
    error: envelope.json is no valid attestation
      there are 65 different signatures, at most 64 are checked
    ");
    // One of several files is refused: nothing is accepted.
    fs::write(sandbox.path("bad.json"), "{}").unwrap();
    let both = ["--attestation", "bad.json", "--attestation-keys", "public"];
    let out = sandbox.run([&args[..], &both].concat()).exits(1);
    assert_eq!(out.stdout, "");
}

#[test]
fn a_channel_is_attested_by_its_own_commit() {
    let sandbox = keyed();
    let channel = "go-sdk/x86_64/1.99";
    let builder = "https://build.example.com/runner";
    let args = [channel, "--slsa", "--builder-id", builder];
    let out = attest(&sandbox, args).ok();
    let found: Value = serde_json::from_str(&out.stdout).unwrap();
    let commit = sandbox.rev(channel).unwrap();
    assert_ne!(Some(&commit), sandbox.rev(REF).as_ref());
    let subject = json!([{ "name": channel, "digest": { "sha256": commit } }]);
    assert_eq!(found["subject"], subject);
    assert_eq!(found["predicate"]["runDetails"]["builder"]["id"], builder);
}

#[test]
fn keys_that_cannot_sign_an_envelope() {
    let sandbox = keyed();
    let gpg = Gpg::new();
    let key = gpg.key("publisher");
    let home = gpg.home().to_str().unwrap();
    let said = |args: &[&str], code: i32| {
        let args = [&[REF, "--slsa", "--output", "new.json"][..], args].concat();
        let out = attest(&sandbox, args).exits(code);
        assert!(!sandbox.path("new.json").exists());
        masked(&sandbox, &out.stderr).replace(&key, "[key]")
    };
    assert_snapshot!(said(&["--gpg-sign", &key, "--gpg-homedir", home], 1), @"
    error: the key Gpg([key]) cannot sign an envelope, expected an Ed25519 key
    hint: sign with an Ed25519 key: --sign-from-file FILE
    ");
    assert_snapshot!(said(&["--sign-from-file", "public"], 1), @"error: the Ed25519 secret key is not well-formed, expected 64 bytes in base64");
    assert_snapshot!(said(&["--sign-from-file", "none"], 1), @"
    error: cannot read the secret key none
      No such file or directory (os error 2)
    ");
}

#[test]
fn documents_that_cannot_be_written() {
    let sandbox = keyed();
    let said = |args: &[&str], code: i32| {
        let out = attest(&sandbox, args.iter().copied()).exits(code);
        masked(&sandbox, &out.stderr)
    };
    sandbox.write("file", "");
    assert_snapshot!(said(&[REF, "--output", "file"], 1), @"
    error: cannot create directory file
      File exists (os error 17)
    ");
    assert_snapshot!(said(&[REF, "--slsa", "--output", "no/such/file"], 1), @"
    error: cannot write no/such/file
      No such file or directory (os error 2)
    ");
    assert_eq!(fs::read_to_string(sandbox.path("file")).unwrap(), "");
    assert_snapshot!(said(&[REF, "--slsa", "--format", "json"], 2), @"error: a file and a JSON document cannot both be written to standard output");
    assert_snapshot!(said(&["1.99.1", "--slsa", "--output", "-"], 2), @"
    error: 2 documents need a folder
    hint: name one with --output, or choose one document with --slsa, --spdx or --cyclonedx, and --arch
    ");
    assert_snapshot!(said(&[REF, "--slsa", "--oci-referrer", "img"], 2), @"error: `img` is not the location of an image, expected oci:DIR[:TAG], oci-archive:FILE[:TAG] or docker://REGISTRY/NAME[:TAG]");
    // A single document may also be written into a folder.
    fs::create_dir(sandbox.path("folder")).unwrap();
    attest(&sandbox, [REF, "--spdx", "--output", "folder"]).ok();
    assert!(sandbox.path("folder/go-1.99.1-x86_64.spdx.json").is_file());
}

/// The file of an object in a repository.
fn object(sandbox: &Sandbox, checksum: &str, ending: &str) -> PathBuf {
    let (folder, name) = checksum.split_at(2);
    let path = format!("objects/{folder}/{name}.{ending}");
    sandbox.repo().join(path)
}

/// Returns toy SDKs with this list of vendored modules.
fn vendored(list: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    for arch in Arch::ALL {
        let path = sandbox.path(&format!("toy-{}.tar.gz", arch.goarch()));
        let toy = Toy::new(arch).version("1.99.1");
        toy.with("src/vendor/modules.txt", list).tar_gz(&path);
    }
    sandbox.treefile("1.99.1", TOY_SOURCE);
    sandbox.compose([]);
    write_keys(&sandbox);
    sandbox
}

/// Returns the checksum of a file or directory, according to the stock command.
fn checksum(sandbox: &Sandbox, path: &str, column: usize) -> String {
    let folder = Path::new(path).parent().unwrap().to_str().unwrap();
    let listed = ostree(&sandbox.repo(), ["ls", "--checksum", REF, folder]);
    let line = listed.lines().find(|line| line.ends_with(path));
    let line = line.unwrap_or_else(|| panic!("{path} is in {listed}"));
    let mut sums = line.split_whitespace().filter(|word| word.len() == 64);
    sums.nth(column).expect("a checksum").to_owned()
}

#[test]
fn a_damaged_release_is_not_attested() {
    let list = "/usr/lib/sdk/go-1.99/src/vendor/modules.txt";
    let said = |sandbox: &Sandbox| {
        let out = attest(sandbox, [REF, "--spdx"]).exits(1);
        assert_eq!(out.stdout, "");
        ostree_go_tests::images::masked(&masked(sandbox, &out.stderr))
    };
    let malformed = vendored("# golang.org/x/crypto\tv1\n## nonsense\n# ../a v1 => v2 => v3\n");
    assert_snapshot!(said(&malformed), @"error: cannot read the modules in /usr/lib/sdk/go-1.99/src/vendor/modules.txt: line 3: `# ../a v1 => v2 => v3` names no module, expected the form `# example.com/a v1.2.3 [=> …]`");

    let sandbox = vendored("# golang.org/x/crypto v0.46.0\n");
    let out = attest(&sandbox, [REF, "--cyclonedx"]).ok();
    let found: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(found["components"][0]["name"], "golang.org/x/crypto");
    // A file whose content is that of another one, with valid compression.
    let path = object(&sandbox, &checksum(&sandbox, list, 0), "filez");
    let honest = fs::read(&path).unwrap();
    let other = vendored("# golang.org/x/crypto v0.99.0\n");
    let other = object(&other, &checksum(&other, list, 0), "filez");
    fs::copy(other, &path).unwrap();
    assert_snapshot!(said(&sandbox), @"error: cannot read the modules in /usr/lib/sdk/go-1.99/src/vendor/modules.txt: it is damaged in the repository: object SHA256");
    fs::write(&path, &honest[..honest.len() / 2]).unwrap();
    assert_snapshot!(said(&sandbox), @"
    error: cannot read object SHA256 in repository [dir]/repo
      Need more input
    ");
    fs::remove_file(&path).unwrap();
    assert_snapshot!(said(&sandbox), @"
    error: cannot read object SHA256 in repository [dir]/repo
      Couldn't find file object 'SHA256'
    ");
    fs::write(&path, honest).unwrap();
    attest(&sandbox, [REF, "--spdx"]).ok();
    let folder = Path::new(list).parent().unwrap().to_str().unwrap();
    let tree = object(&sandbox, &checksum(&sandbox, folder, 0), "dirtree");
    fs::remove_file(tree).unwrap();
    assert_snapshot!(said(&sandbox), @"error: cannot read commit [commit]: object SHA256.dirtree is damaged or missing");
}
