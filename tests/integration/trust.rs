//! Trust: files of a user must not make root kill processes of other users.

use std::{
    fs,
    os::unix::fs::{chown, symlink},
    path::{Path, PathBuf},
};

use probe_tests::{Cgroup, Output, Victim, probe};
use rustix::process::{Pid, test_kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

const ROOT: u32 = 0;

/// A user that is neither root nor `nobody`.
const USER: u32 = 4242;

/// A state directory, as runc's `--root`, with one container.
struct States {
    root: TempDir,
    name: String,
}

impl States {
    /// A container with these cgroups, this init process and this bundle.
    fn new(cgroups: &Value, init: Option<u32>, bundle: Option<&Path>) -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let name = format!("probe-trust-{}", root.path().display()).replace(['/', '.'], "-");
        let label = bundle.map(|it| format!("bundle={}", it.display()));
        let state = json!({
            "id": name,
            "init_process_pid": init.unwrap_or(0),
            "init_process_start": init.map_or(0, start_ticks),
            "cgroup_paths": cgroups,
            "config": { "labels": label.into_iter().collect::<Vec<_>>() },
        });
        let states = Self { root, name };
        fs::create_dir(states.directory()).expect("our own directory");
        fs::write(states.file(), state.to_string()).expect("our own directory");
        states
    }

    fn directory(&self) -> PathBuf {
        self.root.path().join(&self.name)
    }

    fn file(&self) -> PathBuf {
        self.directory().join("state.json")
    }

    /// Changes the owners of the directory and of the state file.
    fn give(&self, directory: u32, file: u32) {
        give(self.root.path(), directory);
        give(&self.directory(), directory);
        give(&self.file(), file);
    }

    /// Runs `probe` with this verb for a container of this name.
    fn run(&self, verb: &[&str], name: &str) -> Output {
        let root = self.root.path().to_str().expect("UTF-8");
        let args = ["--json", "--runtime-root", root, "--container", name];
        probe(&[verb, &args].concat())
    }
}

fn give(path: &Path, owner: u32) {
    chown(path, Some(owner), Some(owner)).expect("root may do this");
}

fn start_ticks(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process lives");
    let (_, rest) = stat.rsplit_once(") ").expect("a name");
    let start = rest.split(' ').nth(19).expect("the 22nd field");
    start.parse().expect("a number")
}

fn assert_alive(victim: &Victim, output: &Output) {
    let pid = Pid::from_raw(victim.pid().cast_signed()).expect("not 0");
    assert_eq!(test_kill_process(pid), Ok(()), "{output:#?}");
    let stat = fs::read_to_string(format!("/proc/{}/stat", victim.pid())).expect("not reaped");
    assert!(!stat.contains(") Z "), "{output:#?}");
}

fn assert_unknown(output: &Output) {
    assert_eq!(output.code, Some(4), "{output:#?}");
    assert!(output.stderr.contains("no container"), "{output:#?}");
}

/// A cgroup for each hierarchy version, with its key in the state file.
fn targets() -> [(Cgroup, &'static str); 2] {
    [
        (Cgroup::v2("trust"), ""),
        (Cgroup::v1("pids", "trust"), "pids"),
    ]
}

#[test]
#[ignore = "needs root"]
fn a_user_state_file_does_not_make_root_kill_other_processes() {
    for (cgroup, controller) in targets() {
        let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
        let claim = json!({ controller: cgroup.path() });
        for init in [None, Some(victim.pid())] {
            let states = States::new(&claim, init, None);
            // The owner of a directory can move any file there.
            for (directory, file) in [(USER, USER), (ROOT, USER), (USER, ROOT)] {
                states.give(directory, file);
                for verb in [&["kill"][..], &["wait", "-t", "0", "--missing", "error"]] {
                    let output = states.run(verb, &states.name);
                    assert_unknown(&output);
                    assert_alive(&victim, &output);
                }
            }
        }
        // The same state file is trusted if root owns it.
        let states = States::new(&claim, None, None);
        let output = states.run(&["kill"], &states.name);
        assert_eq!(output.code, Some(0), "{output:#?}");
        assert_eq!(victim.wait(), 9);
    }
}

/// The state file names a cgroup of the user and a cgroup of root.
#[test]
#[ignore = "needs root"]
fn a_user_state_file_is_trusted_for_cgroups_of_the_user_only() {
    let (theirs, roots) = (Cgroup::v2("theirs"), Cgroup::v1("pids", "roots"));
    give(theirs.path().as_ref(), USER);
    let mut own = Victim::spawn(&["pause"], Some(&theirs));
    let other = Victim::spawn(&["pause"], Some(&roots));
    let claim = json!({ "": theirs.path(), "pids": roots.path() });
    let states = States::new(&claim, None, None);
    states.give(USER, USER);
    let output = states.run(&["kill"], &states.name);
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_eq!(own.wait(), 9);
    assert_alive(&other, &output);
}

/// The resolved path decides.
#[test]
#[ignore = "needs root"]
fn a_state_file_with_dots_or_links_in_a_cgroup_path_is_not_trusted() {
    let cgroup = Cgroup::v2("roots");
    let own = Cgroup::v2("own");
    give(own.path().as_ref(), USER);
    let victim = Victim::spawn(&["pause"], Some(&cgroup));
    let links = tempfile::tempdir().expect("a directory");
    let link = links.path().join("link");
    symlink(cgroup.path(), &link).expect("our own directory");
    let link = link.to_str().expect("UTF-8");
    let dots = format!("{}/../..{}", own.path(), cgroup.name());
    let beside = format!("{}/..{}", own.path(), cgroup.name());
    for path in [&dots, &beside, link] {
        let states = States::new(&json!({ "": path }), None, None);
        states.give(USER, USER);
        let output = states.run(&["kill"], &states.name);
        assert_unknown(&output);
        assert_alive(&victim, &output);
    }
}

/// A bundle with every annotation that names a container.
fn bundle(name: &str, owner: u32) -> TempDir {
    let bundle = tempfile::tempdir().expect("a directory");
    let config = json!({ "annotations": {
        "io.kubernetes.cri.container-name": name,
        "io.kubernetes.cri.sandbox-name": name,
        "io.kubernetes.cri.sandbox-namespace": "prod",
        "io.kubernetes.cri.sandbox-uid": "01234567-89ab-cdef-0123-456789abcdef",
    }});
    fs::write(bundle.path().join("config.json"), config.to_string()).expect("our own directory");
    give(&bundle.path().join("config.json"), owner);
    give(bundle.path(), owner);
    bundle
}

/// The annotations of a user's bundle are not trusted, even if root runs the container.
#[test]
#[ignore = "needs root"]
fn a_user_bundle_does_not_name_a_root_container() {
    let cgroup = Cgroup::v2("bundle");
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    let claim = json!({ "": cgroup.path() });
    let label = format!("probe-label-{}", std::process::id());
    let names = [
        label.clone(),
        format!("{label}/{label}"),
        format!("pod:prod/{label}"),
    ];
    let theirs = bundle(&label, USER);
    let states = States::new(&claim, None, Some(theirs.path()));
    for name in &names {
        let output = states.run(&["kill"], name);
        assert_unknown(&output);
        assert_alive(&victim, &output);
    }
    let roots = bundle(&label, ROOT);
    let states = States::new(&claim, None, Some(roots.path()));
    for name in &names {
        let output = states.run(&["wait", "-t", "0"], name);
        assert_eq!(output.code, Some(3), "{output:#?}");
    }
    let output = states.run(&["kill"], &names[2]);
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_eq!(victim.wait(), 9);
}

/// The annotations are trusted for a container of the same user.
#[test]
#[ignore = "needs root"]
fn a_user_bundle_names_a_container_of_the_user() {
    let cgroup = Cgroup::v2("bundle");
    give(cgroup.path().as_ref(), USER);
    let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
    let label = format!("probe-label-{}", std::process::id());
    let theirs = bundle(&label, USER);
    let states = States::new(&json!({ "": cgroup.path() }), None, Some(theirs.path()));
    states.give(USER, USER);
    let output = states.run(&["kill"], &label);
    assert_eq!(output.code, Some(0), "{output:#?}");
    assert_eq!(victim.wait(), 9);
}
