//! The list of `docs/PITFALLS.md` is true: each test in it exists, and cites the number it stands for.
#![cfg(native)]

use std::{fs, path::Path};

#[test]
fn the_list_of_pitfalls_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let list = fs::read_to_string(root.join("docs/PITFALLS.md")).expect("docs/PITFALLS.md");
    let mut named = 0;
    for line in list.lines().filter(|line| line.starts_with('|')) {
        let number: Option<u32> = line.split('|').nth(1).and_then(|cell| cell.trim().parse().ok());
        let mut cited = number.is_none();
        for test in line.split('`').filter(|part| part.contains("::")) {
            let (file, name) = test.split_once("::").expect("a path");
            let text = fs::read_to_string(root.join(file)).unwrap_or_else(|_| panic!("{file} is not there"));
            // In a browser test the name itself is a sentence.
            let there = text.contains(&format!("fn {name}(")) || text.contains(&format!("'{name}'"));
            assert!(there, "{test} is not there");
            let lower = text.to_lowercase();
            let cites = |number: u32| {
                lower
                    .lines()
                    .filter_map(|line| line.split_once("pitfall"))
                    .any(|(_, rest)| rest.split(|c: char| !c.is_ascii_digit()).any(|found| found.parse() == Ok(number)))
            };
            cited |= number.is_some_and(cites);
            named += 1;
        }
        assert!(cited, "nobody cites pitfall {number:?}");
    }
    assert!(named > 40, "{named} tests");
}

// Pitfall 14: held by any thread, and moved between them, without a line of `unsafe` to say so.
#[test]
fn what_a_program_holds_may_cross_threads() {
    fn crosses<T: Send + Sync>() {}
    fn moves<T: Send>() {}
    crosses::<everwire::Client>();
    crosses::<everwire::Error>();
    crosses::<everwire::Event>();
    crosses::<everwire::Dialect>();
    moves::<everwire::ClientBuilder>();
    moves::<everwire::Subscription>();
    moves::<everwire::EventStream>();
}
