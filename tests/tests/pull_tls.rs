//! Remotes over https with certificates of one's own, as `ostree remote add --set` knows them.

use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::shop::{REF, Shop};
use ostree_go_tests::tools;
use std::path::Path;
use std::process::Command;

/// A certificate authority, and what it has signed: `server` for 127.0.0.1, and `client`.
const CERTIFICATES: &str = "
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -keyout ca.key -out ca.pem -subj /CN=ca -addext basicConstraints=critical,CA:TRUE
make() {
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.csr -subj /CN=$1
    echo \"$2\" > $1.ext
    openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem
}
make server subjectAltName=IP:127.0.0.1
make client extendedKeyUsage=clientAuth
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
    -keyout stranger.key -out stranger.pem -subj /CN=stranger
";

/// A server that speaks TLS, and a shop whose host has it as the remote `tls`.
fn shop(more: &str) -> Option<(Shop, Nginx)> {
    tools::require("openssl")?;
    let shop = Shop::new();
    let folder = shop.publisher.path("");
    run(Command::new("sh")
        .args(["-ec", CERTIFICATES])
        .current_dir(&folder))
    .ok();
    let file = |name: &str| folder.join(name).display().to_string();
    let more = more.replace("FOLDER/", &file(""));
    let server = Nginx::start_https(&format!(
        "ssl_certificate {}; ssl_certificate_key {}; {more}",
        file("server.pem"),
        file("server.key")
    ))?;
    let www = server.path("repo");
    run(Command::new("cp")
        .arg("-a")
        .args([&shop.publisher.repo(), &www]))
    .ok();
    let keys = shop.gpg.export(&shop.key);
    let url = format!("{}/repo", server.url());
    let import = keys.to_str().expect("UTF-8");
    shop.host
        .run(["remote", "add", "tls", &url, "--gpg-import", import])
        .ok();
    Some((shop, server))
}

/// Sets an option of the remote as the stock command would have.
fn set(shop: &Shop, option: &str, file: &Path) {
    let (section, value) = (r#"remote "tls"."#, file.to_str().expect("UTF-8"));
    ostree(
        &shop.host.repo(),
        ["config", "set", &format!("{section}{option}"), value],
    );
}

fn pull(shop: &Shop) -> Output {
    shop.host.run(["pull", "tls", REF, "--retries", "0"])
}

#[test]
fn a_certificate_authority_of_ones_own() {
    let Some((shop, server)) = shop("") else {
        return;
    };
    let refused = pull(&shop).exits(75);
    assert!(refused.stderr.contains("certificate"), "{}", refused.stderr);
    set(&shop, "tls-ca-path", &shop.publisher.path("stranger.pem"));
    pull(&shop).exits(75);
    assert_eq!(server.requests(), [""; 0], "nothing was asked of it");
    set(&shop, "tls-ca-path", &shop.publisher.path("ca.pem"));
    pull(&shop).ok();
    shop.host.fsck();
    set(&shop, "tls-ca-path", &shop.publisher.path("gone.pem"));
    let missing = pull(&shop).exits(1);
    assert!(missing.stderr.contains("gone.pem"), "{}", missing.stderr);
}

#[test]
fn a_certificate_of_the_clients() {
    let demand = "ssl_client_certificate FOLDER/ca.pem; ssl_verify_client on;";
    let Some((shop, _server)) = shop(demand) else {
        return;
    };
    set(&shop, "tls-ca-path", &shop.publisher.path("ca.pem"));
    pull(&shop).exits(1);
    for (name, code) in [("stranger", 1), ("client", 0)] {
        let file = |end: &str| shop.publisher.path(&format!("{name}.{end}"));
        set(&shop, "tls-client-cert-path", &file("pem"));
        set(&shop, "tls-client-key-path", &file("key"));
        pull(&shop).exits(code);
    }
    shop.host.fsck();
}

#[test]
fn whoever_asks_for_no_check_gets_none() {
    let Some((shop, _server)) = shop("") else {
        return;
    };
    set(&shop, "tls-permissive", Path::new("true"));
    pull(&shop).ok();
}
