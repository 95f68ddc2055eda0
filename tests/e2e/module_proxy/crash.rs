//! A proxy that is killed while it stores a file, and one that is told to end.

use super::{MOD, NAME, World, ZIP};
use ostree_go_sdk::failpoint;
use ostree_go_tests::module_proxy::RunningProxy;
use ostree_go_tests::webserver::Fault;
use std::fs;
use std::os::unix::process::ExitStatusExt;

#[test]
fn a_kill_at_any_point_leaves_a_cache_that_can_be_used() {
    let Some(world) = World::new() else { return };
    for point in failpoint::PROXY_NAMES {
        for path in [ZIP, MOD] {
            let _ = fs::remove_dir_all(world.sandbox.path("cache"));
            let mut command = world.command(&[]);
            let proxy = RunningProxy::start(command.env("OSTREE_GO_FAILPOINT", point));
            assert_eq!(proxy.get(path), None, "{point}");
            let out = proxy.ended();
            assert_eq!(out.status.signal(), Some(9), "{point}: {out}");

            let proxy = world.start(&[]);
            let expected = fs::read(world.file("www", path)).unwrap();
            let response = proxy.get(path).unwrap();
            assert!(response.body == expected, "{point} {path}");
            world.download(NAME, &proxy.url, &[]).ok();
            assert_eq!(world.kinds(), [""; 0], "{point} {path}");
            let folder = world.file("cache", path);
            for entry in fs::read_dir(folder.parent().unwrap()).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                assert!(!name.starts_with('.'), "{point} {path}: {name}");
            }
        }
    }
}

#[test]
fn requests_are_completed_before_the_end() {
    let Some(world) = World::new() else { return };
    let proxy = world.start(&["--timeout", "60"]);
    // The first response comes late; the proxy is told to end in the meantime.
    world.upstream.delay(std::time::Duration::from_millis(1500));
    let response = std::thread::scope(|scope| {
        let request = scope.spawn(|| proxy.get(ZIP));
        while world.upstream.requests().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        proxy.terminate();
        request.join().unwrap()
    });
    assert_eq!(response.unwrap().status, 200);
    let out = proxy.ended().ok();
    assert!(out.stdout.starts_with("1 request"), "{out}");
    // An upstream proxy that sends nothing does not keep it from ending.
    let proxy = world.start(&["--timeout", "60"]);
    world.upstream.reset();
    world.upstream.fault(MOD, Fault::Stall);
    std::thread::scope(|scope| {
        scope.spawn(|| proxy.get(MOD));
        while world.upstream.requests().is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        proxy.terminate();
    });
    proxy.ended();
}
