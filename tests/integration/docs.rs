//! The examples of the documentation, run as they are written there.
//!
//! Nothing in them is replaced: the socket that they name is the test's own in a
//! mount namespace, and where v2 is mounted elsewhere, those that name a cgroup see
//! the machine as one with v2 only.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use probe_tests::{Cgroup, Daemon, Deadline, Runc, Victim, applicable, conditions};
use serde_json::Value;
use tempfile::NamedTempFile;

const DOCUMENTS: [(&str, &str); 3] = [
    ("README.md", include_str!("../../README.md")),
    ("docs/api.md", include_str!("../../docs/api.md")),
    ("docs/daemon.md", include_str!("../../docs/daemon.md")),
];

const SOCKETS: &str = "/run/probe";
const SOCKET: &str = "run/probe/probe.sock";
const CGROUP: &str = "/sys/fs/cgroup/build";

const ROUTES: [&str; 9] = [
    "/v1/info",
    "/v1/wait",
    "/v1/exits",
    "/v1/events",
    "/v1/containers\n",
    "/v1/containers/web",
    "/v1/openapi.json",
    "/metrics",
    "/healthz",
];

/// What the shell does in a new mount namespace.
const AS_IT_IS: &str = "true";
const V2_ONLY: &str = "[ \"$(stat -f -c %T /sys/fs/cgroup)\" = cgroup2fs ] || {
    umount --lazy --all --types cgroup,cgroup2 &&
    mount -t cgroup2 cgroup2 /sys/fs/cgroup; }";

/// A script, and what it is said to print.
struct Example {
    place: String,
    script: String,
    shown: Option<String>,
}

#[test]
#[ignore = "needs root"]
fn every_curl_example_of_the_documentation_works_as_written() {
    applicable::needs_bpf();
    let examples = examples();
    for route in ROUTES {
        let is_shown = examples.iter().any(|it| it.script.contains(route));
        assert!(is_shown, "no example of {route}");
    }
    let cgroup = Cgroup::v2_named("build");
    let _web = Runc::named("web".to_owned(), "read -r line; :");
    let _sockets = Sockets::directory();
    let v2_only = Place::make(V2_ONLY);
    let as_it_is = Place::make(AS_IT_IS);
    let _daemons = [&v2_only, &as_it_is].map(|place| {
        let mut daemon = place.enter(&conditions::as_it_is(&["daemon"]));
        Daemon::start_in(&mut daemon, &place.socket())
    });
    // What the history has of it.
    fail_in(&cgroup);
    for example in &examples {
        println!("{}", example.place);
        let names_cgroup = example.script.contains(CGROUP);
        let place = if names_cgroup { &v2_only } else { &as_it_is };
        example.run(place, &cgroup);
    }
}

fn examples() -> Vec<Example> {
    let mut found = Vec::new();
    for (document, text) in DOCUMENTS {
        let blocks = blocks(text);
        for (at, block) in blocks.iter().enumerate() {
            if block.language == "sh" && block.text.contains("curl ") {
                let next = blocks.get(at + 1).filter(|it| it.begin == block.end + 2);
                found.push(Example {
                    place: format!("{document}:{}", block.begin),
                    script: block.text.clone(),
                    shown: next
                        .filter(|it| it.language == "json")
                        .map(|it| it.text.clone()),
                });
            }
        }
    }
    found
}

/// Between two fences, and the lines on which those are.
struct Block {
    language: String,
    text: String,
    begin: usize,
    end: usize,
}

fn blocks(text: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut is_open = false;
    for (number, line) in (1..).zip(text.lines()) {
        match line.trim_start().strip_prefix("```") {
            Some(_) if is_open => {
                is_open = false;
                blocks.last_mut().expect("one was opened").end = number;
            }
            Some(language) => {
                is_open = true;
                blocks.push(Block {
                    language: language.to_owned(),
                    text: String::new(),
                    begin: number,
                    end: 0,
                });
            }
            None if is_open => {
                let block = blocks.last_mut().expect("one was opened");
                block.text.push_str(line);
                block.text.push('\n');
            }
            None => {}
        }
    }
    assert!(!is_open, "a fence without end");
    blocks
}

impl Example {
    fn run(&self, place: &Place, cgroup: &Cgroup) {
        let victim = Victim::spawn(&["pause"], Some(cgroup));
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", &self.script]);
        let mut running = Running::start(&mut place.enter(&shell));
        // Who waits for the cgroup is done, who waits for an exit has one.
        if self.script.contains(CGROUP) && self.script.contains("/v1/wait") {
            running.until("it is armed", |it| it.printed().contains("\"armed\""));
            cgroup.kill();
        }
        let is_endless = self.script.contains("/v1/events");
        running.until("it ends", |it| {
            if is_endless {
                fail_in(cgroup);
            }
            it.has_ended()
        });
        drop(victim);
        let printed = running.printed();
        assert_ne!(printed, "", "{} prints nothing", self.place);
        if let Some(shown) = &self.shown {
            self.compare(&values(shown), &values(&printed));
        }
    }

    /// Every object that is shown has one like it, and no other kind came.
    fn compare(&self, shown: &[Value], printed: &[Value]) {
        for (these, those, what) in [
            (shown, printed, "is shown and does not come"),
            (printed, shown, "comes and is not shown"),
        ] {
            for value in these {
                let has_like = those.iter().any(|it| is_like(it, value));
                assert!(has_like, "{}: {value} {what}", self.place);
            }
        }
    }
}

fn values(text: &str) -> Vec<Value> {
    let values = serde_json::Deserializer::from_str(text).into_iter();
    let values: Result<_, _> = values.collect();
    values.unwrap_or_else(|error| panic!("{error} in {text}"))
}

/// The same fields with the same types, where neither is null.
fn is_like(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Null, _) | (_, Value::Null) => true,
        (Value::Object(one), Value::Object(other)) => {
            one.get("type") == other.get("type")
                && one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, value)| other.get(key).is_some_and(|it| is_like(value, it)))
        }
        (Value::Array(one), Value::Array(other)) => {
            let pairs = one
                .iter()
                .flat_map(|it| other.iter().map(move |other| (it, other)));
            one.is_empty() == other.is_empty() && pairs.into_iter().all(|(a, b)| is_like(a, b))
        }
        _ => std::mem::discriminant(one) == std::mem::discriminant(other),
    }
}

fn fail_in(cgroup: &Cgroup) {
    let mut victim = Victim::start(&["exit", "3"], Some(cgroup));
    victim.wait();
}

/// A script that runs, and the file that it prints to.
struct Running {
    child: Child,
    stdout: NamedTempFile,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let stdout = NamedTempFile::new().expect("a file");
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout.reopen().expect("our own"))
            .spawn();
        Self {
            child: child.expect("nsenter is installed"),
            stdout,
        }
    }

    fn until(&mut self, what: &str, mut is_true: impl FnMut(&mut Self) -> bool) {
        Deadline::start().until(what, || is_true(self));
    }

    /// With exit code 0, or it panics.
    fn has_ended(&mut self) -> bool {
        let ended = self.child.try_wait().expect("our child");
        if let Some(status) = ended {
            assert!(status.success(), "{status} after {}", self.printed());
        }
        ended.is_some()
    }

    fn printed(&self) -> String {
        fs::read_to_string(self.stdout.path()).expect("text")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if it has ended, which is as good.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Where the namespaces have their sockets: removed if it was not there.
struct Sockets(bool);

impl Sockets {
    fn directory() -> Self {
        Self(fs::create_dir(SOCKETS).is_ok())
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        if self.0 {
            let _others_use_it = fs::remove_dir(SOCKETS);
        }
    }
}

/// A mount namespace, and who holds it.
struct Place(Child);

impl Place {
    fn make(mounts: &str) -> Self {
        let script = format!(
            "set -e; mount -t tmpfs -o mode=755 tmpfs {SOCKETS}; {mounts}; echo ready; exec cat"
        );
        let mut holder = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare is installed");
        let mut ready = [0; 6];
        let stdout = holder.stdout.as_mut().expect("piped");
        stdout.read_exact(&mut ready).expect("it could be mounted");
        Self(holder)
    }

    /// The same command in there.
    fn enter(&self, command: &Command) -> Command {
        let mut enter = Command::new("nsenter");
        enter
            .arg(format!("--mount=/proc/{}/ns/mnt", self.0.id()))
            .arg("--")
            .arg(command.get_program())
            .args(command.get_args());
        enter
    }

    /// As it can be reached from here.
    fn socket(&self) -> PathBuf {
        let root = Path::new("/proc").join(self.0.id().to_string());
        root.join("root").join(SOCKET)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Both fail if it has ended, which is as good.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}
