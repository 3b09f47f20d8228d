//! Resuming on virtual time: what the frames say, and what the listeners see.

use super::{bed::*, test};
use everwire::{
    ErrorKind, Message, OutboxRule, ReplayMode, ResumeMode, SendOptions,
    proto::{Dialect, Input, Lifecycle, Output, ResumePoint, Secret, Session, Settings, TokenSource},
};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) fn everwire() -> Settings {
    let mut settings = Settings::new(Dialect::everwire(), url());
    settings.params.insert("user_id", json!("alice").into());
    settings.token = TokenSource::Static(Secret::from("t".to_owned()));
    settings.backoff.max_attempts = 0;
    settings.seed = 1;
    settings.outbox = OutboxRule::OFF;
    settings
}

/// A session and the server's end of its socket, played by the test.
struct Line {
    bed: Bed,
    generation: u64,
    steps: Vec<Lifecycle>,
    events: Vec<u64>,
    sent: Vec<Value>,
}

impl Line {
    fn new(settings: Settings) -> Self {
        let mut line = Self { bed: Bed::new(settings), generation: 0, steps: vec![], events: vec![], sent: vec![] };
        line.bed.give(Input::Connect);
        line.drain();
        line
    }

    /// Opens the socket that is being dialled; gives the first frame.
    fn open(&mut self) -> Value {
        self.bed.give(Input::Opened { generation: self.generation });
        self.drain();
        self.sent.pop().expect("a first frame")
    }

    fn hello(&mut self, resumed: bool, last: u64, received: u64) {
        self.text(&json!({"type": "wire.hello", "session": "s1", "connection_id": "c", "resumed": resumed, "last": last, "received": received}).to_string());
    }

    fn connected(settings: Settings) -> Self {
        let mut line = Self::new(settings);
        line.open();
        line.hello(false, 0, 0);
        line.steps.clear();
        line
    }

    fn text(&mut self, text: &str) {
        self.bed.give(Input::Message { generation: self.generation, payload: Event::from_text(text.to_owned()) });
        self.drain();
    }

    fn event(&mut self, seq: u64) {
        self.text(&format!(r#"{{"type":"tick","seq":{seq}}}"#));
    }

    fn events(&mut self, seqs: impl IntoIterator<Item = u64>) {
        seqs.into_iter().for_each(|seq| self.event(seq));
    }

    fn send(&mut self, number: u64) -> Result<(), everwire::Error> {
        let message = Message::from(json!({"type": "order", "n": number}));
        let send = Input::Send { id: number, message, options: SendOptions::new() };
        let result = self.bed.session.handle(self.bed.now, send);
        self.drain();
        result
    }

    /// The connection breaks; the next one is dialled. Gives its first frame.
    fn reconnect(&mut self) -> Value {
        self.bed.give(Input::Closed { generation: self.generation, info: Default::default() });
        self.drain();
        let before = self.generation;
        while self.generation == before {
            self.wait_for_timer();
        }
        self.sent.clear();
        self.open()
    }

    fn wait_for_timer(&mut self) {
        self.bed.now = self.bed.session.next_timeout().expect("a timer").max(self.bed.now);
        self.bed.give(Input::Timeout);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.bed.session.poll() {
            match output {
                Output::Dial { generation, .. } => self.generation = generation,
                Output::Send { message: Message::Text(text), .. } => {
                    self.sent.push(serde_json::from_str(&text).expect("JSON"));
                }
                Output::Event(event) => {
                    let document: Value = event.json().expect("JSON");
                    if event.event_type() == "tick" {
                        self.events.push(document["seq"].as_u64().expect("a number"));
                    }
                }
                Output::Lifecycle(step) => self.steps.push(step),
                _ => {}
            }
        }
    }

    /// The steps that are about resuming, as words.
    fn told(&mut self) -> Vec<String> {
        let steps = std::mem::take(&mut self.steps);
        let words = steps.into_iter().filter_map(|step| match step {
            Lifecycle::Gap { from, to } => Some(format!("gap {from} {to:?}")),
            Lifecycle::ReplayStarted { mode: ReplayMode::Sequence, last, count } => {
                Some(format!("replay {last:?} {count:?}"))
            }
            Lifecycle::ReplayCompleted { mode: ReplayMode::Sequence, count, .. } => Some(format!("replayed {count}")),
            Lifecycle::ReplayCompleted { mode: ReplayMode::FullBuffer, count, .. } => {
                Some(format!("sent again {count}"))
            }
            Lifecycle::Error(error) => Some(format!("error {}", error.kind().as_str())),
            _ => None,
        });
        words.collect()
    }
}

// S2-7, N-9: the first frame asks to go on, duplicates are dropped, the replay has a beginning and an end.
#[test]
fn a_lost_connection_goes_on_after_the_last_event() {
    let mut line = Line::new(everwire());
    let first = line.open();
    let expected = json!({"type": "wire.connect", "version": 1, "token": "t", "user": {"id": "alice"}});
    assert_eq!(first, expected);
    line.hello(false, 0, 0);
    line.events(1..=3);
    let first = line.reconnect();
    assert_eq!((&first["session"], &first["last"]), (&json!("s1"), &json!(3)));
    line.hello(true, 5, 0);
    line.events([3, 4, 5, 5, 6]);
    assert_eq!(line.events, [1, 2, 3, 4, 5, 6]);
    assert_eq!(line.told(), ["replay Some(3) Some(2)", "replayed 2"]);
    let stats = line.bed.session.stats();
    assert_eq!((stats.duplicates, stats.gaps, stats.resumes), (2, 0, 1));
}

// Past the retention: an explicit gap, by the server's word, by a leap of the numbers, by a session that is gone.
#[test]
fn what_is_lost_is_a_gap_before_the_next_event() {
    let mut line = Line::connected(everwire());
    line.events(1..=3);
    line.reconnect();
    line.hello(true, 12, 0);
    line.text(r#"{"type":"wire.gap","from":4,"to":10}"#);
    line.events([11, 12]);
    assert_eq!(line.told(), ["replay Some(3) Some(9)", "gap 4 Some(10)", "replayed 9"]);
    // The same gap again, as a server may say that is in doubt, is none.
    line.text(r#"{"type":"wire.gap","from":4,"to":10}"#);
    line.events([15]);
    assert_eq!(line.told(), ["gap 13 Some(14)"]);
    line.reconnect();
    line.hello(false, 100, 0);
    line.events([101]);
    assert_eq!(line.told(), ["gap 16 None"]);
    assert_eq!(line.events, [1, 2, 3, 11, 12, 15, 101]);
    assert_eq!(line.bed.session.stats().gaps, 3);
}

// Every 64 events or one second after the first, whichever comes first; and only for what has been delivered.
#[test]
fn acknowledgements_go_by_count_or_by_time() {
    let mut line = Line::connected(everwire());
    line.events(1..=63);
    assert!(line.sent.is_empty());
    line.event(64);
    assert_eq!(line.sent, [json!({"type": "wire.ack", "up_to": 64})]);
    line.sent.clear();
    line.events([65, 66]);
    let began = line.bed.now;
    line.wait_for_timer();
    assert_eq!(line.sent, [json!({"type": "wire.ack", "up_to": 66})]);
    assert_eq!(line.bed.now - began, Duration::from_secs(1));
    line.sent.clear();
    line.bed.pass(Duration::from_secs(15));
    // A gap is acknowledged too.
    line.text(r#"{"type":"wire.gap","from":67,"to":90}"#);
    line.wait_for_timer();
    assert_eq!(line.sent, [json!({"type": "wire.ack", "up_to": 90})]);
}

// Found by the simulated world: the last event of a connection that was replaced came twice, and was never acknowledged.
#[test]
fn what_comes_again_is_acknowledged_again() {
    let mut line = Line::connected(everwire());
    line.events([1, 2]);
    line.wait_for_timer();
    line.reconnect();
    line.hello(true, 2, 0);
    line.sent.clear();
    line.event(2);
    line.wait_for_timer();
    assert_eq!(
        (line.sent.as_slice(), line.events.as_slice()),
        (&[json!({"type": "wire.ack", "up_to": 2})][..], &[1, 2][..])
    );
}

#[test]
fn an_acknowledgement_never_comes_before_its_event() {
    let mut session = Session::<Event>::new(everwire()).unwrap();
    let mut line = Line::connected(everwire());
    line.events(1..=63);
    std::mem::swap(&mut session, &mut line.bed.session);
    let payload = Event::from_text(r#"{"type":"tick","seq":64}"#.to_owned());
    session.handle(line.bed.now, Input::Message { generation: line.generation, payload }).unwrap();
    assert!(matches!(session.poll(), Some(Output::Event(_))));
    assert!(matches!(session.poll(), Some(Output::Send { .. })));
}

// N-9: a numbered message is sent again until the server has taken it, and not once more.
#[test]
fn messages_are_numbered_and_sent_again_in_order() {
    let mut line = Line::connected(everwire());
    for number in 1..=4 {
        line.send(number).unwrap();
    }
    assert_eq!(line.sent[1], json!({"type": "order", "n": 2, "seq": 2}));
    line.text(r#"{"type":"wire.received","up_to":1}"#);
    line.reconnect();
    line.hello(true, 0, 2);
    let again: Vec<u64> = line.sent.iter().map(|frame| frame["seq"].as_u64().unwrap()).collect();
    assert_eq!(again, [3, 4]);
    assert_eq!(line.told(), ["replay Some(0) Some(0)", "sent again 2", "replayed 0"]);
    line.send(5).unwrap();
    assert_eq!(line.sent[2]["seq"], 5);
}

#[test]
fn a_session_that_is_gone_reports_its_messages_or_sends_them_anew() {
    for (mode, told, sent) in [(ResumeMode::SequenceId, "error closed", 0), (ResumeMode::FullBuffer, "sent again 2", 2)]
    {
        let mut line = Line::connected(Settings { resume: mode, ..everwire() });
        for number in 1..=3 {
            line.send(number).unwrap();
        }
        line.text(r#"{"type":"wire.received","up_to":1}"#);
        line.reconnect();
        line.hello(false, 0, 0);
        assert_eq!(line.told(), ["gap 1 None", told]);
        let again: Vec<_> = line.sent.iter().map(|frame| (frame["n"].as_u64(), frame["seq"].as_u64())).collect();
        assert_eq!(again, [(Some(2), Some(1)), (Some(3), Some(2))][..sent]);
    }
}

#[test]
fn what_the_server_has_not_taken_is_bounded() {
    let mut line = Line::connected(everwire());
    for number in 0..1_000 {
        line.send(number).unwrap();
    }
    assert_eq!(line.send(1_000).unwrap_err().kind(), ErrorKind::Overflow);
    line.text(r#"{"type":"wire.received","up_to":1}"#);
    line.send(1_000).unwrap();
}

// S2-7: mode `none`.
#[test]
fn without_resuming_each_connection_begins_anew_and_says_what_that_means() {
    let mut line = Line::connected(Settings { resume: ResumeMode::None, ..everwire() });
    line.events(1..=3);
    let first = line.reconnect();
    assert_eq!(first.get("session"), None);
    line.hello(false, 0, 0);
    line.event(1);
    assert_eq!((line.told(), line.events), (vec!["gap 4 None".to_owned()], vec![1, 2, 3, 1]));
}

// After a deliberate end nobody wants what was missed; after a failure the next `connect` goes on.
#[test]
fn a_deliberate_end_leaves_the_session() {
    let mut line = Line::connected(everwire());
    line.events(1..=3);
    line.bed.close();
    line.bed.lost(line.generation, Some(1000));
    line.bed.give(Input::Connect);
    line.drain();
    assert_eq!(line.open().get("session"), None);
    line.hello(false, 0, 0);
    assert!(line.told().is_empty());
}

// Protocols.md §2: duplicates of the envelope dialect are recognised by `message_id`.
#[test]
fn duplicates_are_recognised_by_their_message_id() {
    let mut settings = Settings::new(Dialect::envelope(), url());
    settings.token = TokenSource::Static(Secret::from("t".to_owned()));
    let mut line = Line::new(settings);
    line.open();
    line.text(r#"{"type":"auth_success"}"#);
    for id in ["a", "b", "a", "c", "b"] {
        line.text(&format!(r#"{{"type":"tick","data":{{"message_id":"x"}},"message_id":"{id}","seq":1}}"#));
    }
    line.text(r#"{"type":"tick","seq":1}"#);
    line.text(r#"{"type":"tick","seq":1}"#);
    assert_eq!((line.events.len(), line.bed.session.stats().duplicates), (5, 2));
}

// S2-7: a server that knows nothing of sessions, asked by a frame of its own after the hello.
#[test]
fn a_server_is_asked_by_a_frame_of_its_own() {
    let dialect = r#"{"name":"x","first_frame":{"op":"login"},"hello":{"types":["welcome"]},
        "resume":{"sequence":"seq","request":{"op":"since","id":"${last_sequence}"}}}"#;
    let mut settings = Settings::new(Dialect::from_json(dialect).unwrap(), url());
    settings.on_resume = Some(everwire::proto::OnResume::new(|point| {
        Some(Message::from(json!({"op": "mine", "after": point.last_sequence})))
    }));
    let mut line = Line::new(settings);
    line.open();
    line.text(r#"{"type":"welcome"}"#);
    assert!(line.sent.is_empty());
    line.events([7, 8]);
    line.reconnect();
    line.text(r#"{"type":"welcome"}"#);
    assert_eq!(line.sent, [json!({"op": "mine", "after": 8}), json!({"op": "since", "id": 8})]);
    line.events([8, 10]);
    assert_eq!((line.told(), line.events), (vec!["gap 9 Some(9)".to_owned()], vec![7, 8, 10]));
}

// S2-6, N-9: once and in order. What comes after the gap in its place was told is too late, whatever the server speaks.
#[test]
fn an_event_that_is_late_behind_its_gap_is_dropped_and_counted() {
    let dialect = r#"{"name":"feed","resume":{"sequence":"seq"}}"#;
    let mut feed = Line::new(Settings::new(Dialect::from_json(dialect).unwrap(), url()));
    feed.bed.give(Input::Opened { generation: feed.generation });
    feed.drain();
    feed.steps.clear();
    for mut line in [Line::connected(everwire()), feed] {
        line.events([1, 2, 5, 3, 6, 4, 5, 7]);
        assert_eq!((line.told(), line.events), (vec!["gap 3 Some(4)".to_owned()], vec![1, 2, 5, 6, 7]));
        assert_eq!((line.bed.session.stats().duplicates, line.bed.session.stats().gaps), (3, 1));
    }
}

// N-9: a program that is started anew goes on where the one before left off, its own messages too.
#[test]
fn a_new_program_goes_on_from_a_point_that_was_kept() {
    let mut line = Line::connected(everwire());
    line.events(1..=3);
    line.send(1).unwrap();
    line.bed.give(Input::Close { code: 4000, reason: "restart".into(), dropped: false });
    line.bed.lost(line.generation, Some(4000));
    let point = line.bed.session.resume_point().expect("the session is kept");
    let kept = ResumePoint::new(point.session.as_deref(), point.last_sequence);
    assert_eq!((&kept, kept.session.as_deref(), kept.last_sequence), (&point, Some("s1"), Some(3)));
    assert!(!format!("{kept:?}").contains("s1"));

    let mut line = Line::new(Settings { resume_from: Some(kept.clone()), ..everwire() });
    let first = line.open();
    assert_eq!((&first["session"], &first["last"]), (&json!("s1"), &json!(3)));
    line.hello(true, 5, 1);
    line.events([3, 4, 5, 6]);
    assert_eq!(
        (line.told(), line.events.as_slice()),
        (vec!["replay Some(3) Some(2)".into(), "replayed 2".into()], &[4, 5, 6][..])
    );
    line.send(2).unwrap();
    assert_eq!(line.sent, [json!({"type": "order", "n": 2, "seq": 2})]);

    // A server that has forgotten the session says so; the point is of no use any more.
    let mut line = Line::new(Settings { resume_from: Some(kept.clone()), ..everwire() });
    line.open();
    line.hello(false, 0, 0);
    line.event(1);
    assert_eq!((line.told(), line.events.as_slice()), (vec!["gap 4 None".to_owned()], &[1][..]));

    // Without a session, or where nothing is to be resumed, a number alone says nothing.
    let nothing = [
        Settings { resume_from: Some(ResumePoint::new(None, Some(3))), ..everwire() },
        Settings { resume_from: Some(kept), resume: ResumeMode::None, ..everwire() },
    ];
    for settings in nothing {
        let mut line = Line::new(settings);
        let first = line.open();
        assert_eq!((first.get("session"), first.get("last")), (None, None));
        line.hello(false, 0, 0);
        line.event(1);
        assert_eq!((line.told(), line.events), (vec![], vec![1]));
    }
}
