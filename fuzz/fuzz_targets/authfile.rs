//! Errors are fine, panics are bugs.
#![no_main]

// The parser is part of the command, which is no library.
#[path = "../../crates/ostree-go-cli/src/authfile/format.rs"]
mod format;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let (Ok(file), Ok(image)) = (
        format::AuthFile::parse(bytes),
        "registry.example/team/go-sdk:1".parse(),
    ) {
        let _ = (file.helper(&image), file.credentials_for(&image));
    }
});
