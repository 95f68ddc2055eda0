//! The examples of the man pages, and of the tests.

/// The purpose of an example, and its command line.
pub type Example = (&'static str, &'static str);

/// The examples by verb; the empty verb is the whole command.
const EXAMPLES: &[(&str, &[Example])] = &[
    (
        "",
        &[
            (
                "Add a remote",
                "ostree-go remote add acme https://sdk.example.com/repo --gpg-import acme.asc",
            ),
            ("Show what it offers", "ostree-go remote refs"),
            ("Install the channel 1.26", "ostree-go install 1.26"),
            ("Upgrade it later", "ostree-go upgrade"),
            ("Go back to the previous SDK", "ostree-go rollback"),
        ],
    ),
    (
        "compose",
        &[
            (
                "Compose a release and sign it",
                "ostree-go compose go-1.26.yaml --repo build/repo --gpg-sign KEY",
            ),
            (
                "Show what a compose would do",
                "ostree-go compose go-1.26.yaml --repo build/repo --dry-run",
            ),
            (
                "Compose a release without the compiled standard library",
                "ostree-go compose go-1.26.yaml --repo build/repo --no-stdcache",
            ),
        ],
    ),
    (
        "promote",
        &[(
            "Move a channel to a release",
            "ostree-go promote 1.26.5 stable --repo build/repo",
        )],
    ),
    (
        "publish",
        &[(
            "Write the deltas and the signed summary",
            "ostree-go publish --repo build/repo --gpg-sign KEY",
        )],
    ),
    (
        "delta list",
        &[(
            "List the static deltas",
            "ostree-go delta list --repo build/repo",
        )],
    ),
    (
        "delta show",
        &[(
            "Show the parts of a delta",
            "ostree-go delta show 1.26.5 --repo build/repo",
        )],
    ),
    (
        "sign",
        &[(
            "Sign a release",
            "ostree-go sign 1.26.5 --repo build/repo --gpg-sign KEY",
        )],
    ),
    (
        "audit",
        &[
            (
                "Check the active SDK against the Go vulnerability database",
                "ostree-go audit",
            ),
            (
                "Check a channel of a repository against a copy of the database",
                "ostree-go audit stable --repo build/repo --db /srv/vulndb --index /srv/dl.json",
            ),
            (
                "Check the standard library in a program",
                "ostree-go audit --binary ./app",
            ),
        ],
    ),
    (
        "inspect",
        &[
            ("Show how a program was built", "ostree-go inspect ./app"),
            (
                "Check programs before they are deployed",
                "ostree-go inspect bin/app bin/worker --require static,trimpath,no-pprof,clean-vcs",
            ),
            (
                "Check that a program was built with a release of a repository",
                "ostree-go inspect ./app --require sdk=stable --repo build/repo",
            ),
        ],
    ),
    (
        "verify",
        &[
            (
                "Verify a signature",
                "ostree-go verify 1.26.5 --repo build/repo --gpg-keys acme.asc",
            ),
            (
                "Prove that the content is that of the Go project",
                "ostree-go verify 1.26.5 --repo build/repo --upstream",
            ),
            (
                "Prove the same without a connection, with the proof that the publisher has added",
                "ostree-go verify 1.26.5 --upstream --offline",
            ),
            (
                "Verify the provenance",
                "ostree-go verify 1.26.5 --attestation go-1.26.5-x86_64.slsa.dsse.json --attestation-keys acme.pub",
            ),
            (
                "Compose the release again from Go's own archive, and compare the commits",
                "ostree-go verify 1.26.5 --repo build/repo --recompose",
            ),
            (
                "Compile the programs of the release for another architecture, and compare their bytes",
                "ostree-go verify go-sdk/aarch64/1.26.5 --repo build/repo --rebuild",
            ),
        ],
    ),
    (
        "key generate",
        &[(
            "Create a key for signing",
            "ostree-go key generate --output-dir keys",
        )],
    ),
    (
        "key transition",
        &[
            (
                "Introduce a new key to the hosts that trust the old one",
                "ostree-go key transition keys/public.asc keys/new/public.asc --url https://sdk.example.com/repo --repo build/repo --gpg-sign old@example.com --gpg-sign new@example.com --gpg-homedir keys/gnupg",
            ),
            (
                "Withdraw the old key when all hosts have the new one",
                "ostree-go key transition keys/new/public.asc --remove FINGERPRINT --url https://sdk.example.com/repo --repo build/repo --gpg-sign 'Acme new' --gpg-homedir keys/gnupg",
            ),
        ],
    ),
    (
        "prune",
        &[(
            "Keep three releases of each minor version",
            "ostree-go prune --keep 3 --repo build/repo --dry-run",
        )],
    ),
    (
        "init",
        &[(
            "Create a repository for publishing",
            "ostree-go init --repo build/repo",
        )],
    ),
    (
        "list",
        &[
            (
                "List releases and channels",
                "ostree-go list --repo build/repo",
            ),
            (
                "List those that are outdated, with the number of their known vulnerabilities",
                "ostree-go list --outdated --db https://vuln.go.dev --repo build/repo",
            ),
        ],
    ),
    (
        "log",
        &[(
            "Show the history of a channel",
            "ostree-go log 1.26 --repo build/repo",
        )],
    ),
    (
        "show",
        &[
            ("Show a release", "ostree-go show 1.26.5 --repo build/repo"),
            (
                "Show the version of Go's toolchain module that it corresponds to",
                "ostree-go show 1.26.5 --module-version --repo build/repo",
            ),
        ],
    ),
    (
        "diff",
        &[(
            "Compare two releases",
            "ostree-go diff 1.26.4 1.26.5 --repo build/repo",
        )],
    ),
    (
        "fsck",
        &[("Check all objects", "ostree-go fsck --repo build/repo")],
    ),
    (
        "checkout",
        &[(
            "Check out a release",
            "ostree-go checkout 1.26.5 go-1.26.5 --repo build/repo",
        )],
    ),
    (
        "export attest",
        &[
            (
                "Write the provenance and the bill of materials, signed",
                "ostree-go export attest 1.26.5 --output attestations --sign-from-file acme.key",
            ),
            (
                "Attach them to an image",
                "ostree-go export attest 1.26.5 --oci-referrer docker://registry.example.com/go-sdk:1.26.5 --sign-from-file acme.key",
            ),
        ],
    ),
    (
        "export butane",
        &[(
            "Write a configuration for Butane",
            "ostree-go export butane 1.26 --remote-url https://sdk.example.com/repo --gpg-import acme.asc",
        )],
    ),
    (
        "export ignition",
        &[(
            "Write a configuration for Ignition",
            "ostree-go export ignition 1.26 --remote-url https://sdk.example.com/repo --gpg-import acme.asc",
        )],
    ),
    (
        "export sysext",
        &[(
            "Write a system extension",
            "ostree-go export sysext 1.26.5 go.raw --repo build/repo",
        )],
    ),
    (
        "export oci",
        &[(
            "Push an image",
            "ostree-go export oci 1.26.5 docker://registry.example.com/go-sdk:1.26.5",
        )],
    ),
    (
        "export containerfile",
        &[(
            "Write a Containerfile",
            "ostree-go export containerfile 1.26.5 --image registry.example.com/go-sdk:1.26.5",
        )],
    ),
    (
        "export tar",
        &[(
            "Write an archive",
            "ostree-go export tar 1.26.5 go-1.26.5.tar --repo build/repo",
        )],
    ),
    (
        "export treefile",
        &[(
            "Print the layers for rpm-ostree",
            "ostree-go export treefile 1.26.5 --repo build/repo",
        )],
    ),
    (
        "export unit",
        &[(
            "Write the unit of a service that listens on one port",
            "ostree-go export unit app /usr/local/bin/app --listen 8080 --state-dir",
        )],
    ),
    (
        "overlay",
        &[(
            "Add an SDK to an OS commit",
            "ostree-go overlay os/x86_64/base 1.26.5 --ref os/x86_64/go --repo build/repo",
        )],
    ),
    (
        "import",
        &[(
            "Import an image",
            "ostree-go import docker://registry.example.com/go-sdk:1.26.5 --repo build/repo",
        )],
    ),
    (
        "install",
        &[
            (
                "Install a channel, which upgrade follows",
                "ostree-go install 1.26",
            ),
            ("Install the newest release", "ostree-go install latest"),
            (
                "Install the Go that the go.mod of a project asks for",
                "ostree-go install --for ~/src/project",
            ),
            (
                "Show the size of the download",
                "ostree-go install 1.26 --dry-run",
            ),
            (
                "Also install the std caches for builds for another architecture",
                "ostree-go install 1.26 --stdcache aarch64",
            ),
            (
                "Install without the network",
                "ostree-go install 1.26 --from-repo /mnt/repo --gpg-keys acme.asc",
            ),
        ],
    ),
    (
        "upgrade",
        &[
            ("Upgrade the active SDK", "ostree-go upgrade"),
            (
                "Exit with 77 if there is something new",
                "ostree-go upgrade --check",
            ),
            (
                "Give each hook ten minutes",
                "ostree-go upgrade --hook-timeout 600",
            ),
        ],
    ),
    (
        "use",
        &[
            ("Activate an installed SDK", "ostree-go use 1.26.4"),
            (
                "Activate it without running the hooks",
                "ostree-go use 1.26.4 --no-hooks",
            ),
        ],
    ),
    (
        "uninstall",
        &[("Uninstall an SDK", "ostree-go uninstall 1.26.4")],
    ),
    ("pin", &[("Keep an SDK", "ostree-go pin 1.26.4")]),
    ("unpin", &[("Keep it no longer", "ostree-go unpin 1.26.4")]),
    (
        "rollback",
        &[("Activate the previous SDK", "ostree-go rollback --verified")],
    ),
    (
        "status",
        &[(
            "Verify the files of all installed SDKs",
            "ostree-go status --verify all",
        )],
    ),
    (
        "doctor",
        &[(
            "Examine this machine without the network",
            "ostree-go doctor --offline",
        )],
    ),
    ("gc", &[("Delete what is not installed", "ostree-go gc")]),
    (
        "env",
        &[
            (
                "Print the commands that put the active SDK into PATH",
                "ostree-go env",
            ),
            (
                "Let the go command use the installed SDK that a project asks for",
                "ostree-go env --toolchains",
            ),
            (
                "Build with the std caches, and keep Go's caches in memory",
                "ostree-go env --cache tmpfs",
            ),
        ],
    ),
    (
        "cacheprog",
        &[(
            "Serve the installed std caches, with new entries in a directory",
            "ostree-go cacheprog --root /var/lib/ostree-go --write /var/cache/go-build",
        )],
    ),
    (
        "which",
        &[
            (
                "Print the path of the go command for this directory",
                "ostree-go which",
            ),
            (
                "Show which file of a project asks for which version",
                "ostree-go which ~/src/project --format json",
            ),
        ],
    ),
    (
        "gomod sync",
        &[
            (
                "Set the toolchain line of this project to the active SDK",
                "ostree-go gomod sync",
            ),
            (
                "Show how the go and toolchain lines of two projects would change",
                "ostree-go gomod sync --go --dry-run ~/src/api ~/src/worker",
            ),
        ],
    ),
    (
        "exec",
        &[(
            "Test with another installed SDK",
            "ostree-go exec 1.25.9 -- go test ./...",
        )],
    ),
    (
        "run",
        &[
            (
                "Test a project without network, with the sources read-only",
                "ostree-go run -- go test ./...",
            ),
            (
                "Build a program into a directory",
                "ostree-go run --write out -- go build -o out/ ./cmd/server",
            ),
            (
                "Build with cgo and make, at most 10 minutes long, with 2 CPUs and the network",
                "ostree-go run --host-tools --net host --timeout 10m --cpus 2 -- make",
            ),
            (
                "Build with the SDK and the settings of the lock, if nothing differs from it",
                "ostree-go run --locked --write out -- go build -o out/ ./cmd/server",
            ),
        ],
    ),
    (
        "reproduce",
        &[
            (
                "Prove that two builds of the program in the current directory are identical",
                "ostree-go reproduce",
            ),
            (
                "Compare with the program of a release, which has the same build flags",
                "ostree-go reproduce ./cmd/server --against server -- -trimpath -ldflags=-s",
            ),
            (
                "Compare with the program in an OS image",
                "ostree-go reproduce --repo /srv/os --against os/x86_64/stable:/usr/bin/server",
            ),
            (
                "Build with the SDKs for both architectures, one of them emulated",
                "ostree-go reproduce --goarch arm64 --with-sdk-arch aarch64",
            ),
        ],
    ),
    (
        "workspace lock",
        &[
            (
                "Lock the project in the current directory",
                "ostree-go workspace lock",
            ),
            (
                "Lock two projects together, which are deployed together",
                "ostree-go workspace lock services/api services/worker",
            ),
            (
                "Lock the project and sign the lock",
                "ostree-go workspace lock --gpg-sign release@example.com",
            ),
        ],
    ),
    (
        "workspace check",
        &[
            (
                "Check that nothing has changed since it was locked",
                "ostree-go workspace check",
            ),
            (
                "Compare all vendored files with their modules, on a machine without a module cache",
                "ostree-go workspace check --fetch",
            ),
            (
                "Require a signature of the lock, and annotate the changes of a pull request",
                "ostree-go workspace check --gpg-keys release.asc --format github",
            ),
            (
                "Compare with the lock that an image was made with",
                "ostree-go workspace check --against docker://registry.example.com/builder:1.26.5",
            ),
        ],
    ),
    (
        "remote add",
        &[
            (
                "Add a repository",
                "ostree-go remote add acme https://sdk.example.com/repo --gpg-import acme.asc",
            ),
            (
                "Add the images in a registry",
                "ostree-go remote add acme oci+https://registry.example.com/go-sdk --gpg-import acme.asc",
            ),
        ],
    ),
    (
        "remote list",
        &[("List the remotes", "ostree-go remote list")],
    ),
    (
        "remote refs",
        &[("List what a remote offers", "ostree-go remote refs acme")],
    ),
    (
        "remote show-keys",
        &[("Show the trusted keys", "ostree-go remote show-keys acme")],
    ),
    (
        "remote import-key",
        &[(
            "Trust a new key",
            "ostree-go remote import-key acme new.asc",
        )],
    ),
    (
        "remote follow-keys",
        &[(
            "Trust the keys that the publisher's current key introduces",
            "ostree-go remote follow-keys acme",
        )],
    ),
    (
        "remote delete",
        &[("Delete a remote", "ostree-go remote delete acme")],
    ),
    (
        "pull",
        &[(
            "Fetch a channel without installing it",
            "ostree-go pull acme 1.26",
        )],
    ),
    (
        "proxy",
        &[
            (
                "Serve verified modules on this machine",
                "ostree-go proxy --listen 127.0.0.1:3000 --upstream https://proxy.golang.org --cache cache",
            ),
            (
                "Check a policy",
                "ostree-go proxy --upstream https://proxy.golang.org --cache cache --policy policy.toml --dry-run",
            ),
        ],
    ),
    (
        "completions",
        &[(
            "Print the completions for bash",
            "ostree-go completions bash",
        )],
    ),
    (
        "man",
        &[("Write all man pages", "ostree-go man --output-dir man1")],
    ),
    (
        "help",
        &[("Print the help text of a verb", "ostree-go help remote add")],
    ),
];

/// Returns the examples of a verb; none if it only groups other verbs.
pub fn examples(verb: &str) -> &'static [Example] {
    let found = EXAMPLES.iter().find(|(name, _)| *name == verb);
    found.map_or(&[], |(_, examples)| examples)
}
