use std::fmt::Write as _;

use insta::assert_snapshot;

use super::super::TreefileError;
use super::{minimal, parse};
use crate::arch::Arch;

/// Formats the message, its sources and its hint.
fn shown(error: &TreefileError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        write!(text, "\n  caused by: {cause}").unwrap();
        source = cause.source();
    }
    if let Some(hint) = error.hint() {
        write!(text, "\n  hint: {hint}").unwrap();
    }
    text
}

/// Formats the error of each text, appended to a minimal treefile.
fn errors(texts: &[&str]) -> String {
    let texts = texts.iter().map(|text| match minimal(text) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => shown(&error),
    });
    texts.collect::<Vec<_>>().join("\n")
}

/// Formats the error of each text as a whole treefile.
fn standalone_errors(texts: &[&str]) -> String {
    let texts = texts.iter().map(|text| match parse(&[("t.yaml", text)]) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => shown(&error),
    });
    texts.collect::<Vec<_>>().join("\n")
}

#[test]
fn yaml() {
    assert_snapshot!(standalone_errors(&[
        "",
        "# nothing",
        "- a",
        "text",
        "a: [1, 2",
        "a: *b",
        "a: &b c",
        "a: !!str c",
        "? [a]\n: b",
        "a: b\n---\nc: d",
        "version: 1.26.5\nlayers:\n  a: {}\nversion: 1.26.6",
        &"[".repeat(40),
        &"a".repeat(1 << 21),
    ]), @r#"
    t.yaml: the treefile is empty, expected a map
    t.yaml: the treefile is empty, expected a map
    t.yaml:1: expected a map, found a list
    t.yaml:1: expected a map, found `text`
    t.yaml:2: a: not well-formed YAML: while parsing a flow sequence, expected ',' or ']'
    t.yaml:1: not well-formed YAML: while parsing node, found unknown anchor
    t.yaml:1: a: YAML anchors are not supported in a treefile
    t.yaml:1: a: YAML tags are not supported in a treefile
    t.yaml:1: expected a key, found a list
    t.yaml:2: several YAML documents are not supported in a treefile
    t.yaml:4: the key `version` is already set on line 1
    t.yaml:1: maps and lists are nested more than 32 deep
    t.yaml: the text is longer than 1048576 bytes
    "#);
}

#[test]
fn keys() {
    assert_snapshot!(errors(&[
        "layer: {}",
        "what-is-this: 1",
        "\"a\\nb\": 1",
        "pin: { x86_64: { sha265: x } }",
        "pin: { amd64: {} }",
        "source: [{ inedx: https://go.dev/dl/ }]",
        "arches: x86_64",
        "arches: []",
        "arches: [arm64]",
        "channels: { a: b }",
        "channels: ~",
    ]), @r#"
    t.yaml:3: unknown key `layer`
      hint: did you mean `layers`?
    t.yaml:3: unknown key `what-is-this`
      hint: the keys known here are `version`, `variant`, `arches`, `ref`, `layer-ref`, `channels`, `timestamp`, `goproxy`, `source`, `pin`, `prefix`, `layers`, `exclude`, `links`, `stdcache`, `modules`, `add-commit-metadata`, `include`, `variables`
    t.yaml:3: unknown key `a\nb`
      hint: the keys known here are `version`, `variant`, `arches`, `ref`, `layer-ref`, `channels`, `timestamp`, `goproxy`, `source`, `pin`, `prefix`, `layers`, `exclude`, `links`, `stdcache`, `modules`, `add-commit-metadata`, `include`, `variables`
    t.yaml:3: pin.x86_64: unknown key `sha265`
      hint: did you mean `sha256`?
    t.yaml:3: pin: unknown architecture `amd64`, expected x86_64 or aarch64
    t.yaml:3: source[0]: unknown key `inedx`
      hint: did you mean `index`?
    t.yaml:3: arches: expected a list, found `x86_64`
    t.yaml:3: arches: expected at least one architecture, found an empty list
    t.yaml:3: arches[0]: unknown architecture `arm64`, expected x86_64 or aarch64
    t.yaml:3: channels: expected a list, found a map
    t.yaml:3: channels: expected a list, found nothing
    "#);
    assert_snapshot!(standalone_errors(&[
        "layers: { a: { include: [b] } }",
        "version: 1.26.5",
        "version: go1.26\nlayers: {}",
        "version: [1]",
        "version:\nlayers: {}",
        "version: 1.26.5\nlayers: { Up: { include: [b] } }",
        "version: 1.26.5\nlayers: { a: {} }",
        "version: 1.26.5\nlayers: { a: { incldue: [x] } }",
        "version: 1.26.5\nlayers: { a: { noarch: maybe, include: [x] } }",
        "version: 1.26.5\nlayers:\n  a:\n    include: [../x]",
        "version: 1.26.5\nlayers:\n  a: { noarch: true, include: [\"x/${goarch}\"] }",
        "version: 1.26.5\nlayers: { a: { go-env: { gotoolchain: local } } }",
        "version: 1.26.5\nlayers: { a: { go-env: { GOFLAGS: \"a\\nb\" } } }",
    ]), @r#"
    t.yaml:1: the key `version` is missing
    t.yaml:1: the key `layers` is missing
    t.yaml:1: version: `go1.26` is not a Go version, expected the form 1.26.5 or 1.27rc1
    t.yaml:1: version: expected text, found a list
    t.yaml:1: version: expected text, found nothing
    t.yaml:2: layers: `Up` is not a layer's name, expected lower-case letters, digits and `-`
    t.yaml:2: layers.a: the layer is empty, expected `include`, `add-files` or `go-env`
    t.yaml:2: layers.a: unknown key `incldue`
      hint: did you mean `include`?
    t.yaml:2: layers.a.noarch: expected true or false, found `maybe`
    t.yaml:4: layers.a.include[0]: path `../x` leaves the tree
    t.yaml:3: layers.a: the layer is noarch, but differs between x86_64 and aarch64
    t.yaml:2: layers.a.go-env: `gotoolchain` is not the name of a Go setting, expected capital letters, digits and `_`
    t.yaml:2: layers.a.go-env.GOFLAGS: `a\nb` is not the value of a Go setting, expected one line without control characters
    "#);
}

#[test]
fn values() {
    assert_snapshot!(errors(&[
        "variant: \"\"",
        "variant: a/b",
        "variant: [a]",
        "prefix: usr/lib",
        "prefix: /",
        "prefix: /usr/../lib",
        "links: { /usr/bin/go: bin/go }",
        "links: { usr/bin/go: /go }",
        "links: { \"/a\\u0001\": /go }",
        "links: { /a: /b, \"/${x}\": /c }\nvariables: { x: a }",
        "exclude: [/test]",
        "timestamp: yesterday",
        "timestamp: 1.5",
        "ref: \"a b\"",
        "ref: go-sdk/${version}",
        "ref: go-sdk/${basearch}/release",
        "ref: go-sdk/${basearch}/go${version}",
        "channels: [stable]",
        "channels: [\"go-sdk/${basearch}/${version}\"]",
        "layer-ref: go-sdk/${layer}",
        "layer-ref: \"${checksum} ${layer}\"",
        "pin: { x86_64: { sha256: abc } }",
        "pin: { x86_64: { h1: abc } }",
        "source: yes",
        "source: ~",
        "source: https://example.org/go.tar.gz",
        "source: [https://go.dev/dl/]",
        "source: { x86_64: golang.org/toolchain, aarch64: golang.rpm }",
        "source: [[{ path: a }]]",
        "source: {}",
        "source: { pth: go.tar.gz }",
        "source: { amd64: [{ path: go.tar.gz }] }",
        "source: { path: go.tar.gz, x86_64: { path: go.tar.gz } }",
        "source: { path: go.tar.gz, url: https://example.org/go.tar.gz }",
        "source: { x86_64: { path: a, index: https://go.dev/dl/ } }",
        "source: [{}]",
        "source: [{ path: a, index: https://go.dev/dl/ }]",
        "source: [{ path: a, sha256: 00ff10a500ff10a500ff10a500ff10a500ff10a500ff10a500ff10a500ff10a5 }]",
        "source: [{ path: \"\" }]",
        "source: [{ url: example.org }]",
        "source: [{ url: https://example.org/a.tar.gz }]",
        "source: { x86_64: [] }",
        "source: [{ rpm: [] }]",
        "source: [{ rpm: ftp://example.org/golang.rpm }]",
        "source: [{ rpm: [[golang.rpm]] }]",
        "source: [{ rpm: [\"\"] }]",
        "source: [{ rpm: [ftp://example.org/golang.rpm] }]",
        "source: [{ rpm: [https://example.org/golang.rpm] }]",
        "source: [{ rpm: [{ path: a, url: https://example.org/a.rpm }] }]",
        "source: [{ rpm: [{ sha265: a }] }]",
        "source: [{ rpm: [a.rpm], sha256: 00ff10a500ff10a500ff10a500ff10a500ff10a500ff10a500ff10a500ff10a5 }]",
        "source: [{ path: a, gpgkey: [b] }]",
        "add-commit-metadata: { sdk.version: 1 }",
    ]), @r#"
    t.yaml:3: variant: `` is not the name of a variant, expected letters, digits, `.`, `_` and `-`
    t.yaml:3: variant: `a/b` is not the name of a variant, expected letters, digits, `.`, `_` and `-`
    t.yaml:3: variant: expected text, found a list
    t.yaml:3: prefix: path `usr/lib` is relative, expected one that starts with `/`
    t.yaml:3: prefix: path `/` is empty
    t.yaml:3: prefix: path `/usr/../lib` leaves the tree
    t.yaml:3: links["/usr/bin/go"]: path `bin/go` is relative, expected one that starts with `/`
    t.yaml:3: links: path `usr/bin/go` is relative, expected one that starts with `/`
    t.yaml:3: links: path `/a\u{1}` has characters that are not allowed
    t.yaml:3: links: the key `/a` is already set on line 3
    t.yaml:3: exclude[0]: path `/test` is absolute
    t.yaml:3: timestamp: `yesterday` is not a time, expected seconds since 1970 or the form 2026-11-02T20:36:21Z
    t.yaml:3: timestamp: `1.5` is not a time, expected seconds since 1970 or the form 2026-11-02T20:36:21Z
    t.yaml:3: ref: `a b` is not a valid ref, expected components of letters, digits, `.`, `_` and `-` joined by `/`
    t.yaml:3: ref: `go-sdk/1.26.5` is the ref of both x86_64 and aarch64, expected `${basearch}` in it
    t.yaml:3: ref: no component of `go-sdk/x86_64/release` is the version 1.26.5, expected `${version}` as one
    t.yaml:3: ref: no component of `go-sdk/x86_64/go1.26.5` is the version 1.26.5, expected `${version}` as one
    t.yaml:3: channels: `stable` is the ref of both x86_64 and aarch64, expected `${basearch}` in it
    t.yaml:3: channels: `go-sdk/x86_64/1.26.5` is the release's own ref, which never moves
    t.yaml:3: layer-ref: `go-sdk/${layer}` has no `${checksum}`, which is required because a layer's ref never moves
    t.yaml:3: layer-ref: `${checksum} ${layer}` is not a valid ref, expected components of letters, digits, `.`, `_` and `-` joined by `/`
    t.yaml:3: pin.x86_64.sha256: `abc` is not a SHA-256 checksum, expected 64 hexadecimal digits
    t.yaml:3: pin.x86_64.h1: `abc` is not a module hash, expected `h1:` and 44 characters of base64
    t.yaml:3: source: expected a source such as `path: yes`, found `yes`
    t.yaml:3: source: expected a source, a list of sources, or a map from architectures to them, found nothing
    t.yaml:3: source: expected a source such as `url: https://example.org/go.tar.gz`, found `https://example.org/go.tar.gz`
    t.yaml:3: source[0]: expected a source such as `index: https://go.dev/dl/`, found `https://go.dev/dl/`
    t.yaml:3: source.x86_64: expected a source such as `module: golang.org/toolchain`, found `golang.org/toolchain`
    t.yaml:3: source[0]: expected a source, found a list
    t.yaml:3: source: a source has exactly one of path, url, index, module, rpm and rebuild, found none of them
    t.yaml:3: source: unknown key `pth`
      hint: did you mean `path`?
    t.yaml:3: source: unknown key `amd64`
      hint: the keys known here are `path`, `url`, `sha256`, `index`, `module`, `rpm`, `gpgkey`, `rebuild`, `x86_64`, `aarch64`
    t.yaml:3: source: `path` is next to an architecture, expected one source, or a map from architectures to sources
    t.yaml:3: source: a source has exactly one of path, url, index, module, rpm and rebuild, found path and url
    t.yaml:3: source.x86_64: a source has exactly one of path, url, index, module, rpm and rebuild, found path and index
    t.yaml:3: source[0]: a source has exactly one of path, url, index, module, rpm and rebuild, found none of them
    t.yaml:3: source[0]: a source has exactly one of path, url, index, module, rpm and rebuild, found path and index
    t.yaml:3: source[0]: `sha256` is only valid with `url`; `pin` applies to every source
    t.yaml:3: source[0].path: expected a path, found ``
    t.yaml:3: source[0].url: `example.org` is not a URL, expected one that starts with https://, http:// or file:///
    t.yaml:3: source: `https://example.org/a.tar.gz` has neither `sha256` nor a pin for x86_64
    t.yaml:3: source: no sources for aarch64
    t.yaml:3: source[0]: `rpm` has 0 RPMs, expected 1 to 64
    t.yaml:3: source[0].rpm: `ftp://example.org/golang.rpm` is not a URL, expected one that starts with https://, http:// or file:///
    t.yaml:3: source[0].rpm[0]: expected a path, a URL or a map, found a list
    t.yaml:3: source[0].rpm[0]: expected a path, found ``
    t.yaml:3: source[0].rpm[0]: `ftp://example.org/golang.rpm` is not a URL, expected one that starts with https://, http:// or file:///
    t.yaml:3: source: `https://example.org/golang.rpm` has neither `sha256` nor `gpgkey` nor an h1 pin for x86_64
    t.yaml:3: source[0].rpm[0]: an RPM has exactly one of path and url, found both
    t.yaml:3: source[0].rpm[0]: unknown key `sha265`
      hint: did you mean `sha256`?
    t.yaml:3: source[0]: `sha256` is only valid with `url`; `pin` applies to every source
    t.yaml:3: source[0]: `gpgkey` is only valid with `rpm`
    t.yaml:3: add-commit-metadata: `sdk.version` is not a key that can be added, expected none of `version`, `sdk.…` and `ostree.…`
    "#);
    let files =
        |file: &str| format!("version: 1.26.5\nlayers:\n  site:\n    add-files:\n      - {file}");
    assert_snapshot!(standalone_errors(&[
        &files("{ path: a, content: x }"),
        &files("{ path: /../a, content: x }"),
        &files("{ path: /a }"),
        &files("{ path: /a, content: x, from: y }"),
        &files("{ content: x }"),
        &files("{ path: /a, content: x, executable: 1 }"),
        &files("[]"),
    ]), @r#"
    t.yaml:5: layers.site.add-files[0].path: path `a` is relative, expected one that starts with `/`
    t.yaml:5: layers.site.add-files[0].path: path `/../a` leaves the tree
    t.yaml:5: layers.site.add-files[0]: expected `content` or `from`, found neither
    t.yaml:5: layers.site.add-files[0]: expected `content` or `from`, found both
    t.yaml:5: layers.site.add-files[0]: the key `path` is missing
    t.yaml:5: layers.site.add-files[0].executable: expected true or false, found `1`
    t.yaml:5: layers.site.add-files[0]: expected a map, found an empty list
    "#);
}

#[test]
fn std_caches() {
    assert_snapshot!(errors(&[
        "stdcache: true",
        "stdcache: { targets: [riscv64] }",
        "stdcache: { modes: [race] }",
        "stdcache: { modes: [] }",
        "stdcache: { mode: [plain] }",
        "ref: \"${basearch}/go/${version}\"\nstdcache: {}",
    ]), @"
    t.yaml:3: stdcache: expected a map, found `true`
    t.yaml:3: stdcache.targets[0]: unknown architecture `riscv64`, expected x86_64 or aarch64
    t.yaml:3: stdcache.modes[0]: `race` is not a mode of a std cache, expected trimpath or plain
    t.yaml:3: stdcache.modes: the list is empty, expected at least one entry, or no such key
    t.yaml:3: stdcache: unknown key `mode`
      hint: did you mean `modes`?
    t.yaml:3: ref: std caches would be `x86_64/stdcache/1.26.5/x86_64-trimpath` and `aarch64/stdcache/1.26.5/x86_64-trimpath`, expected a first component that is the same for all architectures
    ");
}

#[test]
fn variables() {
    assert_snapshot!(errors(&[
        "ref: go-sdk/${bsearch}/${version}",
        "ref: go-sdk/${layer}",
        "channels: [\"${checksum}\"]",
        "links: { /a: \"${nothing-like-it}\" }",
        "links: { \"${nope}\": /a }",
        "goproxy: ${open",
        "variables: { version: 1 }",
        "variables: { Up: 1 }",
        "variables: { a: [] }",
        "variables: [a]",
        "variables: { a: \"${b}\", b: \"${c}\", c: \"${b}\" }",
        "prefix: /${prefix}",
        "variables:\n  a: x\n  b: ${c}",
    ]), @r#"
    t.yaml:3: ref: unknown variable `${bsearch}`
      hint: did you mean `${basearch}`?
    t.yaml:3: ref: unknown variable `${layer}`
      hint: the variables known here are `${basearch}`, `${go-version}`, `${goarch}`, `${minor}`, `${version}`, `${prefix}`
    t.yaml:3: channels[0]: unknown variable `${checksum}`
      hint: the variables known here are `${basearch}`, `${go-version}`, `${goarch}`, `${minor}`, `${version}`, `${prefix}`
    t.yaml:3: links["/a"]: unknown variable `${nothing-like-it}`
      hint: the variables known here are `${basearch}`, `${go-version}`, `${goarch}`, `${minor}`, `${version}`, `${prefix}`
    t.yaml:3: links: unknown variable `${nope}`
      hint: the variables known here are `${basearch}`, `${go-version}`, `${goarch}`, `${minor}`, `${version}`, `${prefix}`
    t.yaml:3: goproxy: `${` has no closing `}`; write `$$` for a literal `$`
    t.yaml:3: variables: `version` is a built-in variable and cannot be set
    t.yaml:3: variables: `Up` is not a variable's name, expected lower-case letters, digits, `-` and `_`
    t.yaml:3: variables.a: expected text, found an empty list
    t.yaml:3: variables: expected a map, found a list
    t.yaml:3: variables.b: a variable is made from itself: b → c → b
    t.yaml:3: prefix: a variable is made from itself: prefix → prefix
    t.yaml:5: variables.b: unknown variable `${c}`
      hint: the variables known here are `${basearch}`, `${go-version}`, `${goarch}`, `${minor}`, `${version}`, `${a}`, `${b}`, `${prefix}`
    "#);
    let chain = |text: &dyn Fn(usize) -> String| {
        (0..40).fold(
            "variables:\n  a0: xxxxxxxxxxxxxxxxxxxx\n".to_owned(),
            |all, n| all + &format!("  a{}: \"{}\"\n", n + 1, text(n)),
        )
    };
    let doubling = chain(&|n| format!("${{a{n}}}${{a{n}}}"));
    let reversed = (0..40).fold("variables:\n  z: x\n".to_owned(), |all, n| {
        all + &format!(
            "  a{n:02}: \"${{{}}}\"\n",
            if n == 39 {
                "z".to_owned()
            } else {
                format!("a{:02}", n + 1)
            }
        )
    });
    assert_snapshot!(errors(&[&doubling, &reversed]), @r#"
    t.yaml:21: variables.a17: the text that the variables expand to is longer than 4194304 bytes
    t.yaml:37: variables.a32: variables are nested more than 32 deep
    "#);
}

#[test]
fn includes() {
    let error = |files: &[(&str, &str)]| shown(&parse(files).unwrap_err());
    let mut all = vec![
        error(&[("dir/a.yaml", "version: 1.26.5\ninclude: b.yaml")]),
        error(&[
            ("dir/a.yaml", "include: [b.yaml]"),
            ("dir/b.yaml", "include: ../dir/./a.yaml"),
        ]),
        error(&[("a.yaml", "include: a.yaml")]),
        error(&[("a.yaml", "include: { x: y }")]),
        error(&[("a.yaml", "include: [[]]")]),
        error(&[("a.yaml", "include: b.yaml"), ("b.yaml", "")]),
        error(&[
            ("a.yaml", "include: b.yaml\nversion: 1.26.5"),
            ("b.yaml", "\nlayrs: {}\nlayers: {}"),
        ]),
    ];
    let many = vec!["b.yaml"; 70].join(", ");
    all.push(error(&[
        ("a.yaml", &format!("include: [{many}]")),
        ("b.yaml", "layers: {}"),
    ]));
    assert_snapshot!(all.join("\n"), @r#"
    dir/a.yaml:2: include: cannot read the included treefile `dir/b.yaml`
      caused by: entity not found
    dir/b.yaml:1: include: a treefile includes itself: dir/a.yaml → dir/b.yaml → dir/a.yaml
    a.yaml:1: include: a treefile includes itself: a.yaml → a.yaml
    a.yaml:1: include: expected the name of a treefile, or a list of them, found a map
    a.yaml:1: include[0]: expected the name of a treefile, found an empty list
    b.yaml: the treefile is empty, expected a map
    b.yaml:2: unknown key `layrs`
      hint: did you mean `layers`?
    a.yaml:1: include: more than 64 treefiles are included
    "#);
}

#[test]
fn errors_expose_their_parts() {
    let error = minimal("pin:\n  x86_64: { h2: x }").unwrap_err();
    assert_eq!(error.file().unwrap().to_str(), Some("t.yaml"));
    assert_eq!((error.line(), error.column()), (Some(4), Some(13)));
    assert_eq!(error.key().as_deref(), Some("pin.x86_64"));
    assert_eq!(error.kind(), crate::kind::ErrorKind::InvalidInput);

    let missing = super::super::Treefile::load("no/such.yaml").unwrap_err();
    assert_eq!(missing.kind(), crate::kind::ErrorKind::NotFound);
    let arch = minimal("arches: [x86_64]").unwrap();
    let arch = arch.for_arch(Arch::Aarch64).unwrap_err();
    assert_snapshot!([&missing, &arch].map(shown).join("\n"), @r#"
    no/such.yaml: cannot read the treefile
      caused by: No such file or directory (os error 2)
    t.yaml: no release for aarch64, expected one of the treefile's arches: x86_64
    "#);
}
