//! Reads a JSON document member by member. What is wrong is named by its path, and what is not known is refused.
//!
//! A derived deserializer would do the same in many times the space, which every page would have to download. For the same
//! reason reading goes on after a mistake, with nothing in the place of what is wrong: only the first mistake is told, at
//! the end, and no line in between needs a way out.

use super::{
    dialect::indexed,
    error::{Error, ErrorKind},
    json::{Json, Object},
};
use std::cell::OnceCell;

/// Where the first mistake is kept.
pub(crate) type Mistake = OnceCell<Error>;

/// The members of an object that are still to be read. One that is `null` counts as missing.
pub(crate) struct Fields<'a> {
    path: String,
    members: Vec<(String, Json)>,
    mistake: &'a Mistake,
}

impl<'a> Fields<'a> {
    /// The members of the object at this path, which is empty for a whole document.
    pub(crate) fn of(value: Json, path: String, mistake: &'a Mistake) -> Self {
        let mut fields = Self { path, members: Vec::new(), mistake };
        match value {
            Json::Object(members) => fields.members = members.into_members(),
            _ => wrong(mistake, fields.path.clone(), "must be an object"),
        }
        fields
    }

    /// The path of a member.
    fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { [&self.path, ".", name].concat() }
    }

    /// Notes that a member is wrong.
    pub(crate) fn wrong(&self, name: &str, message: &'static str) {
        wrong(self.mistake, self.path(name), message);
    }

    pub(crate) fn value(&mut self, name: &str) -> Option<Json> {
        let place = self.members.iter().position(|(other, _)| other == name)?;
        Some(self.members.remove(place).1).filter(|value| *value != Json::Null)
    }

    /// A member that must be there.
    pub(crate) fn needed(&mut self, name: &str) -> Json {
        self.value(name).unwrap_or_else(|| {
            self.wrong(name, "is needed");
            Json::Null
        })
    }

    pub(crate) fn text(&mut self, name: &str) -> Option<String> {
        match self.value(name)? {
            Json::String(text) => Some(text),
            _ => {
                self.wrong(name, "must be a string");
                None
            }
        }
    }

    pub(crate) fn needed_text(&mut self, name: &str) -> String {
        match self.needed(name) {
            Json::String(text) => text,
            _ => {
                self.wrong(name, "must be a string");
                String::new()
            }
        }
    }

    pub(crate) fn flag(&mut self, name: &str) -> Option<bool> {
        match self.value(name)? {
            Json::Bool(flag) => Some(flag),
            _ => {
                self.wrong(name, "must be true or false");
                None
            }
        }
    }

    /// A number from 0 to `max`.
    pub(crate) fn number(&mut self, name: &str, max: i64) -> Option<u64> {
        let value = self.value(name)?;
        Some(self.checked(name, &value, max))
    }

    pub(crate) fn needed_number(&mut self, name: &str, max: i64) -> u64 {
        let value = self.needed(name);
        self.checked(name, &value, max)
    }

    fn checked(&self, name: &str, value: &Json, max: i64) -> u64 {
        let number = value.as_i64().filter(|number| (0..=max).contains(number));
        if number.is_none() {
            self.wrong(name, "must be a whole number, not negative and not too large");
        }
        number.unwrap_or_default() as u64
    }

    /// An object whose members are free.
    pub(crate) fn object(&mut self, name: &str) -> Object {
        match self.value(name) {
            Some(Json::Object(members)) => return members,
            Some(_) => self.wrong(name, "must be an object"),
            None => {}
        }
        Object::new()
    }

    /// An object whose members are known.
    pub(crate) fn fields(&mut self, name: &str) -> Option<Fields<'a>> {
        self.value(name).map(|value| Fields::of(value, self.path(name), self.mistake))
    }

    /// The items of an array, each with its path.
    pub(crate) fn list(&mut self, name: &str) -> Vec<(Json, String)> {
        let mut list = Vec::new();
        match self.value(name) {
            Some(Json::Array(items)) => {
                for (index, item) in items.into_iter().enumerate() {
                    list.push((item, indexed(&self.path(name), index, "")));
                }
            }
            Some(_) => self.wrong(name, "must be an array"),
            None => {}
        }
        list
    }

    /// The items of an array of objects.
    pub(crate) fn each(&mut self, name: &str, read: &mut dyn FnMut(Fields<'a>)) {
        for (item, path) in self.list(name) {
            read(Fields::of(item, path, self.mistake));
        }
    }

    pub(crate) fn texts(&mut self, name: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for (item, path) in self.list(name) {
            match item {
                Json::String(text) => texts.push(text),
                _ => wrong(self.mistake, path, "must be a string"),
            }
        }
        texts
    }

    pub(crate) fn whole_numbers(&mut self, name: &str) -> Vec<i64> {
        let mut numbers = Vec::new();
        for (item, path) in self.list(name) {
            match item.as_i64() {
                Some(number) => numbers.push(number),
                None => wrong(self.mistake, path, "must be a whole number"),
            }
        }
        numbers
    }

    /// Refuses what was not read.
    pub(crate) fn end(self) {
        if let Some((name, _)) = self.members.first() {
            self.wrong(name, "is not known here");
        }
    }
}

/// Keeps a mistake, if it is the first.
fn wrong(mistake: &Mistake, path: String, message: &'static str) {
    let path = if path.is_empty() { "dialect".to_owned() } else { path };
    // A later one is not told.
    let _ = mistake.set(Error::new(ErrorKind::Config, message).with_path(path));
}
