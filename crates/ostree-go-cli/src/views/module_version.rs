//! The name of a commit in Go's module system, for `show` and `compose`.

use ostree_go_sdk::catalog::ModuleVersionInfo;
use serde::Serialize;

#[derive(Debug, Serialize)]
pub struct ModuleVersionView {
    pub toolchain: Option<String>,
    pub path: String,
    pub version: String,
    pub h1: Option<String>,
    pub go_mod_h1: Option<String>,
}

impl From<&ModuleVersionInfo> for ModuleVersionView {
    fn from(module: &ModuleVersionInfo) -> Self {
        Self {
            toolchain: module.toolchain.clone(),
            path: module.path.clone(),
            version: module.version.clone(),
            h1: module.h1.clone(),
            go_mod_h1: module.go_mod_h1.clone(),
        }
    }
}
