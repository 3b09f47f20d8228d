//! The events as programs declare them, and what decoding them alone costs.

use crate::{meter, table::median, workload::Workload};
use serde::{Deserialize, de::DeserializeOwned};
use std::{borrow::Cow, collections::BTreeMap, hint::black_box};

/// What a program that shows messages needs of an event: the decoder passes over the rest.
#[derive(Deserialize)]
#[allow(dead_code)] // decoded, and no more
pub struct Few {
    cid: String,
    seq: u64,
    user: Option<Author>,
    text: String,
}

#[derive(Deserialize)]
#[allow(dead_code)]
pub struct Author {
    name: String,
}

/// The same, which borrows its texts from the event.
#[derive(Deserialize)]
#[allow(dead_code)]
pub struct FewBorrowed<'a> {
    cid: &'a str,
    seq: u64,
    #[serde(borrow)]
    user: Option<BorrowedAuthor<'a>>,
    text: &'a str,
}

#[derive(Deserialize)]
#[allow(dead_code)]
pub struct BorrowedAuthor<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// Every member there is, each with a memory of its own.
#[derive(Deserialize)]
#[allow(dead_code)]
pub struct Whole {
    r#type: String,
    cid: String,
    seq: u64,
    at: String,
    user: Option<User>,
    message: Option<Inner>,
    text: String,
}

#[derive(Deserialize)]
#[allow(dead_code)]
pub struct User {
    id: String,
    name: String,
    role: String,
    online: bool,
    teams: Vec<String>,
    last_active: String,
}

#[derive(Deserialize)]
#[allow(dead_code)]
pub struct Inner {
    id: String,
    user: User,
    mentions: Vec<u64>,
    reactions: BTreeMap<String, u64>,
    html: String,
    silent: bool,
    parent: Option<String>,
}

/// The same, which borrows its texts from the event.
#[derive(Deserialize)]
#[allow(dead_code)]
pub struct Borrowed<'a> {
    r#type: &'a str,
    cid: &'a str,
    seq: u64,
    at: &'a str,
    #[serde(borrow)]
    user: Option<BorrowedUser<'a>>,
    #[serde(borrow)]
    message: Option<BorrowedInner<'a>>,
    text: &'a str,
}

#[derive(Deserialize)]
#[allow(dead_code)]
pub struct BorrowedUser<'a> {
    id: &'a str,
    #[serde(borrow)]
    name: Cow<'a, str>,
    role: &'a str,
    online: bool,
    teams: Vec<&'a str>,
    last_active: &'a str,
}

#[derive(Deserialize)]
#[allow(dead_code)]
pub struct BorrowedInner<'a> {
    id: &'a str,
    #[serde(borrow)]
    user: BorrowedUser<'a>,
    mentions: Vec<u64>,
    reactions: BTreeMap<&'a str, u64>,
    #[serde(borrow)]
    html: Cow<'a, str>,
    silent: bool,
    parent: Option<&'a str>,
}

/// How often each document is decoded.
const TIMES: usize = 400;

/// The decoders, by what they are called.
const DECODERS: [(&str, fn(&str)); 7] = [
    ("serde_json, passed over", |text| passed_over(text)),
    ("serde_json, four members", |text| by_serde_json::<Few>(text)),
    ("serde_json, every member", |text| by_serde_json::<Whole>(text)),
    ("sonic-rs, four members", |text| by_sonic::<Few>(text)),
    ("sonic-rs, four members, borrowed", |text| {
        black_box(sonic_rs::from_str::<FewBorrowed<'_>>(text).expect("it fits"));
    }),
    ("sonic-rs, every member", |text| by_sonic::<Whole>(text)),
    ("sonic-rs, every member, borrowed", |text| {
        black_box(sonic_rs::from_str::<Borrowed<'_>>(text).expect("it fits"));
    }),
];

fn passed_over(text: &str) {
    black_box(serde_json::from_str::<serde::de::IgnoredAny>(text).expect("JSON"));
}

fn by_serde_json<T: DeserializeOwned>(text: &str) {
    black_box(serde_json::from_str::<T>(text).expect("it fits"));
}

fn by_sonic<T: DeserializeOwned>(text: &str) {
    black_box(sonic_rs::from_str::<T>(text).expect("it fits"));
}

/// Prints what decoding costs without a socket.
pub fn compare(rounds: usize) {
    meter::pin(false);
    println!("Decoding alone: µs per document, medians of {rounds} rounds\n");
    let texts = [150, 1024].map(|bytes| Workload::down("", bytes, 1, 0).texts());
    println!("{:<52}{:>17}{:>17}", "", "150 B", "1 KB");
    for (name, decode) in DECODERS {
        let costs = texts.each_ref().map(|texts| {
            let round = |_| {
                let begun = meter::cpu_us();
                (0..TIMES).for_each(|_| texts.iter().for_each(|text| decode(text)));
                (meter::cpu_us() - begun) as f64 / (TIMES * texts.len()) as f64
            };
            median((0..rounds).map(round).collect())
        });
        println!("{name:<52}{:>17.2}{:>17.2}", costs[0], costs[1]);
    }
    println!();
}
