use super::*;
use crate::http::test_server::{Request as Seen, TestServer, respond};
use crate::kind::ErrorKind;
use crate::progress::NoProgress;
use std::time::Duration;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn registry(server: &TestServer, auth: RegistryAuth) -> Registry {
    let http = HttpOptions::new()
        .retries(2)
        .retry_delay(Duration::from_millis(1));
    let host = server.url.strip_prefix("http://").unwrap();
    Registry {
        client: HttpClient::new(&http).unwrap(),
        image: format!("{host}/acme/go-sdk:1").parse().unwrap(),
        access: Access::Push,
        auth,
        base: server.url.clone(),
        authorization: Mutex::default(),
    }
}

fn has_blob(registry: &Registry) -> Result<bool, RegistryError> {
    registry.has_blob(DIGEST, 5, &NoProgress)
}

fn basic() -> RegistryAuth {
    RegistryAuth::from_encoded("bWU6c2VjcmV0").unwrap()
}

#[test]
fn transient_failures_are_retried() {
    let server = TestServer::start(|number, _, stream| match number {
        1 => respond(stream, "503 Unavailable", "content-length: 0\r\n", b""),
        _ => respond(stream, "200 OK", "content-length: 5\r\n", b""),
    });
    assert!(has_blob(&registry(&server, RegistryAuth::Anonymous)).unwrap());
    let server = TestServer::start(|_, _, stream| {
        let body = br#"{"errors": [{"code": "UNAVAILABLE", "message": "down for now"}]}"#;
        respond(stream, "503 Unavailable", "", body);
    });
    let registry = registry(&server, RegistryAuth::Anonymous);
    let error = registry.ping(&NoProgress).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    let text = error.to_string().replace(&server.url[7..], "HOST");
    insta::assert_snapshot!(text, @"cannot push HOST/acme/go-sdk:1: the registry answered with status 503: down for now");
    assert_eq!(server.requests().len(), 3);
}

/// A registry that requires a token, issues one to clients with the password, and names several kinds
/// of authentication.
fn with_token(_: usize, request: &Seen, stream: &mut std::net::TcpStream) {
    let host = request.header("host").unwrap_or_default();
    if request.path.starts_with("/token") {
        return match request.header("authorization") {
            Some("Basic bWU6c2VjcmV0") => respond(stream, "200 OK", "", br#"{"token": "t1"}"#),
            _ => respond(stream, "401 No", "", br#"{"errors": [{"code": "DENIED"}]}"#),
        };
    }
    match request.header("authorization") {
        Some("Bearer t1") => respond(stream, "404 Not Found", "content-length: 0\r\n", b""),
        _ => {
            // The password would be refused: only the token is accepted.
            let challenge = format!(
                "www-authenticate: Negotiate\r\nwww-authenticate: Basic realm=\"a, Bearer\", \
                 Bearer realm=\"http://{host}/token\",service=\"ac\\me\"\r\ncontent-length: 0\r\n"
            );
            respond(stream, "401 Unauthorized", &challenge, b"");
        }
    }
}

#[test]
fn a_token_is_fetched_once_and_reused() {
    let server = TestServer::start(with_token);
    let registry = registry(&server, basic());
    assert!(!has_blob(&registry).unwrap());
    assert!(!has_blob(&registry).unwrap());
    let paths: Vec<String> = server.requests().into_iter().map(|r| r.path).collect();
    let blob = format!("/v2/acme/go-sdk/blobs/{DIGEST}");
    let token = "/token?service=acme&scope=repository%3Aacme%2Fgo-sdk%3Apull%2Cpush".to_owned();
    assert_eq!(paths, [blob.clone(), token, blob.clone(), blob]);
}

#[test]
fn an_expired_token_is_renewed_once() {
    let server = TestServer::start(|number, request, stream| {
        let host = request.header("host").unwrap_or_default();
        let old = request.header("authorization") == Some("Bearer t1") && number > 4;
        if request.path.starts_with("/token") {
            let token = if number < 4 { "t1" } else { "t2" };
            let body = format!("{{\"token\": \"{token}\"}}");
            return respond(stream, "200 OK", "", body.as_bytes());
        }
        if request.header("authorization").is_some() && !old {
            return respond(stream, "404 Not Found", "content-length: 0\r\n", b"");
        }
        let challenge = format!(
            "www-authenticate: Bearer realm=\"http://{host}/token\"\r\ncontent-length: 0\r\n"
        );
        respond(stream, "401 Unauthorized", &challenge, b"");
    });
    let registry = registry(&server, RegistryAuth::Anonymous);
    let tokens = || {
        let requested = server.requests();
        requested
            .iter()
            .filter(|r| r.path.starts_with("/token"))
            .count()
    };
    for expected in [1, 1, 2, 2] {
        assert!(!has_blob(&registry).unwrap());
        assert_eq!(tokens(), expected);
    }
    // A concurrent request that was refused with the old token uses the new one.
    let old = Some("Bearer t1".to_owned());
    let url = registry.url("blobs/x").unwrap();
    let refused = registry.try_call("GET", &url, &[], RequestBody::Empty, &old);
    let new = registry.authenticate(&refused.unwrap(), &old).unwrap();
    assert_eq!(new.as_deref(), Some("Bearer t2"));
    assert_eq!(tokens(), 2);
}

#[test]
fn anonymous_access_is_refused_without_retries() {
    let server = TestServer::start(with_token);
    let registry = registry(&server, RegistryAuth::Anonymous);
    let error = has_blob(&registry).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    assert_eq!(server.requests().len(), 2);
}

#[test]
fn credentials_are_sent_only_to_the_registry() {
    let other_server = TestServer::start(|_, _, stream| respond(stream, "404 Not Found", "", b""));
    let server = TestServer::start(|_, _, stream| {
        respond(
            stream,
            "401 No",
            "www-authenticate: Basic realm=x\r\ncontent-length: 0\r\n",
            b"",
        );
    });
    let registry = registry(&server, basic());
    assert!(has_blob(&registry).is_err());
    let url = Url::parse(&format!("{}/v2/x", other_server.url)).unwrap();
    registry.call("GET", &url, &[], RequestBody::Empty).unwrap();
    let with = |server: &TestServer| {
        server
            .requests()
            .iter()
            .filter(|r| r.header("authorization").is_some())
            .count()
    };
    assert_eq!((with(&server), with(&other_server)), (1, 0));
}
