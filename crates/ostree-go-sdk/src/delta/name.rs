//! Names and paths of static deltas.

use crate::id::{CommitId, InvalidChecksum};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use std::fmt;
use std::str::FromStr;

/// The two commits of a static delta. Displayed as in libostree: `FROM-TO`, or `TO` alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeltaName {
    /// The commit that a client must have; `None` for a delta from scratch.
    pub from: Option<CommitId>,
    /// The commit that a client gets.
    pub to: CommitId,
}

impl DeltaName {
    /// Returns the path of the folder in the repository. Each checksum is in base64 without padding,
    /// with `_` instead of `/`; the first two characters are a separate folder.
    ///
    /// Source: `static_delta_path_base`, `ostree_checksum_b64_inplace_from_bytes`
    /// (`ostree-core.c`).
    pub(crate) fn path(&self) -> String {
        let encode = |id: CommitId| STANDARD_NO_PAD.encode(id.as_bytes()).replace('/', "_");
        let name = match self.from {
            Some(from) => format!("{}-{}", encode(from), encode(self.to)),
            None => encode(self.to),
        };
        format!("deltas/{}/{}", &name[..2], &name[2..])
    }
}

impl fmt::Display for DeltaName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(from) = self.from {
            write!(f, "{from}-")?;
        }
        write!(f, "{}", self.to)
    }
}

impl FromStr for DeltaName {
    type Err = InvalidChecksum;

    fn from_str(text: &str) -> Result<Self, InvalidChecksum> {
        let (from, to) = match text.split_once('-') {
            Some((from, to)) => (Some(from.parse()?), to),
            None => (None, text),
        };
        Ok(Self {
            from,
            to: to.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_round_trips_and_has_the_path_of_libostree() {
        let to = CommitId::from([0xff; 32]);
        let from = CommitId::from([0; 32]);
        let name = DeltaName {
            from: Some(from),
            to,
        };
        assert_eq!(name.to_string().parse::<DeltaName>().unwrap(), name);
        assert_eq!(
            name.path(),
            format!("deltas/AA/{}-{}8", "A".repeat(41), "_".repeat(42))
        );
        let empty = DeltaName { from: None, to };
        assert_eq!(empty.path(), format!("deltas/__/{}8", "_".repeat(40)));
        assert!("x-y".parse::<DeltaName>().is_err());
    }
}
