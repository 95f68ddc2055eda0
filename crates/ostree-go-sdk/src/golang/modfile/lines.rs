//! The meaning of lines in `go.mod` and `go.work` files.

/// The name in a `toolchain` line that stands for the toolchain that the user has configured.
pub const DEFAULT_TOOLCHAIN: &str = "default";

/// The argument of a directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Value {
    /// The argument, without quotes.
    pub text: String,
    /// The number of the line, from 1.
    pub line: usize,
}

/// A module, or a directory that stands for one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModuleVersion {
    /// The path of the module, or of the directory.
    pub path: String,
    /// The canonical version, such as `v1.2.3`. `None` if this is a directory, or stands for all
    /// versions of the module.
    pub version: Option<String>,
}

/// A `require` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Require {
    /// The path of the module.
    pub path: String,
    /// The canonical version, such as `v1.2.3`.
    pub version: String,
    /// True if the line ends in the comment `// indirect`.
    pub is_indirect: bool,
    /// The number of the line, from 1.
    pub line: usize,
}

/// A `replace` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replace {
    /// The module that is replaced; without a version, all of its versions are.
    pub old: ModuleVersion,
    /// The replacement; without a version, a directory.
    pub new: ModuleVersion,
    /// The number of the line, from 1.
    pub line: usize,
}

/// A `retract` line: an interval that includes both versions. They are equal if the line names one
/// version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retract {
    /// The lowest version.
    pub low: String,
    /// The highest version.
    pub high: String,
    /// The number of the line, from 1.
    pub line: usize,
}
