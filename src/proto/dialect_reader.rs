//! Reads a dialect from a JSON document.

use super::{
    dialect::{
        Action, AnswerRule, CloseRule, CodeRule, Dialect, ErrorRule, HealthCheckRule, HelloRule, UrlRule,
        default_hello_timeout, default_min_grace,
    },
    error::Error,
    fields::{Fields, wrong},
    json::Json,
};

pub(super) fn dialect(document: Json) -> Result<Dialect, Error> {
    let mut fields = Fields::of(document, String::new())?;
    let name = fields.text("name")?;
    let mut dialect = Dialect::plain(fields.needed("name", name)?);
    // Member by member and not as one literal: else each line that may fail drops every line before it in code of its own.
    if let Some(rule) = fields.fields("url")? {
        dialect.url = url(rule)?;
    }
    dialect.defaults = fields.object("defaults")?;
    dialect.protocols = fields.texts("protocols")?;
    dialect.headers = fields.text_object("headers")?;
    dialect.first_frame = fields.value("first_frame");
    if let Some(field) = fields.text("type_field")? {
        dialect.type_field = field;
    }
    dialect.any_text = fields.flag("any_text")?.unwrap_or(false);
    dialect.hello = fields.fields("hello")?.map(hello).transpose()?;
    dialect.errors = fields.fields("errors")?.map(errors).transpose()?;
    dialect.health_check = fields.fields("health_check")?.map(health_check).transpose()?;
    dialect.answers = list(&mut fields, "answers", answer)?;
    dialect.close = list(&mut fields, "close", close)?;
    dialect.close_default = action(&mut fields, "close_default")?.unwrap_or_default();
    fields.end()?;
    Ok(dialect)
}

fn url(mut fields: Fields) -> Result<UrlRule, Error> {
    let rule = UrlRule {
        default: fields.text("default")?,
        path: fields.text("path")?,
        keep_query: fields.flag("keep_query")?.unwrap_or(true),
        query: fields.object("query")?,
    };
    fields.end()?;
    Ok(rule)
}

fn hello(mut fields: Fields) -> Result<HelloRule, Error> {
    let rule = HelloRule {
        types: fields.texts("types")?,
        requires: fields.texts("requires")?,
        connection_id: fields.text("connection_id")?,
        timeout_ms: fields.number("timeout_ms", u64::MAX)?.unwrap_or_else(default_hello_timeout),
    };
    fields.end()?;
    Ok(rule)
}

fn errors(mut fields: Fields) -> Result<ErrorRule, Error> {
    let rule = ErrorRule {
        types: fields.texts("types")?,
        bare: fields.text("bare")?,
        code: fields.texts("code")?,
        message: fields.texts("message")?,
        status: fields.texts("status")?,
        unrecoverable: fields.text("unrecoverable")?,
        codes: list(&mut fields, "codes", codes)?,
        default: action(&mut fields, "default")?.unwrap_or_default(),
    };
    fields.end()?;
    Ok(rule)
}

fn codes(mut fields: Fields) -> Result<CodeRule, Error> {
    let code = |(value, path): (Json, String)| value.as_i64().ok_or_else(|| wrong(path, "must be a whole number"));
    let codes = fields.list("codes")?.into_iter().map(code).collect::<Result<_, _>>()?;
    let action = action(&mut fields, "action")?;
    let rule = CodeRule { codes, action: fields.needed("action", action)? };
    fields.end()?;
    Ok(rule)
}

fn health_check(mut fields: Fields) -> Result<HealthCheckRule, Error> {
    let interval = fields.number("interval_ms", u64::MAX)?;
    let silence = fields.number("silence_ms", u64::MAX)?;
    let frame = fields.value("frame");
    let rule = HealthCheckRule {
        interval_ms: fields.needed("interval_ms", interval)?,
        max_interval_ms: fields.number("max_interval_ms", u64::MAX)?,
        silence_ms: fields.needed("silence_ms", silence)?,
        min_grace_ms: fields.number("min_grace_ms", u64::MAX)?.unwrap_or_else(default_min_grace),
        frame: fields.needed("frame", frame)?,
        reply: fields.text("reply")?,
    };
    fields.end()?;
    Ok(rule)
}

fn answer(mut fields: Fields) -> Result<AnswerRule, Error> {
    let kind = fields.text("type")?;
    let frame = fields.value("frame");
    let rule = AnswerRule { kind: fields.needed("type", kind)?, frame: fields.needed("frame", frame)? };
    fields.end()?;
    Ok(rule)
}

fn close(mut fields: Fields) -> Result<CloseRule, Error> {
    let from = fields.number("from", u16::MAX.into())?;
    let to = fields.number("to", u16::MAX.into())?;
    let action = action(&mut fields, "action")?;
    let rule = CloseRule {
        from: fields.needed("from", from)? as u16,
        to: to.map(|to| to as u16),
        action: fields.needed("action", action)?,
    };
    fields.end()?;
    Ok(rule)
}

fn action(fields: &mut Fields, name: &str) -> Result<Option<Action>, Error> {
    let Some(text) = fields.text(name)? else { return Ok(None) };
    let found = Action::ALL.into_iter().find(|action| action.as_str() == text);
    let all = "must be retry, retry-slower, refresh, refresh-once, fatal, stop or event";
    found.map(Some).ok_or_else(|| wrong(fields.path(name), all))
}

fn list<T>(fields: &mut Fields, name: &str, read: fn(Fields) -> Result<T, Error>) -> Result<Vec<T>, Error> {
    fields.list(name)?.into_iter().map(|(value, path)| Fields::of(value, path).and_then(read)).collect()
}
