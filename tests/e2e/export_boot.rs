//! `export ignition` and `export butane`: Ignition applies the configuration, and the commands of the unit are
//! run on the resulting host.

use ostree_go_sdk::Arch;
use ostree_go_tests::boot::{Booted, PROGRAM, Publisher};
use ostree_go_tests::cli::{ostree_go, run};
use ostree_go_tests::host::read;
use ostree_go_tests::tmpfs::Tmpfs;
use ostree_go_tests::tools;
use ostree_go_tests::webserver::Fault;
use serde_json::{Value, json};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

fn host_arch() -> Arch {
    Arch::host().expect("tests run where SDKs do")
}

/// Parses YAML with strings, lists and maps, in which every scalar is a string.
fn yaml(text: &str) -> Value {
    use saphyr_parser::{Event, Parser};
    fn value<'a>(event: Event<'a>, rest: &mut impl Iterator<Item = Event<'a>>) -> Value {
        match event {
            Event::Scalar(text, ..) => Value::from(&*text),
            Event::SequenceStart(..) => {
                let mut items = Vec::new();
                while let Some(event) = rest.next().filter(|e| *e != Event::SequenceEnd) {
                    items.push(value(event, rest));
                }
                items.into()
            }
            Event::MappingStart(..) => {
                let mut entries = serde_json::Map::new();
                while let Some(Event::Scalar(key, ..)) = rest.next() {
                    let event = rest.next().expect("a value");
                    entries.insert(key.into_owned(), value(event, rest));
                }
                entries.into()
            }
            other => panic!("unexpected {other:?}"),
        }
    }
    let mut events = Parser::new_from_str(text)
        .map(|event| event.expect("YAML").0)
        .filter(|event| !matches!(event, Event::StreamStart | Event::DocumentStart(_)));
    let first = events.next().expect("a document");
    value(first, &mut events)
}

/// Decodes a data URL.
fn decoded(contents: &Value) -> Vec<u8> {
    use base64::Engine as _;
    let url = contents["source"].as_str().expect("a source");
    let (kind, data) = url.split_once(',').expect("a data URL");
    let bytes = match kind {
        "data:;base64" => base64::engine::general_purpose::STANDARD
            .decode(data)
            .unwrap(),
        "data:" => {
            let mut parts = data.split('%');
            let mut bytes = parts.next().unwrap().as_bytes().to_vec();
            for part in parts {
                bytes.push(u8::from_str_radix(&part[..2], 16).unwrap());
                bytes.extend(&part.as_bytes()[2..]);
            }
            bytes
        }
        other => panic!("{other}"),
    };
    if contents["compression"] != "gzip" {
        return bytes;
    }
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&*bytes)
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

/// Returns an Ignition configuration with decoded contents.
fn plain(config: &str) -> Value {
    let mut config: Value = serde_json::from_str(config).expect("JSON");
    for file in config["storage"]["files"].as_array_mut().expect("files") {
        let bytes = decoded(&file["contents"]);
        file["contents"] = json!(bytes);
    }
    config
}

/// Translates the fields that we use as Butane does (`docs/config-fcos-v1_4.md` of coreos/butane),
/// with decoded contents.
fn translated(butane: &str, ignition: &str) -> Value {
    let butane = yaml(butane);
    let keys = |value: &Value| -> Vec<String> {
        let mut keys: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    assert_eq!(keys(&butane), ["storage", "systemd", "variant", "version"]);
    assert_eq!(butane["variant"], "fcos");
    let list = |value: &Value| value.as_array().unwrap().clone();
    let files = list(&butane["storage"]["files"]).into_iter().map(|file| {
        assert_eq!(keys(&file), ["contents", "mode", "overwrite", "path"]);
        let bytes = match &file["contents"]["inline"] {
            Value::String(text) => text.clone().into_bytes(),
            _ => decoded(&file["contents"]),
        };
        let mode = u32::from_str_radix(file["mode"].as_str().unwrap(), 8).unwrap();
        json!({
            "path": file["path"], "mode": mode, "contents": bytes,
            "overwrite": file["overwrite"] == "true",
        })
    });
    let units = list(&butane["systemd"]["units"]).into_iter().map(|unit| {
        assert_eq!(keys(&unit), ["contents", "enabled", "name"]);
        json!({
            "name": unit["name"], "contents": unit["contents"],
            "enabled": unit["enabled"] == "true",
        })
    });
    json!({
        "ignition": { "version": ignition },
        "storage": { "files": files.collect::<Value>() },
        "systemd": { "units": units.collect::<Value>() },
    })
}

#[test]
fn butane_and_ignition_are_equivalent_in_every_version() {
    let publisher = Publisher::new();
    let more = [
        "--env",
        "GOPROXY=https://proxy.example,direct",
        "--env",
        "GOFLAGS=-x -v",
    ];
    // A keyring that is no text, beside the one that is.
    let binary = publisher.sandbox.path("keys.gpg");
    run(Command::new("gpg")
        .args(["--batch", "--yes", "--dearmor", "--output"])
        .arg(&binary)
        .arg(publisher.gpg.export(&publisher.key)))
    .ok();
    let binary = binary.to_str().unwrap();
    let more = [&more[..], &["--gpg-import", binary]].concat();
    let validate = tools::require("ignition-validate");
    for (butane, ignition) in [
        ("1.4.0", "3.3.0"),
        ("1.5.0", "3.4.0"),
        ("1.6.0", "3.5.0"),
        ("1.7.0", "3.6.0"),
    ] {
        let spec = |version| [&more[..], &["--spec", version]].concat();
        let yaml = publisher
            .export("butane", &["1.99", "1.99.1"], &spec(butane))
            .ok()
            .stdout;
        let again = publisher
            .export("butane", &["1.99", "1.99.1"], &spec(butane))
            .ok()
            .stdout;
        assert_eq!(yaml, again);
        let config = publisher
            .export("ignition", &["1.99", "1.99.1"], &spec(ignition))
            .ok()
            .stdout;
        let wanted = plain(&config);
        assert_eq!(translated(&yaml, ignition), wanted);
        // Debian has no butane, so the translation above is ours; where there is one, it judges.
        let file = publisher.sandbox.write("config.bu", &yaml);
        if let Some(butane) = tools::find("butane") {
            let out = run(Command::new(butane).arg("--strict").arg(&file)).ok();
            assert_eq!(plain(&out.stdout), wanted);
        }
        // Debian's ignition-validate ends with 3.3.0.
        if let (Some(validate), "3.3.0") = (&validate, ignition) {
            let file = publisher.sandbox.write("config.ign", &config);
            let out = run(Command::new(validate).arg(file)).ok();
            assert_eq!((out.stdout.as_str(), out.stderr.as_str()), ("", ""));
        }
    }
}

#[test]
fn a_host_installs_at_its_first_boot_and_upgrades_at_the_next() {
    let publisher = Publisher::new();
    let more = [
        "--program",
        PROGRAM,
        "--env",
        "GOPROXY=https://proxy.example,direct",
    ];
    let config = publisher.export("ignition", &["1.99"], &more).ok().stdout;
    let Some(host) = Booted::apply(&config) else {
        return;
    };
    // What is written is what the configuration says.
    let json = plain(&config);
    for file in json["storage"]["files"].as_array().unwrap() {
        let path = host.path(&file["path"].as_str().unwrap()[1..]);
        assert_eq!(json!(fs::read(&path).unwrap()), file["contents"]);
        let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
        assert_eq!(json!(mode), file["mode"], "{}", path.display());
    }
    assert_eq!(json["systemd"]["units"][0]["contents"], host.unit);
    let preset = read(&host.path("etc/systemd/system-preset/20-ignition.preset"));
    assert_eq!(preset.trim(), "enable ostree-go-sdk.service");
    for cache in ["go-build", "go-mod"] {
        let cache = host.path("var/cache").join(cache).metadata().unwrap();
        assert_eq!(cache.permissions().mode() & 0o7777, 0o700);
    }
    let commit = publisher
        .sandbox
        .rev(&format!("go-sdk/{}/1.99", host_arch()));
    let meta = read(&host.path("etc/os-release.d/sdk-meta"));
    for line in [
        "go_version=\"1.99.1\"",
        &format!("sdk_commit=\"{}\"", commit.unwrap()),
        "build_env=\"GOCACHE=/var/cache/go-build GOMODCACHE=/var/cache/go-mod \
         GOPROXY=https://proxy.example,direct\"",
    ] {
        assert!(meta.lines().any(|found| found == line), "{line}: {meta}");
    }

    let out = host.boot().ok();
    assert!(
        out.stderr.ends_with("go 1.99.1 is installed and active\n"),
        "{}",
        out.stderr
    );
    let status = host.status();
    assert_eq!(host.versions(), ["1.99.1*"]);
    assert_eq!(status["deployments"][0]["signatures"][0]["status"], "valid");
    let session = ". /etc/profile.d/ostree-go.sh; . /etc/profile.d/ostree-go.sh
                   command -v go; echo \"$PATH|$GOCACHE|$GOPROXY|$GOCACHEPROG\"; . /etc/os-release.d/sdk-meta
                   echo \"$go_version\"";
    let out = host.command(&["sh", "-euc", session]).ok();
    let bin = "/var/lib/ostree-go/current/usr/bin";
    let shown = format!(
        "{bin}/go\n{bin}:/usr/bin:/usr/sbin|/var/cache/go-build|\
         https://proxy.example,direct|{PROGRAM} cacheprog --root /var/lib/ostree-go\n1.99.1\n"
    );
    assert_eq!(out.stdout, shown);

    // What the services of users get, by systemd's own reading.
    let generator =
        "/usr/lib/systemd/user-environment-generators/30-systemd-environment-d-generator";
    let out = host.command(&[generator]).ok();
    let mut lines: Vec<&str> = out.stdout.lines().collect();
    lines.sort_unstable();
    let path = format!("PATH={bin}:/usr/bin:/usr/sbin");
    assert_eq!(lines, ["GOPROXY=https://proxy.example,direct", &path]);

    // The next boot.
    publisher.release("1.99.2", 1_800_000_001);
    host.boot().ok();
    assert_eq!(host.versions(), ["1.99.1", "1.99.2*"]);
    let keys = host.command(&[PROGRAM, "remote", "show-keys", "acme", "--format", "json"]);
    let keys: Value = serde_json::from_str(&keys.ok().stdout).unwrap();
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1);
    // And one with nothing new, and one without a network.
    host.boot().ok();
    publisher.release("1.99.3", 1_800_000_002);
    publisher.server.fault("/", Fault::Status(503));
    let out = host.boot();
    assert_eq!(out.code(), Some(75), "{}", out.stderr);
    assert_eq!(host.versions(), ["1.99.1", "1.99.2*"]);
    let tried = host.lines("RestartPreventExitStatus")[0].clone();
    assert!(!tried.split(' ').any(|code| code == "75"), "{tried}");
    assert_eq!(host.lines("Restart"), ["on-failure"]);
}

#[test]
fn a_key_that_did_not_sign_is_refused() {
    let publisher = Publisher::new();
    let other = publisher.gpg.key("somebody");
    let keys = publisher.gpg.export(&other).display().to_string();
    let more = ["--program", PROGRAM, "--gpg-import", &keys];
    let config = publisher
        .export_with("ignition", &["1.99"], &more)
        .ok()
        .stdout;
    let Some(host) = Booted::apply(&config) else {
        return;
    };
    let out = host.boot().exits(3);
    assert!(
        out.stderr.contains("nothing was deployed"),
        "{}",
        out.stderr
    );
    assert!(
        host.lines("RestartPreventExitStatus")[0]
            .split(' ')
            .any(|code| code == "3")
    );
    assert!(fs::symlink_metadata(host.path("var/lib/ostree-go/current")).is_err());
    assert_eq!(host.versions(), [""; 0]);
}

#[test]
fn several_sdks_are_installed_and_the_first_is_active() {
    let publisher = Publisher::new();
    publisher.release("1.99.2", 1_800_000_001);
    let more = ["--program", PROGRAM];
    let config = publisher
        .export("ignition", &["1.99.1", "1.99"], &more)
        .ok()
        .stdout;
    let Some(host) = Booted::apply(&config) else {
        return;
    };
    host.boot().ok();
    assert_eq!(host.versions(), ["1.99.1*", "1.99.2"]);
}

#[test]
fn systemd_analyze_accepts_the_unit() {
    let (Some(_), publisher) = (tools::require("systemd-analyze"), Publisher::new()) else {
        return;
    };
    // A program that is there, and a URL with what means something to systemd.
    let program = ostree_go().get_program().to_str().unwrap().to_owned();
    let keys = publisher.gpg.export(&publisher.key).display().to_string();
    let out = publisher
        .sandbox
        .run([
            "export",
            "ignition",
            "1.99",
            "--gpg-import",
            &keys,
            "--program",
            &program,
            "--remote-url",
            "https://x.example/a%20b/$HOME;x",
        ])
        .ok();
    let config: Value = serde_json::from_str(&out.stdout).unwrap();
    let unit = &config["systemd"]["units"][0];
    let unit = publisher.sandbox.write(
        unit["name"].as_str().unwrap(),
        unit["contents"].as_str().unwrap(),
    );
    let out = run(Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .arg(&unit))
    .ok();
    assert_eq!(out.stderr, "");
    assert!(read(&unit).contains(" \"https://x.example/a%%20b/$$HOME;x\" "));
    // What it may do is little: systemd's own scale ends at 10.
    run(Command::new("systemd-analyze")
        .args(["security", "--no-pager", "--offline=true", "--threshold=30"])
        .arg(&unit))
    .ok();
}

#[test]
fn errors_name_the_invalid_input() {
    let publisher = Publisher::new();
    let layers = publisher.sandbox.refs();
    let layer = layers
        .iter()
        .find(|name| name.contains("layer/site"))
        .unwrap();
    let host = host_arch().to_string();
    let mut all = Arch::ALL.into_iter();
    let other_arch = all.find(|arch| *arch != host_arch()).unwrap().to_string();
    let other = format!("go-sdk/{other_arch}/1.99");
    publisher.sandbox.write("junk", "no key\n");
    let repo = publisher.sandbox.repo().display().to_string();
    let said = |names: &[&str], more: &[&str]| {
        let out = publisher.export("ignition", names, more);
        assert_ne!(out.code(), Some(0));
        assert_eq!(out.stdout, "");
        format!(
            "{} {}",
            out.code().unwrap(),
            out.stderr.replace(&repo, "REPO")
        )
    };
    insta::with_settings!({filters => [
        ("[0-9a-f]{64}", "COMMIT"),
        (host.as_str(), "HOST"),
        (other_arch.as_str(), "OTHER"),
    ]}, {
        insta::assert_snapshot!(said(&["1.98"], &[]), @"
        1 error: no ref or commit `1.98` in repository REPO
        hint: did you mean `go-sdk/HOST/1.99`?
        ");
        insta::assert_snapshot!(said(&[layer], &[]), @"
        1 error: commit COMMIT is a layer, expected a release or a channel
        hint: `ostree-go list` shows releases and channels
        ");
        insta::assert_snapshot!(said(&["1.99", &other], &[]), @"
        1 error: go-sdk/OTHER/1.99 is not for HOST, like the releases before it
        hint: write a configuration for each architecture
        ");
        insta::assert_snapshot!(said(&["1.99"], &["--spec", "2.4.0"]), @"1 error: unknown Ignition version `2.4.0`, expected 3.3.0, 3.4.0, 3.5.0, 3.6.0");
        insta::assert_snapshot!(said(&["1.99"], &["--gpg-import", "no-such.asc"]), @"
        1 error: cannot read no-such.asc
          No such file or directory (os error 2)
        ");
        insta::assert_snapshot!(said(&["1.99"], &["--gpg-import", "junk"]), @"
        1 error: there are no public GPG keys in the input for remote `acme`
        ");
        insta::assert_snapshot!(said(&["1.99"], &["--remote", "a/b"]), @"1 error: `a/b` is not a name for a remote, expected letters, digits, `.`, `_` and `-`");
        insta::assert_snapshot!(said(&["1.99"], &["--env", "GOFLAGS=$HOME"]), @r"1 error: value `$HOME` has a quote, `$`, `\`, a backquote or a line break");
        insta::assert_snapshot!(said(&["1.99"], &["--env", "1A=b"]), @"1 error: variable `1A` is no name of a variable");
        insta::assert_snapshot!(said(&["1.99"], &["--env", "GOFLAGS"]), @"2 error: --env GOFLAGS has no value, expected NAME=VALUE");
        insta::assert_snapshot!(said(&["1.99"], &["--cache-owner", "a b"]), @"1 error: user `a b` is no name of a user");
        insta::assert_snapshot!(said(&["1.99"], &["--program", "ostree-go"]), @"1 error: program `ostree-go` is no absolute path of letters, digits, `.`, `_`, `+` and `-`");
        insta::assert_snapshot!(said(&["1.99"], &["--output", "no/such/c.ign"]), @"
        1 error: cannot write no/such/c.ign
          No such file or directory (os error 2)
        ");
    });
    let url = publisher.server.url();
    let out = publisher
        .sandbox
        .run(["export", "butane", "1.99", "--remote-url", &url])
        .exits(2);
    insta::assert_snapshot!(out.stderr, @"
    error: the following required arguments were not provided: --gpg-import <FILE>
    hint: usage: ostree-go export butane --remote-url <URL> --gpg-import <FILE> --repo <PATH> <RELEASE>...
    ");
    let out = publisher
        .export("butane", &["1.99"], &["--spec", "3.3.0"])
        .exits(1);
    insta::assert_snapshot!(out.stderr, @"error: unknown Butane version `3.3.0`, expected 1.4.0, 1.5.0, 1.6.0, 1.7.0");
}

#[test]
fn a_file_is_replaced_atomically() {
    let publisher = Publisher::new();
    publisher.sandbox.write("c.bu", "old\n");
    let out = publisher.export("butane", &["1.99"], &["-o", "c.bu"]).ok();
    assert_eq!(out.stdout, "");
    assert_eq!(
        out.stderr,
        format!("c.bu: installs go-sdk/{}/1.99\n", host_arch())
    );
    if let Some(disk) = Tmpfs::mount(64 << 10) {
        let dest = disk.path().join("c.bu");
        fs::write(&dest, "old\n").unwrap();
        disk.fill();
        let out = publisher.export("butane", &["1.99"], &["-o", dest.to_str().unwrap()]);
        let out = out.exits(75);
        insta::assert_snapshot!(out.stderr.replace(dest.to_str().unwrap(), "C.BU"), @"
        error: cannot write C.BU
          No space left on device (os error 28)
        hint: free space on the file system and run the command again
        ");
        assert_eq!(read(&dest), "old\n");
        assert_eq!(fs::read_dir(disk.path()).unwrap().count(), 2);
    }
    let printed = publisher.export("butane", &["1.99"], &[]).ok().stdout;
    assert_eq!(read(&publisher.sandbox.path("c.bu")), printed);
    let out = publisher
        .export("butane", &["1.99"], &["--format", "json"])
        .ok();
    let document: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(document["config"], printed);
    assert_eq!(document["releases"][0]["version"], "1.99.1");
}

#[test]
fn a_remote_is_added_once() {
    let publisher = Publisher::new();
    let (sandbox, keys) = (&publisher.sandbox, publisher.gpg.export(&publisher.key));
    let keys = keys.to_str().unwrap();
    let add = |url: &str| {
        sandbox.run([
            "remote",
            "add",
            "acme",
            url,
            "--if-not-exists",
            "--gpg-import",
            keys,
        ])
    };
    insta::with_settings!({filters => [("[0-9A-F]{40}", "KEY")]}, {
        insta::assert_snapshot!(add("https://a.example").ok().stderr, @"remote acme: its commits must be signed by KEY");
        insta::assert_snapshot!(add("https://a.example").ok().stderr, @"remote acme: its commits must be signed by KEY");
        insta::assert_snapshot!(add("https://b.example").exits(1).stderr, @"
        error: remote `acme` already exists, with URL https://a.example
        hint: delete it with `ostree-go remote delete`, or add keys to it with `ostree-go remote import-key`
        ");
    });
    let other = publisher.gpg.export(&publisher.gpg.key("next"));
    let args = [
        "remote",
        "add",
        "acme",
        "https://a.example",
        "--if-not-exists",
    ];
    let more = ["--gpg-import", other.to_str().unwrap(), "--format", "json"];
    let out = sandbox.run([&args[..], &more].concat()).ok();
    let json: Value = serde_json::from_str(&out.stdout).unwrap();
    assert_eq!(json["keys"].as_array().unwrap().len(), 2);
    sandbox
        .run([&args[..], &["--no-gpg-verify"]].concat())
        .exits(1);
}

#[test]
fn caches_in_memory_are_mounted() {
    let publisher = Publisher::new();
    let more = ["--program", PROGRAM, "--cache", "tmpfs"];
    let json = publisher.export("ignition", &["1.99"], &more).ok().stdout;
    let config: Value = serde_json::from_str(&json).unwrap();
    let units = config["systemd"]["units"].as_array().unwrap();
    let names: Vec<&str> = units.iter().map(|u| u["name"].as_str().unwrap()).collect();
    let mounts = ["var-cache-go\\x2dbuild.mount", "var-cache-go\\x2dmod.mount"];
    assert_eq!(names, [&["ostree-go-sdk.service"], &mounts[..]].concat());
    assert!(units.iter().all(|unit| unit["enabled"] == true));
    let yaml = publisher.export("butane", &["1.99"], &more).ok().stdout;
    assert_eq!(translated(&yaml, "3.3.0"), plain(&json));

    // The names are those that systemd derives from the paths, and it accepts the units.
    let (Some(escape), Some(analyze)) = (
        tools::require("systemd-escape"),
        tools::require("systemd-analyze"),
    ) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (unit, name) in units[1..].iter().zip(mounts) {
        let text = unit["contents"].as_str().unwrap();
        let path = text.lines().find_map(|line| line.strip_prefix("Where="));
        let args = ["--path", "--suffix=mount", path.unwrap()];
        let out = run(Command::new(&escape).args(args)).ok();
        assert_eq!(out.stdout.trim(), name);
        let file = folder.path().join(name);
        fs::write(&file, text).unwrap();
        let out = run(Command::new(&analyze).arg("verify").arg(&file)).ok();
        assert_eq!(out.stderr, "");
    }
}
