//! The events: eight types, about 150 B or 1 KB each, as fast as the socket takes them or one at a time.

use serde_json::{Value, json};

/// The types that the listeners listen to.
pub const TYPES: [&str; 8] = [
    "message.new",
    "message.updated",
    "message.read",
    "reaction.new",
    "typing.start",
    "typing.stop",
    "user.presence.changed",
    "notification.message_new",
];

/// The type that ends a run.
pub const DONE: &str = "bench.done";

pub struct Workload {
    pub title: &'static str,
    pub bytes: usize,
    pub events: u64,
    /// Microseconds between two events; 0: none.
    pub gap_us: u64,
}

impl Workload {
    pub fn all() -> [Self; 4] {
        [
            Self { title: "flood, 150 B", bytes: 150, events: 600_000, gap_us: 0 },
            Self { title: "flood, 1 KB", bytes: 1024, events: 300_000, gap_us: 0 },
            Self { title: "sparse, 150 B", bytes: 150, events: 15_000, gap_us: 100 },
            Self { title: "sparse, 1 KB", bytes: 1024, events: 15_000, gap_us: 100 },
        ]
    }

    /// As a client asks for it: in the query parameter `api_key`.
    pub fn key(&self) -> String {
        format!("{}x{}g{}", self.events, self.bytes, self.gap_us)
    }

    pub fn parse(key: &str) -> Option<Self> {
        let (events, rest) = key.split_once('x')?;
        let (bytes, gap_us) = rest.split_once('g')?;
        Some(Self { title: "", bytes: bytes.parse().ok()?, events: events.parse().ok()?, gap_us: gap_us.parse().ok()? })
    }

    /// The texts of some events, of every type as often.
    pub fn texts(&self) -> Vec<String> {
        (0..128).map(|index| text(TYPES[(index * 5 + index / 8) % 8], index, self.bytes)).collect()
    }
}

/// One event as such servers send them: the type first, then where and who, the longest last.
fn text(kind: &str, index: usize, bytes: usize) -> String {
    let mut members = vec![
        ("cid", json!(format!("messaging:room-{}", index % 16))),
        ("seq", json!(1_000_000 + index)),
        ("at", json!("2026-01-02T03:04:05.678Z")),
    ];
    if bytes > 300 {
        let user = json!({"id": "alice", "name": "Alice \"A.\" Liddell", "role": "user", "online": true,
            "teams": ["red", "blue"], "last_active": "2026-01-02T03:04:00.000Z"});
        members.push(("user", user.clone()));
        members.push((
            "message",
            json!({"id": format!("m-{index}"), "user": user, "mentions": [1, 2, 3],
            "reactions": {"like": 3, "love": 1}, "html": "<p>grüße</p>\n", "silent": false, "parent": null}),
        ));
    }
    let mut whole = format!("{{\"type\":{}", Value::from(kind));
    for (name, value) in members {
        whole += &format!(",\"{name}\":{value}");
    }
    let filler = bytes.saturating_sub(whole.len() + r#","text":""}"#.len());
    whole + &format!(",\"text\":\"{}\"}}", "lorem ipsum dolor sit amet ".repeat(40)[..filler].trim_end())
}
