//! Arguments that are not parsed yet or cannot be parsed.

use std::ffi::OsString;

/// Returns the value of an option with a long name, which is in the same or in the next argument.
pub fn value_of(args: &[OsString], option: &str) -> Option<String> {
    let mut args = args.iter().skip(1).filter_map(|arg| arg.to_str());
    while let Some(arg) = args.next() {
        match arg.strip_prefix(option) {
            Some("") => return args.next().map(str::to_owned),
            Some(value) if value.starts_with('=') => return Some(value[1..].to_owned()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_before_parsing() {
        let args: Vec<OsString> = ["ostree-go", "--format=json", "--color", "never"]
            .map(Into::into)
            .into();
        assert_eq!(value_of(&args, "--format").as_deref(), Some("json"));
        assert_eq!(value_of(&args, "--color").as_deref(), Some("never"));
        assert_eq!(value_of(&args, "--progress"), None);
    }
}
