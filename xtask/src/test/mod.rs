//! `cargo xtask test`: every test, of the binary that ships.
//!
//! cargo never runs as root: only the integration tests do, by `sudo` if need
//! be, so that nothing in the checkout becomes root's.

mod foreign;
mod tally;

use std::{
    process::Command,
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context, Result, bail};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT},
    flag,
};

use self::tally::Tally;
use crate::{checkout, command, fuzz, parts::Parts, privilege::Privilege, setup, soak, vm};

/// Run the tests, those that need root included
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The long forms of tests that have one
    #[arg(long)]
    full: bool,

    /// Without root: leave out what needs it, and do not fail for that
    #[arg(long)]
    unprivileged: bool,

    /// Only tests whose names contain this
    filter: Option<String>,
}

/// Packages with tests that need no root.
const PACKAGES: [&str; 16] = [
    "-p",
    "probe-ebpf",
    "-p",
    "probe-user",
    "-p",
    "probe-daemon",
    "-p",
    "probe-cli",
    "-p",
    "probe-tests",
    "-p",
    "probe-fixture",
    "-p",
    "probe-fuzz",
    "-p",
    "xtask",
];

pub(crate) fn run(args: &Args) -> Result<()> {
    inherit_no_ignored_signal()?;
    let privilege = Privilege::own();
    if privilege == Privilege::None {
        eprintln!("NOT ROOT, and no sudo: the tests against the running kernel cannot run\n");
    }
    let mut run = Run {
        args,
        parts: Parts::new(),
        total: Tally::default(),
    };
    let built = run.parts.run("binary under test", checkout::build_probe);
    run.cargo_test(
        "unit",
        checkout::cargo()
            .arg("test")
            .args(PACKAGES)
            .args(["--lib", "--bins"]),
        &[],
    );
    run.cargo_test(
        "objects",
        checkout::cargo()
            .args(["test", "-p", "probe-user", "-p", "probe-daemon"])
            .args(["--features", "probe-user/unstable,probe-daemon/unstable"])
            .args(["--test", "*"]),
        &[],
    );
    run.cargo_test(
        "doc",
        checkout::cargo().args(["test", "-p", "probe-user", "-p", "probe-daemon", "--doc"]),
        &[],
    );
    run.foreign();
    if built {
        run.integration(privilege);
    } else {
        run.parts
            .leave_out("integration", "there is no binary to test");
    }
    run.soak(privilege);
    run.vm(built);
    run.fuzz();
    run.finish()
}

/// Trials of each backend: a minute in all.
const SOAK_TRIALS: u64 = 500;

/// Seconds for each fuzz target.
const FUZZ_SECONDS: u64 = 20;

/// A shell ignores SIGINT and SIGQUIT for a job that it starts in the background, nohup
/// SIGHUP, and every child inherits that: tests of these signals would fail. `exec` sets
/// a signal that has a handler to its default, so this process handles them, as the
/// default does.
fn inherit_no_ignored_signal() -> Result<()> {
    for signal in [SIGHUP, SIGINT, SIGQUIT] {
        flag::register_conditional_default(signal, Arc::new(AtomicBool::new(true)))
            .context("handle a signal")?;
    }
    Ok(())
}

/// One run of all tests.
struct Run<'a> {
    args: &'a Args,
    parts: Parts,
    total: Tally,
}

impl Run<'_> {
    fn foreign(&mut self) {
        const NAME: &str = "other machines";
        if self.args.filter.is_some() {
            return self.parts.leave_out(NAME, "they have filters of their own");
        }
        match foreign::tests() {
            Ok(Some(tests)) => {
                for (name, mut cargo, filter) in tests {
                    self.cargo_test(name, &mut cargo, filter);
                }
            }
            Ok(None) => self.parts.leave_out(NAME, foreign::WANTED),
            Err(error) => {
                eprintln!("{NAME}: {error:#}");
                let why = "NOT APPLICABLE: no source of the standard library";
                self.parts.leave_out(NAME, why);
            }
        }
    }

    fn integration(&mut self, privilege: Privilege) {
        let mut cargo = checkout::cargo();
        cargo.args(["test", "-p", "probe-tests", "--test", "integration"]);
        if self.args.unprivileged {
            self.cargo_test("integration without root", &mut cargo, &[]);
            self.parts.leave_out("integration", "--unprivileged");
            return;
        }
        setup::packages(&setup::TOOLS);
        setup::packages(&[setup::PROMETHEUS]);
        if privilege == Privilege::Sudo {
            // sudo has a path of its own.
            let runner = format!("sudo -E env PATH={}", checkout::path().display());
            match checkout::host() {
                Ok(host) => drop(cargo.env(checkout::target_variable(&host, "RUNNER"), runner)),
                Err(error) => eprintln!("{error:#}"),
            }
        }
        if privilege == Privilege::None {
            self.parts.run("integration", || {
                bail!("needs root: run as root, install sudo, or leave it out with --unprivileged")
            });
            return;
        }
        self.cargo_test(
            "integration",
            &mut cargo,
            &["--include-ignored", "--test-threads=1"],
        );
    }

    fn soak(&mut self, privilege: Privilege) {
        if self.args.unprivileged {
            return self.parts.leave_out("soak", "--unprivileged");
        }
        if self.args.filter.is_some() {
            return self.parts.leave_out("soak", "its trials have no names");
        }
        let trials = if self.args.full {
            soak::MANY
        } else {
            SOAK_TRIALS
        };
        self.parts.run_remarked("soak", |remark| {
            *remark = format!("{trials} trials of each backend");
            soak::test(privilege, trials)
        });
    }

    fn vm(&mut self, is_built: bool) {
        if self.args.unprivileged {
            return self.parts.leave_out("other kernels", "--unprivileged");
        }
        if self.args.filter.is_some() {
            let why = "`cargo xtask vm --test` chooses there";
            return self.parts.leave_out("other kernels", why);
        }
        if !is_built {
            let why = "there is no binary to test";
            return self.parts.leave_out("other kernels", why);
        }
        setup::packages(&[setup::QEMU_SYSTEM]);
        if !setup::is_there(&setup::QEMU_SYSTEM) {
            let why = "NOT APPLICABLE: no QEMU, as is said above";
            return self.parts.leave_out("other kernels", why);
        }
        self.parts.run_remarked("other kernels", |remark| {
            *remark = vm::test()?;
            Ok(())
        });
    }

    fn fuzz(&mut self) {
        if self.args.filter.is_some() {
            return self.parts.leave_out("fuzz", "its inputs have no names");
        }
        setup::packages(&[setup::GXX]);
        if !setup::is_there(&setup::GXX) {
            let why = "NOT APPLICABLE: no g++, as is said above";
            return self.parts.leave_out("fuzz", why);
        }
        let seconds = if self.args.full {
            fuzz::LONG
        } else {
            FUZZ_SECONDS
        };
        self.parts.run_remarked("fuzz", |remark| {
            *remark = format!("{seconds} s of each target");
            fuzz::test(seconds)
        });
    }

    /// Runs `cargo test …` to the end of its last test.
    fn cargo_test(&mut self, name: &'static str, cargo: &mut Command, harness: &[&str]) {
        cargo.args(["--locked", "--no-fail-fast"]);
        cargo.args(&self.args.filter).arg("--").args(harness);
        if self.args.full {
            cargo.env("PROBE_TEST_FULL", "1");
        }
        let total = &mut self.total;
        self.parts.run_remarked(name, |remark| {
            let (result, output) = command::run_and_read(cargo)?;
            let tally = Tally::of(&output);
            *total += tally;
            *remark = tally.to_string();
            result.or_else(|error| tally.excuses(&output).then_some(()).ok_or(error))
        });
    }

    fn finish(mut self) -> Result<()> {
        if !self.args.full {
            self.parts.leave_out("long forms", "--full runs them");
        }
        let result = self.parts.finish();
        println!("all: {}", self.total);
        result
    }
}
