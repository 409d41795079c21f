//! The examples of the documentation, run as they are written there.
//!
//! Nothing in them is replaced: the socket that they name is the test's own in a
//! mount namespace, and where v2 is mounted elsewhere, those that name a cgroup see
//! the machine as one with v2 only.

mod blocks;
mod namespace;
mod shown;

use std::{
    fs,
    process::{Child, Command, Stdio},
};

use probe_tests::{Cgroup, Daemon, Deadline, Runc, Victim, conditions, requirements};
use serde_json::Value;
use tempfile::NamedTempFile;

use self::{
    blocks::blocks,
    namespace::{AS_IT_IS, Place, Sockets, V2_ONLY},
    shown::{is_like, values},
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

/// A script, and what it is said to print.
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
    // What the history has of it.
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
