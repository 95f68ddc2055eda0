//! Remotes over https with certificates of one's own, as `ostree remote add --set` knows them.

use ostree_go_tests::certificates::Certificates;
use ostree_go_tests::cli::{Output, run};
use ostree_go_tests::nginx::Nginx;
use ostree_go_tests::ostree::ostree;
use ostree_go_tests::shop::{REF, Shop};
use std::path::Path;
use std::process::Command;

/// A server that speaks TLS, and a shop whose host has it as the remote `tls`.
fn shop(more: &str) -> Option<(Shop, Nginx, Certificates)> {
    let certificates = Certificates::new()?;
    let shop = Shop::new();
    let file = |name: &str| certificates.text(name);
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
    Some((shop, server, certificates))
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
    let Some((shop, server, certificates)) = shop("") else {
        return;
    };
    let refused = pull(&shop).exits(75);
    assert!(refused.stderr.contains("certificate"), "{}", refused.stderr);
    set(&shop, "tls-ca-path", &certificates.path("stranger.pem"));
    pull(&shop).exits(75);
    assert_eq!(server.requests(), [""; 0], "nothing was asked of it");
    set(&shop, "tls-ca-path", &certificates.path("ca.pem"));
    pull(&shop).ok();
    shop.host.fsck();
    set(&shop, "tls-ca-path", &certificates.path("gone.pem"));
    let missing = pull(&shop).exits(1);
    assert!(missing.stderr.contains("gone.pem"), "{}", missing.stderr);
}

#[test]
fn a_certificate_of_the_clients() {
    let demand = "ssl_client_certificate FOLDER/ca.pem; ssl_verify_client on;";
    let Some((shop, _server, certificates)) = shop(demand) else {
        return;
    };
    set(&shop, "tls-ca-path", &certificates.path("ca.pem"));
    pull(&shop).exits(1);
    for (name, code) in [("stranger", 1), ("client", 0)] {
        let file = |end: &str| certificates.path(&format!("{name}.{end}"));
        set(&shop, "tls-client-cert-path", &file("pem"));
        set(&shop, "tls-client-key-path", &file("key"));
        pull(&shop).exits(code);
    }
    shop.host.fsck();
}

#[test]
fn whoever_asks_for_no_check_gets_none() {
    let Some((shop, _server, _certificates)) = shop("") else {
        return;
    };
    set(&shop, "tls-permissive", Path::new("true"));
    pull(&shop).ok();
}

#[test]
fn a_redirect_to_an_address_without_encryption_is_refused() {
    let more = "location ~ filez$ { return 302 http://127.0.0.1:1$uri; }";
    let Some((shop, _server, certificates)) = shop(more) else {
        return;
    };
    set(&shop, "tls-ca-path", &certificates.path("ca.pem"));
    let out = pull(&shop).exits(75);
    let expected = "redirects to an unencrypted address";
    assert!(out.stderr.contains(expected), "{}", out.stderr);
    shop.unharmed(&[]);
}
