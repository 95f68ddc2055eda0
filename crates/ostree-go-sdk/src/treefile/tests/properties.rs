use std::path::Path;

use proptest::prelude::*;

use super::super::mark::Mark;
use super::super::merge::merge;
use super::super::node::{Key, Node, Value};
use super::super::variables::Variables;
use super::{MINIMAL, minimal, parse};
use crate::arch::Arch;

fn node(value: Value) -> Node {
    let file = Path::new("t").into();
    let mark = Mark::of_file(&file);
    Node { mark, value }
}

fn scalar() -> BoxedStrategy<Node> {
    "[a-c]"
        .prop_map(|text| node(Value::Scalar { text, plain: true }))
        .boxed()
}

fn list(of: BoxedStrategy<Node>) -> BoxedStrategy<Node> {
    prop::collection::vec(of, 0..3)
        .prop_map(|nodes| node(Value::List(nodes)))
        .boxed()
}

/// A map with a subset of these keys, in any order.
fn map(entries: Vec<(&'static str, BoxedStrategy<Node>)>) -> BoxedStrategy<Node> {
    let entries: Vec<_> = entries
        .into_iter()
        .map(|(name, value)| {
            (Just(name), value).prop_map(|(name, value)| {
                let mark = value.mark.clone();
                (
                    Key {
                        text: name.to_owned(),
                        mark,
                    },
                    value,
                )
            })
        })
        .collect();
    (entries.prop_shuffle(), any::<prop::sample::Index>())
        .prop_map(|(mut entries, count)| {
            entries.truncate(count.index(entries.len() + 1));
            node(Value::Map(entries))
        })
        .boxed()
}

/// Treefiles in which each key always has the same type.
fn tree() -> BoxedStrategy<Node> {
    let layer = || {
        map(vec![
            ("include", list(scalar())),
            ("add-files", list(scalar())),
            ("noarch", scalar()),
        ])
    };
    map(vec![
        ("version", scalar()),
        ("source", list(scalar())),
        ("exclude", list(scalar())),
        ("layers", map(vec![("one", layer()), ("two", layer())])),
        ("links", map(vec![("a", scalar()), ("b", scalar())])),
    ])
}

/// Returns the variables of a treefile for Go 1.26.5.
fn variables(root: &Node) -> Variables<'_> {
    let version = "1.26.5".parse().unwrap();
    Variables::new(root, Arch::X86_64, (&version, &version)).unwrap()
}

proptest! {
    #[test]
    fn merging_is_associative(a in tree(), b in tree(), c in tree()) {
        let left = merge(merge(a.clone(), b.clone()), c.clone());
        let right = merge(a, merge(b, c));
        prop_assert_eq!(left, right);
    }

    #[test]
    fn text_without_a_dollar_stays(text in "[^$]*") {
        let root = node(Value::Map(Vec::new()));
        let variables = variables(&root);
        prop_assert_eq!(variables.expand(&text, &[]).unwrap(), text);
    }

    #[test]
    fn escaped_text_expands_to_itself(text in "[a$}{]*") {
        let root = node(Value::Map(Vec::new()));
        let variables = variables(&root);
        prop_assert_eq!(variables.expand(&text.replace('$', "$$"), &[]).unwrap(), text);
    }

    #[test]
    fn any_text_is_a_treefile_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let text = String::from_utf8_lossy(&bytes);
        if let Err(error) = parse(&[("t.yaml", &text)]) {
            prop_assert!(!error.to_string().contains(char::is_control));
        }
    }

    #[test]
    fn any_yaml_is_a_treefile_or_an_error(text in "([ \t\n:,\\-\\[\\]{}&*!|>'\"%@`#?~$0a\u{e9}]|\n  |- |: |a: |layers: |\\$\\{|---\n|\\.\\.\\.){0,60}") {
        let _ = parse(&[("t.yaml", &text)]);
        if let Err(error) = minimal(&text) {
            prop_assert!(!error.to_string().contains(char::is_control));
        }
    }

    #[test]
    fn any_modules_are_modules_or_an_error(
        text in "[a-z@./+v0-9-]{0,24}|[a-z]{1,3}[.]com/[a-z/]{0,6}@v[0-9.]{1,7}(-[a-z0-9.]{0,4})?([+]incompatible)?|\\PC{0,8}",
        sum in "(h1:[A-Za-z0-9/+=]{0,46})?",
        path in "([.]{0,2}/?[a-z]{0,4})?",
    ) {
        let text = serde_json::to_string(&text).unwrap();
        let mut keys = format!("module: {text}");
        for (key, value) in [("sum", sum), ("path", path)] {
            if !value.is_empty() {
                keys.push_str(&format!(", {key}: \"{value}\""));
            }
        }
        for modules in [format!("modules: [{text}]\n"), format!("modules: [{{ {keys} }}]\n")] {
            match minimal(&modules) {
                Err(error) => prop_assert!(!error.to_string().contains(char::is_control)),
                Ok(treefile) => {
                    // What is accepted is printed in a form that means the same.
                    let printed = treefile.expanded();
                    let printed = printed["releases"]["x86_64"].to_string();
                    let again = parse(&[("t.yaml", &printed)]).unwrap();
                    prop_assert_eq!(again.modules(), treefile.modules());
                    for one in treefile.modules() {
                        prop_assert!(one.ref_name.as_str().starts_with("go-sdk/module/"));
                        prop_assert!(one.dir.as_str().starts_with("usr/lib/sdk/modules/"));
                    }
                }
            }
        }
    }

    #[test]
    fn a_damaged_treefile_is_a_treefile_or_an_error(
        at in any::<prop::sample::Index>(),
        with in "[\\PC\n\t]{0,3}",
    ) {
        let text = format!("{MINIMAL}links: {{ /a: \"${{prefix}}/b\" }}\nsource: [{{ path: x }}]\n");
        let at = at.index(text.len());
        let _ = parse(&[("t.yaml", &format!("{}{with}{}", &text[..at], &text[at + 1..]))]);
    }
}

#[test]
fn deep_and_wide_texts_are_refused_in_time() {
    for text in [
        "[".repeat(100_000),
        "{a: ".repeat(100_000),
        "- ".repeat(100_000),
        (0..2000).fold(String::new(), |text, n| {
            text + &" ".repeat(n % 400) + "a:\n"
        }),
        "a".repeat(2 << 20),
    ] {
        assert!(parse(&[("t.yaml", &text)]).is_err());
    }
}
