//! Signatures by keys that ostree-go does not have: external commands, tokens, and agents. They are verified by the stock `ostree`
//! and by ostree-go.

use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use ostree_go_tests::cli::run;
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::ostree;
use ostree_go_tests::sandbox::Sandbox;
use ostree_go_tests::tools;

fn toys() -> Sandbox {
    Sandbox::with_toys("channels: [\"go-sdk/${basearch}/1.99\"]")
}

fn utf8(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Checks that all refs have a valid signature by a key, and that signing again and publishing again changes nothing.
#[track_caller]
fn check_signed(sandbox: &Sandbox, publish: &[&str], signing: &[&str], keys: [&str; 2]) {
    let refs = sandbox.refs();
    for name in &refs {
        let out = sandbox.run(["verify", name, keys[0], keys[1]]).ok();
        assert!(out.stdout.contains("valid"), "{name}: {out}");
    }
    let read = |name: &str| std::fs::read(sandbox.repo().join(name)).unwrap();
    let summary = read("summary.sig");
    let again: Vec<&str> = ["sign"]
        .into_iter()
        .chain(refs.iter().map(String::as_str))
        .collect();
    let out = sandbox.run([&again[..], signing].concat()).ok();
    assert!(!out.stderr.contains("new signature"), "{out}");
    sandbox.run([publish, signing].concat()).ok();
    assert_eq!(read("summary.sig"), summary);
    sandbox.fsck();
}

/// A command that signs with OpenSSL, as a client of a key service would, and logs what it was asked for.
fn openssl_signer(sandbox: &Sandbox) {
    let script = "#!/bin/sh\nset -e\ncd \"$(dirname \"$0\")\"\n\
        echo \"$OSTREE_GO_SIGN_PROTOCOL $OSTREE_GO_SIGN_KIND $OSTREE_GO_SIGN_NAME $OSTREE_GO_SIGN_FORMAT $OSTREE_GO_SIGN_KEY\" >> log\n\
        cat > data\n\
        openssl pkeyutl -sign -inkey key.pem -rawin -in data | base64\n";
    let path = sandbox.write("signer.sh", script);
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let made = Command::new("openssl")
        .args(["genpkey", "-algorithm", "ed25519", "-out"])
        .arg(sandbox.path("key.pem"))
        .output()
        .unwrap();
    assert!(made.status.success());
    let public = Command::new("sh")
        .args([
            "-c",
            "openssl pkey -in key.pem -pubout -outform DER | tail -c 32 | base64 > key.pub",
        ])
        .current_dir(sandbox.path(""))
        .output()
        .unwrap();
    assert!(public.status.success());
}

#[test]
fn a_command_signs_with_ed25519() {
    if tools::require("openssl").is_none() {
        return;
    }
    let sandbox = toys();
    openssl_signer(&sandbox);
    let signing = [
        "--sign-command",
        "./signer.sh",
        "--sign-command-key",
        "key.pub",
    ];
    sandbox
        .run([&["compose", "go.yaml"], &signing[..]].concat())
        .ok();
    sandbox
        .run([&["publish", "--sign-deltas"], &signing[..]].concat())
        .ok();
    let log = std::fs::read_to_string(sandbox.path("log")).unwrap();
    let public = std::fs::read_to_string(sandbox.path("key.pub")).unwrap();
    let commit = sandbox.rev("go-sdk/x86_64/1.99.1").unwrap();
    let line = format!("1 commit {commit} ed25519 {}", public.trim());
    assert!(log.lines().any(|logged| logged == line), "{line}\n{log}");
    assert!(log.contains("1 summary  ed25519 "), "{log}");
    check_signed(
        &sandbox,
        &["publish", "--sign-deltas"],
        &signing,
        ["--ed25519-keys", "key.pub"],
    );
    // The command signs each thing once: signatures that exist are recognized by the public key.
    let again = std::fs::read_to_string(sandbox.path("log")).unwrap();
    assert_eq!(again, log);
    // The stock tool accepts it, if it was built with Ed25519.
    let stock = [
        "sign",
        "--verify",
        "--sign-type=ed25519",
        &commit,
        public.trim(),
    ];
    let out = ostree::try_ostree(&sandbox.repo(), stock);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(
        out.status.success() || said.contains("not supported") || said.contains("not implemented"),
        "{said}"
    );
}

#[test]
fn a_command_signs_with_openpgp() {
    let sandbox = toys();
    let gpg = Gpg::new();
    let key = gpg.key("service");
    let public = gpg.export(&key);
    let home = utf8(gpg.home()).to_owned();
    let armoured =
        format!("gpg --homedir {home} --batch -u $OSTREE_GO_SIGN_KEY --armor --detach-sign");
    let binary = armoured.replace("--armor ", "");
    let compose = |command: &str| {
        let keys = ["--sign-command-key", utf8(&public)];
        let signing = [&["--sign-command", command], &keys[..]].concat();
        sandbox
            .run([&["compose", "go.yaml", "--replace"], &signing[..]].concat())
            .ok();
        sandbox.run([&["publish"], &signing[..]].concat()).ok();
        check_signed(
            &sandbox,
            &["publish"],
            &signing,
            ["--gpg-keys", utf8(&public)],
        );
    };
    compose(&armoured);
    // The same key in the home directory has signed already, also when the other format is used.
    let commit = sandbox.rev("go-sdk/x86_64/1.99.1").unwrap();
    let out = sandbox
        .run(["sign", &commit, "--gpg-sign", &key, "--gpg-homedir", &home])
        .ok();
    assert!(out.stderr.contains("has these signatures already"), "{out}");
    compose(&binary);
    let lock = ["show", "go-sdk/x86_64/1.99.1"];
    let shown = ostree::try_ostree(&sandbox.repo(), lock);
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("Found 1 signature"), "{shown}");
}

#[test]
fn a_command_that_does_not_sign_leaves_no_signature() {
    let sandbox = toys();
    sandbox.compose([]);
    sandbox
        .run([
            "key",
            "generate",
            "--output-dir",
            "keys",
            "--type",
            "ed25519",
        ])
        .ok();
    let name = "go-sdk/x86_64/1.99.1";
    let commit = sandbox.rev(name).unwrap();
    let said = |command: &str, rest: &[&str]| {
        let sign = ["sign", name, "--sign-command", command];
        let key = ["--sign-command-key", "keys/public.ed25519"];
        let out = sandbox.run([&sign[..], &key, rest].concat());
        assert_ne!(out.code(), Some(0), "{out}");
        out.stderr
    };
    let failing = "echo the service is down >&2; exit 7";
    assert_eq!(
        said(failing, &[]),
        format!(
            "error: cannot sign commit {commit} with command `{failing}`\n  the command ended with exit status 7: the service is down\n"
        )
    );
    let out = said("head -c 64 /dev/zero", &[]);
    assert!(
        out.contains("the signature is not valid for public key "),
        "{out}"
    );
    assert!(
        out.contains(
            "hint: --sign-command-key has to be the public key that the command signs with"
        ),
        "{out}"
    );
    let out = said("echo signed", &[]);
    assert!(
        out.contains("the command wrote 7 bytes that are not a signature, expected an Ed25519 signature of 64 bytes, or the same in base64"),
        "{out}"
    );
    let out = said("exec sleep 600", &["--sign-command-timeout", "1"]);
    assert!(
        out.contains("the command did not end within 1 seconds"),
        "{out}"
    );
    let out = said("exec cat /dev/zero", &[]);
    assert!(
        out.contains("the command wrote more than 65536 bytes, expected a signature"),
        "{out}"
    );
    // One command and two keys, and a file that contains no key.
    let out = said("true", &["--sign-command-key", "keys/public.ed25519"]);
    assert!(
        out.contains(
            "found 1 --sign-command and 2 --sign-command-key, expected the same number of both"
        ),
        "{out}"
    );
    sandbox.write("junk", "no key\n");
    let out = sandbox.run([
        "sign",
        name,
        "--sign-command",
        "true",
        "--sign-command-key",
        "junk",
    ]);
    assert!(
        out.stderr.contains(
            "found 0 public keys, expected an Ed25519 public key, 32 bytes in base64, or one public GPG key"
        ),
        "{out}"
    );
    let out = sandbox.run(["verify", name, "--ed25519-keys", "keys/public.ed25519"]);
    assert_eq!(out.code(), Some(3), "{out}");
}

/// A SoftHSM token in a directory of its own.
struct Token {
    sandbox: Sandbox,
    module: &'static str,
}

impl Token {
    fn new() -> Option<Self> {
        let module = tools::require_softhsm()?;
        let sandbox = toys();
        std::fs::create_dir(sandbox.path("tokens")).unwrap();
        let text = format!(
            "directories.tokendir = {}\n",
            sandbox.path("tokens").display()
        );
        sandbox.write("softhsm2.conf", &text);
        sandbox.write("pin", "1234\n");
        let token = Self { sandbox, module };
        token.util(&[
            "--init-token",
            "--free",
            "--label",
            "Acme signing",
            "--so-pin",
            "4321",
            "--pin",
            "1234",
        ]);
        Some(token)
    }

    fn command(&self, command: &mut Command) -> std::process::Output {
        command.env("SOFTHSM2_CONF", self.sandbox.path("softhsm2.conf"));
        command.output().unwrap()
    }

    fn util(&self, args: &[&str]) {
        let util = tools::find("softhsm2-util").unwrap();
        let out = self.command(Command::new(util).args(args));
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
    }

    fn generate(&self, kind: &str, label: &str, id: &str) {
        let login = [
            "--module",
            self.module,
            "--token-label",
            "Acme signing",
            "--login",
            "--pin",
            "1234",
        ];
        let key = [
            "--keypairgen",
            "--key-type",
            kind,
            "--label",
            label,
            "--id",
            id,
        ];
        let out = self.command(Command::new("pkcs11-tool").args(login).args(key));
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
    }

    /// Writes the public key as pkcs11-tool and OpenSSL see it: the last 32 bytes of its DER form.
    fn export(&self, label: &str, file: &str) {
        let read = format!(
            "pkcs11-tool --module {} --token-label 'Acme signing' --read-object --type pubkey --label {label} | openssl pkey -pubin -pubout -outform DER | tail -c 32 | base64 > {file}",
            self.module
        );
        let mut command = Command::new("sh");
        let out = self.command(
            command
                .args(["-c", &read])
                .current_dir(self.sandbox.path("")),
        );
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
    }

    fn uri(&self, path: &str, query: &str) -> String {
        format!("pkcs11:{path}?module-path={}{query}", self.module)
    }

    fn run(&self, args: &[&str]) -> ostree_go_tests::cli::Output {
        let mut command = self.sandbox.ostree_go(args.iter().copied());
        run(command.env("SOFTHSM2_CONF", self.sandbox.path("softhsm2.conf")))
    }
}

#[test]
fn a_key_on_a_token_signs() {
    let Some(token) = Token::new() else { return };
    token.generate("EC:edwards25519", "release", "01");
    token.export("release", "token.pub");
    let pin = format!("&pin-source={}", token.sandbox.path("pin").display());
    let uri = token.uri("token=Acme%20signing;object=release", &pin);
    let signing = ["--sign-pkcs11", &uri];
    token
        .run(&[&["compose", "go.yaml"], &signing[..]].concat())
        .ok();
    token
        .run(&[&["publish", "--sign-deltas"], &signing[..]].concat())
        .ok();
    for name in token.sandbox.refs() {
        let out = token
            .run(&["verify", &name, "--ed25519-keys", "token.pub"])
            .ok();
        assert!(out.stdout.contains("valid"), "{name}: {out}");
    }
    let commit = token.sandbox.rev("go-sdk/x86_64/1.99.1").unwrap();
    let out = token.run(&[&["sign", &commit], &signing[..]].concat()).ok();
    assert!(out.stderr.contains("has these signatures already"), "{out}");
    // The module can be named beside the URI, and the key by its ID; `pin-value` works as well.
    let uri = "pkcs11:token=Acme%20signing;id=%01;type=private?pin-value=1234";
    let named = [
        "sign",
        &commit,
        "--sign-pkcs11",
        uri,
        "--pkcs11-module",
        token.module,
    ];
    let out = token.run(&named).ok();
    assert!(out.stderr.contains("has these signatures already"), "{out}");
    let printed = [out.stdout.as_str(), &out.stderr].concat();
    assert!(!printed.contains("1234"), "{out}");
}

#[test]
fn a_token_that_cannot_sign_is_explained() {
    let Some(token) = Token::new() else { return };
    token.sandbox.compose([]);
    token.generate("EC:edwards25519", "release", "01");
    token.generate("EC:edwards25519", "second", "02");
    token.generate("rsa:2048", "rsa", "03");
    let commit = token.sandbox.rev("go-sdk/x86_64/1.99.1").unwrap();
    let said = |uri: &str| {
        let out = token.run(&["sign", &commit, "--sign-pkcs11", uri]);
        assert_ne!(out.code(), Some(0), "{out}");
        out.stderr
    };
    let good = "token=Acme%20signing;object=release";
    let pin = "&pin-value=1234";
    let contains = |uri: &str, texts: &[&str]| {
        let out = said(uri);
        for text in texts {
            assert!(out.contains(text), "{uri}: {out}");
        }
    };
    contains(
        &token.uri(good, "&pin-value=9999"),
        &[
            &format!("cannot sign commit {commit} with key pkcs11:{good}\n"),
            "token `Acme signing` refused the PIN",
        ],
    );
    contains(
        &token.uri(good, ""),
        &[
            "token `Acme signing` requires a PIN, and the URI names no source of one",
            "hint: add `?pin-source=FILE` to the URI, with the absolute path of a file that contains the PIN",
        ],
    );
    contains(
        &token.uri(good, "&pin-source=/nonexistent/pin"),
        &[
            "cannot read the PIN from /nonexistent/pin",
            "No such file or directory",
        ],
    );
    contains(
        &token.uri("token=other", pin),
        &[
            "no token matches the URI, found `Acme signing`",
            "hint: `pkcs11-tool --module FILE --list-token-slots` lists the tokens of a module",
        ],
    );
    contains(
        &token.uri("token=Acme%20signing;object=none", pin),
        &["token `Acme signing` has no private key that matches the URI"],
    );
    contains(
        &token.uri("token=Acme%20signing;object=rsa", pin),
        &["the key on token `Acme signing` is of type CKK_RSA, expected an Ed25519 key"],
    );
    contains(
        &token.uri("token=Acme%20signing", pin),
        &["token `Acme signing` has 2 Ed25519 keys that match the URI, expected one"],
    );
    contains(
        "pkcs11:token=a?module-path=/nonexistent.so",
        &["cannot load PKCS#11 module /nonexistent.so: "],
    );
    contains(
        "pkcs11:token=a",
        &["invalid PKCS#11 URI: it names no module", "--pkcs11-module"],
    );
    contains(
        "https://example.com",
        &["invalid PKCS#11 URI: it does not begin with `pkcs11:`"],
    );
    let out = token.run(&["verify", &commit, "--ed25519-keys", "pin"]);
    assert_ne!(out.code(), Some(0), "{out}");
    let shown = token
        .run(&["show", "go-sdk/x86_64/1.99.1", "--format", "json"])
        .ok();
    assert!(!shown.stdout.contains("\"ed25519\""), "{shown}");
}

/// The secret key stays in another GnuPG home, as on a smartcard or on another machine: the home of the build has only the public
/// key, and the socket of the agent.
#[test]
fn an_agent_of_another_home_signs() {
    let sandbox = toys();
    let owner = Gpg::new();
    let key = owner.key("owner");
    let public = owner.export(&key);
    let build = Gpg::new();
    let gpg = |home: &Path, args: &[&str]| {
        let out = Command::new("gpg")
            .arg("--homedir")
            .arg(home)
            .args(args)
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        out.stdout
    };
    gpg(
        build.home(),
        &["--batch", "--no-autostart", "--import", utf8(&public)],
    );
    let socket = |home: &Path, name: &str| {
        let out = Command::new("gpgconf")
            .arg("--homedir")
            .arg(home)
            .args(["--list-dirs", name])
            .output()
            .unwrap();
        std::path::PathBuf::from(String::from_utf8(out.stdout).unwrap().trim())
    };
    // The extra socket is the one that is forwarded to other machines.
    let started = Command::new("gpg-connect-agent")
        .arg("--homedir")
        .arg(owner.home())
        .arg("/bye")
        .output()
        .unwrap();
    assert!(started.status.success());
    let own = socket(build.home(), "agent-socket");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    let _ = std::fs::remove_file(&own);
    symlink(socket(owner.home(), "agent-extra-socket"), &own).unwrap();
    let listed = gpg(
        build.home(),
        &["--batch", "--no-autostart", "--list-secret-keys", &key],
    );
    assert!(!listed.is_empty());
    let keys = build.home().join("private-keys-v1.d");
    assert!(!keys.exists() || keys.read_dir().unwrap().next().is_none());
    let signing = ["--gpg-sign", &key, "--gpg-homedir", utf8(build.home())];
    sandbox
        .run([&["compose", "go.yaml"], &signing[..]].concat())
        .ok();
    sandbox.run([&["publish"], &signing[..]].concat()).ok();
    check_signed(
        &sandbox,
        &["publish"],
        &signing,
        ["--gpg-keys", utf8(&public)],
    );
    std::fs::remove_file(&own).unwrap();
}
