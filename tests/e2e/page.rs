//! The index page that `publish` writes, in a real browser.

use ostree_go_sdk::Arch;
use ostree_go_tests::cli::{ostree_go, run};
use ostree_go_tests::gpg::Gpg;
use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::sandbox::{Sandbox, TOY_SOURCE};
use ostree_go_tests::tools;
use ostree_go_tests::webserver::FaultyServer;
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

/// Creates a repository with two versions and their channels, published with its key.
fn published() -> (Sandbox, Gpg, String) {
    let (sandbox, gpg) = (Sandbox::new(), Gpg::new());
    let key = gpg.key("publisher");
    let home = gpg.home().to_str().expect("UTF-8").to_owned();
    let sign = ["--gpg-sign", &key, "--gpg-homedir", &home];
    for version in ["1.99.1", "1.99.2"] {
        sandbox.toys(version);
        let channels = "channels: [\"go-sdk/${basearch}/1.99\", \"go-sdk/${basearch}/stable\"]";
        sandbox.treefile(version, &format!("{TOY_SOURCE}\n{channels}"));
        sandbox.compose(sign);
    }
    let public = gpg.export(&key);
    let offer = ["--public-key", public.to_str().expect("UTF-8")];
    sandbox.run([&["publish"][..], &sign, &offer].concat()).ok();
    (sandbox, gpg, key)
}

/// Returns the document after its scripts have run. Only this machine can be reached.
fn dom(chromium: &Path, profile: &Path, url: &str) -> String {
    let mut command = Command::new(chromium);
    command.args([
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--dump-dom",
    ]);
    command.args(["--virtual-time-budget=5000", "--no-first-run"]);
    command.arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1");
    command.arg(format!("--user-data-dir={}", profile.display()));
    run(command.arg(url)).ok().stdout
}

/// Returns the text of the element with an ID.
fn text(dom: &str, tag: &str, id: &str) -> String {
    let (_, rest) = dom
        .split_once(&format!("<{tag} id=\"{id}\">"))
        .unwrap_or_else(|| panic!("no {tag} {id} in {dom}"));
    let (inner, _) = rest.split_once(&format!("</{tag}>")).expect("it ends");
    let mut text = String::new();
    for part in inner.split('<') {
        text += part.split_once('>').map_or(part, |(_, text)| text);
    }
    text
}

/// Loads the page into frames of different widths, and records the width of the content.
const PROBE: &str = r#"<!doctype html><body><pre id="found"></pre><script>
const found = [];
const frames = [390, 768, 1200].map(width => new Promise(done => {
  const frame = document.createElement('iframe');
  frame.style = `width:${width}px;height:900px;border:0`;
  frame.onload = () => {
    const doc = frame.contentDocument;
    const out = [...doc.querySelectorAll('body *')].filter(e => {
      const box = e.getBoundingClientRect();
      return box.width && (box.right > width || box.left < 0 || e.scrollWidth > e.clientWidth + 1 && e.clientWidth);
    });
    const broken = [...doc.querySelectorAll('thead th')].filter(e => {
      const text = doc.createRange();
      text.selectNodeContents(e);
      return text.getClientRects().length > 1;
    });
    found.push({width, scroll: doc.documentElement.scrollWidth, out: out.map(e => e.outerHTML.slice(0, 80)),
                broken: broken.map(e => e.outerHTML)});
    done();
  };
  frame.src = 'index.html';
  document.body.append(frame);
}));
Promise.all(frames).then(() => document.querySelector('#found').textContent = JSON.stringify(found));
</script>"#;

/// Clicks the buttons of the page, with a clipboard and without one, and records what is copied.
const CLICK: &str = r#"<!doctype html><body><pre id="found"></pre><iframe src="index.html"></iframe><script>
const frame = document.querySelector('iframe');
frame.onload = async () => {
  const { document: doc, navigator } = frame.contentWindow, found = { clipboard: [], selection: [], said: [] };
  const offer = value => Object.defineProperty(navigator, 'clipboard', { value, configurable: true });
  const buttons = [...doc.querySelectorAll('button')];
  offer({ writeText: async text => found.clipboard.push(text) });
  for (const button of buttons) await button.onclick();
  offer(undefined);
  doc.execCommand = () => found.selection.push(frame.contentWindow.getSelection().toString()) === 1;
  for (const button of buttons) {
    await button.onclick();
    found.said.push(button.textContent);
  }
  document.querySelector('#found').textContent = JSON.stringify(found);
};
</script>"#;

#[test]
fn the_copy_buttons_copy_the_commands_and_exist_only_with_scripts() {
    let Some(chromium) = tools::require("chromium") else {
        return;
    };
    let (sandbox, ..) = published();
    let server = FaultyServer::serving(&sandbox.repo());
    let profile = sandbox.path("profile");
    let dom_of = |page: &str| dom(&chromium, &profile, &format!("{}/{page}", server.url()));
    let written = fs::read_to_string(sandbox.repo().join("index.html")).unwrap();
    // Without scripts, there is no button that does nothing, and the reader is told what to replace.
    assert!(!written.contains("<button"), "{written}");
    assert!(
        written.contains("Replace <code>THIS-URL</code>"),
        "{written}"
    );
    let page = dom_of("index.html");
    assert!(!page.contains("Replace <code>THIS-URL</code>"), "{page}");

    fs::write(sandbox.repo().join("click.html"), CLICK).unwrap();
    let found = unescape(&text(&dom_of("click.html"), "pre", "found"));
    let found: Value = serde_json::from_str(&found).unwrap_or_else(|e| panic!("{e}: {found}"));
    let commands = ["ostree-go", "ostree"].map(|id| unescape(&text(&page, "pre", id)));
    assert_eq!(found["clipboard"], serde_json::json!(commands));
    let lines = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.is_empty());
        lines.map(str::to_owned).collect()
    };
    for (at, commands) in commands.iter().enumerate() {
        let selected = found["selection"][at].as_str().unwrap();
        assert_eq!(lines(selected), lines(commands));
    }
    // The second copy fails, and the button says what is left to do.
    assert_eq!(found["said"], serde_json::json!(["Copied", "Press Ctrl+C"]));
}

/// Replaces the character references that occur in commands and in JSON.
fn unescape(text: &str) -> String {
    let text = text.replace("&lt;", "<").replace("&gt;", ">");
    text.replace("&quot;", "\"").replace("&amp;", "&")
}

#[test]
fn releases_are_grouped_and_unsigned_ones_stand_out() {
    let (sandbox, ..) = published();
    sandbox.toys("1.99.3");
    sandbox.treefile("1.99.3", &format!("arches: [aarch64]\n{TOY_SOURCE}"));
    sandbox.compose([]);
    sandbox.run(["publish"]).ok();
    let page = fs::read_to_string(sandbox.repo().join("index.html")).unwrap();
    let (_, releases) = page.split_once("<h2>Releases</h2>").unwrap();
    let (releases, _) = releases.split_once("</table>").unwrap();
    let rows: Vec<&str> = releases.split("<tr>").skip(2).collect();
    assert_eq!(rows.len(), 3, "{releases}");
    for (row, version) in rows.iter().zip(["1.99.3", "1.99.2", "1.99.1"]) {
        let notes = format!("https://go.dev/doc/devel/release#go{version}");
        assert!(row.contains(&notes), "{row}");
        for arch in Arch::ALL {
            let name = format!("<code>go-sdk/{arch}/{version}</code>");
            let is_composed = version != "1.99.3" || arch == Arch::Aarch64;
            assert_eq!(row.contains(&name), is_composed, "{row}");
        }
    }
    let unsigned = "<strong class=\"unsigned\">not signed</strong>";
    assert_eq!(page.matches(unsigned).count(), 1, "{page}");
    assert!(rows[0].contains(unsigned), "{}", rows[0]);
}

#[test]
fn the_page_lists_all_releases_and_fits_every_screen() {
    let Some(chromium) = tools::require("chromium") else {
        return;
    };
    let (sandbox, _gpg, key) = published();
    let server = FaultyServer::serving(&sandbox.repo());
    let profile = sandbox.path("profile");
    let dom_of = |page: &str| dom(&chromium, &profile, &format!("{}/{page}", server.url()));
    let page = dom_of("index.html");

    // Whatever the index for programs has, by the stock command's words.
    let index = fs::read(sandbox.repo().join("index.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    for name in sandbox.refs().iter().filter(|name| !name.contains("layer")) {
        assert!(page.contains(&format!("<code>{name}</code>")), "{name}");
        assert!(page.contains(&sandbox.rev(name).unwrap()), "{name}");
    }
    assert_eq!(index["releases"].as_array().unwrap().len(), 4);
    assert_eq!(page.matches(", signed</span>").count(), 8);
    // The same size as in the table of the command.
    let listed = sandbox.run(["list"]).ok().stdout;
    let row = listed.lines().find(|line| line.contains("/x86_64/1.99.2"));
    let bytes = index["releases"][0]["bytes"].as_u64().unwrap();
    let size = format!("{bytes} B");
    assert!(row.unwrap().contains(&size), "{listed}");
    assert!(page.contains(&format!(", {size}, ")), "no {size}: {page}");
    for word in ["x86_64", "aarch64", &key] {
        assert!(page.contains(&format!(">{word}<")), "{word}");
    }
    assert!(page.contains(">1.99.2<br><a "), "{page}");
    assert!(page.contains(&format!("href=\"{key}.asc\"")), "{page}");
    let title = "<title>Go SDKs, up to 1.99.2</title>";
    assert!(page.contains(title), "{page}");

    // The browser asked for the page, and perhaps for an icon.
    let asked = server.requests();
    let known = ["/index.html", "/favicon.ico"];
    assert!(
        asked.iter().all(|path| known.contains(&path.as_str())),
        "{asked:?}"
    );

    fs::write(sandbox.repo().join("probe.html"), PROBE).unwrap();
    let found = text(&dom_of("probe.html"), "pre", "found");
    let found: Value = serde_json::from_str(&found).unwrap_or_else(|e| panic!("{e}: {found}"));
    assert_eq!(found.as_array().unwrap().len(), 3);
    for screen in found.as_array().unwrap() {
        assert!(
            screen["scroll"].as_u64() <= screen["width"].as_u64(),
            "{screen}"
        );
        assert_eq!(screen["out"], serde_json::json!([]), "{screen}");
        assert_eq!(screen["broken"], serde_json::json!([]), "{screen}");
    }
}

#[test]
fn the_commands_on_the_page_work_when_they_are_copied() {
    let (Some(chromium), Some(_)) = (tools::require("chromium"), tools::require("curl")) else {
        return;
    };
    let (sandbox, _gpg, _) = published();
    let Some(nginx) = Nginx::start() else { return };
    std::os::unix::fs::symlink(sandbox.repo(), nginx.path("repo")).unwrap();
    let url = format!("{}/repo/index.html", nginx.url());
    let page = dom(&chromium, &sandbox.path("profile"), &url);
    let host = Sandbox::new();
    let shell = |script: &str| {
        let binary = ostree_go().get_program().to_owned();
        let folder = Path::new(&binary).parent().unwrap().display().to_string();
        let path = format!("{folder}:{}", std::env::var("PATH").unwrap());
        let mut command = Command::new("bash");
        command.args(["-euxc", script]).current_dir(host.path(""));
        command.env("PATH", path).env("HOME", host.path("home"));
        run(command.env("OSTREE_GO_ROOT", host.path("root"))).ok()
    };
    shell(&text(&page, "pre", "ostree"));
    assert!(host.path("go-sdk/usr/bin/go").exists());
    shell(&text(&page, "pre", "ostree-go"));
    let version = fs::read_to_string(host.path("root/current/usr/lib/sdk/go-1.99/VERSION"));
    assert!(version.unwrap().starts_with("go1.99.2\n"));
}
