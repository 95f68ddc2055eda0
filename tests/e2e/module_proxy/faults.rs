//! Upstream proxies that fail, and files of the cache that have been changed.

use super::{INFO, MOD, NAME, World, ZIP};
use ostree_go_tests::webserver::Fault;
use std::fs;
use std::time::Duration;

#[test]
fn failures_of_the_upstream_proxy_are_no_success() {
    let Some(world) = World::new() else { return };
    let proxy = world.start(&["--timeout", "1"]);
    let html = b"<html><body>Log in</body></html>".to_vec();
    for (path, fault, status) in [
        // The go command asks in this order, and what it has got is in the cache.
        (INFO, Fault::Instead(html.clone()), 502),
        (INFO, Fault::Reset, 502),
        (MOD, Fault::Instead(html.clone()), 502),
        (MOD, Fault::Truncate, 502),
        (MOD, Fault::Flip, 403),
        (ZIP, Fault::Truncate, 502),
        (ZIP, Fault::Flip, 403),
        (ZIP, Fault::Instead(html), 502),
        (ZIP, Fault::LengthTooLong, 502),
        (ZIP, Fault::LengthTooShort, 403),
        (ZIP, Fault::Stall, 504),
        (ZIP, Fault::StallHalfway, 504),
        (ZIP, Fault::Reset, 502),
        (ZIP, Fault::Status(500), 502),
        (ZIP, Fault::Status(404), 404),
    ] {
        world.upstream.reset();
        world.upstream.fault(path, fault.clone());
        let said = proxy.text(path);
        let found: u16 = said[..3].parse().unwrap();
        assert_eq!(found, status, "{path} {fault:?}: {said}");
        // The go command does not succeed either, whether it has a database or not.
        if matches!(fault, Fault::Flip | Fault::Truncate | Fault::Instead(_)) {
            world.download(NAME, &proxy.url, &[]).exits(1);
        }
        assert!(!world.file("cache", path).exists(), "{path} {fault:?}");
    }
    assert!(!world.kinds().is_empty());
    world.upstream.reset();
    world.upstream.delay(Duration::from_millis(300));
    world.download(NAME, &proxy.url, &[]).ok();
}

#[test]
fn an_upstream_proxy_that_is_down_does_not_disturb_the_cache() {
    let Some(world) = World::new() else { return };
    let proxy = world.start(&[]);
    world.download(NAME, &proxy.url, &[]).ok();
    world.upstream.fault("/", Fault::Reset);
    world.download(NAME, &proxy.url, &[]).ok();
    let said = world
        .download("example.com/lib@v1.1.0", &proxy.url, &[])
        .exits(1)
        .stderr;
    assert!(said.contains("502 Bad Gateway"), "{said}");
}

#[test]
fn changed_files_of_the_cache_are_fetched_again_or_not_served() {
    let Some(world) = World::new() else { return };
    let proxy = world.start(&[]);
    world.download(NAME, &proxy.url, &[]).ok();
    for path in [ZIP, MOD, INFO] {
        let file = world.file("cache", path);
        let good = fs::read(&file).unwrap();
        let mut flipped = good.clone();
        let middle = good.len() / 2;
        flipped[middle] ^= 1;
        for (name, damaged) in [
            ("truncated", &good[..good.len() - 3]),
            ("half", &good[..good.len() / 2]),
            ("empty", b""),
            ("flipped", &flipped),
        ] {
            // Nothing proves the time in an .info.
            if (path, name) == (INFO, "flipped") {
                continue;
            }
            fs::write(&file, damaged).unwrap();
            world.download(NAME, &proxy.url, &[]).ok();
            assert_eq!(fs::read(&file).unwrap(), good, "{path} {name}");
            let alerts = world.alerts();
            assert_eq!(alerts.len(), 1, "{path} {name}: {alerts:?}");
            assert_eq!(alerts[0]["alert"], "cache-changed");
            assert_eq!(alerts[0]["blocked"], false);

            fs::write(&file, damaged).unwrap();
            world.upstream.fault(path, Fault::Status(500));
            let said = world.download(NAME, &proxy.url, &[]).exits(1).stderr;
            assert!(said.contains("502 Bad Gateway"), "{path} {name}: {said}");
            assert!(!file.exists(), "{path} {name}");
            world.upstream.reset();
            world.download(NAME, &proxy.url, &[]).ok();
            assert_eq!(world.kinds(), ["cache-changed"]);
        }
    }
    // A restarted proxy knows nothing of the files, and verifies them.
    drop(proxy);
    let good = fs::read(world.file("cache", ZIP)).unwrap();
    fs::write(world.file("cache", ZIP), &good[..good.len() - 1]).unwrap();
    let proxy = world.start(&[]);
    world.download(NAME, &proxy.url, &[]).ok();
    assert_eq!(world.kinds(), ["cache-changed"]);
}
