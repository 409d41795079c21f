//! Pid 1 of a virtual machine (`cargo xtask vm`): mounts what the tests need,
//! runs what the kernel's command line names, and turns the machine off.
//!
//! `probe.tests=wait::,kill::` are filters of the integration tests and
//! `probe.skip=runtimes` leaves some out, `probe.soak=50` are trials that the backends
//! share and `probe.seed=7` is what they are made of, `probe.measure` counts what the kernel
//! tells, `probe.shell` is a shell on the console, `probe.v1=pids,name=x` are
//! hierarchies of v1, `probe.v2` is a machine without any. What it says goes to the
//! second serial line, one line a fact, each begun by [`MARK`] so that the host tells
//! them from what the programs say.

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

/// Begins a line that the host reads.
const MARK: &str = "@vm";

/// Hierarchies of v1 beside v2, as machines have them that need both: what the
/// tests name, and what runc does not start without. Unless others are asked for.
const V1: &str = "pids,freezer,memory,devices,cpu,name=systemd";

const BACKENDS: [&str; 3] = ["bpf", "pidfd", "poll"];

const PROBE: &str = "/probe/release/probe";
const TESTS: &str = "/probe/debug/deps/integration";
const MEASURE: &str = "/probe/debug/measure";
const SOAK: &str = "/probe/debug/soak";

fn main() -> Result<()> {
    ensure!(
        getpid().is_init(),
        "this turns the machine off when it is done"
    );
    let mut guest = Guest { line: None };
    if let Err(error) = guest.run() {
        guest.say(&format!("error {error:#}"));
    }
    guest.say("end");
    rustix::fs::sync();
    // Without ACPI there is no off, and QEMU takes a restart for it.
    let _no_off = reboot(RebootCommand::PowerOff);
    reboot(RebootCommand::Restart).context("turn the machine off")
}

/// What this program is to the machine.
struct Guest {
    /// To the host, once it can be opened.
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

    /// On the console if there is no line: nobody reads what cannot be written.
    fn say(&mut self, what: &str) {
        let line = format!("{MARK} {what}\n");
        let _unsaid = match &mut self.line {
            Some(serial) => serial.write_all(line.as_bytes()),
            None => io::stderr().write_all(line.as_bytes()),
        };
    }

    /// One line that a program says of this kernel; nothing if it cannot.
    fn json(&mut self, name: &str, command: &mut Command) -> Result<()> {
        let output = command
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("run what says {name}"))?;
        let report = String::from_utf8_lossy(&output.stdout);
        if report.trim().is_empty() {
            self.say(&format!("note nothing is {name} here"));
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
                self.say(&format!("note {name}: nobody forks while he is killed"));
            }
            self.part(&name, &mut soak)?;
        }
        Ok(())
    }

    /// Runs a program to its end; what it says goes to the host.
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

    /// Until somebody leaves it.
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

/// Everything that tests kill and nobody reaps becomes a child of pid 1: its
/// duty is to reap, as it is elsewhere.
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

/// Loopback, which the kernel leaves down. Tests that need it say so.
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
