//! Tests of lines, and of records that are read back from them.

use std::{path::PathBuf, sync::Arc};

use probe_user::model::{
    Cause, Cgroup, CgroupId, Comm, Container, Exit, ExitStatus, ExitingTask, KilledBy, LossReason,
    Placed, Process, Runtime, Sender, Usage, Via,
};
use proptest::{collection::vec, option, prelude::*};
use rustix::param::page_size;

use super::*;

#[test]
fn times_always_have_nine_fractional_digits() {
    assert_eq!(time(0), "1970-01-01T00:00:00.000000000Z");
    assert_eq!(
        time(1_767_323_045_678_901_234),
        "2026-01-02T03:04:05.678901234Z"
    );
}

fn status() -> impl Strategy<Value = ExitStatus> {
    prop_oneof![
        any::<u8>().prop_map(|code| ExitStatus::Exited { code }),
        (1_u32..65, any::<bool>())
            .prop_map(|(signal, core)| ExitStatus::from_wait_status(signal | u32::from(core) << 7)),
    ]
}

prop_compose! {
    fn process()(
        tid: u32, tgid: u32, ppid: Option<u32>, uid: Option<u32>,
        // The kernel terminates every name with a NUL byte.
        name in vec(1..=u8::MAX, 0..16),
        start_boottime_ns: Option<u64>,
        ns in option::of(any::<(u32, u32)>()),
    ) -> Process {
        let mut comm = [0; 16];
        comm[..name.len()].copy_from_slice(&name);
        Process {
            tid, tgid, initial_tgid: 0, ppid, uid, start_boottime_ns,
            comm: Comm::new(comm),
            cgroup: None,
            v1_cgroup_id: None,
            ns_pid: ns.map(|(pid, _)| pid),
            pid_ns: ns.map(|(_, pid_ns)| pid_ns),
            owners: None,
        }
    }
}

prop_compose! {
    fn killer()(
        via in prop::sample::select(Via::ALL.to_vec()),
        sender in option::of((any::<u32>(), ".*", any::<u32>())),
        cause in option::of(prop::sample::select(Cause::ALL.to_vec())),
    ) -> (Via, Option<Sender>, Option<Cause>) {
        let sender = sender.map(|(tgid, comm, uid)| Sender { tgid, comm, uid });
        (via, sender, cause)
    }
}

prop_compose! {
    fn exit()(
        process in process(),
        [group_dead, leader, oom, forged, killer_forgotten] in any::<[bool; 5]>(),
        status in option::of(status()),
        killer in option::of(killer()),
        usage in option::of((any::<u64>(), any::<u64>(), 0_u64..1 << 40)),
        (task_comm, start_boottime_ns) in (".*", any::<Option<u64>>()),
    ) -> Exit {
        let task = ExitingTask { comm: Comm::from_text(&task_comm), start_boottime_ns, ..ExitingTask::default() };
        let signal = match status {
            Some(ExitStatus::Signaled { signal, .. }) => Some(signal),
            _ => None,
        };
        let killed_by = signal.zip(killer).map(|(signal, (via, sender, cause))| KilledBy {
            signal, via, sender, cause, forged,
        });
        let usage = usage.map(|(user_ns, system_ns, max_rss_pages)| Usage {
            user_ns, system_ns, max_rss_pages,
        });
        Exit { process, group_dead, leader, status, killed_by, killer_forgotten, oom, usage, task }
    }
}

prop_compose! {
    fn container()(
        runtime in prop::sample::select(Runtime::ALL.to_vec()),
        id in ".*", name in option::of(".*"), pod_uid in option::of(".*"),
        pod in option::of(".*"), location in option::of(".*"),
    ) -> Container {
        let location = location.map(PathBuf::from);
        Container { runtime, id, name, pod_uid, pod, location }
    }
}

prop_compose! {
    fn placed()(
        boottime_ns: u64,
        what in exit(),
        cgroup in option::of((any::<u32>(), any::<u64>(), option::of(".*"))),
        container in option::of(container()),
    ) -> Placed<Exit> {
        let cgroup = cgroup.map(|(hierarchy, id, path)| Cgroup {
            id: CgroupId { hierarchy, id },
            path: path.map(Arc::from),
        });
        let mut what = what;
        what.process.cgroup = cgroup.as_ref().map(|cgroup| cgroup.id);
        let task_cgroup = cgroup.clone().filter(|_| boottime_ns % 2 == 0);
        what.task.cgroup = task_cgroup.as_ref().map(|cgroup| cgroup.id);
        Placed {
            boottime_ns, what, cgroup, v1_cgroup: None, task_cgroup: task_cgroup.map(Box::new),
            container: container.map(Arc::new),
        }
    }
}

proptest! {
    #[test]
    fn a_record_is_read_back_from_its_line(exit in placed()) {
        let clock = WallClock::now();
        let line = ExitLine::new(&exit, &clock);
        let text = serde_json::to_string(&line).expect("JSON");
        let read: ExitLine<'_> = serde_json::from_str(&text).expect("the same line");
        prop_assert_eq!(&read, &line);
        let mut back = read.to_record();
        prop_assert_eq!(&ExitLine::new(&back, &clock), &line);
        // A name that is not UTF-8 comes back as text, not as the same bytes.
        back.what.process.comm = exit.what.process.comm;
        prop_assert_eq!(back, exit);
    }

    #[test]
    fn a_process_name_keeps_its_text(name in ".{0,40}") {
        let short = Comm::from_text(&name).to_str().into_owned();
        prop_assert!(name.replace('\0', "").starts_with(&short));
        let again = Comm::from_text(&short);
        prop_assert_eq!(again.to_str(), short);
    }
}

#[test]
fn an_unknown_word_of_a_later_version_leaves_the_other_fields_intact() {
    let line = r#"{"schema":1,"type":"exit","time":"t","boottime_ns":9,"pid":7,"tid":7,
        "ppid":1,"uid":0,"comm":"a","start_boottime_ns":2,"group_dead":true,"leader":true,
        "status":{"kind":"signaled","code":null,"signal":"SIGKILL","number":9,
            "core_dumped":false,"new":1},
        "age_ns":7,"cgroup":null,"new":{},
        "container":{"runtime":"later","id":"x","name":null,"pod_uid":null},
        "killed_by":{"pid":1,"comm":"b","uid":0,"signal":"SIGKILL","via":"magic","cause":null},
        "oom":false,"usage":null,"ns":null}"#;
    let line: ExitLine<'_> = serde_json::from_str(line).expect("fields may be added");
    let exit = line.to_record();
    assert_eq!(exit.what.status, Some(ExitStatus::from_wait_status(9)));
    assert_eq!((exit.container, exit.what.killed_by), (None, None));
}

#[test]
fn a_loss_with_an_unknown_reason_is_read_back() {
    let back = |reason: &str| {
        let text = format!(r#"{{"schema":1,"type":"lost","count":3,"reason":"{reason}"}}"#);
        let line: LostLine<'_> = serde_json::from_str(&text).expect("a loss");
        line.to_record()
    };
    let lost = |reason| Record::Lost {
        count: Some(3),
        reason,
    };
    assert_eq!(back("skipped"), lost(LossReason::Skipped));
    assert_eq!(back("later"), lost(LossReason::Other));
}

#[test]
fn the_resident_set_is_converted_to_bytes() {
    let usage = UsageObject::from(Usage {
        user_ns: 1,
        system_ns: 2,
        max_rss_pages: 3,
    });
    assert_eq!(usage.max_rss_bytes, 3 * page_size() as u64);
}
