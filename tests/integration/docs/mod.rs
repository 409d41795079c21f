//! The examples of the documentation, run unchanged.
//!
//! The socket that they name is the test's own in a mount namespace. Where v2 is mounted
//! elsewhere, examples that name a cgroup run in a mount namespace with v2 only.

mod blocks;
mod compare;
mod console;
mod cookbook;
mod namespace;

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use probe_tests::{Cgroup, Daemon, Deadline, Runc, Victim, conditions, requirements};
use serde_json::Value;
use tempfile::NamedTempFile;

use self::{
    blocks::blocks,
    compare::{is_like, values},
    namespace::{AS_IT_IS, Place, Sockets, V2_ONLY},
};

const DOCUMENTS: [(&str, &str); 4] = [
    ("README.md", include_str!("../../../README.md")),
    ("docs/cli.md", include_str!("../../../docs/cli.md")),
    ("docs/api.md", include_str!("../../../docs/api.md")),
    ("docs/daemon.md", include_str!("../../../docs/daemon.md")),
];

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

/// A script, and the output that the document shows.
struct Example {
    place: String,
    script: String,
    shown: Option<String>,
}

#[test]
#[ignore = "needs root"]
fn every_curl_example_of_the_documentation_works_as_written() {
    requirements::require_bpf();
    let _curl = requirements::tool("curl");
    let examples = examples();
    for route in ROUTES {
        let is_shown = examples.iter().any(|it| it.script.contains(route));
        assert!(is_shown, "no example of {route}");
    }
    let cgroup = Cgroup::v2_named("build");
    let _web = Runc::named("web".to_owned(), "read -r line; :");
    let _sockets = Sockets::directory();
    let v2_only = Place::make(V2_ONLY);
    let unrestricted = Place::make(AS_IT_IS);
    let _daemons = [&v2_only, &unrestricted].map(|place| {
        let mut daemon = place.enter(&conditions::unrestricted(&["daemon"]));
        Daemon::start_in(&mut daemon, &place.socket())
    });
    // An exit of the cgroup for the history.
    fail_in(&cgroup);
    for example in &examples {
        println!("{}", example.place);
        let names_cgroup = example.script.contains(CGROUP);
        let place = if names_cgroup {
            &v2_only
        } else {
            &unrestricted
        };
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

impl Example {
    fn run(&self, place: &Place, cgroup: &Cgroup) {
        let victim = Victim::paused(cgroup);
        let mut shell = Command::new("sh");
        shell.args(["-e", "-c", &self.script]);
        let mut running = Running::start(&mut place.enter(&shell));
        // The kill ends a wait for the cgroup and gives a stream of events an exit.
        if self.script.contains(CGROUP) && self.script.contains("/v1/wait") {
            running.until("the wait is armed", |it| it.printed().contains("\"armed\""));
            cgroup.kill();
        }
        let is_endless = self.script.contains("/v1/events");
        running.until("the script ends", |it| {
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

    /// Asserts that every object shown has one like it in the output, and the other way
    /// round.
    fn compare(&self, shown: &[Value], printed: &[Value]) {
        for (these, those, what) in [
            (shown, printed, "is shown and not printed"),
            (printed, shown, "is printed and not shown"),
        ] {
            for value in these {
                let has_match = those.iter().any(|it| is_like(it, value));
                assert!(has_match, "{}: {value} {what}", self.place);
            }
        }
    }
}

fn fail_in(cgroup: &Cgroup) {
    let mut victim = Victim::start(&["exit", "3"], Some(cgroup));
    victim.wait();
}

/// A running script, and the file that it prints to.
struct Running {
    child: Child,
    stdout: NamedTempFile,
}

impl Running {
    fn start(command: &mut Command) -> Self {
        let stdout = NamedTempFile::new().expect("a file");
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout.reopen().expect("the test owns the file"))
            .spawn();
        Self {
            child: child.expect("nsenter is installed"),
            stdout,
        }
    }

    fn until(&mut self, what: &str, mut is_true: impl FnMut(&mut Self) -> bool) {
        Deadline::start().until(what, || is_true(self));
    }

    /// Whether the script has ended; panics if its exit code is not 0.
    fn has_ended(&mut self) -> bool {
        let ended = self.child.try_wait().expect("a child of the test");
        if let Some(status) = ended {
            assert!(status.success(), "{status} after {}", self.printed());
        }
        ended.is_some()
    }

    fn printed(&self) -> String {
        fs::read_to_string(self.stdout.path()).expect("UTF-8")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail if the script has ended.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
