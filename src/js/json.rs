//! JSON by the browser: it has a reader and a writer, so that neither needs to be downloaded.

use js_sys::{Array, JSON, JsString, Object};
use serde_json::{Map, Number, Value};
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};

#[wasm_bindgen]
extern "C" {
    /// `JSON.parse` on a text that stays in JavaScript.
    #[wasm_bindgen(catch, js_namespace = JSON, js_name = parse)]
    fn parse_js(text: &JsString) -> Result<JsValue, JsValue>;
}

/// How deep a document may be nested, as in `serde_json`: it is read by recursion.
const MAX_DEPTH: u8 = 128;

/// Reads text.
pub(super) fn parse(text: &str) -> Option<Value> {
    read(&JSON::parse(text).ok()?)
}

/// Reads text that is JavaScript's.
pub(super) fn parse_text(text: &JsString) -> Option<Value> {
    read(&parse_js(text).ok()?)
}

/// Takes a value over that `JSON.parse` gave.
pub(super) fn read(value: &JsValue) -> Option<Value> {
    read_at(value, 0)
}

fn read_at(value: &JsValue, depth: u8) -> Option<Value> {
    if depth == MAX_DEPTH {
        return None;
    }
    if let Some(text) = value.dyn_ref::<JsString>() {
        return Some(Value::String(text.into()));
    }
    if let Some(number) = value.as_f64() {
        return Some(Value::Number(read_number(number)?));
    }
    if let Some(flag) = value.as_bool() {
        return Some(Value::Bool(flag));
    }
    if let Some(items) = value.dyn_ref::<Array>() {
        let mut list = Vec::new();
        for item in items.iter() {
            list.push(read_at(&item, depth + 1)?);
        }
        return Some(Value::Array(list));
    }
    let Some(object) = value.dyn_ref::<Object>() else { return Some(Value::Null) };
    let mut members = Map::new();
    for entry in Object::entries(object).iter() {
        let entry: Array = entry.unchecked_into();
        members.insert(entry.get(0).as_string()?, read_at(&entry.get(1), depth + 1)?);
    }
    Some(Value::Object(members))
}

/// The integers that a double holds exactly stay integers.
fn read_number(number: f64) -> Option<Number> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() < EXACT {
        return Some(Number::from(number as i64));
    }
    Number::from_f64(number)
}

/// Writes a value.
pub(super) fn write(value: &Value) -> String {
    // It is a value that JSON knows: this cannot fail.
    JSON::stringify(&to_js(value)).map(String::from).unwrap_or_default()
}

fn to_js(value: &Value) -> JsValue {
    match value {
        Value::Null => JsValue::NULL,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => number.as_f64().into(),
        Value::String(text) => text.into(),
        Value::Array(items) => items.iter().map(to_js).collect::<Array>().into(),
        Value::Object(members) => {
            let entries: Array = members.iter().map(|(name, value)| Array::of2(&name.into(), &to_js(value))).collect();
            Object::from_entries(&entries).map_or(JsValue::NULL, JsValue::from)
        }
    }
}
