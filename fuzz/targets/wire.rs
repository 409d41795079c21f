//! See `probe_fuzz::wire`.

#![cfg_attr(feature = "libfuzzer", no_main)]

probe_fuzz::target!(wire);
