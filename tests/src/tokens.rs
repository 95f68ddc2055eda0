//! A token service for registries, according to the specification of `distribution`.
//!
//! Source: `docs/content/spec/auth/token.md`, `jwt.md` and `oauth.md` of `distribution`.

use crate::certificates::Certificates;
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

/// Seconds for which a registry accepts a token after its expiry (`Leeway`).
const LEEWAY: i64 = 60;

/// A service that issues tokens for `builder` with the password `secret`, and for the identity
/// token `identity`, until the process ends.
#[derive(Debug)]
pub struct Tokens {
    port: u16,
    state: Arc<State>,
}

#[derive(Debug)]
struct State {
    key: PathBuf,
    certificate: String,
    seconds: i64,
    scopes: Mutex<Vec<String>>,
}

impl Tokens {
    /// Starts a service whose tokens are valid for this number of seconds.
    ///
    /// # Panics
    ///
    /// Panics if no port is available.
    pub fn start(certificates: &Certificates, seconds: i64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port");
        let port = listener.local_addr().expect("an address").port();
        let pem = std::fs::read_to_string(certificates.path("tokens.pem")).expect("a certificate");
        let state = Arc::new(State {
            key: certificates.path("tokens.key"),
            certificate: pem.lines().filter(|line| !line.contains("--")).collect(),
            seconds,
            scopes: Mutex::default(),
        });
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = shared.clone();
                std::thread::spawn(move || answer(&stream, &state));
            }
        });
        Self { port, state }
    }

    /// Returns the configuration of a registry that uses this service.
    pub fn config(&self, certificates: &Certificates) -> String {
        format!(
            "auth: {{token: {{realm: \"http://127.0.0.1:{}/token?account=x\", service: acme, \
             issuer: tokens, rootcertbundle: {}}}}}\n",
            self.port,
            certificates.text("tokens.pem")
        )
    }

    /// Returns the scopes of the issued tokens.
    ///
    /// # Panics
    ///
    /// Panics if a thread of the service has panicked.
    pub fn scopes(&self) -> Vec<String> {
        self.state.scopes.lock().expect("no panic").clone()
    }
}

fn answer(mut stream: &TcpStream, state: &State) -> Option<()> {
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    lines.read_line(&mut line).ok()?;
    let target = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut known) = (0, false);
    loop {
        line.clear();
        lines.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" => {
                let right = BASE64_STANDARD.encode("builder:secret");
                known = value == format!("Basic {right}");
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).ok()?;
    let form = String::from_utf8(body).ok()?;
    let query = if form.is_empty() { &target } else { &form };
    let value = |name: &str| {
        let mut pairs = query.split(['&', '?']);
        let text = pairs.find_map(|pair| pair.strip_prefix(&format!("{name}=")))?;
        Some(
            text.replace("%3A", ":")
                .replace("%2F", "/")
                .replace("%2C", ","),
        )
    };
    known |= value("refresh_token").as_deref() == Some("identity");
    let (status, document) = match (known, value("scope"), value("service").as_deref()) {
        (true, Some(scope), Some("acme")) => {
            let token = token(state, &scope);
            state.scopes.lock().expect("no panic").push(scope);
            ("200 OK", json!({"access_token": token, "expires_in": 60}))
        }
        _ => {
            let errors = json!({"errors": [{"code": "DENIED", "message": "who are you?"}]});
            ("401 Unauthorized", errors)
        }
    };
    let text = document.to_string();
    let length = text.len();
    write!(
        stream,
        "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{text}"
    )
    .ok()
}

fn token(state: &State, scope: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = i64::try_from(now.expect("after 1970").as_secs()).expect("before the end of time");
    let mut parts = scope.split(':');
    let (kind, name) = (parts.next(), parts.next());
    let actions: Vec<&str> = parts.next().unwrap_or_default().split(',').collect();
    let header = json!({"typ": "JWT", "alg": "RS256", "x5c": [state.certificate]});
    let claims = json!({
        "iss": "tokens", "sub": "builder", "aud": "acme", "jti": now.to_string(),
        "iat": now - LEEWAY, "nbf": now - LEEWAY, "exp": now - LEEWAY + state.seconds,
        "access": [{"type": kind, "name": name, "actions": actions}],
    });
    let part = |value: serde_json::Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(header), part(claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signature(state, &signed));
    format!("{signed}.{signature}")
}

fn signature(state: &State, text: &str) -> Vec<u8> {
    let mut openssl = Command::new("openssl")
        .args(["dgst", "-sha256", "-sign"])
        .arg(&state.key)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    let mut stdin = openssl.stdin.take().expect("a pipe");
    stdin.write_all(text.as_bytes()).expect("openssl reads");
    drop(stdin);
    openssl.wait_with_output().expect("openssl signs").stdout
}
