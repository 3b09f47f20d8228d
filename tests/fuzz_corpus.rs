//! Replays the corpus of the fuzz targets, so that what they once found stays mended without their tools.
#![cfg(native)]

#[path = "../fuzz/checks.rs"]
mod checks;

use std::{fs, path::Path};

fn replay(target: &str, check: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> =
        fs::read_dir(folder).expect("a corpus").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() > 20, "{} inputs for {target}", files.len());
    for file in files {
        // The name of an input that fails is among what the test prints.
        println!("{}", file.display());
        check(&fs::read(&file).expect("readable"));
    }
}

// Pitfall 20: whatever comes is an event or a counted error, never a panic.
#[test]
fn events() {
    replay("event", checks::event);
}

// N-2
#[test]
fn dialects() {
    replay("dialect", checks::dialect);
}

// Pitfalls 7 and 20
#[test]
fn sessions() {
    replay("session", checks::session);
}
