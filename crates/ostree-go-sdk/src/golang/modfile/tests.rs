use super::*;
use proptest::prelude::*;

fn error(text: &str) -> String {
    GoWork::parse(text.as_bytes()).unwrap_err().to_string()
}

fn value(text: &str, line: usize) -> Option<Value> {
    let text = text.to_owned();
    Some(Value { text, line })
}

#[test]
fn reads_the_lines_that_select_a_go() {
    let text = "// A module.\nmodule example.com/a // with a comment\r\n\n\tgo 1.26.0//no space\n\
                toolchain go1.26.5-acme1\ngodebug (\n\tgo=1.22\n)\nrequire (\n\tgo.uber.org/zap v1.27.0 // go 1.1\n\t\"b\" v1.0.0\n)\n";
    let file = GoMod::parse(text.as_bytes()).unwrap();
    assert_eq!(file.go, value("1.26.0", 4));
    assert_eq!(file.toolchain, value("go1.26.5-acme1", 5));
    assert_eq!(GoMod::parse(b"").unwrap(), GoMod::default());
    // Without a line break at the end.
    let file = GoMod::parse(b"module a\n\ntoolchain default").unwrap();
    assert_eq!((file.go, file.toolchain), (None, value("default", 3)));
}

#[test]
fn reads_the_modules_of_a_workspace() {
    let text = "go 1.26\n\nuse ./a\nuse (\n\t./b // c\n\n\t// d\n\t\"./e f\"\n\t\"\\x2e/\\u00e9\\101\\t\"\n)\n\
                use ( )\nuse /abs\nreplace a => ./x\n";
    let file = GoWork::parse(text.as_bytes()).unwrap();
    let uses: Vec<_> = file
        .uses
        .iter()
        .map(|v| (v.text.as_str(), v.line))
        .collect();
    let expected = [
        ("./a", 3),
        ("./b", 5),
        ("./e f", 8),
        ("./\u{e9}A\t", 9),
        ("/abs", 12),
    ];
    assert_eq!(uses, expected);
}

#[test]
fn unknown_directives_and_blocks_are_accepted() {
    let text = "tool example.com/x\nfuture ( a b\nfuture x (\n go 1.1\n)\nignore (\n ./x\n)\n(\n)\ngo 1.30\n";
    assert_eq!(GoMod::parse(text.as_bytes()).unwrap().go, value("1.30", 11));
    // `use` has no meaning in go.mod.
    assert!(GoMod::parse(b"use a b c\n").is_ok());
    // Go accepts bytes that are not UTF-8 in comments and words.
    assert!(GoMod::parse(b"module \xff // \xfe\n").is_ok());
}

#[test]
fn malformed_files_are_refused_with_the_line() {
    insta::assert_snapshot!(error("go 1.26\ngo 1.27"), @"line 2: second `go` line");
    insta::assert_snapshot!(error("toolchain go1.26\ntoolchain go1.26"), @"line 2: second `toolchain` line");
    insta::assert_snapshot!(error("\n\ngo"), @"line 3: `go` has 0 arguments, expected one");
    insta::assert_snapshot!(error("go 1.26 1.27"), @"line 1: `go` has 2 arguments, expected one");
    insta::assert_snapshot!(error("go (\n 1.26\n)"), @"line 2: `go` is a block, expected a line");
    insta::assert_snapshot!(error("use ./a ./b"), @"line 1: `use` has 2 arguments, expected one");
    insta::assert_snapshot!(error("use `./a`"), @"line 1: ``./a`` is not a valid string");
    insta::assert_snapshot!(error(r#"use "\q""#), @r#"line 1: `\"\\q\"` is not a valid string"#);
    insta::assert_snapshot!(error("module a\nuse \"./a\n"), @"line 2: the string has no closing quote");
    insta::assert_snapshot!(error("require (\n a v1\n"), @"line 1: the block has no closing `)`");
    insta::assert_snapshot!(error("require (\n a v1\n) b\n"), @"line 3: `)` is followed by `b`, expected the end of the line");
    insta::assert_snapshot!(error("\n/* a */\n"), @"line 2: a comment starts with `/*`, expected `//`");
    insta::assert_snapshot!(error("a\0"), @r"line 1: unexpected character `\0`");
    insta::assert_snapshot!(error("\u{feff}go 1.26"), @r"line 1: unexpected character `\u{feff}`");
    for version in [
        "1",
        "1.26.",
        "go1.26",
        "v1.26",
        "1.26rc",
        "1.26.5rc1",
        "\"1.26\"",
        "1.26.5-x",
    ] {
        let problem = GoMod::parse(format!("go {version}\n").as_bytes())
            .unwrap_err()
            .problem;
        assert!(matches!(problem, Problem::GoVersion { .. }), "{version}");
    }
    for name in [
        "1.26.5",
        "go2.1",
        "go1-x",
        "go1.26/x",
        "local",
        "gccgo-go1.26.5",
        "go1.x",
    ] {
        let text = format!("toolchain {name}\n");
        let problem = GoMod::parse(text.as_bytes()).unwrap_err().problem;
        assert!(matches!(problem, Problem::Toolchain { .. }), "{name}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_file_or_an_error(text in r#"(go |toolchain |use |module |[ \t\r\n()\[\]{},"`\\/.a1*]|.){0,60}"#) {
        let lines = text.lines().count().max(1);
        if let Err(error) = GoWork::parse(text.as_bytes()) {
            prop_assert!(error.line >= 1 && error.line <= lines + 1, "{error}: {text:?}");
        }
    }

    #[test]
    fn comments_and_spaces_change_nothing(
        minor in 0u32..50, patch in 0u32..50,
        space in "[ \t]{1,3}", comment in "( *//[^\n\r]{0,8})?", end in "\r?\n",
    ) {
        let text = format!("module{space}a{comment}{end}{space}go{space}1.{minor}.{patch}{comment}{end}");
        let file = GoMod::parse(text.as_bytes()).unwrap();
        prop_assert_eq!(file.go, value(&format!("1.{minor}.{patch}"), 2));
    }

    #[test]
    fn a_quoted_directory_is_unquoted(name in "[ -~&&[^\"\\\\]]{1,12}") {
        let file = GoWork::parse(format!("use \"{name}\"\n").as_bytes()).unwrap();
        prop_assert_eq!(&file.uses[0].text, &name);
    }
}
