//! Entry points of the fuzz targets.

use super::info::Info;
use super::policy::Policy;
use super::request::Request;
use super::statement;
use crate::golang::module_id::ModuleId;
use std::path::Path;

/// Parses the path of a request. What it asks for has no element that leaves a directory.
pub fn proxy_request(bytes: &[u8]) {
    let path = String::from_utf8_lossy(bytes);
    if let Some(request) = Request::parse(&path) {
        let shown = request.to_string();
        let mut elements = shown.split('/');
        let is_safe = elements.all(|element| !["", ".", ".."].contains(&element));
        assert!(is_safe && shown.is_ascii(), "{shown}");
    }
}

/// Parses a policy, and asks it about modules. Parses the same bytes as the `.info` of a version and as a statement.
pub fn proxy_policy(bytes: &[u8]) {
    let _ = Info::parse(bytes);
    let ids = ["example.com/a@v1.2.3", "corp.example.com/b/v2@v2.0.0"];
    let ids = ids.into_iter().filter_map(|text| text.parse().ok());
    let ids: Vec<ModuleId> = ids.collect();
    for id in &ids {
        let _ = statement::sums(bytes, &[], id);
    }
    let text = String::from_utf8_lossy(bytes);
    if let Ok(policy) = Policy::parse(&text, Path::new("policy.toml")) {
        for id in &ids {
            let module = policy.refuses_module(id.path());
            let version = policy.refuses_version(id);
            assert!(module.is_none() || version.is_some(), "{id}");
            let _ = (policy.minimum_age(id.path()), policy.private(id.path()));
        }
    }
}
