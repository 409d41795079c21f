//! The exits that `/v1/exits`, `/v1/events` and `/v1/containers` return.

use probe_tests::{
    Cgroup, Daemon, Deadline, Document, Runc, Victim, assert_fields, record, schema,
};
use serde_json::{Value, json};

use super::{armed, container};

#[test]
#[ignore = "needs root"]
fn events_and_exits_obey_the_filters_of_the_query() {
    let daemon = Daemon::start(&[]);
    let document = Document::of(&daemon);
    let cgroup = Cgroup::v2("filtered");
    let below = cgroup.sub("below");
    let path = cgroup.path();
    let mut good = Victim::spawn(&["exit", "0"], Some(&cgroup));
    let mut bad = Victim::spawn(&["exit", "3"], Some(&below));
    let pid = bad.pid();
    let queries = [
        (format!("cgroup={path}"), vec![good.pid(), pid]),
        (format!("cgroup={path}/below"), vec![pid]),
        (format!("cgroup={path}&failed=true"), vec![pid]),
        (format!("cgroup={path}&pid={pid}&failed=false"), vec![pid]),
        (format!("pid={pid}"), vec![pid]),
    ];
    let followed: Vec<_> = queries
        .iter()
        .map(|(query, pids)| (daemon.get(&format!("/v1/events?{query}")).stream(), pids))
        .collect();
    for victim in [&mut good, &mut bad] {
        victim.release();
        victim.wait();
    }
    for (events, pids) in followed {
        for pid in pids {
            let exit = events.next();
            schema::validate(&exit);
            assert_eq!(record::pid(&exit), *pid);
        }
    }
    let exits = |query: &str| -> Vec<u32> {
        let answer = daemon.get(&format!("/v1/exits?{query}"));
        let exits = document.checked("get", "/v1/exits", answer);
        let exits = exits.as_array().expect("lines").iter();
        exits.map(record::pid).collect()
    };
    for (query, pids) in &queries {
        assert_eq!(&exits(query), pids, "{query}");
    }
    assert_eq!(exits(&format!("cgroup={path}&limit=1")), [pid]);
    assert_eq!(exits(&format!("cgroup={path}&since=1h")).len(), 2);
    assert_eq!(
        exits(&format!("cgroup={path}&since=2000-01-01T00:00:00Z")).len(),
        2
    );
    assert_eq!(
        exits(&format!("cgroup={path}&since=2999-01-01T00:00:00Z")),
        [0; 0]
    );
    assert_eq!(exits(&format!("cgroup={path}&since=0s")), [0; 0]);
}

#[test]
#[ignore = "needs root"]
fn the_history_keeps_the_configured_number_of_exits() {
    let daemon = Daemon::start(&["--history", "5"]);
    let cgroup = Cgroup::v2("history");
    let mut pids = Vec::new();
    for _ in 0..7 {
        let mut victim = Victim::start(&["exit", "0"], Some(&cgroup));
        victim.wait();
        pids.push(victim.pid());
    }
    let exits = daemon.get("/v1/exits").stream().rest();
    assert!(exits.len() <= 5, "{exits:#?}");
    let own = exits.iter().map(record::pid);
    let own: Vec<_> = own.filter(|pid| pids.contains(pid)).collect();
    // Other processes of this machine exit as well.
    assert!(pids.ends_with(&own) && !own.is_empty(), "{own:?}");
}

#[test]
#[ignore = "needs root and runc"]
fn a_container_is_listed_with_its_processes_and_exits() {
    let daemon = Daemon::start(&[]);
    let document = Document::of(&daemon);
    let script = "sh -c 'exit 3'; read -r line; sh -c 'exit 4'; exit 5";
    let mut runc = Runc::in_host_pids("api", script);
    let path = format!("/v1/containers/{}", runc.name());
    let of_container = format!("container={}", runc.name());
    let exits = |query: &str| daemon.get(&format!("/v1/exits?{query}")).stream().rest();
    Deadline::start().until("the first process has exited", || {
        let exits = exits(&format!("{of_container}&failed=true"));
        exits.iter().any(|it| it["status"]["code"] == 3)
    });
    let answer = daemon.get(&path);
    assert_eq!(answer.status, 200);
    let container = document.checked("get", "/v1/containers/{id}", answer);
    assert_fields(&container, &json!({"runtime": "runc", "live": 1}));
    assert_eq!(container["processes"][0]["pid"], runc.state("pid"));
    let listed = document.checked("get", "/v1/containers", daemon.get("/v1/containers"));
    let listed = listed["containers"].as_array().expect("a list");
    let listed = listed.iter().find(|it| it["id"] == runc.name());
    let listed = listed.expect("the container is listed");
    assert_fields(listed, &json!({"live": 1, "processes": null}));

    let events = daemon.get(&format!("/v1/events?{of_container}")).stream();
    let request = json!({"targets": [{"container": runc.name()}]});
    let lines = armed(&daemon, &request, 1);
    runc.release();
    let codes = |lines: &[Value]| -> Vec<Value> {
        let exits = lines.iter().filter(|line| record::is_exit(line));
        exits.map(|it| it["status"]["code"].clone()).collect()
    };
    let rest = lines.rest();
    assert_eq!(codes(&rest), [json!(4), json!(5)], "{rest:#?}");
    assert_eq!(rest.last().expect("a verdict")["outcome"], "done");
    assert_eq!(codes(&[events.next(), events.next()]), [json!(4), json!(5)]);
    let exits = exits(&of_container);
    for exit in &exits {
        assert_eq!(exit["container"]["id"], runc.name(), "{exit:#}");
    }
    let last = [json!(3), json!(4), json!(5)];
    assert!(codes(&exits).ends_with(&last), "{exits:#?}");
}

#[test]
#[ignore = "needs root"]
fn a_query_for_a_cgroup_and_a_container_returns_exits_that_are_in_both() {
    let daemon = Daemon::start(&[]);
    let above = Cgroup::v2("both");
    let (id, container) = container(&above);
    let other = above.sub("other");
    for cgroup in [&container, &other] {
        Victim::paused(cgroup).kill();
    }
    let exits = |cgroup: &Cgroup| {
        let query = format!("cgroup={}&container={id}", cgroup.path());
        let answer = daemon.get(&format!("/v1/exits?{query}"));
        answer.stream().rest().len()
    };
    assert_eq!([&above, &container, &other].map(exits), [1, 1, 0]);
}
