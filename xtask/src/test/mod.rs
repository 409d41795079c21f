//! `cargo xtask test`: every test, of the release binary.
//!
//! cargo never runs as root: only the integration tests do, with `sudo` if necessary, so
//! that root owns no file in the checkout.

pub(crate) mod engines;
mod foreign;
mod tally;

use std::{
    process::Command,
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::{Context, Result, anyhow, bail};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT},
    flag,
};

use self::tally::Tally;
use crate::{checkout, command, dist, fuzz, parts::Parts, privilege::Privilege, setup, soak, vm};

/// Run the tests, those that need root included
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The long forms of tests that have one
    #[arg(long)]
    full: bool,

    /// Without root: leave out what needs it, and do not fail for that
    #[arg(long)]
    unprivileged: bool,

    /// Only tests with this in their names
    filter: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    inherit_no_ignored_signal()?;
    let privilege = Privilege::own();
    if privilege == Privilege::None {
        eprintln!("NOT ROOT, and no sudo: the tests against the running kernel cannot run\n");
    }
    let mut run = Run {
        args,
        parts: Parts::default(),
        total: Tally::default(),
    };
    let is_built = run.parts.run("binary under test", checkout::build_probe);
    let packages = "-p probe-ebpf -p probe-user -p probe-daemon -p probe-cli -p probe-tests \
                    -p probe-fixture -p probe-fuzz -p xtask";
    run.cargo_test("unit", &format!("{packages} --lib --bins"));
    let libraries = "-p probe-user -p probe-daemon";
    let features = "--features probe-user/unstable,probe-daemon/unstable";
    run.cargo_test("objects", &format!("{libraries} {features} --test *"));
    run.cargo_test("doc", &format!("{libraries} --doc"));
    let not_built = (!is_built).then_some("there is no binary to test");
    let unprivileged = args.unprivileged.then_some("--unprivileged");
    let filtered = args.filter.as_ref().map(|_| "it has no tests with names");
    let missing = |group| {
        setup::packages(group);
        (!setup::is_there(group)).then_some("NOT APPLICABLE: a package is missing, see above")
    };
    let reason = filtered.or_else(|| missing("cross-gcc"));
    let reason = reason.or_else(|| missing("qemu-user")).map(str::to_owned);
    match reason.map_or_else(foreign::tests, |reason| Err(anyhow!(reason))) {
        Ok(tests) => {
            for (name, mut cargo, filters) in tests {
                run.run(name, &mut cargo, filters);
            }
        }
        Err(error) => run.parts.leave_out("other machines", &format!("{error:#}")),
    }
    match not_built {
        None => {
            run.cargo_test("snapshots", "-p probe-tests --test snapshots");
            run.integration(privilege);
            match unprivileged {
                None => run.engines(privilege, &engines::Args::short()),
                Some(reason) => run.parts.leave_out("engines", reason),
            }
        }
        Some(reason) => run
            .parts
            .leave_out("snapshots, integration, engines", reason),
    }
    let long = (soak::MANY, fuzz::LONG);
    let (trials, seconds) = if args.full { long } else { (500, 20) };
    run.part("soak", unprivileged.or(filtered), |remark| {
        *remark = format!("{trials} trials of each backend");
        soak::test(privilege, trials)
    });
    let reason = unprivileged.or(filtered).or(not_built);
    let reason = reason.or_else(|| missing("qemu-system"));
    run.part("other kernels", reason, |remark| {
        *remark = vm::test()?;
        Ok(())
    });
    let reason = filtered.or_else(|| missing("g++"));
    run.part("fuzz", reason, |remark| {
        *remark = format!("{seconds} s of each target");
        fuzz::test(seconds)
    });
    run.part("release archive", filtered.or(not_built), |_| dist::check());
    if !args.full {
        run.parts.leave_out("long forms", "--full runs them");
    }
    let result = run.parts.finish();
    println!("all: {}", run.total);
    result
}

/// Gives SIGHUP, SIGINT and SIGQUIT handlers with the default effect. A shell ignores
/// SIGINT and SIGQUIT for a background job, nohup ignores SIGHUP, and every child inherits
/// that, so that tests of these signals would fail. `exec` resets a signal that has a
/// handler.
fn inherit_no_ignored_signal() -> Result<()> {
    for signal in [SIGHUP, SIGINT, SIGQUIT] {
        flag::register_conditional_default(signal, Arc::new(AtomicBool::new(true)))
            .context("handle a signal")?;
    }
    Ok(())
}

struct Run<'a> {
    args: &'a Args,
    parts: Parts,
    total: Tally,
}

impl Run<'_> {
    fn integration(&mut self, privilege: Privilege) {
        let mut cargo = checkout::cargo("test -p probe-tests --test integration");
        if self.args.unprivileged {
            self.run("integration without root", &mut cargo, &[]);
            return self.parts.leave_out("integration", "--unprivileged");
        }
        setup::packages("tools");
        setup::packages("prometheus");
        self.run_as_root("integration", cargo, privilege, &[]);
    }

    /// Runs every test of a target, or those that fit a filter, as root and one by one.
    fn run_as_root(
        &mut self,
        name: &'static str,
        mut cargo: Command,
        privilege: Privilege,
        filters: &[&str],
    ) {
        if privilege == Privilege::Sudo {
            // sudo replaces PATH.
            let runner = format!("sudo -E env PATH={}", checkout::path().display());
            match checkout::host() {
                Ok(host) => drop(cargo.env(checkout::target_variable(&host, "RUNNER"), runner)),
                Err(error) => eprintln!("{error:#}"),
            }
        }
        if privilege == Privilege::None {
            self.parts.run(name, || {
                bail!("needs root: run as root, install sudo, or leave it out with --unprivileged")
            });
            return;
        }
        let harness = [&["--include-ignored", "--test-threads=1"], filters].concat();
        self.run(name, &mut cargo, &harness);
    }

    /// Runs a part, unless there is a reason to leave it out.
    fn part(
        &mut self,
        name: &'static str,
        reason: Option<&str>,
        part: impl FnOnce(&mut String) -> Result<()>,
    ) {
        match reason {
            Some(reason) => self.parts.leave_out(name, reason),
            None => drop(self.parts.run_remarked(name, part)),
        }
    }

    /// Runs `cargo test` with arguments that spaces separate.
    fn cargo_test(&mut self, name: &'static str, words: &str) {
        self.run(name, &mut checkout::cargo(&format!("test {words}")), &[]);
    }

    /// Runs `cargo test …` to the end of its last test.
    fn run(&mut self, name: &'static str, cargo: &mut Command, harness: &[&str]) {
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
}
