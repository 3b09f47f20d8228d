//! Reads a dialect from a JSON document.

use super::{
    channels::ChannelRule,
    dialect::{
        Action, AnswerRule, CloseRule, CodeRule, Dialect, ErrorRule, HealthCheckRule, HelloRule, TokenRefreshRule,
        UrlRule, default_hello_timeout, default_min_grace,
    },
    error::Error,
    fields::{Fields, Mistake},
    json::Json,
    message::Payload,
    requests::RequestRule,
    resume::ResumeRule,
};

pub(super) fn dialect<P: Payload>(document: Json) -> Result<Dialect, Error> {
    let mistake = Mistake::new();
    let dialect = read::<P>(Fields::of(document, String::new(), &mistake));
    mistake.into_inner().map_or(Ok(dialect), Err)
}

fn read<P: Payload>(mut fields: Fields<'_>) -> Dialect {
    let mut dialect = Dialect::plain(fields.needed_text("name"));
    if let Some(rule) = fields.fields("url") {
        dialect.url = url(rule);
    }
    dialect.defaults = fields.object("defaults");
    dialect.protocols = fields.texts("protocols");
    dialect.headers = fields.object("headers");
    if let Some((name, _)) = dialect.headers.iter().find(|(_, value)| value.as_str().is_none()) {
        fields.wrong(&["headers.", name].concat(), "must be a string");
    }
    dialect.token_prefix = fields.text("token_prefix");
    dialect.ping_interval_ms = fields.number("ping_interval_ms", i64::MAX);
    dialect.max_message_size = fields.number("max_message_size", u32::MAX.into());
    dialect.first_frame = fields.value("first_frame");
    if P::PARTS.renewal {
        dialect.token_refresh = fields.fields("token_refresh").map(token_refresh);
    }
    if let Some(field) = fields.text("type_field") {
        dialect.type_field = field;
    }
    dialect.any_text = fields.flag("any_text").unwrap_or(false);
    dialect.hello = fields.fields("hello").map(hello);
    dialect.errors = fields.fields("errors").map(errors);
    dialect.health_check = fields.fields("health_check").map(health_check);
    if P::PARTS.resume {
        dialect.resume = fields.fields("resume").map(ResumeRule::read);
    }
    if P::PARTS.channels {
        dialect.channels = fields.fields("channels").map(ChannelRule::read);
    }
    if P::PARTS.requests {
        dialect.requests = fields.fields("requests").map(RequestRule::read);
    }
    // What a session cannot do is known all the same.
    for part in ["token_refresh", "resume", "channels", "requests"] {
        fields.value(part);
    }
    fields.each("answers", &mut |rule| dialect.answers.push(answer(rule)));
    fields.each("statuses", &mut |rule| dialect.statuses.push(codes(rule)));
    fields.each("close", &mut |rule| dialect.close.push(close(rule)));
    dialect.close_default = action(&mut fields, "close_default");
    fields.end();
    dialect
}

fn url(mut fields: Fields<'_>) -> UrlRule {
    let rule = UrlRule {
        default: fields.text("default"),
        path: fields.text("path"),
        keep_query: fields.flag("keep_query").unwrap_or(true),
        query: fields.object("query"),
    };
    fields.end();
    rule
}

fn token_refresh(mut fields: Fields<'_>) -> TokenRefreshRule {
    let rule = TokenRefreshRule { frame: fields.needed("frame") };
    fields.end();
    rule
}

fn hello(mut fields: Fields<'_>) -> HelloRule {
    let rule = HelloRule {
        types: fields.texts("types"),
        requires: fields.texts("requires"),
        connection_id: fields.text("connection_id"),
        timeout_ms: fields.number("timeout_ms", i64::MAX).unwrap_or_else(default_hello_timeout),
    };
    fields.end();
    rule
}

fn errors(mut fields: Fields<'_>) -> ErrorRule {
    let mut rule = ErrorRule {
        types: fields.texts("types"),
        bare: fields.text("bare"),
        code: fields.texts("code"),
        message: fields.texts("message"),
        status: fields.texts("status"),
        unrecoverable: fields.text("unrecoverable"),
        codes: Vec::new(),
        default: action(&mut fields, "default"),
    };
    fields.each("codes", &mut |fields| rule.codes.push(codes(fields)));
    fields.end();
    rule
}

fn codes(mut fields: Fields<'_>) -> CodeRule {
    let rule = CodeRule { codes: fields.whole_numbers("codes"), action: needed_action(&mut fields) };
    fields.end();
    rule
}

fn health_check(mut fields: Fields<'_>) -> HealthCheckRule {
    let rule = HealthCheckRule {
        interval_ms: fields.needed_number("interval_ms", i64::MAX),
        max_interval_ms: fields.number("max_interval_ms", i64::MAX),
        silence_ms: fields.needed_number("silence_ms", i64::MAX),
        min_grace_ms: fields.number("min_grace_ms", i64::MAX).unwrap_or_else(default_min_grace),
        frame: fields.needed("frame"),
        reply: fields.text("reply"),
    };
    fields.end();
    rule
}

fn answer(mut fields: Fields<'_>) -> AnswerRule {
    let rule = AnswerRule { kind: fields.needed_text("type"), frame: fields.needed("frame") };
    fields.end();
    rule
}

fn close(mut fields: Fields<'_>) -> CloseRule {
    let rule = CloseRule {
        from: fields.needed_number("from", u16::MAX.into()) as u16,
        to: fields.number("to", u16::MAX.into()).map(|to| to as u16),
        action: needed_action(&mut fields),
    };
    fields.end();
    rule
}

fn needed_action(fields: &mut Fields<'_>) -> Action {
    let text = fields.needed_text("action");
    named(fields, "action", &text)
}

fn action(fields: &mut Fields<'_>, name: &str) -> Action {
    match fields.text(name) {
        Some(text) => named(fields, name, &text),
        None => Action::default(),
    }
}

fn named(fields: &Fields<'_>, name: &str, text: &str) -> Action {
    let found = Action::ALL.into_iter().find(|action| action.as_str() == text);
    found.unwrap_or_else(|| {
        fields.wrong(name, "must be retry, retry-slower, refresh, refresh-once, fatal, stop or event");
        Action::default()
    })
}
