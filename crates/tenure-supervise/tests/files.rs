//! Logs, watches, locks and atomic files.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use tenure_supervise::atomic::{is_locked, lock_exclusive_nonblocking, write_atomic};
use tenure_supervise::log::{LogEntry, LogReader, LogWriter, MAX_PIECE, Stream, rotated};
use tenure_supervise::process::Spawn;
use tenure_supervise::stdio::{Chunk, OutputPipe, copy};
use tenure_supervise::watch::FileWatch;

const LONG: Option<Duration> = Some(Duration::from_secs(10));
const NOW: Option<Duration> = Some(Duration::ZERO);

#[allow(clippy::unwrap_used)]
fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

#[allow(clippy::unwrap_used)]
fn entries(reader: &mut LogReader) -> Vec<LogEntry> {
    std::iter::from_fn(|| reader.next_entry().unwrap()).collect()
}

/// The texts of all entries, each with a `+` behind it if partial.
#[allow(clippy::unwrap_used)]
fn texts(reader: &mut LogReader) -> Vec<String> {
    let show = |entry: LogEntry| {
        let text = String::from_utf8(entry.text).unwrap();
        if entry.partial { text + "+" } else { text }
    };
    entries(reader).into_iter().map(show).collect()
}

#[allow(clippy::unwrap_used)]
fn numbered(path: &Path, max_bytes: u64, lines: std::ops::Range<u32>) {
    let mut log = LogWriter::open(path, max_bytes).unwrap();
    for line in lines {
        log.write(Stream::Stdout, format!("line {line}\n").as_bytes())
            .unwrap();
    }
}

#[test]
fn a_log_has_the_cri_format() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    let mut log = LogWriter::open(&path, 1 << 20).unwrap();
    log.write(Stream::Stdout, b"one\n\ntwo ").unwrap();
    log.write(Stream::Stderr, b"\xff\x00 bytes\n").unwrap();
    log.write(Stream::Stdout, b"").unwrap();
    let bytes = fs::read(&path).unwrap();
    let lines: Vec<&[u8]> = bytes.split(|&byte| byte == b'\n').collect();
    let time = b"2026-01-02T03:04:05.000000006Z".len();
    let rests: Vec<&[u8]> = lines
        .iter()
        .filter(|line| !line.is_empty())
        .map(|line| &line[time..])
        .collect();
    let expected: [&[u8]; 4] = [
        b" stdout F one",
        b" stdout F ",
        b" stdout P two ",
        b" stderr F \xff\x00 bytes",
    ];
    assert_eq!(rests, expected);
    assert!(lines[0][..time].ends_with(b"Z") && lines[0][10] == b'T' && lines[0][19] == b'.');
    let mut reader = LogReader::open(&path, None).unwrap();
    let read = entries(&mut reader);
    assert_eq!(read.len(), 4);
    assert!(read[2].partial && read[2].text == b"two ");
    assert_eq!(
        (read[3].stream, read[3].text.as_slice()),
        (Stream::Stderr, b"\xff\x00 bytes".as_slice())
    );
    assert_eq!(read[0].time.len(), time);
}

#[test]
fn a_long_line_is_cut_into_partial_entries() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    let line = vec![b'x'; 2 * MAX_PIECE + 1];
    let mut log = LogWriter::open(&path, 1 << 20).unwrap();
    log.write(Stream::Stdout, &line).unwrap();
    log.write(Stream::Stdout, b"\n").unwrap();
    log.write(Stream::Stdout, &[vec![b'y'; MAX_PIECE], vec![b'\n']].concat())
        .unwrap();
    let read = entries(&mut LogReader::open(&path, None).unwrap());
    let lengths: Vec<(usize, bool)> = read
        .iter()
        .map(|entry| (entry.text.len(), entry.partial))
        .collect();
    assert_eq!(
        lengths,
        [
            (MAX_PIECE, true),
            (MAX_PIECE, true),
            (1, true),
            (0, false),
            (MAX_PIECE, false)
        ]
    );
}

#[test]
fn a_line_torn_by_a_killed_writer_harms_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    numbered(&path, 1 << 20, 0..1);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [whole.as_slice(), b"2026-01-02T03:0"].concat()).unwrap();
    let mut reader = LogReader::open(&path, None).unwrap();
    assert_eq!(texts(&mut reader), ["line 0"]);
    numbered(&path, 1 << 20, 1..2);
    assert_eq!(texts(&mut reader), ["line 1"]);
    assert_eq!(texts(&mut LogReader::open(&path, Some(1)).unwrap()), ["line 1"]);
}

#[test]
fn a_log_is_rotated_by_size_and_read_across_the_rotation() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    let mut reader = LogReader::open(&path, None).unwrap();
    assert_eq!(texts(&mut reader), Vec::<String>::new());
    numbered(&path, 1000, 0..5);
    assert_eq!(texts(&mut reader).len(), 5);
    // Rotated once while nobody looks.
    numbered(&path, 1000, 5..30);
    assert!(
        fs::metadata(&path).unwrap().len() <= 1000 && fs::metadata(rotated(&path)).unwrap().len() <= 1000
    );
    let expected: Vec<String> = (5..30).map(|line| format!("line {line}")).collect();
    assert_eq!(texts(&mut reader), expected);
    // Again and again: the last two files, in order, and nothing twice.
    numbered(&path, 1000, 30..200);
    let left = texts(&mut LogReader::open(&path, None).unwrap());
    assert!(left.len() > 20 && left.last().unwrap() == "line 199");
    // The file that was being read goes on to its end.
    let read = texts(&mut reader);
    assert!(
        read[0] == "line 30" && read.ends_with(&left) && read.len() < 170,
        "{read:?}"
    );
}

#[test]
fn a_tail_counts_lines_from_the_end_and_reaches_into_the_rotated_part() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    numbered(&path, 1 << 20, 0..10_000);
    let tail = |lines| texts(&mut LogReader::open(&path, Some(lines)).unwrap());
    assert_eq!(tail(0), Vec::<String>::new());
    assert_eq!(tail(2), ["line 9998", "line 9999"]);
    assert_eq!(tail(7000).first().unwrap(), "line 3000");
    assert_eq!(tail(20_000).len(), 10_000);
    fs::rename(&path, rotated(&path)).unwrap();
    assert_eq!(tail(1), ["line 9999"]);
    numbered(&path, 1 << 20, 10_000..10_002);
    assert_eq!(tail(3), ["line 9999", "line 10000", "line 10001"]);
    assert_eq!(tail(2), ["line 10000", "line 10001"]);
}

#[test]
fn a_tail_keeps_the_pieces_of_a_line_together() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    let mut log = LogWriter::open(&path, 1 << 20).unwrap();
    for text in ["one\n", "two", "three\n", "four", "five"] {
        log.write(Stream::Stdout, text.as_bytes()).unwrap();
    }
    let tail = |lines| texts(&mut LogReader::open(&path, Some(lines)).unwrap());
    assert_eq!(tail(1), ["four+", "five+"]);
    assert_eq!(tail(2), ["two+", "three", "four+", "five+"]);
}

#[test]
fn a_reader_waits_for_more_and_is_told_of_a_rotation() {
    let directory = tempfile::tempdir().unwrap();
    // Not even the folder is there.
    let path = directory.path().join("app/0.log");
    let mut reader = LogReader::open(&path, None).unwrap();
    assert!(reader.wait(NOW).unwrap());
    assert_eq!(texts(&mut reader), Vec::<String>::new());
    assert!(!reader.wait(NOW).unwrap());
    fs::create_dir(path.parent().unwrap()).unwrap();
    let write = |lines| {
        let path = path.clone();
        std::thread::spawn(move || numbered(&path, 100, lines))
    };
    for lines in [0..1, 1..4] {
        let writer = write(lines.clone());
        let mut read = Vec::new();
        while read.len() < lines.len() {
            assert!(reader.wait(LONG).unwrap());
            read.append(&mut texts(&mut reader));
            writer.is_finished();
        }
        writer.join().unwrap();
    }
}

#[test]
fn a_full_disk_loses_lines_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    // Not even opened: a link is not a log.
    assert!(LogWriter::open(&path, 1 << 20).is_err());
    let mut log = LogWriter::open(Path::new("/dev/full"), 1 << 20).unwrap();
    let error = log.write(Stream::Stdout, b"text\n").unwrap_err();
    assert_eq!(error.to_string(), "cannot write /dev/full");
}

#[test]
fn a_file_is_replaced_as_a_whole_with_its_mode() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("status.json");
    write_atomic(&path, b"one", 0o644).unwrap();
    let held = fs::File::open(&path).unwrap();
    // Left by a writer that was killed; a link in its place is not followed.
    std::os::unix::fs::symlink(&path, directory.path().join(".status.json.tmp")).unwrap();
    write_atomic(&path, b"two", 0o600).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::io::read_to_string(held).unwrap(), "one");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    let error = write_atomic(Path::new("/no/such/folder/x"), b"", 0o600).unwrap_err();
    assert_eq!(error.to_string(), "cannot write /no/such/folder/x");
}

#[test]
fn a_lock_is_held_by_one_and_seen_by_all() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lock");
    assert!(!is_locked(&path).unwrap());
    let lock = lock_exclusive_nonblocking(&path).unwrap().unwrap();
    assert!(lock_exclusive_nonblocking(&path).unwrap().is_none());
    assert!(is_locked(&path).unwrap());
    // A child does not hold it on.
    let (gate, open) = std::io::pipe().unwrap();
    let child = Spawn::new(Path::new("/bin/cat"))
        .stdin(gate.into())
        .spawn()
        .unwrap();
    drop(lock);
    assert!(!is_locked(&path).unwrap());
    assert!(lock_exclusive_nonblocking(&path).unwrap().is_some());
    drop(open);
    child.pidfd.wait_blocking().unwrap();
}

#[test]
fn a_watch_sees_a_file_made_replaced_and_removed_with_its_folder() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a/b/status.json");
    let mut watch = FileWatch::new(&[&path]).unwrap();
    assert!(!watch.wait(NOW).unwrap());
    // Folders on the way may be told; the file must be.
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    while watch.wait(NOW).unwrap() {}
    write_atomic(&path, b"1", 0o600).unwrap();
    assert!(watch.wait(LONG).unwrap());
    while watch.wait(NOW).unwrap() {}
    fs::write(path.with_file_name("other"), "").unwrap();
    assert!(!watch.wait(Some(Duration::from_millis(5))).unwrap());
    write_atomic(&path, b"2", 0o600).unwrap();
    assert!(watch.wait(LONG).unwrap());
    while watch.wait(NOW).unwrap() {}
    fs::write(&path, b"3").unwrap();
    run(watch.changed()).unwrap();
    while watch.wait(NOW).unwrap() {}
    fs::remove_dir_all(directory.path().join("a")).unwrap();
    assert!(watch.wait(LONG).unwrap());
    while watch.wait(NOW).unwrap() {}
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, b"4").unwrap();
    assert!(watch.wait(LONG).unwrap());
}

#[test]
fn a_folder_moved_in_with_the_file_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pod/status.json");
    fs::create_dir(directory.path().join("new")).unwrap();
    fs::write(directory.path().join("new/status.json"), "").unwrap();
    let mut watch = FileWatch::new(&[&path]).unwrap();
    fs::rename(directory.path().join("new"), directory.path().join("pod")).unwrap();
    assert!(watch.wait(LONG).unwrap());
    while watch.wait(NOW).unwrap() {}
    fs::write(&path, "1").unwrap();
    assert!(watch.wait(LONG).unwrap());
}

#[allow(clippy::unwrap_used)]
fn log_at(path: &Path) -> Rc<RefCell<LogWriter>> {
    Rc::new(RefCell::new(LogWriter::open(path, 1 << 20).unwrap()))
}

#[test]
fn output_is_copied_to_its_end_into_log_and_tee() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    run(async {
        let (pipe, writer) = OutputPipe::new().unwrap();
        let script = "i=0; while [ $i -lt 3000 ]; do echo number $i; i=$((i+1)); done";
        let child = Spawn::new(Path::new("/bin/sh"))
            .args(["-c", script])
            .stdout(writer)
            .spawn()
            .unwrap();
        let (tee, mut teed) = tokio::sync::mpsc::channel::<Chunk>(1);
        let read_tee = async {
            let mut all = Vec::new();
            while let Some(chunk) = teed.recv().await {
                all.extend(chunk.bytes);
            }
            all
        };
        let copying = copy(
            pipe,
            Stream::Stdout,
            log_at(&path),
            Some(tee),
            std::future::pending(),
        );
        let (copied, teed) = tokio::join!(copying, read_tee);
        copied.unwrap();
        child.pidfd.wait().await.unwrap();
        assert_eq!(teed.split(|&byte| byte == b'\n').count(), 3001);
    });
    let read = texts(&mut LogReader::open(&path, None).unwrap());
    // A line cut at the end of a read is in two entries.
    assert_eq!(read.iter().filter(|text| !text.ends_with('+')).count(), 3000);
}

#[test]
fn output_ends_with_the_process_though_an_orphan_holds_the_pipe() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("0.log");
    run(async {
        let (pipe, writer) = OutputPipe::new().unwrap();
        let orphan = writer.try_clone().unwrap();
        let child = Spawn::new(Path::new("/bin/sh"))
            .args(["-c", "echo last words"])
            .stdout(writer)
            .spawn()
            .unwrap();
        // Ended before anything was read: what it wrote is still in the pipe.
        child.pidfd.wait().await.unwrap();
        let copying = copy(pipe, Stream::Stdout, log_at(&path), None, std::future::ready(()));
        tokio::time::timeout(Duration::from_secs(10), copying)
            .await
            .unwrap()
            .unwrap();
        drop(orphan);
    });
    assert_eq!(texts(&mut LogReader::open(&path, None).unwrap()), ["last words"]);
}

#[test]
fn a_process_whose_output_nobody_reads_any_more_gets_no_signal() {
    run(async {
        let (pipe, writer) = OutputPipe::new().unwrap();
        drop(pipe);
        let script = "echo one; echo two; exit 9";
        let child = Spawn::new(Path::new("/bin/sh"))
            .args(["-c", script])
            .stdout(writer)
            .spawn()
            .unwrap();
        let status = child.pidfd.wait().await.unwrap();
        assert_eq!(status, tenure_supervise::ProcessExit::Code(9));
    });
}

#[test]
fn a_process_is_held_back_by_a_full_tee() {
    let directory = tempfile::tempdir().unwrap();
    run(async {
        let (pipe, writer) = OutputPipe::new().unwrap();
        let script = "dd if=/dev/zero bs=64k count=64 2>/dev/null";
        let child = Spawn::new(Path::new("/bin/sh"))
            .args(["-c", script])
            .stdout(writer)
            .spawn()
            .unwrap();
        let (tee, mut teed) = tokio::sync::mpsc::channel::<Chunk>(1);
        let log = log_at(&directory.path().join("0.log"));
        let copying = copy(pipe, Stream::Stdout, log, Some(tee), std::future::pending());
        let mut copying = std::pin::pin!(copying);
        let stuck = tokio::time::timeout(Duration::from_millis(50), &mut copying).await;
        assert!(stuck.is_err() && child.pidfd.is_alive());
        let count = async {
            let mut all = 0;
            while let Some(chunk) = teed.recv().await {
                all += chunk.bytes.len();
            }
            all
        };
        let (copied, all) = tokio::join!(copying, count);
        copied.unwrap();
        assert_eq!(all, 64 * 64 * 1024);
        child.pidfd.wait().await.unwrap();
    });
}
