//! See `probe_fuzz::cgroup_files`.

#![cfg_attr(feature = "libfuzzer", no_main)]

probe_fuzz::target!(cgroup_files);
