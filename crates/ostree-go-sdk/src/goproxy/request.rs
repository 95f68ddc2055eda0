//! Requests of clients of a module proxy.
//!
//! Sources of the paths: `go help goproxy`, <https://go.dev/ref/mod#goproxy-protocol>, and for the checksum database
//! <https://go.dev/design/25530-sumdb>, "Proxying a Checksum Database".

use crate::golang::module_id::ModuleId;
use crate::golang::module_path::{escape, unescape_path, unescape_version};
use std::fmt;

/// The longest path of a request, in bytes. The go command has no limit; a file name has 255.
const MAX_PATH: usize = 2048;
/// The longest element of a path, in bytes, which leaves room for the name of a temporary file (`NAME_MAX` is 255).
const MAX_ELEMENT: usize = 200;
/// The largest number of parts in the number of a tile: `x001/x234/067` has three.
const MAX_TILE_PARTS: usize = 7;

/// A request of a module proxy's client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Request {
    /// The versions of a module: `MODULE/@v/list`.
    List {
        /// The path of the module.
        module: String,
    },
    /// The newest version of a module: `MODULE/@latest`.
    Latest {
        /// The path of the module.
        module: String,
    },
    /// The version that a name such as a branch stands for: `MODULE/@v/NAME.info`.
    Query {
        /// The path of the module.
        module: String,
        /// The name.
        query: String,
    },
    /// A file of a version: `MODULE/@v/VERSION.zip`.
    File {
        /// The module and its version.
        id: ModuleId,
        /// The file.
        file: ModuleFile,
    },
    /// A part of a checksum database: `sumdb/NAME/…`.
    SumDb {
        /// The name of the database: `sum.golang.org`.
        name: String,
        /// The part.
        part: SumDbPart,
    },
}

/// A file of a module's version in a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ModuleFile {
    /// The version and its time, as JSON.
    Info,
    /// The `go.mod` file.
    Mod,
    /// The content.
    Zip,
}

impl ModuleFile {
    /// Returns the extension of the file: `info`, `mod` or `zip`.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Mod => "mod",
            Self::Zip => "zip",
        }
    }
}

/// A part of a checksum database.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum SumDbPart {
    /// A question whether this proxy serves the database: `supported`.
    Supported,
    /// The head of the tree: `latest`.
    Latest,
    /// The record of a version of a module: `lookup/MODULE@VERSION`.
    Lookup {
        /// The path of the module.
        module: String,
        /// The version.
        version: String,
    },
    /// A tile of the tree: `tile/8/0/x001/234`.
    Tile {
        /// The path.
        path: String,
        /// True if the tile is complete, so that its content never changes.
        is_full: bool,
    },
}

impl SumDbPart {
    /// Returns the path below the URL of the database.
    #[must_use]
    pub fn path(&self) -> String {
        match self {
            Self::Supported => "supported".to_owned(),
            Self::Latest => "latest".to_owned(),
            Self::Lookup { module, version } => {
                format!("lookup/{}@{}", escape(module), escape(version))
            }
            Self::Tile { path, .. } => path.clone(),
        }
    }
}

/// Formats the path of the request, unescaped: `example.com/lib/@v/v1.2.3.zip`.
impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List { module } => write!(f, "{module}/@v/list"),
            Self::Latest { module } => write!(f, "{module}/@latest"),
            Self::Query { module, query } => write!(f, "{module}/@v/{query}.info"),
            Self::File { id, file } => {
                let extension = file.extension();
                write!(f, "{}/@v/{}.{extension}", id.path(), id.version())
            }
            Self::SumDb { name, part } => write!(f, "sumdb/{name}/{}", part.path()),
        }
    }
}

impl Request {
    /// Parses the path of a URL, which begins with `/`; returns `None` for a path that the go command never asks for,
    /// such as one that leaves the directory of a module.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        if path.len() > MAX_PATH {
            return None;
        }
        let path = percent_decoded(path)?;
        let path = path.strip_prefix('/')?;
        let is_element = |element: &str| (1..=MAX_ELEMENT).contains(&element.len());
        if !path.split('/').all(is_element) {
            return None;
        }
        if let Some(rest) = path.strip_prefix("sumdb/") {
            let (name, part) = rest.split_once('/')?;
            let name = name.to_owned();
            let part = sumdb_part(part)?;
            return Some(Self::SumDb { name, part });
        }
        if let Some(module) = path.strip_suffix("/@latest") {
            let module = unescape_path(module)?;
            return Some(Self::Latest { module });
        }
        let (module, file) = path.split_once("/@v/")?;
        let module = unescape_path(module)?;
        if file == "list" {
            return Some(Self::List { module });
        }
        let (version, extension) = file.rsplit_once('.')?;
        let version = unescape_version(version)?;
        let file = match extension {
            "info" => ModuleFile::Info,
            "mod" => ModuleFile::Mod,
            "zip" => ModuleFile::Zip,
            _ => return None,
        };
        match ModuleId::new(&module, &version) {
            Ok(id) => Some(Self::File { id, file }),
            Err(_) if file == ModuleFile::Info => Some(Self::Query {
                module,
                query: version,
            }),
            Err(_) => None,
        }
    }

    /// Returns the path of the module that the request is about, and the version if there is one. It is empty for parts
    /// of a checksum database that are not about a module.
    #[must_use]
    pub fn module(&self) -> (&str, Option<&str>) {
        match self {
            Self::List { module } | Self::Latest { module } => (module, None),
            Self::Query { module, query } => (module, Some(query)),
            Self::File { id, .. } => (id.path(), Some(id.version())),
            Self::SumDb { part, .. } => match part {
                SumDbPart::Lookup { module, version } => (module, Some(version)),
                _ => ("", None),
            },
        }
    }

    /// Returns a word for the kind of the request: `list`, `latest`, `info`, `mod`, `zip` or `sumdb`.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::List { .. } => "list",
            Self::Latest { .. } => "latest",
            Self::Query { .. } => "info",
            Self::File { file, .. } => file.extension(),
            Self::SumDb { .. } => "sumdb",
        }
    }
}

fn sumdb_part(path: &str) -> Option<SumDbPart> {
    match path {
        "supported" => return Some(SumDbPart::Supported),
        "latest" => return Some(SumDbPart::Latest),
        _ => {}
    }
    if let Some(name) = path.strip_prefix("lookup/") {
        let (module, version) = name.split_once('@')?;
        let module = unescape_path(module)?;
        // The records of `go.mod` files are those of their modules.
        let version = unescape_version(version)?;
        return Some(SumDbPart::Lookup { module, version });
    }
    let is_full = tile(path.strip_prefix("tile/")?)?;
    let path = path.to_owned();
    Some(SumDbPart::Tile { path, is_full })
}

/// Returns whether a tile is complete, if this is the path of one below `tile/` (`tlog.ParseTilePath`).
fn tile(path: &str) -> Option<bool> {
    let is_number = |text: &str, digits: usize| {
        (1..=digits).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    let (height, rest) = path.split_once('/')?;
    let (level, index) = rest.split_once('/')?;
    let (index, width) = match index.split_once(".p/") {
        Some((index, width)) => (index, Some(width)),
        None => (index, None),
    };
    let parts: Vec<&str> = index.split('/').collect();
    let (last, above) = parts.split_last()?;
    let is_part = |part: &str| part.len() == 3 && is_number(part, 3);
    let is_above = |part: &&str| part.strip_prefix('x').is_some_and(is_part);
    let is_valid = is_number(height, 2)
        && (level == "data" || is_number(level, 2))
        && parts.len() <= MAX_TILE_PARTS
        && above.iter().all(is_above)
        && is_part(last)
        && width.is_none_or(|width| is_number(width, 5));
    is_valid.then_some(width.is_none())
}

/// Decodes `%21` to `!`; returns `None` if the result is not ASCII, or has a control character. The go command escapes
/// the `!` of capital letters.
fn percent_decoded(path: &str) -> Option<String> {
    let mut decoded = String::with_capacity(path.len());
    let mut bytes = path.bytes();
    while let Some(byte) = bytes.next() {
        let byte = match byte {
            b'%' => 16 * hex(bytes.next()?)? + hex(bytes.next()?)?,
            byte => byte,
        };
        if !byte.is_ascii_graphic() {
            return None;
        }
        decoded.push(char::from(byte));
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parsed(path: &str) -> String {
        match Request::parse(path) {
            Some(request) => format!("{}: {request}", request.kind()),
            None => "nothing".to_owned(),
        }
    }

    #[test]
    fn paths_of_the_go_command() {
        insta::assert_snapshot!(parsed("/example.com/lib/@v/list"), @"list: example.com/lib/@v/list");
        insta::assert_snapshot!(parsed("/example.com/lib/@latest"), @"latest: example.com/lib/@latest");
        insta::assert_snapshot!(parsed("/github.com/!azure/a/@v/v1.0.0-!r!c1.info"), @"info: github.com/Azure/a/@v/v1.0.0-RC1.info");
        insta::assert_snapshot!(parsed("/github.com/%21azure/a/@v/v1.0.0.zip"), @"zip: github.com/Azure/a/@v/v1.0.0.zip");
        insta::assert_snapshot!(parsed("/example.com/lib/@v/v2.0.0+incompatible.mod"), @"mod: example.com/lib/@v/v2.0.0+incompatible.mod");
        insta::assert_snapshot!(parsed("/golang.org/toolchain/@v/v0.0.1-go1.26.5.linux-amd64.zip"), @"zip: golang.org/toolchain/@v/v0.0.1-go1.26.5.linux-amd64.zip");
        insta::assert_snapshot!(parsed("/example.com/lib/@v/master.info"), @"info: example.com/lib/@v/master.info");
        insta::assert_snapshot!(parsed("/sumdb/sum.golang.org/supported"), @"sumdb: sumdb/sum.golang.org/supported");
        insta::assert_snapshot!(parsed("/sumdb/sum.golang.org/lookup/github.com/!azure/a@v1.0.0"), @"sumdb: sumdb/sum.golang.org/lookup/github.com/!azure/a@v1.0.0");
        insta::assert_snapshot!(parsed("/sumdb/sum.golang.org/tile/8/0/x001/234.p/5"), @"sumdb: sumdb/sum.golang.org/tile/8/0/x001/234.p/5");
        let tile = |path: &str| match Request::parse(path) {
            Some(Request::SumDb {
                part: SumDbPart::Tile { is_full, .. },
                ..
            }) => is_full,
            other => panic!("{other:?}"),
        };
        assert!(tile("/sumdb/a/tile/8/data/012"));
        assert!(!tile("/sumdb/a/tile/8/2/000.p/255"));
    }

    #[test]
    fn other_paths_are_refused() {
        for path in [
            "",
            "/",
            "/favicon.ico",
            "example.com/lib/@v/list",
            "/example.com/lib/@v/",
            "/example.com/lib/@v/v1.0.0",
            "/example.com/lib/@v/v1.0.0.exe",
            "/example.com/lib/@v/master.zip",
            "/example.com/lib/@v/v2.0.0.zip",
            "/example.com/lib/@v/../v1.0.0.zip",
            "/example.com/../lib/@v/list",
            "/example.com/%2e%2e/lib/@v/list",
            "/example.com/lib/@v/..%2fv1.0.0.zip",
            "/example.com/lib//@v/list",
            "/example.com/Lib/@v/list",
            "/example.com/lib%00/@v/list",
            "/example.com/lib%zz/@v/list",
            "/example.com/l\u{e9}/@v/list",
            "/lib/@v/list",
            "/sumdb/sum.golang.org/other",
            "/sumdb/sum.golang.org/tile/8/0/../x",
            "/sumdb/sum.golang.org/tile/8/0/1",
            "/sumdb/sum.golang.org/tile/8/0/y01/234",
            "/sumdb/sum.golang.org/lookup/example.com/lib",
            "/sumdb/sum.golang.org/lookup/example.com/lib@../v1",
        ] {
            assert_eq!(parsed(path), "nothing", "{path}");
        }
        let long = format!("/example.com/{}/@v/list", "a".repeat(201));
        assert_eq!(parsed(&long), "nothing");
    }

    proptest! {
        #[test]
        fn a_request_has_one_path(path in "/(sumdb/)?[a-z]{1,3}\\.[a-z]{2}(/[A-Za-z0-9._~!%@-]{1,6}){0,3}(/@v/|/@latest|/lookup/|/tile/8/0/)([a-zA-Z0-9.!/x@]{0,9})(\\.info|\\.mod|\\.zip)?|.{0,40}") {
            if let Some(request) = Request::parse(&path) {
                let shown = request.to_string();
                prop_assert!(!shown.split('/').any(|element| element.is_empty() || element == ".."), "{}", shown);
                let again = format!("/{}", match &request {
                    Request::SumDb { .. } => shown.clone(),
                    _ => escape(&shown),
                });
                prop_assert_eq!(Request::parse(&again), Some(request));
            }
        }
    }
}
