//! Proxies, redirects, credentials, and answers that are not what was requested.

use super::*;

#[test]
fn proxies_receive_the_absolute_form() {
    let server = TestServer::start(|_, request, stream| {
        assert_eq!(request.header("host"), Some("nowhere.invalid:8080"));
        respond(stream, "200 OK", "content-length: 2\r\n", b"ok");
    });
    let proxy = server.url.replace("://", "://p%40x:s%3At@");
    let client = HttpClient::new(&options().retries(0).proxy(Some(proxy))).unwrap();
    let url = Url::parse("http://me:secret@nowhere.invalid:8080/x?y=1").unwrap();
    assert_eq!(client.get(&url, 10, &NoProgress).unwrap(), b"ok");
    let url = Url::parse("http://nowhere.invalid:8080").unwrap();
    assert_eq!(client.get(&url, 10, &NoProgress).unwrap(), b"ok");
    let requests = server.requests();
    assert_eq!(requests[0].path, "http://nowhere.invalid:8080/x?y=1");
    assert_eq!(requests[1].path, "http://nowhere.invalid:8080/");
    let authorization = |name| requests[0].header(name);
    assert_eq!(authorization("authorization"), Some("Basic bWU6c2VjcmV0"));
    let expected = Some("Basic cEB4OnM6dA==");
    assert_eq!(authorization("proxy-authorization"), expected);
    // A tunnel for https.
    let url = Url::parse("https://nowhere.invalid/x").unwrap();
    let error = client.get(&url, 10, &NoProgress).unwrap_err();
    assert_eq!(error.transport().unwrap().proxy_status(), None);
    assert_eq!(server.requests()[2].path, "nowhere.invalid:443");
    let refusing = TestServer::start(|_, _, stream| respond(stream, "403 No", "", b""));
    let options = options().retries(0).proxy(Some(refusing.url));
    let error = HttpClient::new(&options).unwrap();
    let error = error.get(&url, 10, &NoProgress).unwrap_err();
    let error = std::error::Error::source(&error).unwrap();
    insta::assert_snapshot!(error, @"the HTTP proxy refused to connect to the server, with status 403");
    for invalid in ["::", "socks5://127.0.0.1:1", "ftp://x"] {
        let options = HttpOptions::new().proxy(Some(invalid.to_owned()));
        assert!(HttpClient::new(&options).is_err(), "{invalid}");
    }
}

#[test]
fn a_large_request_through_a_proxy_arrives_complete() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("blob");
    // More than the buffers of a connection, and what looks like the start of another request.
    let content = b"GET /x HTTP/1.1\r\n".repeat(20_000);
    fs::write(&path, &content).unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let length = content.len();
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut requests = Vec::new();
        // Two requests on one connection.
        for _ in 0..2 {
            let mut received = Vec::new();
            let mut buffer = vec![0; 1 << 16];
            let end = loop {
                let read = stream.read(&mut buffer).unwrap();
                received.extend_from_slice(&buffer[..read]);
                let end = received.windows(4).position(|part| part == b"\r\n\r\n");
                if let Some(end) = end.filter(|end| received.len() >= end + 4 + length) {
                    break end;
                }
            };
            requests.push((received[..end].to_vec(), received[end + 4..].to_vec()));
            let answer = b"HTTP/1.1 201 Created\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(answer).unwrap();
        }
        requests
    });
    let client = HttpClient::new(&options().proxy(Some(proxy))).unwrap();
    let url = Url::parse("http://nowhere.invalid/upload").unwrap();
    let file = fs::File::open(&path).unwrap();
    for _ in 0..2 {
        let request = crate::http::Request {
            method: "PUT",
            url: &url,
            headers: Vec::new(),
            body: RequestBody::File(&file, length as u64, &|_| true),
        };
        assert_eq!(client.send(&request).unwrap().status(), 201);
    }
    for (head, body) in server.join().unwrap() {
        assert!(head.starts_with(b"PUT http://nowhere.invalid/upload HTTP/1.1\r\n"));
        assert_eq!(body, content);
    }
}

#[test]
fn redirects_keep_credentials_only_on_the_same_server() {
    let other = TestServer::start(|_, request, stream| serve(request, stream, &content()));
    let location = format!("{}/real", other.url);
    let setup = setup(move |n, _, stream| {
        let location = ["here?x=1", "/there", &location][n - 1];
        let headers = format!("location: {location}\r\ncontent-length: 3\r\n");
        respond(stream, "302 Found", &headers, b"...");
    });
    assert_eq!(setup.ranges(), [None, None, None]);
    let requests = setup.server.requests();
    let paths: Vec<&str> = requests
        .iter()
        .map(|request| request.path.as_str())
        .collect();
    assert_eq!(paths, ["/go.tar.gz?token=1", "/here?x=1", "/there"]);
    let has_credentials = |request: &Request| request.header("authorization").is_some();
    assert!(requests.iter().all(has_credentials));
    assert!(!other.requests().iter().any(has_credentials));

    let endless = super::setup(|_, _, stream| {
        let headers = "location: /again\r\ncontent-length: 0\r\n";
        respond(stream, "301 Moved", headers, b"");
    });
    insta::assert_snapshot!(endless.error(), @"cannot download http://host/go.tar.gz: too many redirects");
    let local = super::setup(|_, _, stream| {
        let headers = "location: file:///etc/passwd\r\ncontent-length: 0\r\n";
        respond(stream, "301 Moved", headers, b"");
    });
    insta::assert_snapshot!(local.error(), @"cannot download http://host/go.tar.gz: it redirects to `file:///etc/passwd`, expected an http:// or https:// URL");
}

#[test]
fn credentials_of_hosts_are_sent_only_in_encrypted_requests() {
    let netrc = Netrc::parse("machine a.example login me password secret");
    let client = HttpClient::new(&options().netrc(netrc)).unwrap();
    let authorization = |url: &str| client.authorization(&Url::parse(url).unwrap());
    let basic = |text: &str| Some(format!("Basic {text}"));
    assert_eq!(
        authorization("https://A.example:8443/x"),
        basic("bWU6c2VjcmV0")
    );
    assert_eq!(authorization("https://x:y@a.example"), basic("eDp5"));
    assert_eq!(authorization("http://a.example/x"), None);
    assert_eq!(authorization("https://b.a.example/x"), None);
}

#[test]
fn a_web_page_is_not_the_requested_file() {
    for (headers, page) in [
        ("", "\u{feff}\n<!DOCTYPE html><title>Log in</title>"),
        ("", "<HTML>"),
        (
            "content-type: text/html; charset=utf-8\r\n",
            "<!-- x --><html>",
        ),
    ] {
        let setup = setup(move |_, _, stream| {
            let headers = format!("{headers}content-length: {}\r\n", page.len());
            respond(stream, "200 OK", &headers, page.as_bytes());
        });
        insta::allow_duplicates! {
            insta::assert_snapshot!(setup.error(), @"cannot download http://host/go.tar.gz: this is a web page, not the requested file");
        }
        assert_eq!(setup.run().unwrap_err().kind(), ErrorKind::Network);
    }
    // XML is no web page.
    let text = TestServer::start(|_, request, stream| serve(request, stream, b"<?xml"));
    let client = HttpClient::new(&options()).unwrap();
    let url = Url::parse(&text.url).unwrap();
    assert_eq!(client.get(&url, 10, &NoProgress).unwrap(), b"<?xml");
}

#[test]
fn an_unencrypted_answer_to_an_encrypted_request_is_named() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        // The first message of TLS, to which web servers answer as to any malformed request.
        let _ = stream.read(&mut [0; 4096]).unwrap();
        respond(&mut stream, "400 Bad Request", "", b"");
    });
    let client = HttpClient::new(&options().retries(0)).unwrap();
    let url = Url::parse(&format!("https://{address}/")).unwrap();
    let error = client.get(&url, 10, &NoProgress).unwrap_err();
    assert!(
        error.transport().unwrap().is_unencrypted_answer(),
        "{error:?}"
    );
    let source = std::error::Error::source(&error).unwrap().to_string();
    insta::assert_snapshot!(source, @"the server's answer is not encrypted, expected TLS");
}
