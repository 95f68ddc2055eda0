//! The format of `.netrc` files: credentials by host.
//!
//! Source: `src/cmd/go/internal/auth/netrc.go` of Go, and the manual page netrc(5).

use std::fmt;

/// Credentials by host, from a `.netrc` file. They are sent only to these hosts, over encrypted
/// connections, in requests without other credentials.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Netrc(Vec<Machine>);

#[derive(Clone, PartialEq, Eq)]
struct Machine {
    host: String,
    user: String,
    password: String,
}

/// Omits secrets.
impl fmt::Debug for Netrc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.0.iter().map(|machine| &machine.host);
        f.debug_list().entries(hosts).finish()
    }
}

impl Netrc {
    /// Parses the text of a file in the same way as the go command: an entry needs a host, a login
    /// and a password; the entry `default`, macros and unknown words are ignored.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut found = Vec::new();
        let mut entry = [None; 3];
        let mut in_macro = false;
        for line in text.split('\n') {
            if in_macro {
                in_macro = !line.is_empty();
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let (pairs, rest) = words.as_chunks::<2>();
            for [name, value] in pairs {
                match *name {
                    "machine" => entry = [Some(*value), None, None],
                    "login" => entry[1] = Some(*value),
                    "password" => entry[2] = Some(*value),
                    // A macro ends at the next empty line.
                    "macdef" => in_macro = true,
                    _ => {}
                }
                if let [Some(host), Some(user), Some(password)] = entry {
                    found.push(Machine {
                        host: host.to_owned(),
                        user: user.to_owned(),
                        password: password.to_owned(),
                    });
                    entry = [None; 3];
                }
            }
            // The default entry is the last one.
            if rest == ["default"] {
                break;
            }
        }
        Self(found)
    }

    /// Returns the user name and the password for a host: those of the first entry for it.
    #[must_use]
    pub fn credentials(&self, host: &str) -> Option<(&str, &str)> {
        let mut machines = self.0.iter();
        let machine = machines.find(|machine| machine.host.eq_ignore_ascii_case(host))?;
        Some((&machine.user, &machine.password))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn entries_are_found_by_host() {
        // The file of `netrc_test.go`.
        let netrc = Netrc::parse(
            "machine incomplete\npassword none\n\nmachine api.github.com\n  login user\n  password pwd\n\n\
             machine incomlete.host\n  login justlogin\n\nmachine test.host\nlogin user2\npassword pwd2\n\n\
             machine oneline login user3 password pwd3\n\nmachine ignore.host macdef ignore\n  login nobody\n  \
             password nothing\n\nmachine hasmacro.too macdef ignore-next-lines login user4 password pwd4\n  \
             login nobody\n  password nothing\n\ndefault\nlogin anonymous\npassword gopher@golang.org\n\n\
             machine after.default\nlogin oops\npassword too-late-in-file\n",
        );
        let hosts: Vec<String> = netrc.0.iter().map(|machine| machine.host.clone()).collect();
        assert_eq!(
            hosts,
            ["api.github.com", "test.host", "oneline", "hasmacro.too"]
        );
        assert_eq!(netrc.credentials("oneline"), Some(("user3", "pwd3")));
        assert_eq!(netrc.credentials("Test.Host"), Some(("user2", "pwd2")));
        assert_eq!(netrc.credentials("after.default"), None);
        let first = Netrc::parse("machine a login b password c\nmachine a login d password e");
        assert_eq!(first.credentials("a"), Some(("b", "c")));
    }

    #[test]
    fn secrets_are_not_shown() {
        let netrc = Netrc::parse("machine a login b password secret");
        assert_eq!(format!("{netrc:?}"), r#"["a"]"#);
    }

    proptest! {
        #[test]
        fn any_text_is_parsed(text in "(machine|login|password|default|macdef|[a-z@]{1,3}|[ \n\r\t])*|\\PC*") {
            let _ = Netrc::parse(&text).credentials("a");
        }

        #[test]
        fn written_entries_are_read(
            entries in proptest::collection::vec(("[a-z]{1,9}", "\\S{1,9}", "\\S{1,9}"), 0..5),
            separator in "[ \t]|\r?\n",
        ) {
            let text: String = entries
                .iter()
                .map(|(host, user, password)| {
                    format!("machine {host}{separator}login {user}{separator}password {password}\n")
                })
                .collect();
            let netrc = Netrc::parse(&text);
            prop_assert_eq!(netrc.0.len(), entries.len());
            for (host, ..) in &entries {
                let first = entries.iter().find(|entry| entry.0 == *host).unwrap();
                prop_assert_eq!(netrc.credentials(host), Some((first.1.as_str(), first.2.as_str())));
            }
        }
    }
}
