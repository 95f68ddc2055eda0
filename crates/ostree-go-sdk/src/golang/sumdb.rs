//! Go's checksum database: lookups of module hashes, and their proof of inclusion in the log.
//!
//! The database is an append-only log. A record is accepted if a Merkle proof shows that the
//! tree of all records contains it, and the head of the tree is signed. Sources:
//! `golang.org/x/mod/sumdb/note` (signed texts), `…/sumdb/tlog` (records, trees, tiles),
//! `…/sumdb/server.go` (paths), and RFC 6962, 2.1 (hashes of the tree).

mod error;
mod lookup;
mod note;
mod proof;
mod tree;

pub use error::SumdbError;
pub use lookup::{LOOKUP_LIMIT, Lookup, Record};
pub use note::{SignedHead, VerifierKey};
pub use proof::LogProof;
pub use tree::{Tile, Tiles, TreeHead};

/// The key of `sum.golang.org`: its name, its hash, and in base64 its algorithm and 32 bytes.
/// Source: `src/cmd/go/internal/modfetch/key.go`, `knownGOSUMDB`.
pub const SUM_GOLANG_ORG: &str =
    "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";

/// The path below a module proxy at which it serves `sum.golang.org`.
/// Source: `go help goproxy` and <https://go.dev/design/25530-sumdb>, "Proxying a Checksum Database".
pub const PROXIED: &str = "sumdb/sum.golang.org";

#[cfg(test)]
mod tests;
