//! Deaths by the out-of-memory killer. By a v1 limit, because not every machine
//! has the memory controller on v2.

use probe_tests::{Cgroup, Trial, Victim, record};
use serde_json::{Value, json};

const LIMIT_BYTES: u32 = 16 << 20;

fn small_memory(label: &str) -> Cgroup {
    let memory = Cgroup::v1("memory", label);
    memory.write("memory.limit_in_bytes", &LIMIT_BYTES.to_string());
    if memory.file("memory.memsw.limit_in_bytes").exists() {
        memory.write("memory.memsw.limit_in_bytes", &LIMIT_BYTES.to_string());
    }
    memory
}

/// The words must end in `eat`.
fn eat(trial: &mut Trial, memory: &Cgroup, words: &[&str]) -> Value {
    let mut victim = Victim::spawn(words, Some(&trial.cgroup));
    memory.add(victim.pid());
    victim.release();
    trial.judge_child(&mut victim)
}

fn assert_is_oom(exit: &Value) {
    assert_eq!(record::wait_status(exit), 9);
    assert_eq!(exit["oom"], true, "{exit}");
    assert_eq!(
        exit["killed_by"],
        json!({
            "pid": null, "comm": null, "uid": null, "signal": "SIGKILL", "via": "oom",
            "cause": null,
        })
    );
}

#[test]
#[ignore = "needs root"]
fn who_eats_too_much_is_told_as_such_and_names_no_killer() {
    let memory = small_memory("eater");
    let mut trial = Trial::new("eater");
    let exit = eat(&mut trial, &memory, &["eat"]);
    assert_is_oom(&exit);
    let told = trial.finish();
    assert_eq!(told.exits().count(), 1);
}

#[test]
#[ignore = "needs root"]
fn a_process_whose_other_task_eats_too_much_is_told_once() {
    let memory = small_memory("task");
    let mut trial = Trial::new("task");
    let exit = eat(&mut trial, &memory, &["threads", "5", "in-thread", "eat"]);
    assert_is_oom(&exit);
    let exit = eat(&mut trial, &memory, &["leader-gone", "3", "eat"]);
    assert_is_oom(&exit);
    let told = trial.finish();
    assert_eq!(told.exits().count(), 2);
}

#[test]
#[ignore = "needs root"]
fn the_victim_of_anothers_appetite_is_told() {
    let memory = small_memory("other");
    let mut trial = Trial::new("other");
    let mut large = Victim::spawn(&["eating", "11", "ready", "pause"], Some(&trial.cgroup));
    memory.add(large.pid());
    large.release();
    let _ready = large.report();
    let mut small = Victim::spawn(&["eating", "6", "exit", "5"], Some(&trial.cgroup));
    memory.add(small.pid());
    small.release();
    // The kernel takes the largest, here the one that sits still.
    let exit = trial.judge_child(&mut large);
    assert_is_oom(&exit);
    // And now and then the other one too, before all is given back.
    let exit = trial.judge_child(&mut small);
    if record::wait_status(&exit) == 5 << 8 {
        assert_eq!(exit["oom"], false, "{exit}");
    } else {
        assert_is_oom(&exit);
    }
}

#[test]
#[ignore = "needs root"]
fn a_killed_process_that_ate_little_is_no_victim_of_oom() {
    let memory = small_memory("little");
    let mut trial = Trial::new("little");
    let mut victim = Victim::spawn(&["eating", "2", "signal", "9"], Some(&trial.cgroup));
    memory.add(victim.pid());
    victim.release();
    let exit = trial.judge_child(&mut victim);
    assert_eq!(exit["oom"], false, "{exit}");
    assert_eq!(exit["killed_by"]["via"], "kill", "{exit}");
}

#[test]
#[ignore = "needs root"]
fn a_task_that_gets_the_tid_of_an_earlier_victim_is_none() {
    let memory = small_memory("earlier");
    let mut trial = Trial::new("earlier");
    // Outside of what is traced, so that nobody asks for its mark.
    let mut earlier = Victim::spawn(&["eat"], None);
    memory.add(earlier.pid());
    earlier.release();
    assert_eq!(earlier.wait(), 9);
    let tid = earlier.pid().to_string();
    let mut victim = trial.start(&["leaderless-task", &tid, "signal", "9"]);
    let exit = trial.judge_child(&mut victim);
    assert_eq!(exit["tid"], earlier.pid(), "{exit}");
    assert_eq!(exit["oom"], false, "{exit}");
    assert_eq!(exit["killed_by"]["pid"], victim.pid(), "{exit}");
}
