//! Which modules are served, and how they are verified.

use crate::golang::module_id::ModuleId;
use crate::golang::module_pattern::matches;
use std::path::PathBuf;
use std::time::Duration;

/// Rules about modules. The default serves all modules of any age, and has no private ones.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Patterns of modules that are served; `None` for all.
    pub(super) allow: Option<Vec<String>>,
    pub(super) deny: Vec<Deny>,
    pub(super) minimum_age: Option<Duration>,
    /// Patterns of modules that may be of any age.
    pub(super) any_age: Vec<String>,
    pub(super) private: Vec<Private>,
}

/// Modules that are not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Deny {
    pub pattern: String,
    /// The versions that are not served; empty for all.
    pub versions: Vec<String>,
    /// The reason, for people.
    pub reason: Option<String>,
}

/// Modules that are no part of the checksum database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Private {
    pub patterns: Vec<String>,
    /// Ed25519 public keys in base64, one of which must have signed the statement of each version.
    pub keys: Vec<String>,
    /// The proxies that have the modules, in the syntax of `GOPROXY`; `None` for those of all modules.
    pub upstream: Option<String>,
    /// The directory with statements, in the layout of a proxy; `None` if the proxies have them.
    pub statements: Option<PathBuf>,
}

/// A rule that refuses a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refused {
    /// No pattern of `allow` matches.
    NotAllowed,
    /// An entry of `deny` matches, which has this reason.
    Denied(Option<String>),
}

impl Policy {
    /// Returns the rule that refuses a module with all of its versions.
    pub(super) fn refuses_module(&self, module: &str) -> Option<Refused> {
        self.refuses(module, None)
    }

    /// Returns the rule that refuses a version.
    pub(super) fn refuses_version(&self, id: &ModuleId) -> Option<Refused> {
        self.refuses(id.path(), Some(id.version()))
    }

    fn refuses(&self, module: &str, version: Option<&str>) -> Option<Refused> {
        let denied = self.deny.iter().find(|deny| {
            let is_version = |denied: &String| Some(denied.as_str()) == version;
            let has_version = deny.versions.is_empty() || deny.versions.iter().any(is_version);
            has_version && matches(&deny.pattern, module)
        });
        if let Some(deny) = denied {
            return Some(Refused::Denied(deny.reason.clone()));
        }
        // Whoever names the keys of a private module wants to serve it.
        let is_allowed = match &self.allow {
            Some(patterns) => any(patterns, module) || self.private(module).is_some(),
            None => true,
        };
        (!is_allowed).then_some(Refused::NotAllowed)
    }

    /// Returns the age that a version of a module has to have. Private modules may be of any age.
    pub(super) fn minimum_age(&self, module: &str) -> Option<Duration> {
        let is_exempt = any(&self.any_age, module) || self.private(module).is_some();
        self.minimum_age.filter(|_| !is_exempt)
    }

    /// Returns the rule for a private module.
    pub(super) fn private(&self, module: &str) -> Option<&Private> {
        let mut rules = self.private.iter();
        rules.find(|rule| any(&rule.patterns, module))
    }

    /// Returns the lists of proxies of private modules, in the syntax of `GOPROXY`.
    pub(super) fn private_upstreams(&self) -> impl Iterator<Item = &str> {
        let rules = self.private.iter();
        rules.filter_map(|rule| rule.upstream.as_deref())
    }
}

fn any(patterns: &[String], module: &str) -> bool {
    patterns.iter().any(|pattern| matches(pattern, module))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> ModuleId {
        text.parse().unwrap()
    }

    fn policy() -> Policy {
        let text = |text: &str| text.to_owned();
        Policy {
            allow: Some(vec![text("example.com"), text("*.org/x")]),
            deny: vec![
                Deny {
                    pattern: text("example.com/bad"),
                    versions: Vec::new(),
                    reason: None,
                },
                Deny {
                    pattern: text("example.com/lib"),
                    versions: vec![text("v1.0.1")],
                    reason: Some(text("it deletes files")),
                },
            ],
            minimum_age: Some(Duration::from_secs(60)),
            any_age: vec![text("golang.org/x")],
            private: vec![Private {
                patterns: vec![text("corp.example.net")],
                keys: Vec::new(),
                upstream: None,
                statements: None,
            }],
        }
    }

    #[test]
    fn deny_comes_before_allow() {
        let policy = policy();
        let refuses = |text| policy.refuses_version(&id(text));
        assert_eq!(refuses("example.com/lib@v1.0.0"), None);
        assert_eq!(refuses("golang.org/x/mod@v0.1.0"), None);
        let reason = Some("it deletes files".to_owned());
        assert_eq!(
            refuses("example.com/lib@v1.0.1"),
            Some(Refused::Denied(reason))
        );
        assert_eq!(
            refuses("example.com/bad/sub@v1.0.0"),
            Some(Refused::Denied(None))
        );
        assert_eq!(refuses("example.net/lib@v1.0.0"), Some(Refused::NotAllowed));
        assert_eq!(policy.refuses_module("example.com/lib"), None);
        assert_eq!(
            policy.refuses_module("example.com/bad"),
            Some(Refused::Denied(None))
        );
        assert_eq!(Policy::default().refuses_module("example.net/lib"), None);
    }

    #[test]
    fn private_modules_are_allowed_at_any_age() {
        let policy = policy();
        assert_eq!(policy.refuses_module("corp.example.net/lib"), None);
        assert_eq!(policy.minimum_age("corp.example.net/lib"), None);
        assert_eq!(policy.minimum_age("golang.org/x/mod"), None);
        let minute = Some(Duration::from_secs(60));
        assert_eq!(policy.minimum_age("example.com/lib"), minute);
        assert!(policy.private("corp.example.network/lib").is_none());
    }
}
