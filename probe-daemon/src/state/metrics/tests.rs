use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use probe_user::model::{Container, ExitStatus, Runtime};

use super::*;
use crate::api::Outcome;

const STARTED: SystemTime = SystemTime::UNIX_EPOCH;

fn exit(wait_status: u32, oom: bool) -> Placed<Exit> {
    let mut exit = Placed::<Exit>::default();
    exit.what.group_dead = true;
    exit.what.status = Some(ExitStatus::from_wait_status(wait_status));
    exit.what.oom = oom;
    exit
}

fn within(id: &str, mut exit: Placed<Exit>) -> Placed<Exit> {
    exit.container = Some(Arc::new(Container {
        runtime: Runtime::Runc,
        id: id.to_owned(),
        name: None,
        pod_uid: None,
        pod: None,
        location: None,
    }));
    exit
}

/// Metrics that all have a value above zero.
fn busy() -> Metrics {
    let metrics = Metrics::new(STARTED);
    metrics.exit(&exit(0, false));
    metrics.exit(&exit(0x100, false));
    metrics.exit(&exit(0x0b, false));
    metrics.exit(&within("we\"b\n\\", exit(9, true)));
    metrics.set_live(123);
    metrics.set_containers(4);
    metrics
        .wait_began()
        .ended(Outcome::Done, Duration::from_micros(700));
    metrics.lost(LossReason::RingFull, 5);
    metrics.reader_lost(6);
    metrics.scanned(false);
    metrics.scanned(true);
    metrics.client_refused();
    metrics.set_ring_bytes(4 << 20);
    metrics.set_program_runs(&[runs(1000, 250)]);
    metrics
}

fn runs(count: u64, micros: u64) -> ProgramRuns {
    ProgramRuns {
        name: "sched_process_exit".to_owned(),
        count,
        run_time: Duration::from_micros(micros),
    }
}

#[track_caller]
fn assert_has(text: &str, line: &str) {
    assert!(text.lines().any(|it| it == line), "no {line} in\n{text}");
}

#[test]
fn each_exit_status_has_its_kind() {
    let text = busy().render(Format::Prometheus, Scope::Totals);
    for kind in ["success", "failure", "signal", "oom"] {
        assert_has(&text, &format!("probe_exits_total{{kind=\"{kind}\"}} 1"));
    }
    assert_has(&text, "probe_exits_total{kind=\"unknown\"} 0");
}

#[test]
fn the_exit_of_a_thread_is_not_counted_as_an_exit_of_a_process() {
    let metrics = Metrics::new(STARTED);
    let mut of_a_thread = exit(0, false);
    of_a_thread.what.group_dead = false;
    metrics.exit(&of_a_thread);
    let text = metrics.render(Format::Prometheus, Scope::Totals);
    assert_has(&text, "probe_exits_total{kind=\"success\"} 0");
}

#[test]
fn only_the_scope_everything_names_containers() {
    let metrics = busy();
    for format in [Format::Prometheus, Format::OpenMetrics] {
        let totals = metrics.render(format, Scope::Totals);
        assert!(!totals.contains("container_exits"), "{totals}");
        let everything = metrics.render(format, Scope::Everything);
        assert_has(
            &everything,
            r#"probe_container_exits_total{runtime="runc",id="we\"b\n\\",name="",kind="oom"} 1"#,
        );
    }
}

#[test]
fn a_new_container_replaces_the_container_with_the_oldest_exit() {
    let metrics = Metrics::new(STARTED);
    let end = |id: usize| metrics.exit(&within(&format!("c{id}"), exit(9, false)));
    (0..containers::MAX_CONTAINERS).for_each(end);
    end(0);
    end(containers::MAX_CONTAINERS);
    let text = metrics.render(Format::Prometheus, Scope::Everything);
    let count = text
        .lines()
        .filter(|line| line.starts_with("probe_container_exits_total{"))
        .count();
    assert_eq!(count, containers::MAX_CONTAINERS);
    assert!(text.contains("id=\"c0\"") && !text.contains("id=\"c1\""));
}

#[test]
fn a_wait_is_in_flight_until_it_ends_or_is_dropped() {
    let metrics = Metrics::new(STARTED);
    let render = || metrics.render(Format::Prometheus, Scope::Totals);
    let (first, second) = (metrics.wait_began(), metrics.wait_began());
    assert_has(&render(), "probe_waits_in_flight 2");
    first.ended(Outcome::Done, Duration::from_micros(300));
    drop(second);
    let text = render();
    assert_has(&text, "probe_waits_in_flight 0");
    assert_has(&text, "probe_waits_total{outcome=\"done\"} 1");
    assert_has(&text, "probe_waits_total{outcome=\"interrupted\"} 1");
    assert_has(&text, "probe_wait_duration_seconds_count 1");
    assert_has(
        &text,
        "probe_wait_duration_seconds_bucket{le=\"0.00025\"} 0",
    );
    assert_has(&text, "probe_wait_duration_seconds_bucket{le=\"0.0005\"} 1");
}

#[test]
fn a_client_is_connected_until_it_is_dropped() {
    let metrics = Metrics::new(STARTED);
    let render = || metrics.render(Format::Prometheus, Scope::Totals);
    let client = metrics.client_connected();
    assert_has(&render(), "probe_clients_connected 1");
    drop(client);
    assert_has(&render(), "probe_clients_connected 0");
    assert_has(&render(), "probe_clients_accepted_total 1");
}

#[test]
fn counts_of_bpf_program_runs_never_decrease() {
    let metrics = busy();
    metrics.set_program_runs(&[runs(3000, 750)]);
    metrics.set_program_runs(&[runs(2000, 500)]);
    let text = metrics.render(Format::Prometheus, Scope::Totals);
    assert_has(
        &text,
        "probe_bpf_runs_total{program=\"sched_process_exit\"} 3000",
    );
    assert_has(
        &text,
        "probe_bpf_run_time_seconds_total{program=\"sched_process_exit\"} 0.00075",
    );
}

#[test]
fn a_program_without_counted_runs_has_no_series() {
    let metrics = Metrics::new(STARTED);
    metrics.set_program_runs(&[runs(0, 0)]);
    let text = metrics.render(Format::Prometheus, Scope::Everything);
    assert!(!text.contains("probe_bpf"), "{text}");
}

#[test]
fn open_metrics_end_with_eof_and_name_families_without_total() {
    let text = busy().render(Format::OpenMetrics, Scope::Everything);
    assert!(text.ends_with("# EOF\n"));
    assert_has(&text, "# TYPE probe_exits counter");
    assert_has(&text, "# TYPE probe_build info");
    assert_has(&text, "# UNIT probe_wait_duration_seconds seconds");
    assert_has(&text, "probe_exits_total{kind=\"oom\"} 1");
    assert_has(&text, "probe_wait_duration_seconds_bucket{le=\"1.0\"} 1");
}

#[test]
fn the_accept_header_chooses_the_format() {
    assert_eq!(Format::accepted(None), Format::Prometheus);
    for (accept, expected) in [
        ("*/*", Format::Prometheus),
        ("garbage;;q=,,", Format::Prometheus),
        ("text/plain;version=0.0.4", Format::Prometheus),
        ("application/openmetrics-text", Format::OpenMetrics),
        // The headers of Prometheus 2.42, with and without OpenMetrics.
        (
            "application/openmetrics-text;version=1.0.0,\
             application/openmetrics-text;version=0.0.1;q=0.75,\
             text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format::OpenMetrics,
        ),
        ("text/plain;version=0.0.4;q=1,*/*;q=0.1", Format::Prometheus),
        (
            "application/openmetrics-text;version=0.0.1",
            Format::Prometheus,
        ),
        (
            "application/openmetrics-text;q=0, text/plain;q=0.1",
            Format::Prometheus,
        ),
    ] {
        assert_eq!(Format::accepted(Some(accept)), expected, "{accept}");
    }
}

/// The metrics of this daemon in a query of the dashboard.
fn metrics_of(dashboard: &str) -> Vec<String> {
    dashboard
        .split(|it: char| !it.is_ascii_alphanumeric() && it != '_')
        .filter(|word| word.starts_with("probe_") || word.starts_with("process_"))
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn every_query_of_the_dashboard_names_existing_metrics() {
    // The test reads the file at run time, because the file is outside of the package, and
    // the published package must compile without it.
    let dashboard = concat!(env!("CARGO_MANIFEST_DIR"), "/../dist/grafana/probe.json");
    let dashboard = std::fs::read_to_string(dashboard).expect("it is in the checkout");
    let dashboard: serde_json::Value =
        serde_json::from_str(&dashboard).expect("the dashboard is JSON");
    let text = busy().render(Format::Prometheus, Scope::Everything);
    let mut queries = 0;
    for panel in dashboard["panels"].as_array().expect("panels") {
        let targets = panel["targets"].as_array().map_or(&[][..], Vec::as_slice);
        for query in targets.iter().filter_map(|target| target["expr"].as_str()) {
            queries += 1;
            let asked = metrics_of(query);
            assert!(!asked.is_empty(), "{query} names no metric");
            for metric in asked {
                let is_there = text.lines().any(|line| {
                    line.strip_prefix(&metric)
                        .is_some_and(|rest| rest.starts_with(['{', ' ']))
                });
                assert!(is_there, "{query}: there is no {metric}");
            }
        }
    }
    assert!(queries > 10, "{queries} queries");
}
