//! Checks what the types of a dialect cannot say.

use super::{
    close_code::none_can_come,
    dialect::{Action, Dialect, Place},
    fields::Mistake,
    message::Payload,
    template,
    text::indexed,
};

/// What concerns parts that such a session lacks is passed over.
pub(super) fn check<P: Payload>(dialect: &Dialect, mistake: &Mistake) {
    mistake.when(dialect.name.is_empty(), "name", "a dialect needs a name");
    mistake.when(dialect.type_field.is_empty(), "type_field", "must not be empty");
    if let Some(hello) = &dialect.hello {
        mistake.when(hello.types.is_empty(), "hello.types", "at least one type is needed");
        mistake.when_zero(hello.timeout_ms == 0, "hello.timeout_ms");
    }
    if let Some(errors) = &dialect.errors {
        let never = errors.types.is_empty() && errors.bare.is_none();
        mistake.when(never, "errors.types", "at least one type is needed, or `bare`");
    }
    if let Some(health) = &dialect.health_check {
        mistake.when_zero(health.interval_ms == 0, "health_check.interval_ms");
        let short = health.silence_ms < health.interval_ms.saturating_add(health.min_grace_ms);
        mistake.when(short, "health_check.silence_ms", "must exceed interval_ms by min_grace_ms at least");
    }
    if P::PARTS.channels
        && let Some(channels) = &dialect.channels
    {
        channels.check(mistake);
    }
    if P::PARTS.requests
        && let Some(requests) = &dialect.requests
    {
        requests.check(mistake);
    }
    if P::PARTS.resume
        && let Some(resume) = &dialect.resume
    {
        resume.check(mistake);
    }
    for (index, rule) in dialect.close.iter().enumerate() {
        let (at, wrong) = match rule.action {
            _ if rule.last() < rule.from => (".to", "must not be less than `from`"),
            // Only a mistake of no consequence: a page need not pay for it.
            _ if P::PARTS.handshake && none_can_come(rule.from, rule.last()) => {
                (".from", "no close frame has such a code")
            }
            Action::Event => (".action", "a close cannot be an event"),
            _ => continue,
        };
        mistake.note(&indexed("close", index, at), wrong);
    }
    for (index, rule) in dialect.statuses.iter().enumerate() {
        let event = rule.action == Action::Event;
        mistake.when(event, &indexed("statuses", index, ".action"), "a refusal cannot be an event");
    }
    for (path, text) in [("url.path", &dialect.url.path), ("url.default", &dialect.url.default)] {
        let asks = text.as_ref().is_some_and(|text| template::text_asks_for(text, None));
        mistake.when(asks, path, "no placeholder can stand here");
    }
    let has_id = dialect.hello.as_ref().is_some_and(|hello| hello.connection_id.is_some());
    dialect.templates::<P>(&mut |path, template, place| {
        template::check(template, path, has_id && place != Place::Dial, mistake);
    });
}

#[cfg(test)]
mod tests {
    use crate::{
        proto::{Dialect, ErrorKind},
        test,
    };

    // N-2: a wrong dialect is refused with the path of the wrong field.
    #[test]
    fn a_wrong_dialect_names_its_wrong_field() {
        for (json, path) in [
            (r#"{"#, "dialect"),
            (r#"{}"#, "name"),
            (r#"[]"#, "dialect"),
            (r#"{"name":"x"} x"#, "dialect"),
            (r#"{"name":1}"#, "name"),
            (r#"{"name":""}"#, "name"),
            (r#"{"name":"x","name":"y"}"#, "name"),
            (r#"{"name":"x","typo":1}"#, "typo"),
            (r#"{"name":"x","hello":{"types":[]}}"#, "hello.types"),
            (r#"{"name":"x","hello":{"types":["a",1]}}"#, "hello.types[1]"),
            (r#"{"name":"x","hello":{"types":["a"],"timeout_ms":0}}"#, "hello.timeout_ms"),
            (r#"{"name":"x","errors":{}}"#, "errors.types"),
            (
                r#"{"name":"x","errors":{"bare":"e","codes":[{"codes":[1],"action":"retry"},{"codes":[2],"action":"?"}]}}"#,
                "errors.codes[1].action",
            ),
            (r#"{"name":"x","health_check":{"interval_ms":0,"silence_ms":1,"frame":{}}}"#, "health_check.interval_ms"),
            (
                r#"{"name":"x","health_check":{"interval_ms":5000,"silence_ms":5100,"frame":{}}}"#,
                "health_check.silence_ms",
            ),
            (
                r#"{"name":"x","health_check":{"interval_ms":5000,"silence_ms":9000,"frame":["${"]}}"#,
                "health_check.frame[0]",
            ),
            (r#"{"name":"x","resume":{"sequence":"a","message_id":"b"}}"#, "resume.message_id"),
            (r#"{"name":"x","requests":{}}"#, "requests.id"),
            (r#"{"name":"x","channels":{"subscribe":{}}}"#, "channels.field"),
            (r#"{"name":"x","channels":{"field":"a"}}"#, "channels.subscribe"),
            (r#"{"name":"x","channels":{"field":"a","subscribe":["${"]}}"#, "channels.subscribe[0]"),
            (r#"{"name":"x","requests":{"id":"a..b"}}"#, "requests.id"),
            (r#"{"name":"x","requests":{"id":"a","error":""}}"#, "requests.error"),
            (r#"{"name":"x","resume":{"dedup_window":0}}"#, "resume.dedup_window"),
            (r#"{"name":"x","resume":{"gap":{"types":[],"from":"a","to":"b"}}}"#, "resume.gap.types"),
            (r#"{"name":"x","resume":{"ack":{"frame":{},"every":0}}}"#, "resume.ack"),
            (r#"{"name":"x","resume":{"ack":{"frame":{"a":"${"}}}}"#, "resume.ack.frame.a"),
            (r#"{"name":"x","resume":{"sends":{"sequence":"a"}}}"#, "resume.sends.received"),
            (r#"{"name":"x","resume":{"request":["${"]}}"#, "resume.request[0]"),
            (r#"{"name":"x","statuses":[{"codes":[401],"action":"event"}]}"#, "statuses[0].action"),
            (r#"{"name":"x","close":[{"from":70000,"action":"stop"}]}"#, "close[0].from"),
            (r#"{"name":"x","close":[{"from":10,"to":9,"action":"stop"}]}"#, "close[0].to"),
            (r#"{"name":"x","close":[{"from":1010,"action":"event"}]}"#, "close[0].action"),
            (r#"{"name":"x","close":[{"from":1006,"action":"stop"}]}"#, "close[0].from"),
            (r#"{"name":"x","close":[{"from":0,"to":999,"action":"stop"}]}"#, "close[0].from"),
            (
                r#"{"name":"x","close":[{"from":1000,"action":"stop"},{"from":1015,"to":2999,"action":"stop"}]}"#,
                "close[1].from",
            ),
            (r#"{"name":"x","first_frame":{"a":{"b":"${a b}"}}}"#, "first_frame.a.b"),
            (r#"{"name":"x","protocols":["ok","${"]}"#, "protocols[1]"),
            (r#"{"name":"x","headers":{"a":"${}"}}"#, "headers.a"),
        ] {
            let error = Dialect::from_json(json).unwrap_err();
            assert_eq!((error.kind(), error.path()), (ErrorKind::Config, Some(path)), "{json}: {error}");
        }
        // One part in front of a dialect that was written with all of them, as `to_json` does, is in order.
        let again = r#"{"name":"x","channels":{"field":"a","subscribe":{}},"channels":null}"#;
        assert!(Dialect::from_json(again).unwrap().channels.is_some());
    }
}
