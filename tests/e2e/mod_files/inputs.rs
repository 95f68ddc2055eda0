//! Module files that tests compare.

use ostree_go_sdk::gomod::FileKind;
use ostree_go_tests::random::Random;

/// Files that are easy to read wrongly.
pub const TRICKY: &[&str] = &[
    "",
    "\n\n// only a comment",
    "module \"example.com/a b\"\n",
    "module `example.com/a`\n",
    "module example.com/a//b\n",
    "module (\n\texample.com/a\n)\n",
    "module ()\n",
    "module a\nmodule b\n",
    "go 1.26\r\n\r\ntoolchain go1.26.5\r\n",
    "go 1.26rc1\ntoolchain default",
    "go (\n\t1.26\n)\n",
    "go 1.26 // c\nrequire (\n)\n",
    "require a v1.0.0 // indirect\nrequire b v1.0.0 //indirect\nrequire c v1.0.0 // indirect; c\nrequire d v1.0.0 // indirect;\nrequire e v1.0.0 // indirect;c\nrequire f v1.0.0 // c indirect\n",
    "require ( // indirect\n\ta v1.0.0\n\t// indirect\n\tb v1.0.0\n) // indirect\n",
    "require (\n\ta v1.0.0\t//\tindirect\t\r\n)\r\n",
    "require a v1\nrequire b v1.2\nrequire c v1.2.3-pre.1+meta\nrequire d v2.0.0+incompatible\n",
    "require a v1.02.3\n",
    "require a v2.0.0\n",
    "require a/v2 v2.0.0\nrequire a/v2 v2.1.0\n",
    "require a/v1 v1.0.0\n",
    "require a/v2.0 v2.0.0\n",
    "require gopkg.in/a.v1 v1.0.0\nrequire gopkg.in/a.v2-unstable v2.0.0\nrequire gopkg.in/b.v1 v0.0.0-20161208181325-20d25e280405\n",
    "require gopkg.in/a v1.0.0\n",
    "require gopkg.in/a.v02 v2.0.0\n",
    "require \"a\" \"v1.0.0\"\nrequire \"\\x61\\u00e9\" v1.0.0\n",
    "require a v1.0.0 v1.1.0\n",
    "require a v1.0.0)\n",
    "require ( a v1.0.0 )\n",
    "require a latest\n",
    "exclude a v1.0.0\nexclude (\n\ta v1.0.0\n\ta v1.1.0\n)\n",
    "replace a => ./a\nreplace a v1.0.0 => b v1.1.0\nreplace (\n\tb v1.0.0 => \"../b c\"\n\tc => /c\n\td => C:/d\n)\n",
    "replace a => ./a\nreplace b => ./b\nreplace a => ./a\n",
    "replace a => ./a\nreplace a => ./b\n",
    "replace a => b\n",
    "replace a => b@v1.0.0\n",
    "replace a => ./a v1.0.0\n",
    "replace a => .\\a\n",
    "replace a v2.0.0 => ./a\n",
    "replace a/v1 => ./a\n",
    "replace a => b/v1 v1.0.0\n",
    "replace a=> ./a\n",
    "replace => => ./a\n",
    "replace a => ..\nreplace b => .\nreplace c => ..x\n",
    "retract v1.0.0 // why\n// Also.\nretract (\n\t[v1.0.0, v1.1]\n\tv1.2.0\n)\n",
    "retract [v1.0.0,v1.1.0]x\n",
    "retract [v1.0.0 v1.1.0]\n",
    "retract []\n",
    "tool (\n\ta/b\n\ta/b\n\tc\n)\ntool d\nignore ./x\nignore (\n\t./x\n\ty z\n)\n",
    "ignore \"y z\"\n",
    "godebug default=go1.21\ngodebug (\n\ta=b=c\n)\n",
    "godebug a\n",
    "godebug a=b,c\n",
    "use ./a\n",
    "use (\n\t./a // c\n\t\"./b c\"\n\t../d\n)\nreplace a => ./a\n",
    "use ./a ./b\n",
    "future a b\nfuture (\n\tc\n)\n",
    "// Deprecated: use b.\nmodule a\n",
    "module a /* b */\n",
    "module a\\b\n",
    "require (\n\ta v1.0.0\n",
    "require (\n\ta v1.0.0\n) b\n",
    "{ a , b }\n",
    "\u{feff}module a\n",
];

/// Words of which files are generated.
const WORDS: &[&str] = &[
    "module",
    "require",
    "replace",
    "exclude",
    "retract",
    "tool",
    "ignore",
    "godebug",
    "use",
    "a",
    "b.c/d",
    "e/v2",
    "gopkg.in/f.v1",
    "v1.0.0",
    "v2.3.4",
    "v2.0.0+incompatible",
    "v1",
    "v0.0.0-1",
    "=>",
    "./x",
    "../y",
    "/z",
    "\"q r\"",
    "\"\\t\"",
    "`raw`",
    "[",
    "]",
    ",",
    "(",
    ")",
    "k=v",
    "// indirect",
    "// indirect; c",
    "// c",
];

/// Lines that are valid in a module, so that more than the first word of a generated file counts.
const LINES: &[&str] = &[
    "require a v1.0.0",
    "require (",
    ")",
    "\tb.c/d v1.2.3 // indirect",
    "replace a => ./x",
    "replace b.c/d v1.2.3 => e/v2 v2.0.0",
    "exclude a v1.1.0",
    "retract [v1.0.0, v1.1.0]",
    "tool a/cmd",
    "ignore ./x",
    "godebug k=v",
    "",
    "// c",
    "go 1.26",
    "toolchain go1.26.5",
    "use ./a",
];

pub fn generated(random: &mut Random) -> String {
    let mut pick = |from: &[&'static str]| {
        let index = random.below(from.len() as u64);
        from[usize::try_from(index).unwrap()]
    };
    let mut text = String::new();
    for _ in 0..4 {
        text += pick(LINES);
        text += pick(&["\n", "\n", "\r\n"]);
    }
    for _ in 0..2 {
        for _ in 0..4 {
            text += pick(WORDS);
            text += pick(&[" ", " ", "\t", ""]);
        }
        text += "\n";
    }
    text += pick(LINES);
    text
}

/// Files that are synced.
pub const SYNCED: &[(FileKind, &str)] = &[
    (FileKind::Module, "module a\n"),
    (
        FileKind::Module,
        "module (\n\ta\n)\n\nrequire b v1.0.0 // indirect\n",
    ),
    (
        FileKind::Module,
        "// A module.\nmodule a // c\n\ngo 1.25 // old\n\nrequire b v1.0.0\n",
    ),
    (
        FileKind::Module,
        "module a\r\n\r\ngo 1.25\r\ntoolchain go1.25.1 // c\r\n",
    ),
    (
        FileKind::Module,
        "go 1.26.5\n\ntoolchain go1.26.6\n\nmodule a",
    ),
    (FileKind::Module, "require (\n\tb v1.0.0\n)\ngo 1.26.5"),
    (FileKind::Workspace, ""),
    (FileKind::Workspace, "// Ours.\n\nuse ./a\n"),
    (
        FileKind::Workspace,
        "go 1.25\ntoolchain default\nuse (\n\t./a\n)\n",
    ),
];
