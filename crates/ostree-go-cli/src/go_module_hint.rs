//! Hints for errors about Go modules.

use crate::source_hint;
use ostree_go_sdk::ErrorKind;
use ostree_go_sdk::compose::ModuleError;
use ostree_go_sdk::upstream::UpstreamError;

/// The hint for a module whose hash cannot be looked up in a checksum database.
const SUM: &str = "add `sum` with the module's hash, which `go mod download -json MODULE@VERSION` prints, to its entry in the treefile";

/// Returns the hint for a module that cannot be composed.
pub fn hint(error: &ModuleError) -> Option<String> {
    let hint = match error {
        ModuleError::Source { source, .. } if source.kind() == ErrorKind::NotFound => {
            "check the path and the version; `go list -m -versions PATH` lists the versions"
        }
        ModuleError::Source { source, .. } => return source_hint::hint(source),
        ModuleError::Upstream {
            source: UpstreamError::Unknown { .. },
            ..
        } => SUM,
        ModuleError::Private { .. } => {
            return Some(format!("GONOSUMDB or GOPRIVATE declares it private; {SUM}"));
        }
        ModuleError::Unverified { .. } => SUM,
        ModuleError::NoProxy { .. } => {
            "GONOPROXY or GOPRIVATE declares it private; set `goproxy` in the treefile to a proxy that may be asked for it"
        }
        ModuleError::Sum { authority, .. } if authority == "the treefile" => {
            "do not use the module, or correct its `sum` in the treefile"
        }
        ModuleError::Sum { .. } => "do not use this module proxy; it serves changed content",
        ModuleError::NoGoMod { .. } => "name the directory that contains go.mod",
        ModuleError::OtherModule { .. } => {
            "set `module` in the treefile to the path in the `module` line of go.mod"
        }
        ModuleError::Exists { .. } => {
            "the ref of a module's version never moves; compose another version, or use --replace if it has not been published"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}
