//! The events: eight types, about 150 B or 1 KB each, as fast as the socket takes them or one at a time; and messages the
//! other way.

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
    /// Whether the client sends them.
    pub upwards: bool,
    /// Whether they are compressed.
    pub deflated: bool,
}

impl Workload {
    pub const fn down(title: &'static str, bytes: usize, events: u64, gap_us: u64) -> Self {
        Self { title, bytes, events, gap_us, upwards: false, deflated: false }
    }

    const fn up(title: &'static str, bytes: usize, events: u64) -> Self {
        Self { title, bytes, events, gap_us: 0, upwards: true, deflated: false }
    }

    const fn deflated(title: &'static str, bytes: usize, events: u64) -> Self {
        Self { title, bytes, events, gap_us: 0, upwards: false, deflated: true }
    }

    /// What clients read.
    pub const EVENTS: [Self; 4] = [
        Self::down("flood, 150 B", 150, 600_000, 0),
        Self::down("flood, 1 KB", 1024, 300_000, 0),
        Self::down("sparse, 150 B", 150, 15_000, 100),
        Self::down("sparse, 1 KB", 1024, 15_000, 100),
    ];

    /// What clients write.
    pub const MESSAGES: [Self; 2] = [Self::up("150 B", 150, 100_000), Self::up("1 KB", 1024, 100_000)];

    /// What clients read that is compressed, each message by itself.
    pub const DEFLATED: [Self; 2] =
        [Self::deflated("flood, 150 B", 150, 200_000), Self::deflated("flood, 1 KB", 1024, 100_000)];

    /// As a client asks for it: in the query parameter `api_key`.
    pub fn key(&self) -> String {
        let (upwards, deflated) = (if self.upwards { "up" } else { "" }, if self.deflated { "z" } else { "" });
        format!("{}x{}g{}{upwards}{deflated}", self.events, self.bytes, self.gap_us)
    }

    pub fn parse(key: &str) -> Option<Self> {
        let (events, rest) = key.split_once('x')?;
        let (bytes, gap_us) = rest.split_once('g')?;
        let (gap_us, deflated) = gap_us.strip_suffix("z").map_or((gap_us, false), |gap_us| (gap_us, true));
        let (gap_us, upwards) = gap_us.strip_suffix("up").map_or((gap_us, false), |gap_us| (gap_us, true));
        let (bytes, events, gap_us) = (bytes.parse().ok()?, events.parse().ok()?, gap_us.parse().ok()?);
        Some(Self { title: "", bytes, events, gap_us, upwards, deflated })
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
