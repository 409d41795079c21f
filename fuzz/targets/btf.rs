//! See `probe_fuzz::btf`.

#![cfg_attr(feature = "libfuzzer", no_main)]

probe_fuzz::target!(btf);
