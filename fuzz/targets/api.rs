//! See `probe_fuzz::api`.

#![cfg_attr(feature = "libfuzzer", no_main)]

probe_fuzz::target!(api);
