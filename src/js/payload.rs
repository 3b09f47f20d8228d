//! A message that stays in JavaScript: wasm knows it by the number that its type has.

use crate::{
    platform::FromBrowser,
    proto::{Class, Json, Parts, Payload},
};
use js_sys::{ArrayBuffer, JsString};
use std::rc::Rc;
use wasm_bindgen::{JsCast, JsValue, prelude::wasm_bindgen};

#[wasm_bindgen(module = "/src/js/edge.js")]
extern "C" {
    /// Gives every type a number; see `edge.js`.
    type Classifier;

    #[wasm_bindgen(constructor)]
    fn new(field: &str, control: Vec<String>, any_text: bool) -> Classifier;

    #[wasm_bindgen(method)]
    fn classify(this: &Classifier, text: &JsValue) -> i32;

    #[wasm_bindgen(method)]
    fn take(this: &Classifier) -> JsValue;

    #[wasm_bindgen(method)]
    fn name(this: &Classifier, id: i32, text: &JsValue) -> JsString;
}

/// What `classify` answers for text that is no JSON.
const MALFORMED: i32 = -1;

/// The numbers of the types, shared by the messages of a session.
pub(crate) struct Names {
    classifier: Rc<Classifier>,
    /// So many control types: they have the first numbers. The next one stands for "no type".
    control: i32,
}

/// A message of the browser's.
pub(crate) struct JsPayload {
    /// The text, or the bytes.
    data: JsValue,
    /// The document, where it had to be parsed to find the type.
    parsed: Option<JsValue>,
    /// The number of the type; negative if it is not remembered.
    id: i32,
    classifier: Option<Rc<Classifier>>,
    size: usize,
    kind: Kind,
}

/// What the data is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Json,
    /// Text that is no JSON, where the dialect allows it.
    Text,
    Binary,
}

impl JsPayload {
    /// The number of its type, if it has one that is remembered.
    pub(super) fn id(&self) -> Option<usize> {
        usize::try_from(self.id).ok()
    }

    /// Its type.
    pub(super) fn name(&self) -> JsString {
        match &self.classifier {
            Some(classifier) => classifier.name(self.id, &self.data),
            None => crate::proto::UNKNOWN.into(),
        }
    }

    /// What a listener gets, and whether it must be parsed first.
    pub(super) fn into_document(self) -> (JsValue, bool) {
        match self.parsed {
            Some(parsed) => (parsed, false),
            None => (self.data, self.kind == Kind::Json),
        }
    }

    fn new(data: JsValue, size: usize, kind: Kind) -> Self {
        Self { data, parsed: None, id: -1, classifier: None, size, kind }
    }
}

impl FromBrowser for JsPayload {
    fn text(text: JsString, length: usize) -> Self {
        Self::new(text.into(), length, Kind::Json)
    }

    fn binary(bytes: ArrayBuffer, size: usize) -> Self {
        Self::new(bytes.into(), size, Kind::Binary)
    }
}

impl Payload for JsPayload {
    type Names = Names;

    const PARTS: Parts = Parts::NONE;

    fn names(field: &str, control: &[String], any_text: bool) -> Names {
        Names { classifier: Rc::new(Classifier::new(field, control.to_vec(), any_text)), control: control.len() as i32 }
    }

    fn classify(&mut self, names: &mut Names) -> Class {
        if self.kind == Kind::Binary {
            (self.id, self.classifier) = (names.control, Some(names.classifier.clone()));
            return Class::Binary;
        }
        // The number of the type, doubled, and odd if the document was parsed on the way.
        let answer = names.classifier.classify(&self.data);
        if answer == MALFORMED {
            return Class::Malformed;
        }
        self.id = answer >> 1;
        self.classifier = Some(names.classifier.clone());
        let parsed = answer & 1 == 1;
        if parsed {
            self.parsed = Some(names.classifier.take());
        }
        match self.id {
            id if id == names.control => {
                if !parsed {
                    self.kind = Kind::Text;
                }
                Class::Untyped
            }
            id if (0..names.control).contains(&id) => Class::Control(id as usize),
            _ => Class::Event,
        }
    }

    fn json(&self) -> Option<Json> {
        Json::parse(&self.data.dyn_ref::<JsString>()?.as_string()?)
    }

    fn size(&self) -> usize {
        self.size
    }
}
