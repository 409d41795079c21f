//! Pid 1 of a virtual machine (`cargo xtask vm`): mounts file systems, runs the programs that
//! the kernel's command line names, and powers the machine off.
//!
//! Parameters of the command line:
//!
//! - `probe.tests=wait::,kill::`: integration tests with these filters
//! - `probe.skip=runtimes`: tests to skip
//! - `probe.soak=50`: number of soak trials, divided among the backends
//! - `probe.seed=7`: seed of the soak
//! - `probe.measure`: runs `measure`
//! - `probe.shell`: a shell on the console
//! - `probe.v1=pids,name=x`: the cgroup v1 hierarchies
//! - `probe.v2`: no v1 hierarchies
//!
//! Messages go to the second serial line. Each begins with [`MARK`], which the output of other
//! programs does not.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use probe_tests::{mounts, requirements};
use rustix::{
    process::{Pid, WaitOptions, WaitStatus, getpid},
    system::{RebootCommand, reboot},
};

/// First word of a message to the host.
const MARK: &str = "@vm";

/// Default v1 hierarchies beside v2: those that the tests use and those that runc needs.
const V1: &str = "pids,freezer,memory,devices,cpu,name=systemd";

const BACKENDS: [&str; 3] = ["bpf", "pidfd", "poll"];

const PROBE: &str = "/probe/release/probe";
const TESTS: &str = "/probe/debug/deps/integration";
const MEASURE: &str = "/probe/debug/measure";
const SOAK: &str = "/probe/debug/soak";

fn main() -> Result<()> {
    ensure!(getpid().is_init(), "this program powers the machine off");
    let mut guest = Guest { line: None };
    if let Err(error) = guest.run() {
        guest.say(&format!("error {error:#}"));
    }
    guest.say("end");
    rustix::fs::sync();
    // Power-off needs ACPI. Without it QEMU ends at a restart.
    let _no_acpi = reboot(RebootCommand::PowerOff);
    reboot(RebootCommand::Restart).context("power the machine off")
}

/// The machine, as its pid 1 sees it.
struct Guest {
    /// The serial line to the host, once it is open.
    line: Option<File>,
}

impl Guest {
    fn run(&mut self) -> Result<()> {
        mounts::root()?;
        let mut missing = mounts::of_machine()?;
        let words = fs::read_to_string("/proc/cmdline").context("read the command line")?;
        let has_word = |name: &str| words.split_whitespace().any(|word| word == name);
        let value = |name: &str| {
            words
                .split_whitespace()
                .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        };
        if has_word("probe.v2") {
            mounts::cgroups_of_v2()?;
        } else {
            missing.extend(mounts::cgroups(value("probe.v1").unwrap_or(V1))?);
        }
        let line = OpenOptions::new().write(true).open("/dev/ttyS1");
        self.line = Some(line.context("open the line to the host")?);
        self.say(&format!("begin {}", uname()));
        for what in missing {
            self.say(&format!("note {what}"));
        }
        interfaces();
        if has_word("probe.shell") {
            return self.shell();
        }
        self.json("doctor", Command::new(PROBE).args(["doctor", "--json"]))?;
        if has_word("probe.measure") {
            self.json("measured", &mut Command::new(MEASURE))?;
        }
        if let Some(filters) = value("probe.tests") {
            self.tests(filters, value("probe.skip"))?;
        }
        if let Some(trials) = value("probe.soak") {
            self.soak(trials, value("probe.seed"))?;
        }
        Ok(())
    }

    /// Writes a message to the host, or to stderr before the line is open. Errors are ignored:
    /// they could not be reported.
    fn say(&mut self, what: &str) {
        let line = format!("{MARK} {what}\n");
        let _written = match &mut self.line {
            Some(serial) => serial.write_all(line.as_bytes()),
            None => io::stderr().write_all(line.as_bytes()),
        };
    }

    /// Runs a program that prints a JSON line, and sends the line to the host.
    fn json(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let output = command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("run {name}"))?;
        let report = String::from_utf8_lossy(&output.stdout);
        if report.trim().is_empty() {
            self.say(&format!("note {name} printed nothing"));
        } else {
            self.say(&format!("{name} {}", report.trim()));
        }
        Ok(())
    }

    fn tests(&mut self, filters: &str, skip: Option<&str>) -> Result<()> {
        let mut tests = Command::new(TESTS);
        tests.args(["--include-ignored", "--test-threads=1"]);
        tests.args(skip.map(|skip| format!("--skip={skip}")));
        tests.args(filters.split(',').filter(|filter| *filter != "*"));
        self.part("tests", &mut tests)
    }

    fn soak(&mut self, trials: &str, seed: Option<&str>) -> Result<()> {
        let trials: usize = trials.parse().context("a number of trials")?;
        let (serving, missing): (Vec<_>, Vec<_>) = BACKENDS
            .into_iter()
            .partition(|backend| *backend != "bpf" || requirements::has_bpf());
        for backend in missing {
            self.say(&format!(
                "inapplicable soak::{backend} the kernel has no tracing, or is locked down"
            ));
        }
        let trials = trials.div_ceil(serving.len()).to_string();
        for backend in serving {
            let name = format!("soak::{backend}");
            let mut soak = Command::new(SOAK);
            soak.args(["--backend", backend, "--trials", &trials, "--small"]);
            soak.args(seed.map(|seed| format!("--seed={seed}")));
            if requirements::is_uml() {
                soak.arg("--no-forks");
                self.say(&format!("note {name}: without forks"));
            }
            self.part(&name, &mut soak)?;
        }
        Ok(())
    }

    /// Runs a program until it ends. Its output goes to the host.
    fn part(&mut self, name: &str, command: &mut Command) -> Result<()> {
        self.say(&format!("run {name}"));
        let line = self.line.as_ref().context("no line to the host")?;
        let child = command
            .stdin(Stdio::null())
            .stdout(line.try_clone().context("share the line")?)
            .stderr(line.try_clone().context("share the line")?)
            .env("RUST_BACKTRACE", "0")
            .env("PROBE_TEST_SMALL", "1")
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .spawn()
            .with_context(|| format!("run {name}"))?;
        let status = reap_until(&child)?;
        self.say(&format!("ran {name} {status}"));
        Ok(())
    }

    /// Runs a shell on the console until it exits.
    fn shell(&mut self) -> Result<()> {
        self.say("shell");
        let console = OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/console");
        let console = console.context("open the console")?;
        let child = Command::new("/bin/sh")
            .arg("-i")
            .stdin(console.try_clone().context("share the console")?)
            .stdout(console.try_clone().context("share the console")?)
            .stderr(console)
            .env(
                "PATH",
                "/probe/release:/probe/debug:/usr/sbin:/usr/bin:/sbin:/bin",
            )
            .spawn()
            .context("run a shell")?;
        reap_until(&child).map(drop)
    }
}

/// Reaps children until `child` ends, and returns its status. Orphans of the tests become
/// children of pid 1.
fn reap_until(child: &Child) -> Result<String> {
    let wanted = Pid::from_child(child);
    loop {
        let (pid, status) = rustix::process::wait(WaitOptions::empty())
            .context("wait for a child")?
            .context("a wait that does not return at once")?;
        if pid == wanted {
            return Ok(words(status));
        }
    }
}

fn words(status: WaitStatus) -> String {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => code.to_string(),
        (None, Some(signal)) => format!("signal-{signal}"),
        (None, None) => "unknown".to_owned(),
    }
}

/// Brings the loopback interface up. If that fails, the tests that need it fail.
fn interfaces() {
    let _without = Command::new("ip")
        .args(["link", "set", "lo", "up"])
        .status();
}

fn uname() -> String {
    rustix::system::uname()
        .release()
        .to_string_lossy()
        .into_owned()
}
