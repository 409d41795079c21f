//! See `probe_fuzz::container_state`.

#![cfg_attr(feature = "libfuzzer", no_main)]

probe_fuzz::target!(container_state);
