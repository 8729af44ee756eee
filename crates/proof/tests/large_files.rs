//! Content of any size goes through a store in little memory.
//!
//! `GENSTORE_TEST_BIG_MIB=4096 crates/proof/prove processes` tries another size. The default is
//! quick enough for every day.
#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::panic,
    clippy::disallowed_methods
)]

#[path = "../../../tests/support/mod.rs"]
mod support;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use genstore::{ExportOptions, Store, VerifyOptions};
use support::{Noise, Place};

/// The store, for the worker process. Memory is counted for a whole process.
const STORE: &str = "GENSTORE_TEST_BIG_STORE";
const SIZE: &str = "GENSTORE_TEST_BIG_MIB";
const SIZE_MIB: u64 = 256;
const MEMORY_MAX_KIB: u64 = 64 << 10;

fn size() -> u64 {
    std::env::var(SIZE).map_or(SIZE_MIB, |text| text.parse().unwrap()) << 20
}

/// The most memory that this process ever had, in KiB.
fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

/// This is the other process, not a test. It does nothing unless it gets a store.
#[test]
fn worker() {
    let Ok(dir) = std::env::var(STORE) else { return };
    let dir = Path::new(&dir);
    let store = Store::create(dir).unwrap();
    // The time is printed for large sizes that are tried by hand. It is never judged.
    let start = Instant::now();
    let mut tx = store.begin().unwrap();
    tx.put_reader("streamed.bin", Noise::new(size())).unwrap();
    let commit = tx.commit("streamed").unwrap();
    assert_eq!(commit.bytes, size());
    println!("{} bytes committed in {:.1?}", size(), start.elapsed());
    println!("put_reader: {} KiB", peak());

    let stored = dir.join("data/streamed.bin.g2");
    let mut tx = store.begin().unwrap();
    tx.put_file("copied.bin", &stored).unwrap();
    tx.remove("streamed.bin").unwrap();
    tx.commit("from a file").unwrap();
    println!("put_file: {} KiB", peak());

    let snapshot = store.snapshot().unwrap();
    let mut reader = snapshot.reader("copied.bin").unwrap();
    let mut expected = Noise::new(size());
    let mut left = vec![0; 1 << 16];
    let mut right = vec![0; 1 << 16];
    let mut length = 0;
    loop {
        let read = reader.read(&mut left).unwrap();
        if read == 0 {
            break;
        }
        // The noise is read in the same pieces, so it gives the same bytes.
        expected.read_exact(&mut right[..read]).unwrap();
        assert!(left[..read] == right[..read], "another byte within {read} from {length}");
        length += read as u64;
    }
    assert_eq!(length, size());
    assert!(store.verify(&VerifyOptions::new()).unwrap().ok);
    assert!(store.rollback("2", "back").unwrap().changed);
    snapshot.export(dir.with_file_name("out"), &ExportOptions::new()).unwrap();
    assert_eq!(fs::metadata(dir.with_file_name("out").join("copied.bin")).unwrap().len(), size());
    println!("in all: {} KiB", peak());
}

#[test]
fn a_large_file_goes_through_in_little_memory() {
    let place = Place::new();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "worker", "--nocapture", "--test-threads", "1"]).env(STORE, place.store());
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    print!("{said}");
    let peaks: Vec<u64> = said
        .lines()
        .filter_map(|line| line.strip_suffix(" KiB")?.rsplit_once(": ")?.1.parse().ok())
        .collect();
    assert_eq!(peaks.len(), 3, "{said}");
    assert!(peaks.iter().all(|peak| *peak < MEMORY_MAX_KIB), "{said}");
}
