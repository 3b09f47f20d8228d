//! `docs/FEATURES.md` says which test shows which promise: the tests it names are there.
#![cfg(not(target_family = "wasm"))]

use std::{fs, path::Path};

#[test]
fn every_row_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = fs::read_to_string(root.join("docs/FEATURES.md")).expect("docs/FEATURES.md");
    let rows: Vec<&str> = table.lines().filter(|line| line.starts_with("| S") || line.starts_with("| N-")).collect();
    assert!(rows.len() > 60, "only {} rows", rows.len());
    for row in rows {
        // Between backticks: `tests/core/health.rs::any_frame_is_a_sign_of_life`. A row without a test says why in words.
        for name in row.split('`').skip(1).step_by(2).filter(|name| name.contains("::")) {
            let (file, test) = name.split_once("::").expect("filtered");
            let text = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}: {row}"));
            assert!(text.contains(&format!("fn {test}(")) || text.contains(&format!("'{test}'")), "{name}: {row}");
        }
    }
}
