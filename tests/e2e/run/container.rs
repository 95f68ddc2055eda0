//! `run` in a container that may not create namespaces.

use super::Project;
use ostree_go_tests::cli::{binary, run};
use ostree_go_tests::containers::Containers;
use std::fs;

#[test]
fn landlock_is_chosen_where_namespaces_are_forbidden() {
    if super::backends().len() < 2 {
        return;
    }
    let Some(containers) = Containers::new() else {
        return;
    };
    let project = Project::new();
    let folder = project.path("").canonicalize().unwrap();
    project
        .host
        .sandbox
        .write("image/etc/hosts", "127.0.0.1 localhost\n");
    project.host.sandbox.write(
        "image/Containerfile",
        "FROM scratch\nCOPY etc /etc\nCOPY etc /tmp\n",
    );
    run(&mut containers.build(&project.path("image"), "empty")).ok();
    // The programs of this machine, because the command is linked dynamically.
    let program = binary().canonicalize().unwrap();
    let read_only = ["/usr", "/lib", "/lib64", "/bin"].map(|path| format!("{path}:{path}:ro"));
    let own = [
        format!("{0}:{0}", folder.display()),
        format!("{}:/ostree-go:ro", program.display()),
    ];
    let mut args: Vec<String> = Vec::new();
    for volume in read_only.into_iter().chain(own) {
        args.extend(["-v".to_owned(), volume]);
    }
    let root = project
        .host
        .root()
        .canonicalize()
        .unwrap()
        .display()
        .to_string();
    let source = folder.join("src").display().to_string();
    let end = [
        "-w",
        &source,
        "--env",
        "HOME=/",
        "empty",
        "/ostree-go",
        "--root",
        &root,
        "run",
        "--host-tools",
        "--",
        "sh",
        "-c",
        "echo in; echo x > file",
    ];
    let args = args.iter().map(String::as_str).chain(end);
    let out = run(&mut containers.run(args));
    assert!(!out.status.success(), "{out}");
    assert_eq!(out.stdout, "in\n", "{out}");
    assert!(
        out.stderr
            .starts_with("sandbox: landlock, go 1.99.1, no network\n"),
        "{out}"
    );
    assert!(!fs::exists(folder.join("src/file")).unwrap());
}
