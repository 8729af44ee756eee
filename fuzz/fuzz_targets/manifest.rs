#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| genstore_proof::proof::hostile::manifest(bytes));
