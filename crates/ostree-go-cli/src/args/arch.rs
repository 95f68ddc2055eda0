//! The value of `--arch`.

use ostree_go_sdk::{Arch, UnknownArch};

/// Parses the name of an architecture, in the notation of RPM (`aarch64`) or of Go (`arm64`).
pub fn parse(name: &str) -> Result<Arch, UnknownArch> {
    Arch::from_any_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_notations_are_accepted() {
        assert_eq!(parse("arm64").unwrap(), Arch::Aarch64);
        assert_eq!(parse("aarch64").unwrap(), Arch::Aarch64);
        assert_eq!(parse("amd64").unwrap(), Arch::X86_64);
        assert_eq!(parse("x86_64").unwrap(), Arch::X86_64);
        for name in ["", "ARM64", "x86-64", "i386"] {
            assert_eq!(parse(name).unwrap_err().found, name);
        }
    }
}
