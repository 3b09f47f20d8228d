//! Reads a JSON document member by member. What is wrong is named by its path, and what is not known is refused.
//!
//! A derived deserializer would do the same in many times the space, which every page would have to download. For the same
//! reason what is read is put in its place, where a default stands already, and reading goes on after a mistake: only the first
//! mistake is told, at the end, and no line in between needs a way out.

use super::{
    error::Error,
    json::{Json, Object},
    text::{indexed, pieces},
};
use std::cell::OnceCell;

/// The first mistake that was found.
#[derive(Default)]
pub(crate) struct Mistake(OnceCell<Error>);

impl Mistake {
    /// Notes what is wrong at this path, which is empty for a whole document.
    pub(crate) fn note(&self, path: &str, message: &'static str) {
        let path = if path.is_empty() { "dialect" } else { path };
        // A later one is not told.
        self.0.get_or_init(|| Error::wrong(path, message));
    }

    /// Notes it if it is so.
    pub(crate) fn when(&self, is_wrong: bool, path: &str, message: &'static str) {
        if is_wrong {
            self.note(path, message);
        }
    }

    /// Notes what must be more than 0 and is not.
    pub(crate) fn when_zero(&self, is_zero: bool, path: &str) {
        self.when(is_zero, path, "must be more than 0");
    }

    /// Notes a path within messages (`a.b`) that is none.
    pub(crate) fn unless_path(&self, path: &str, at: &str) {
        self.when(pieces(path, b'.').any(str::is_empty), at, "must be a path such as `a.b`");
    }

    /// Whether nothing is wrong.
    pub(crate) fn result(self) -> Result<(), Error> {
        self.0.into_inner().map_or(Ok(()), Err)
    }
}

/// The members of an object that are still to be read, and of one in it, and so on. One that is `null` counts as missing, and
/// what is missing changes nothing.
pub(crate) struct Fields<'a> {
    here: Level<'a>,
    outer: Vec<Level<'a>>,
    path: String,
    mistake: &'a Mistake,
}

/// An object that is being read.
#[derive(Clone, Copy)]
struct Level<'a> {
    members: &'a [(String, Json)],
    /// Which of them were read. No rule has as many members as this has bits.
    read: u64,
    /// How much of the path leads to it.
    path: usize,
}

impl<'a> Fields<'a> {
    /// The members of a whole document.
    pub(crate) fn of(document: &'a Json, mistake: &'a Mistake) -> Self {
        let here = Level { members: &[], read: 0, path: 0 };
        let mut fields = Fields { here, outer: Vec::new(), path: String::new(), mistake };
        fields.begin(document);
        fields
    }

    /// Begins to read the object at the path.
    fn begin(&mut self, value: &'a Json) {
        self.here = Level { members: &[], read: 0, path: self.path.len() };
        match value {
            Json::Object(members) => self.here.members = members.members(),
            _ => self.mistake.note(&self.path, "must be an object"),
        }
    }

    /// Goes into an object whose members are known, if it is there: what is read then is read from it, until `leave`.
    pub(crate) fn enter(&mut self, name: &str) -> bool {
        let value = self.value(name);
        if let Some(value) = value {
            let path = self.path(name);
            self.enter_at(path, value);
        }
        value.is_some()
    }

    fn enter_at(&mut self, path: String, value: &'a Json) {
        self.outer.push(self.here);
        self.path = path;
        self.begin(value);
    }

    /// Refuses what was not read of an object, and goes back to the one around it.
    pub(crate) fn leave(&mut self) {
        for (place, (name, _)) in self.here.members.iter().take(64).enumerate() {
            if self.here.read >> place & 1 == 0 {
                self.wrong(name, "is not known here");
            }
        }
        if let Some(outer) = self.outer.pop() {
            self.here = outer;
            self.path.truncate(outer.path);
        }
    }

    /// The path of a member.
    fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { [&self.path, ".", name].concat() }
    }

    /// Notes that a member is wrong.
    pub(crate) fn wrong(&self, name: &str, message: &'static str) {
        self.mistake.note(&self.path(name), message);
    }

    /// Where a member stands that is not read yet.
    fn find(&self, name: &str) -> Option<usize> {
        let unread = |place: &usize| self.here.read >> place & 1 == 0 && self.here.members[*place].0 == name;
        (0..self.here.members.len().min(64)).find(unread)
    }

    pub(crate) fn value(&mut self, name: &str) -> Option<&'a Json> {
        let place = self.find(name)?;
        self.here.read |= 1 << place;
        Some(&self.here.members[place].1).filter(|value| !matches!(value, Json::Null))
    }

    /// Notes that a member is missing that must be there.
    pub(crate) fn needed(&self, name: &str) {
        let value = self.find(name).map(|place| &self.here.members[place].1);
        if matches!(value, None | Some(Json::Null)) {
            self.wrong(name, "is needed");
        }
    }

    pub(crate) fn json(&mut self, name: &str, place: &mut Option<Json>) {
        if let Some(value) = self.value(name) {
            *place = Some(value.clone());
        }
    }

    pub(crate) fn needed_json(&mut self, name: &str, place: &mut Json) {
        self.needed(name);
        if let Some(value) = self.value(name) {
            *place = value.clone();
        }
    }

    pub(crate) fn string(&mut self, name: &str) -> Option<&'a String> {
        match self.value(name)? {
            Json::String(text) => Some(text),
            _ => {
                self.wrong(name, "must be a string");
                None
            }
        }
    }

    pub(crate) fn text(&mut self, name: &str, place: &mut Option<String>) {
        if let Some(text) = self.string(name) {
            *place = Some(text.clone());
        }
    }

    pub(crate) fn needed_text(&mut self, name: &str, place: &mut String) {
        self.needed(name);
        if let Some(text) = self.string(name) {
            *place = text.clone();
        }
    }

    pub(crate) fn flag(&mut self, name: &str, place: &mut bool) {
        match self.value(name) {
            Some(Json::Bool(flag)) => *place = *flag,
            Some(_) => self.wrong(name, "must be true or false"),
            None => {}
        }
    }

    /// A whole number from 0 to `max`.
    pub(crate) fn number(&mut self, name: &str, max: i64) -> Option<u64> {
        let number = self.value(name)?.as_i64().filter(|number| (0..=max).contains(number));
        if number.is_none() {
            self.wrong(name, "must be a whole number, not negative and not too large");
        }
        number.map(|number| number as u64)
    }

    /// A whole number that is not negative.
    pub(crate) fn count(&mut self, name: &str, place: &mut u64) {
        if let Some(number) = self.number(name, i64::MAX) {
            *place = number;
        }
    }

    pub(crate) fn needed_count(&mut self, name: &str, place: &mut u64) {
        self.needed(name);
        self.count(name, place);
    }

    /// An object whose members are free.
    pub(crate) fn object(&mut self, name: &str, place: &mut Object) {
        match self.value(name) {
            Some(Json::Object(members)) => *place = members.clone(),
            Some(_) => self.wrong(name, "must be an object"),
            None => {}
        }
    }

    /// The items of an array, each with its path.
    fn items(&mut self, name: &str, read: &mut dyn FnMut(&mut Self, &'a Json, String)) {
        match self.value(name) {
            Some(Json::Array(items)) => {
                for (index, item) in items.iter().enumerate() {
                    let path = indexed(&self.path(name), index, "");
                    read(self, item, path);
                }
            }
            Some(_) => self.wrong(name, "must be an array"),
            None => {}
        }
    }

    /// The items of an array of objects.
    pub(crate) fn each(&mut self, name: &str, read: &mut dyn FnMut(&mut Self)) {
        self.items(name, &mut |fields, item, path| {
            fields.enter_at(path, item);
            read(fields);
            fields.leave();
        });
    }

    pub(crate) fn texts(&mut self, name: &str, place: &mut Vec<String>) {
        self.items(name, &mut |fields, item, path| match item {
            Json::String(text) => place.push(text.clone()),
            _ => fields.mistake.note(&path, "must be a string"),
        });
    }

    pub(crate) fn whole_numbers(&mut self, name: &str, place: &mut Vec<i64>) {
        self.items(name, &mut |fields, item, path| match item.as_i64() {
            Some(number) => place.push(number),
            None => fields.mistake.note(&path, "must be a whole number"),
        });
    }
}
