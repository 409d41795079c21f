//! A user without privileges waits for processes and cgroups of other users, by world-readable
//! files.

use std::{
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use probe_tests::{Cgroup, Deadline, Output, Victim, Waiting, conditions, probe_in, words};
use serde_json::Value;

/// A user that is neither root nor `nobody`.
const OTHER: u32 = 4242;

/// The backends for a user without privileges.
const BACKENDS: [&str; 3] = ["auto", "pidfd", "poll"];

fn armed(args: &[&str]) -> Waiting {
    Waiting::armed_in(&mut conditions::without_privilege(&Waiting::args(args)))
}

/// Runs a wait that ends at once.
fn wait(args: &[&str]) -> Output {
    let args = [&["wait", "--json"], args].concat();
    probe_in(&mut conditions::without_privilege(&args))
}

fn verdict(output: &Output, outcome: &str) -> Value {
    let verdict = output.verdict(outcome);
    assert_ne!(verdict["backend"], "bpf", "{output:#?}");
    verdict
}

/// A victim of another user. [`Victim::spawn`] makes one of root.
fn victim_of_other() -> Victim {
    let mut command = Command::new("sh");
    command
        .args(["-c", "read -r line"])
        .uid(OTHER)
        .gid(OTHER)
        .stderr(Stdio::null());
    Victim::spawn_command(&mut command, None)
}

#[test]
#[ignore = "needs root"]
fn a_plain_user_waits_for_a_root_cgroup_in_every_state() {
    for backend in BACKENDS {
        for until in ["empty", "exited", "reaped"] {
            for cgroup in [Cgroup::v2("roots"), Cgroup::v1("pids", "roots")] {
                let is_v2 = cgroup.path().contains("/unified/");
                let below = cgroup.sub("below");
                let mut victims = [&cgroup, &below].map(|it| Victim::spawn(&["pause"], Some(it)));
                let line = format!("--backend {backend} --until {until} --cgroup");
                let args = [&words(&line)[..], &[cgroup.path()]].concat();
                verdict(&wait(&[&args[..], &["-t", "0"]].concat()), "timeout");
                let waiting = armed(&args);
                for victim in &mut victims {
                    waiting.assert_running();
                    victim.kill();
                }
                let verdict = verdict(&waiting.finish(), "done");
                // Without BPF a process may have entered and left alive between two looks. A v1
                // cgroup is surely empty once its processes are reaped.
                if is_v2 || until != "empty" {
                    assert_eq!(verdict["exact"], until == "empty", "{verdict}");
                }
                assert_eq!(cgroup.procs(), [0; 0]);
            }
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_wait_of_a_plain_user_for_the_removal_of_a_root_cgroup_ends() {
    for backend in BACKENDS {
        for parent in [Cgroup::v2("removed"), Cgroup::v1("pids", "removed")] {
            let cgroup = parent.sub("below");
            let mut victim = Victim::spawn(&["pause"], Some(&cgroup));
            let line = format!("--backend {backend} --until removed --cgroup");
            let args = [&words(&line)[..], &[cgroup.path()]].concat();
            let waiting = armed(&args);
            victim.kill();
            cgroup.wait_empty();
            verdict(&wait(&[&args[..], &["-t", "0"]].concat()), "timeout");
            waiting.assert_running();
            std::fs::remove_dir(cgroup.path()).expect("the cgroup is empty");
            verdict(&waiting.finish(), "done");
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_plain_user_waits_for_processes_of_other_users() {
    for backend in BACKENDS {
        for until in ["exited", "reaped"] {
            for spawn in [victim_of_other, || Victim::spawn(&["pause"], None)] {
                let mut victim = spawn();
                let pid = victim.pid().to_string();
                let args = ["--backend", backend, "--until", until, &pid];
                let output = wait(&[&args[..], &["-t", "0"]].concat());
                let timeout = verdict(&output, "timeout");
                assert_eq!(timeout["survivors"][0]["pid"], victim.pid());
                let waiting = armed(&args);
                victim.kill();
                let verdict = verdict(&waiting.finish(), "done");
                assert_eq!(verdict["exact"], true, "{verdict}");
            }
        }
    }
}

#[test]
#[ignore = "needs root"]
fn a_zombie_of_root_has_exited_and_is_not_reaped() {
    let cgroup = Cgroup::v2("zombie");
    let (mut parent, zombie) = Victim::ready(&["zombie"], &cgroup);
    let zombie = zombie.to_string();
    Deadline::start().until("the parent alone is a member", || {
        cgroup.procs() == [parent.pid()]
    });
    for backend in BACKENDS {
        let args = ["--backend", backend, &zombie];
        verdict(&wait(&args), "already");
        let output = wait(&[&args[..], &["--until", "reaped", "-t", "30ms"]].concat());
        let timeout = verdict(&output, "timeout");
        let survivor = &timeout["survivors"][0];
        assert_eq!(survivor["state"], "Z", "{survivor}");
        let reason = survivor["reason"]["text"].as_str().unwrap_or_default();
        assert!(reason.contains(&parent.pid().to_string()), "{survivor}");
    }
    // Init reaps the zombie when its parent is dead.
    let waiting = armed(&["--until", "reaped", &zombie]);
    parent.kill();
    verdict(&waiting.finish(), "done");
}
