//! Integration tests of `probe` on the running kernel. `waitpid` gives the expected results.
//!
//! Each subject has a module. The tests need root and are ignored by default:
//! `cargo test -p probe-tests --test integration -- --ignored --test-threads=1`.

mod backend_selection;
mod backends;
mod bad_input;
mod cgroups;
mod client;
mod completeness;
mod completions;
mod container_cost;
mod container_identity;
mod container_removal;
mod container_without_cgroup;
mod containers;
mod daemon;
mod diagnosis;
mod docs;
mod doctor;
mod empty_cgroup;
mod exit_programs;
mod exiting_processes;
mod exits;
mod filters;
mod hidden_processes;
mod hybrid;
mod identity;
mod idle_trace;
mod kill;
mod killed_by;
mod library;
mod metrics;
mod oom;
mod permission;
mod pid_namespace;
mod races;
mod record_cgroup;
mod record_path;
mod resource_usage;
mod run;
mod runtimes;
mod scripts;
mod skipped_programs;
mod starts;
mod storm;
mod targets;
mod tasks;
mod terminal_output;
mod top;
mod trace_end;
mod trust;
mod unprivileged;
mod user_namespaces;
mod wait;
mod without_btf;
