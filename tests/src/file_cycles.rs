//! Cycles among the source files of a crate: files that use each other, directly or through others.
//!
//! A file uses the files that define the names in its private `use` items, in its paths that start
//! with `crate`, `super`, `self`, an import or a child module, and the re-exported names that it
//! mentions itself. A name that another module re-exports counts as used from the file that defines
//! it; the re-export alone (`pub use`) is no use.

use std::collections::{BTreeMap, BTreeSet};

use crate::rust_source::code;

/// The path of a module from the root of its crate; empty for the root.
type Module = Vec<String>;

/// The files that a file uses, each with a path by which it does.
type Uses = BTreeMap<Module, String>;

/// Returns a description of each cycle among the files of a crate, given as paths below `src` and
/// texts. Only files that `lib.rs` declares, directly or through others, count; files that exist
/// only in test builds do not.
#[must_use]
pub fn cycles(files: &BTreeMap<String, String>) -> Vec<String> {
    let uses = Crate::new(files).uses();
    let reached: BTreeMap<_, _> = uses
        .keys()
        .map(|file| (file, reachable(&uses, file)))
        .collect();
    let mut described = BTreeSet::new();
    let mut found = Vec::new();
    for file in uses.keys() {
        if reached[file].contains(file) && !described.contains(file) {
            let cycle = reached[file].iter().copied();
            let cycle: BTreeSet<_> = cycle
                .filter(|other| reached[other].contains(file))
                .collect();
            found.push(describe(&cycle, &uses));
            described.extend(cycle);
        }
    }
    found
}

/// Returns the files that a file uses, directly or through others.
fn reachable<'u>(uses: &'u BTreeMap<Module, Uses>, file: &Module) -> BTreeSet<&'u Module> {
    let mut found = BTreeSet::new();
    let mut left: Vec<_> = uses[file].keys().collect();
    while let Some(next) = left.pop() {
        if found.insert(next) {
            left.extend(uses[next].keys());
        }
    }
    found
}

fn describe(cycle: &BTreeSet<&Module>, uses: &BTreeMap<Module, Uses>) -> String {
    let mut lines = Vec::new();
    for file in cycle {
        for (other, path) in uses[*file]
            .iter()
            .filter(|(other, _)| cycle.contains(other))
        {
            lines.push(format!("{} uses {}: `{path}`", name(file), name(other)));
        }
    }
    lines.join("\n")
}

fn name(module: &Module) -> String {
    match module.is_empty() {
        true => "lib".to_owned(),
        false => module.join("/"),
    }
}

/// The modules that have files of their own, and what they contain.
#[derive(Debug, Default)]
struct Crate {
    files: BTreeMap<Module, File>,
    /// The imports of all modules, inline ones included: the path that a name stands for.
    imports: BTreeMap<(Module, String), Vec<String>>,
}

/// The content of a file.
#[derive(Debug, Default)]
struct File {
    /// The child modules with files of their own.
    children: Vec<Module>,
    /// The paths that make this file depend on others, as written and with the module that contains them.
    paths: Vec<(Module, Vec<String>)>,
    /// The imports: the module, the new name, and the path.
    imports: Vec<(Module, String, Vec<String>)>,
}

impl Crate {
    fn new(texts: &BTreeMap<String, String>) -> Self {
        let mut found = Self::default();
        let mut left = vec![Module::new()];
        while let Some(module) = left.pop() {
            let Some(text) = text_of(texts, &module) else {
                continue;
            };
            let file = Reader::read(&module, text);
            left.extend(file.children.iter().cloned());
            found.files.insert(module, file);
        }
        let mut imports = BTreeMap::new();
        for (module, name, path) in found.files.values().flat_map(|file| &file.imports) {
            if let Some(path) = found.absolute(module, path) {
                imports.insert((module.clone(), name.clone()), path);
            }
        }
        found.imports = imports;
        found
    }

    fn uses(&self) -> BTreeMap<Module, Uses> {
        let of_file = |(module, file): (&Module, &File)| {
            let mut uses = Uses::new();
            for (scope, path) in &file.paths {
                let used = self.absolute(scope, path).map(|path| self.file_of(&path));
                if let Some(used) = used.filter(|used| used != module) {
                    uses.entry(used).or_insert_with(|| path.join("::"));
                }
            }
            (module.clone(), uses)
        };
        self.files.iter().map(of_file).collect()
    }

    /// Returns a path from the root of the crate; `None` if it leads to another crate or to a local
    /// name.
    fn absolute(&self, scope: &Module, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => Some(rest.to_vec()),
            "self" => Some([scope, rest].concat()),
            "super" => {
                let supers = path.iter().take_while(|name| *name == "super").count();
                let above = &scope[..scope.len().checked_sub(supers)?];
                Some([above, &path[supers..]].concat())
            }
            _ => match self.imports.get(&(scope.clone(), first.clone())) {
                Some(import) => Some([import, rest].concat()),
                // A single name can be a local variable.
                None if rest.is_empty() => None,
                None => {
                    let child = [scope, path].concat();
                    let is_child = self.files.contains_key(&child[..=scope.len()]);
                    is_child.then_some(child)
                }
            },
        }
    }

    /// Returns the file that defines what a path from the root of the crate names.
    fn file_of(&self, path: &[String]) -> Module {
        let mut path = path.to_vec();
        // Only wrong code has a cycle of imports; it ends here.
        for _ in 0..16 {
            let import = (0..path.len()).find_map(|at| {
                let name = (path[..at].to_vec(), path[at].clone());
                let is_module = self.files.contains_key(&path[..=at]);
                let import = self.imports.get(&name).filter(|_| !is_module)?;
                Some([import, &path[at + 1..]].concat())
            });
            match import {
                Some(import) => path = import,
                None => break,
            }
        }
        while !self.files.contains_key(&path) {
            path.pop();
        }
        path
    }
}

fn text_of<'t>(texts: &'t BTreeMap<String, String>, module: &Module) -> Option<&'t String> {
    if module.is_empty() {
        return texts.get("lib.rs");
    }
    let path = module.join("/");
    texts
        .get(&format!("{path}.rs"))
        .or_else(|| texts.get(&format!("{path}/mod.rs")))
}

/// Reads the modules, imports and paths of a file.
struct Reader<'t> {
    tokens: Vec<&'t str>,
    at: usize,
    file: File,
}

impl Reader<'_> {
    fn read(module: &Module, text: &str) -> File {
        let text = code(text);
        let mut reader = Reader {
            tokens: tokens(&text),
            at: 0,
            file: File::default(),
        };
        reader.items(module);
        reader.file
    }

    fn peek(&self, ahead: usize) -> &str {
        self.tokens
            .get(self.at + ahead)
            .copied()
            .unwrap_or_default()
    }

    fn next(&mut self) -> String {
        let token = self.peek(0).to_owned();
        self.at += 1;
        token
    }

    /// Reads to the end of the block of `module`, or of the file.
    fn items(&mut self, module: &Module) {
        let mut depth = 0;
        let mut public = false;
        while self.at < self.tokens.len() {
            let is_start = self.at == 0 || !matches!(self.tokens[self.at - 1], "::" | ".");
            match self.next().as_str() {
                "{" => depth += 1,
                "}" if depth == 0 => return,
                "}" => depth -= 1,
                "pub" => {
                    self.skip_restriction();
                    public = true;
                    continue;
                }
                "use" if is_name(self.peek(0)) || matches!(self.peek(0), "{" | "::") => {
                    self.tree(module, &[], public);
                }
                "mod" if is_name(self.peek(0)) => {
                    let child = [&module[..], &[self.next()]].concat();
                    match self.next().as_str() {
                        ";" => self.file.children.push(child),
                        _ => self.items(&child),
                    }
                }
                name if is_start && is_name(name) => {
                    let mut path = vec![name.to_owned()];
                    while self.peek(0) == "::" && is_name(self.peek(1)) {
                        self.at += 1;
                        path.push(self.next());
                    }
                    self.file.paths.push((module.clone(), path));
                }
                _ => {}
            }
            public = false;
        }
    }

    /// Skips the restriction of `pub(in …)`, which is no use.
    fn skip_restriction(&mut self) {
        if self.peek(0) == "(" && matches!(self.peek(1), "crate" | "self" | "super" | "in") {
            while self.at < self.tokens.len() && self.next() != ")" {}
        }
    }

    /// Reads the rest of a `use` tree below `prefix`, up to the `;` or `,` behind it.
    fn tree(&mut self, module: &Module, prefix: &[String], public: bool) {
        let mut path = prefix.to_vec();
        while self.at < self.tokens.len() {
            match self.peek(0) {
                // `::name` names another crate.
                "::" if path.is_empty() => path.push(String::new()),
                "::" => {}
                "{" => {
                    self.at += 1;
                    while !matches!(self.peek(0), "}" | "") {
                        self.tree(module, &path, public);
                        if self.peek(0) == "," {
                            self.at += 1;
                        }
                    }
                    self.at += 1;
                    return;
                }
                "as" => {
                    self.at += 1;
                    let name = self.next();
                    return self.import(module, name, path, public);
                }
                "*" => {}
                "self" if !prefix.is_empty() => {}
                name if is_name(name) => path.push(name.to_owned()),
                _ => break,
            }
            self.at += 1;
        }
        let name = path.last().cloned().unwrap_or_default();
        self.import(module, name, path, public);
    }

    fn import(&mut self, module: &Module, name: String, path: Vec<String>, public: bool) {
        if !public {
            self.file.paths.push((module.clone(), path.clone()));
        }
        self.file.imports.push((module.clone(), name, path));
    }
}

/// Splits code into names, `::`, and single characters.
fn tokens(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let end = if is_name(rest) {
            rest.find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len())
        } else if rest.starts_with("::") {
            2
        } else {
            first.len_utf8()
        };
        found.push(&rest[..end]);
        rest = rest[end..].trim_start();
    }
    found
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::cycles;

    fn cycles_of(files: &[(&str, &str)]) -> Vec<String> {
        let file = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        cycles(&files.iter().map(file).collect())
    }

    #[test]
    fn finds_cycles_of_any_length() {
        let found = cycles_of(&[
            ("lib.rs", "mod a; mod b; mod c; mod d;"),
            ("a.rs", "use crate::b::{self, B};"),
            ("b.rs", "fn f() -> super::c::C { todo!() }"),
            ("c.rs", "use crate::{a::{x::Y, A as Z}, d};"),
            ("d.rs", "use crate::d::D;"),
        ]);
        assert_eq!(
            found,
            ["a uses b: `crate::b`\nb uses c: `super::c::C`\nc uses a: `crate::a::x::Y`"]
        );
    }

    #[test]
    fn finds_a_cycle_through_a_re_export() {
        let files = |plan| {
            [
                ("lib.rs", "pub mod a; mod b; pub use b::B;"),
                (
                    "a/mod.rs",
                    "mod low; mod plan; pub(crate) use plan::{Plan as Work}; pub use self::low::Low;",
                ),
                ("a/low.rs", "pub struct Low;"),
                ("a/plan.rs", plan),
                ("b.rs", "use crate::a::Work;"),
            ]
        };
        assert_eq!(
            cycles_of(&files("use crate::B;")),
            ["a/plan uses b: `crate::B`\nb uses a/plan: `crate::a::Work`"]
        );
        assert!(cycles_of(&files("use super::Low;")).is_empty());
    }

    #[test]
    fn finds_a_cycle_between_a_module_and_its_child() {
        let child = ("a/b.rs", "use super::A;");
        for parent in [
            "mod b; fn f() { b::g() }",
            "mod b; use self::b as c; struct A(c::B);",
        ] {
            let found = cycles_of(&[("lib.rs", "mod a;"), ("a.rs", parent), child]);
            assert_eq!(found.len(), 1, "{parent}");
        }
        let parent = ("a.rs", "mod b; pub use b::B; struct A;");
        assert!(cycles_of(&[("lib.rs", "mod a;"), parent, child]).is_empty());
    }

    #[test]
    fn resolves_paths_in_inline_modules() {
        let lib = ("lib.rs", "mod a; mod b;");
        let b = ("b.rs", "use crate::a::A;");
        let own = (
            "a.rs",
            "use std::fmt; struct A; mod text { use super::{A, fmt}; }",
        );
        assert!(cycles_of(&[lib, own, b]).is_empty());
        let other = (
            "a.rs",
            "struct A; mod text { fn f(c: char) -> super::super::b::B { '{' } }",
        );
        assert_eq!(cycles_of(&[lib, other, b]).len(), 1);
    }

    #[test]
    fn ignores_comments_literals_tests_and_visibility() {
        let found = cycles_of(&[
            ("lib.rs", "mod a; mod b; #[cfg(test)] mod tests;"),
            (
                "a.rs",
                "pub struct A;\n// crate::b::B\nconst C: &str = \"crate::b::B\"; #[cfg(test)] mod tests { use crate::b::B; }",
            ),
            (
                "b.rs",
                "use crate::a::A; pub(in crate::b) struct B(::a::A);",
            ),
            ("tests.rs", "use crate::a::A;"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }
}
