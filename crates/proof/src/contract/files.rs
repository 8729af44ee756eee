//! Open files, fsyncs, the clock and randomness.

use std::io::{ErrorKind as K, Read, Write};
use std::time::Duration;

use super::{on_both, read, write};
use crate::fs::{Access, FileKind, Fs, FsFile, Stat};

/// What one call of `read` gives.
fn piece(file: &mut dyn FsFile, length: usize) -> Vec<u8> {
    let mut buffer = vec![0; length];
    let read = file.read(&mut buffer).unwrap();
    buffer.truncate(read);
    buffer
}

fn rest(file: &mut dyn FsFile) -> Vec<u8> {
    let mut content = Vec::new();
    file.read_to_end(&mut content).unwrap();
    content
}

fn length(fs: &dyn Fs, path: &str) -> u64 {
    let Some(Stat { kind: FileKind::File, bytes }) = fs.stat(path).unwrap() else { panic!("no file") };
    bytes
}

#[test]
fn what_is_written_is_read_at_once_and_in_pieces() {
    on_both(|fs| {
        let mut writer = fs.create("file", Access::ReadOnly).unwrap();
        let mut reader = fs.open("file").unwrap();
        assert_eq!((writer.length().unwrap(), reader.length().unwrap(), length(fs, "file")), (0, 0, 0));
        assert_eq!(piece(&mut *reader, 4), b"");
        assert_eq!(writer.write(b"").unwrap(), 0);
        assert_eq!(writer.write(b"0123456").unwrap(), 7);
        writer.flush().unwrap();
        writer.start_writeback();
        assert_eq!((writer.length().unwrap(), reader.length().unwrap(), length(fs, "file")), (7, 7, 7));
        assert_eq!(piece(&mut *reader, 4), b"0123");
        assert_eq!(piece(&mut *reader, 0), b"");
        assert_eq!(piece(&mut *reader, 4), b"456");
        assert_eq!(piece(&mut *reader, 4), b"");
        writer.write_all(b"789").unwrap();
        assert_eq!(rest(&mut *reader), b"789");
        assert_eq!(read(fs, "file"), b"0123456789");
    });
}

#[test]
fn a_file_is_open_for_one_thing() {
    on_both(|fs| {
        let mut writer = fs.create("file", Access::ReadOnly).unwrap();
        writer.write_all(b"content").unwrap();
        assert!(writer.read(&mut [0; 4]).is_err());
        let mut reader = fs.open("file").unwrap();
        assert!(reader.write(b"more").is_err());
        assert_eq!(rest(&mut *reader), b"content");
    });
}

#[test]
fn a_reader_keeps_what_was_removed_or_replaced() {
    on_both(|fs| {
        write(fs, "removed", "removed while it is open");
        write(fs, "replaced", "replaced while it is open");
        write(fs, "next", "next");
        let mut removed = fs.open("removed").unwrap();
        let mut replaced = fs.open("replaced").unwrap();
        assert_eq!(piece(&mut *removed, 8), b"removed ");
        fs.remove("removed").unwrap();
        fs.rename("next", "replaced").unwrap();
        assert_eq!(fs.open("removed").unwrap_err().kind(), K::NotFound);
        write(fs, "removed", "a new one");
        assert_eq!(rest(&mut *removed), b"while it is open");
        assert_eq!((removed.length().unwrap(), replaced.length().unwrap()), (24, 25));
        assert_eq!(rest(&mut *replaced), b"replaced while it is open");
        assert_eq!((read(fs, "removed"), read(fs, "replaced")), (b"a new one".to_vec(), b"next".to_vec()));
    });
}

#[test]
fn a_writer_goes_on_after_its_name_has_changed_or_gone() {
    on_both(|fs| {
        assert!(fs.create_dir("dir").unwrap());
        let mut moved = fs.create("moved", Access::ReadOnly).unwrap();
        let mut removed = fs.create("dir/removed", Access::ReadOnly).unwrap();
        moved.write_all(b"before").unwrap();
        fs.rename_new("moved", "dir/new").unwrap();
        fs.remove("dir/removed").unwrap();
        moved.write_all(b" after").unwrap();
        removed.write_all(b"nowhere").unwrap();
        moved.sync().unwrap();
        removed.sync().unwrap();
        assert_eq!(removed.length().unwrap(), 7);
        assert_eq!(read(fs, "dir/new"), b"before after");
        assert_eq!(fs.list("dir").unwrap().len(), 1);
        // A directory can be removed although a file that was in it is still open.
        fs.remove("dir/new").unwrap();
        fs.remove_dir("dir").unwrap();
        moved.write_all(b" all").unwrap();
        assert_eq!(moved.length().unwrap(), 16);
    });
}

#[test]
fn syncs_change_nothing_that_is_seen() {
    on_both(|fs| {
        assert!(fs.create_dir("dir").unwrap());
        let syncfs = fs.syncfs().unwrap();
        let mut file = fs.create("dir/file", Access::ReadOnly).unwrap();
        file.write_all(b"content").unwrap();
        for _ in 0..2 {
            file.sync().unwrap();
            fs.sync_dir("dir").unwrap();
            fs.sync_dir("").unwrap();
        }
        if let Some(syncfs) = syncfs {
            syncfs.sync().unwrap();
        }
        assert_eq!(read(fs, "dir/file"), b"content");
        fs.open("dir/file").unwrap().sync().unwrap();
    });
}

#[test]
fn the_simulated_disk_offers_a_syncfs_when_told_to() {
    use crate::fs::sim::{SimFs, disk::Disk};
    let fs = SimFs::start(Disk::default(), 1);
    assert!(fs.syncfs().unwrap().is_none());
    fs.offer_syncfs(true);
    fs.syncfs().unwrap().unwrap().sync().unwrap();
}

#[test]
fn clock_randomness_and_process() {
    on_both(|fs| {
        let now = fs.now();
        let monotonic = fs.monotonic();
        fs.sleep(Duration::from_millis(2));
        assert!(fs.monotonic() >= monotonic + Duration::from_millis(2));
        assert!(fs.now() > now);
        assert_ne!(fs.random().unwrap(), fs.random().unwrap());
        assert_eq!(fs.process(), fs.process());
        assert!(fs.process().boot.is_some());
        assert!(fs.is_same_dir().unwrap());
        assert!(fs.info().unwrap().free_bytes > 0);
    });
}
