//! Errors are fine, panics are bugs.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| ostree_go_sdk::fuzzing::proxy_request(bytes));
