//! `cargo xtask engines`: `probe` with real container engines, which are unpacked and never
//! installed. The test target `engines` of `probe-tests` runs them.

use anyhow::Result;

use super::{Run, Tally};
use crate::{checkout, parts::Parts, privilege::Privilege, setup};

/// Run probe with real container engines
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only these engines: runc, crun, docker, containerd, podman, rootless, lxc, nspawn, systemd
    #[arg(long, value_name = "NAME", num_args = 1..)]
    engine: Vec<String>,

    /// Rounds for each engine, pid namespace and view of cgroups
    #[arg(long, default_value_t = 100)]
    rounds: u32,

    /// Write the results into docs/engines.md
    #[arg(long)]
    record: bool,
}

impl Args {
    /// The short form in `cargo xtask test`.
    pub(super) fn short() -> Self {
        Self {
            engine: ["runc", "crun", "docker", "podman"]
                .map(str::to_owned)
                .into(),
            rounds: 4,
            record: false,
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let test = super::Args {
        full: false,
        unprivileged: false,
        filter: None,
    };
    let mut run = Run {
        args: &test,
        parts: Parts::default(),
        total: Tally::default(),
    };
    if run.parts.run("binary under test", checkout::build_probe) {
        run.engines(Privilege::own(), args);
    }
    run.parts.finish()
}

impl Run<'_> {
    pub(super) fn engines(&mut self, privilege: Privilege, args: &Args) {
        setup::packages("tools");
        setup::packages("engines");
        let mut cargo = checkout::cargo("test -p probe-tests --test engines");
        cargo.env("PROBE_ENGINES_ROUNDS", args.rounds.to_string());
        if args.record {
            let document = checkout::root().join("docs/engines.md");
            cargo.env("PROBE_ENGINES_RECORD", document);
        }
        let modules = args.engine.iter().map(|name| format!("{name}::"));
        let modules: Vec<_> = modules.collect();
        let mut filters: Vec<_> = modules.iter().map(String::as_str).collect();
        if self.args.filter.is_some() {
            // The harness runs what fits any of its filters.
            filters.clear();
        }
        self.run_as_root("engines", cargo, privilege, &filters);
    }
}
