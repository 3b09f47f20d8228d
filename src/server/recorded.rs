//! Events to replay: a set of this project's own, or those of a file.

use super::{Server, clock};
use crate::{
    platform,
    proto::{Error, ErrorKind},
};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{collections::BTreeSet, fs, path::Path, sync::Arc, time::Duration};
use tokio::{
    sync::oneshot,
    time::{MissedTickBehavior, interval},
};

/// Real events: the examples of GitHub's webhooks that the npm package `@octokit/webhooks-examples` collects. `scripts/setup web`
/// puts them here, seen from the top folder of the project.
pub const RECORDED_EVENTS: &str = "scripts/tools/node_modules/@octokit/webhooks-examples/api.github.com/index.json";

/// Events that were recorded once, in their order.
#[derive(Clone, Debug)]
pub struct Recorded {
    events: Arc<[RecordedEvent]>,
}

#[derive(Debug)]
struct RecordedEvent {
    /// `issues.opened`, or `push` for an event without actions.
    event_type: String,
    /// The webhook alone: `issues`.
    name: String,
    /// The fields of the payload as they were recorded: JSON without the opening brace.
    fields: String,
}

/// In the shape of GitHub's webhooks, with invented content.
const BUILT_IN: &str = include_str!("events.json");

/// One webhook with its examples, as the package has it.
#[derive(Deserialize)]
struct Webhook {
    name: String,
    examples: Vec<Map<String, Value>>,
}

impl Recorded {
    /// A small set that comes with the crate: the life of a few repositories, in the shape of GitHub's webhooks.
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("the built-in events are tested")
    }

    /// Reads a file, such as [`RECORDED_EVENTS`]: `[{"name": "issues", "examples": [{"action": "opened", …}]}]`.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if it cannot be read, or holds no such list or no event.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let wrong = |what: &str| Error::new(ErrorKind::Config, format!("{what} {}", path.display()));
        let text = fs::read_to_string(path).map_err(|error| wrong("cannot read the events in").with_source(error))?;
        let recorded = Self::parse(&text).map_err(|error| wrong("no list of events in").with_source(error))?;
        if recorded.is_empty() { Err(wrong("no events in")) } else { Ok(recorded) }
    }

    fn parse(text: &str) -> Result<Self, serde_json::Error> {
        let mut events = Vec::new();
        for webhook in serde_json::from_str::<Vec<Webhook>>(text)? {
            for mut payload in webhook.examples {
                let event_type = match payload.get("action").and_then(Value::as_str) {
                    Some(action) => format!("{}.{action}", webhook.name),
                    None => webhook.name.clone(),
                };
                // These two are the protocol's.
                payload.remove("type");
                payload.remove("created_at");
                let fields = Value::Object(payload).to_string().split_off(1);
                events.push(RecordedEvent { event_type, name: webhook.name.clone(), fields });
            }
        }
        Ok(Self { events: events.into() })
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The names of the webhooks: `issues`, `push`, …
    pub fn webhooks(&self) -> BTreeSet<&str> {
        self.events.iter().map(|event| event.name.as_str()).collect()
    }

    /// The types of the events: `issues.opened`, `push`, …
    pub fn types(&self) -> BTreeSet<&str> {
        self.events.iter().map(|event| event.event_type.as_str()).collect()
    }

    /// The event at this place of the endless loop, as it goes over the wire:
    /// `{"type":"issues.opened","created_at":"…",` and then the fields of the payload.
    pub fn message(&self, index: usize) -> Option<String> {
        let event = self.events.get(index.checked_rem(self.events.len())?)?;
        let created_at = clock::rfc3339(clock::now());
        // The name of an event may come from any file, so it is written as JSON.
        let event_type = Value::from(event.event_type.as_str());
        let comma = if event.fields == "}" { "" } else { "," };
        Some(format!(r#"{{"type":{event_type},"created_at":"{created_at}"{comma}{}"#, event.fields))
    }
}

/// A replay that runs; dropping it stops it.
#[derive(Debug)]
#[must_use = "the replay stops when this is dropped"]
pub struct Replay {
    _stop: oneshot::Sender<()>,
}

impl Server {
    /// Publishes these events one after the other, for ever, this many a second.
    pub fn replay(&self, events: Recorded, per_second: f64) -> Result<Replay, Error> {
        let pause = Duration::try_from_secs_f64(per_second.recip())
            .ok()
            .filter(|pause| !pause.is_zero() && !events.is_empty())
            .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "a replay needs events and a rate above 0"))?;
        let server = self.clone();
        let (stop, stopped) = oneshot::channel();
        platform::spawn(async move {
            tokio::select! {
                _ = stopped => {}
                () = server.replay_for_ever(&events, pause) => {}
            }
        })?;
        Ok(Replay { _stop: stop })
    }

    async fn replay_for_ever(&self, events: &Recorded, pause: Duration) {
        let mut ticks = interval(pause);
        // A server that was too busy catches up in one burst at most as long as the pause.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut index = 0;
        loop {
            ticks.tick().await;
            if let Some(message) = events.message(index) {
                self.publish_text(message);
            }
            index = (index + 1) % events.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_wrapped_with_the_type_first() {
        let file = r#"[{"name":"issues","examples":[{"action":"opened","type":"x","n": 1},{"action":null}]},
                       {"name":"push","description":"d","examples":[{}]}]"#;
        let recorded = Recorded::parse(file).unwrap();
        assert_eq!(recorded.len(), 3);
        assert_eq!(recorded.types().into_iter().collect::<Vec<_>>(), ["issues", "issues.opened", "push"]);
        let first = recorded.message(0).unwrap();
        assert!(first.starts_with(r#"{"type":"issues.opened","created_at":"2"#), "{first}");
        let json: Value = serde_json::from_str(&first).unwrap();
        assert_eq!(json["type"], "issues.opened", "{json}");
        assert_eq!((&json["action"], &json["n"]), (&"opened".into(), &1.into()));
        let empty: Value = serde_json::from_str(&recorded.message(2).unwrap()).unwrap();
        assert_eq!(empty.as_object().unwrap().len(), 2);
        assert_eq!(recorded.message(3).unwrap()[..30], first[..30], "it loops");
    }

    #[test]
    fn the_real_events_are_all_there() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(RECORDED_EVENTS);
        let recorded = Recorded::load(path).unwrap();
        assert_eq!(recorded.len(), 329);
        assert_eq!(recorded.webhooks().len(), 58);
        assert_eq!(recorded.types().len(), 161);
        for index in 0..recorded.len() {
            let message = recorded.message(index).unwrap();
            let json: Value = serde_json::from_str(&message).unwrap();
            assert!(recorded.types().contains(json["type"].as_str().unwrap()));
        }
    }

    #[test]
    fn the_built_in_events_are_varied_and_loop() {
        let recorded = Recorded::built_in();
        assert!(recorded.len() >= 50 && recorded.webhooks().len() >= 20, "{}", recorded.len());
        for wanted in ["issues.opened", "issues.closed", "push", "pull_request.closed", "release.published"] {
            assert!(recorded.types().contains(wanted), "{wanted}");
        }
        let messages: Vec<Value> =
            (0..recorded.len()).map(|index| serde_json::from_str(&recorded.message(index).unwrap()).unwrap()).collect();
        assert!(messages.iter().all(|event| event["sender"]["login"].is_string()));
        // At five a second a listener of `issues.*` waits three seconds at most.
        let issues = |event: &Value| event["type"].as_str().unwrap().starts_with("issues.");
        assert!(messages.windows(15).all(|some| some.iter().any(issues)));
    }

    #[test]
    fn a_file_without_events_is_an_error_that_names_it() {
        let path = std::env::temp_dir().join(format!("everwire-recorded-{}", std::process::id()));
        let error = Recorded::load(&path).unwrap_err();
        let source = std::error::Error::source(&error).expect("why");
        assert_eq!((error.kind(), source.to_string().contains("No such file")), (ErrorKind::Config, true));
        for text in ["", "{}", "[]", "[{}]", r#"[{"name":"issues","examples":[]}]"#] {
            fs::write(&path, text).unwrap();
            let error = Recorded::load(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(error.to_string().contains(path.to_str().unwrap()), "{error}");
        }
        fs::remove_file(&path).unwrap();
    }
}
