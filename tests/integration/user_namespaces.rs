//! Owners of the user namespaces of a process, from BPF records and from `/proc`.

use std::{convert::Infallible, fs};

use probe_tests::{Deadline, Victim, bpf, record, words};
use probe_user::{
    model::{Event, Owners, Process},
    unstable::{
        bpf::{hook::Hook, load::Rings},
        proc::scan,
    },
};

/// The user that makes the outer namespace.
const OUTER: u32 = 4242;
/// The user that makes the inner namespace.
const INNER: u32 = 4243;
/// Uid of [`INNER`] in the outer namespace.
const INNER_INSIDE: u32 = 7;

/// All events of a pid up to its exit: kind and process.
fn reported(rings: &mut Rings, pid: u32) -> Vec<(&'static str, Process)> {
    let mut reported = Vec::new();
    Deadline::start().until("the exit is reported", || {
        let drained = rings.stream.drain(|timed| {
            let (what, process) = match timed.event {
                Event::Exit(exit) if exit.group_dead => ("exit", exit.process),
                Event::Start(start) if start.exec.is_none() => ("fork", start.process),
                Event::Start(start) => ("exec", start.process),
                _ => return Ok(()),
            };
            if process.tgid == pid {
                reported.push((what, process));
            }
            Ok::<_, Infallible>(())
        });
        drained.is_ok() && reported.last().is_some_and(|(what, _)| *what == "exit")
    });
    reported
}

fn by_proc(pid: u32) -> Option<Owners> {
    let mut found = scan::scan(true).expect("/proc is mounted").flatten();
    let found = found.find(|it| it.process.tgid == pid);
    found.expect("the process lives").process.owners
}

/// A victim in a namespace of [`INNER`] inside one of [`OUTER`].
fn nested() -> Victim {
    let (outer, inside) = (OUTER.to_string(), INNER_INSIDE.to_string());
    let line =
        format!("as {outer} user-namespace ready held as {inside} user-namespace ready held");
    let mut victim = Victim::start(&words(&format!("{line} exit 0")), None);
    let _ready = victim.report();
    let map = |file: &str, map: String| {
        let path = format!("/proc/{}/{file}", victim.pid());
        fs::write(&path, map).unwrap_or_else(|error| panic!("{path}: {error}"));
    };
    map("uid_map", format!("0 {OUTER} 1\n{INNER_INSIDE} {INNER} 1"));
    map("gid_map", "0 0 1".to_owned());
    victim.release();
    let _ready = victim.report();
    victim
}

#[test]
#[ignore = "needs root"]
fn every_exit_program_reports_the_owners_of_the_user_namespaces() {
    let plan = bpf::plan(&[]);
    for (shape, program) in bpf::exit_programs() {
        let (_attached, mut rings) = bpf::load(&plan, Some((shape, program)));
        let mut exits = |victim: &mut Victim| {
            victim.release();
            victim.wait();
            let mut reported = reported(&mut rings, victim.pid());
            reported.pop().expect("its exit").1
        };

        // The second round uses the initial namespace that the programs remember.
        for _ in 0..2 {
            let mut victim = Victim::spawn(&["exit", "0"], None);
            assert_eq!(by_proc(victim.pid()), None);
            assert_eq!(exits(&mut victim).owners, None, "{program}");
        }

        let line = "as 4242 user-namespace ready held exit 0";
        let mut victim = Victim::start(&words(line), None);
        let _ready = victim.report();
        let owners = Some(Owners {
            own: OUTER,
            top: OUTER,
        });
        assert_eq!(by_proc(victim.pid()), owners);
        let exit = exits(&mut victim);
        assert_eq!((exit.uid, exit.owners), (Some(OUTER), owners), "{program}");

        let mut victim = nested();
        let owners = Some(Owners {
            own: INNER,
            top: OUTER,
        });
        assert_eq!(by_proc(victim.pid()), owners);
        let exit = exits(&mut victim);
        assert_eq!((exit.uid, exit.owners), (Some(INNER), owners), "{program}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_start_record_has_the_owner_of_the_user_namespace() {
    let plan = bpf::plan(&[Hook::Fork, Hook::Exec, Hook::Exit]);
    let (_attached, mut rings) = bpf::load(&plan, None);
    let line = "as 4242 user-namespace parent exec exit 0";
    let mut victim = Victim::start(&words(line), None);
    let child = record::pid(&victim.report());
    victim.wait();
    let owners = Some(Owners {
        own: OUTER,
        top: OUTER,
    });
    let reported: Vec<_> = reported(&mut rings, child)
        .into_iter()
        .map(|(what, process)| (what, process.owners))
        .collect();
    assert_eq!(
        reported,
        ["fork", "exec", "exit"].map(|what| (what, owners))
    );
}
