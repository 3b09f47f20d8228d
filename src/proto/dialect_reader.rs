//! Reads a dialect from a JSON document.

use super::{
    channels::ChannelRule,
    dialect::{
        Action, AnswerRule, CloseRule, CodeRule, Dialect, ErrorRule, HELLO_TIMEOUT, HealthCheckRule, HelloRule,
        TokenRefreshRule,
    },
    fields::Fields,
    json::Json,
    message::Payload,
    requests::RequestRule,
    resume::ResumeRule,
};

pub(super) fn read<P: Payload>(fields: &mut Fields<'_>, dialect: &mut Dialect) {
    fields.needed_text("name", &mut dialect.name);
    if fields.enter("url") {
        let rule = &mut dialect.url;
        fields.text("default", &mut rule.default);
        fields.text("path", &mut rule.path);
        fields.flag("keep_query", &mut rule.keep_query);
        fields.object("query", &mut rule.query);
        fields.leave();
    }
    fields.object("defaults", &mut dialect.defaults);
    fields.texts("protocols", &mut dialect.protocols);
    fields.object("headers", &mut dialect.headers);
    for (name, value) in dialect.headers.iter() {
        if value.as_str().is_none() {
            fields.wrong(&["headers.", name].concat(), "must be a string");
        }
    }
    fields.text("token_prefix", &mut dialect.token_prefix);
    dialect.ping_interval_ms = fields.number("ping_interval_ms", i64::MAX);
    dialect.max_message_size = fields.number("max_message_size", u32::MAX.into());
    fields.json("first_frame", &mut dialect.first_frame);
    if let Some(field) = fields.string("type_field") {
        dialect.type_field = field.clone();
    }
    fields.flag("any_text", &mut dialect.any_text);
    if fields.enter("hello") {
        let rule = dialect.hello.insert(HelloRule {
            types: Vec::new(),
            requires: Vec::new(),
            connection_id: None,
            timeout_ms: HELLO_TIMEOUT,
        });
        fields.texts("types", &mut rule.types);
        fields.texts("requires", &mut rule.requires);
        fields.text("connection_id", &mut rule.connection_id);
        fields.count("timeout_ms", &mut rule.timeout_ms);
        fields.leave();
    }
    if fields.enter("errors") {
        errors(fields, &mut dialect.errors);
    }
    if fields.enter("health_check") {
        health_check(fields, &mut dialect.health_check);
    }
    if P::PARTS.renewal && fields.enter("token_refresh") {
        let rule = dialect.token_refresh.insert(TokenRefreshRule { frame: Json::Null });
        fields.needed_json("frame", &mut rule.frame);
        fields.leave();
    }
    if P::PARTS.resume && fields.enter("resume") {
        dialect.resume.insert(ResumeRule::default()).read(fields);
    }
    if P::PARTS.channels && fields.enter("channels") {
        ChannelRule::read(fields, &mut dialect.channels);
    }
    if P::PARTS.requests && fields.enter("requests") {
        RequestRule::read(fields, &mut dialect.requests);
    }
    // What a session cannot do is known all the same.
    for part in ["token_refresh", "resume", "channels", "requests"] {
        fields.value(part);
    }
    fields.each("answers", &mut |fields| {
        let mut rule = AnswerRule { kind: String::new(), frame: Json::Null };
        fields.needed_text("type", &mut rule.kind);
        fields.needed_json("frame", &mut rule.frame);
        dialect.answers.push(rule);
    });
    codes(fields, "statuses", &mut dialect.statuses);
    fields.each("close", &mut |fields| {
        fields.needed("from");
        dialect.close.push(CloseRule {
            from: fields.number("from", u16::MAX.into()).unwrap_or_default() as u16,
            to: fields.number("to", u16::MAX.into()).map(|to| to as u16),
            action: needed_action(fields),
        });
    });
    dialect.close_default = action(fields, "close_default");
    fields.leave();
}

fn errors(fields: &mut Fields<'_>, rule: &mut Option<ErrorRule>) {
    let rule = rule.insert(ErrorRule {
        types: Vec::new(),
        bare: None,
        code: Vec::new(),
        message: Vec::new(),
        status: Vec::new(),
        unrecoverable: None,
        codes: Vec::new(),
        default: Action::default(),
    });
    fields.texts("types", &mut rule.types);
    fields.text("bare", &mut rule.bare);
    fields.texts("code", &mut rule.code);
    fields.texts("message", &mut rule.message);
    fields.texts("status", &mut rule.status);
    fields.text("unrecoverable", &mut rule.unrecoverable);
    rule.default = action(fields, "default");
    codes(fields, "codes", &mut rule.codes);
    fields.leave();
}

fn codes(fields: &mut Fields<'_>, name: &str, rules: &mut Vec<CodeRule>) {
    fields.each(name, &mut |fields| {
        let mut codes = Vec::new();
        fields.whole_numbers("codes", &mut codes);
        rules.push(CodeRule { codes, action: needed_action(fields) });
    });
}

fn health_check(fields: &mut Fields<'_>, rule: &mut Option<HealthCheckRule>) {
    let rule = rule.insert(HealthCheckRule {
        interval_ms: 0,
        max_interval_ms: None,
        silence_ms: 0,
        min_grace_ms: 1_000,
        frame: Json::Null,
        reply: None,
    });
    fields.needed_count("interval_ms", &mut rule.interval_ms);
    rule.max_interval_ms = fields.number("max_interval_ms", i64::MAX);
    fields.needed_count("silence_ms", &mut rule.silence_ms);
    fields.count("min_grace_ms", &mut rule.min_grace_ms);
    fields.needed_json("frame", &mut rule.frame);
    fields.text("reply", &mut rule.reply);
    fields.leave();
}

fn needed_action(fields: &mut Fields<'_>) -> Action {
    fields.needed("action");
    action(fields, "action")
}

fn action(fields: &mut Fields<'_>, name: &str) -> Action {
    let Some(text) = fields.string(name) else { return Action::default() };
    let found = Action::ALL.into_iter().find(|action| action.as_str() == text);
    found.unwrap_or_else(|| {
        fields.wrong(name, "must be retry, retry-slower, refresh, refresh-once, fatal, stop or event");
        Action::default()
    })
}
