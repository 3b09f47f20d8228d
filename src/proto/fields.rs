//! Reads a JSON document member by member. What is wrong is named by its path, and what is not known is refused.
//!
//! A derived deserializer would do the same in nine times the space, which every page would have to download.

use super::{
    error::{Error, ErrorKind},
    json::{Json, Object},
};

/// The members of an object that are still to be read. One that is `null` counts as missing.
pub(super) struct Fields {
    path: String,
    /// In their order. A list and not a map: it is short, and taken apart.
    members: Vec<(String, Json)>,
}

impl Fields {
    /// The members of the object at this path, which is empty for a whole document.
    pub(super) fn of(value: Json, path: String) -> Result<Self, Error> {
        match value {
            Json::Object(members) => Ok(Self { path, members: members.into_members() }),
            _ => Err(wrong(path, "must be an object")),
        }
    }

    /// The path of a member.
    pub(super) fn path(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { [&self.path, ".", name].concat() }
    }

    pub(super) fn value(&mut self, name: &str) -> Option<Json> {
        let place = self.members.iter().position(|(other, _)| other == name)?;
        Some(self.members.remove(place).1).filter(|value| *value != Json::Null)
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, Error> {
        self.value(name).map(|value| text(value, || self.path(name))).transpose()
    }

    pub(super) fn flag(&mut self, name: &str) -> Result<Option<bool>, Error> {
        match self.value(name) {
            None => Ok(None),
            Some(Json::Bool(flag)) => Ok(Some(flag)),
            Some(_) => Err(wrong(self.path(name), "must be true or false")),
        }
    }

    /// A number from 0 to `max`.
    pub(super) fn number(&mut self, name: &str, max: u64) -> Result<Option<u64>, Error> {
        let Some(value) = self.value(name) else { return Ok(None) };
        match value.as_i64().and_then(|number| u64::try_from(number).ok()).filter(|number| *number <= max) {
            Some(number) => Ok(Some(number)),
            None => Err(wrong(self.path(name), "must be a whole number, not negative and not too large")),
        }
    }

    /// An object whose members are free.
    pub(super) fn object(&mut self, name: &str) -> Result<Object, Error> {
        match self.value(name) {
            None => Ok(Object::new()),
            Some(Json::Object(members)) => Ok(members),
            Some(_) => Err(wrong(self.path(name), "must be an object")),
        }
    }

    /// An object whose members are texts.
    pub(super) fn text_object(&mut self, name: &str) -> Result<Object, Error> {
        let members = self.object(name)?;
        if let Some((wrong_one, _)) = members.iter().find(|(_, value)| value.as_str().is_none()) {
            return Err(wrong(self.path(name) + "." + wrong_one, "must be a string"));
        }
        Ok(members)
    }

    /// An object whose members are known.
    pub(super) fn fields(&mut self, name: &str) -> Result<Option<Fields>, Error> {
        self.value(name).map(|value| Fields::of(value, self.path(name))).transpose()
    }

    /// The members of an array, each with its path.
    pub(super) fn list(&mut self, name: &str) -> Result<Vec<(Json, String)>, Error> {
        let path = self.path(name);
        match self.value(name) {
            None => Ok(Vec::new()),
            Some(Json::Array(list)) => {
                let with_path = |(index, value)| (value, format!("{path}[{index}]"));
                Ok(list.into_iter().enumerate().map(with_path).collect())
            }
            Some(_) => Err(wrong(path, "must be an array")),
        }
    }

    pub(super) fn texts(&mut self, name: &str) -> Result<Vec<String>, Error> {
        self.list(name)?.into_iter().map(|(value, path)| text(value, || path)).collect()
    }

    /// What must be there.
    pub(super) fn needed<T>(&self, name: &str, found: Option<T>) -> Result<T, Error> {
        found.ok_or_else(|| wrong(self.path(name), "is needed"))
    }

    /// Refuses what was not read.
    pub(super) fn end(self) -> Result<(), Error> {
        match self.members.first() {
            Some((name, _)) => Err(wrong(self.path(name), "is not known here")),
            None => Ok(()),
        }
    }
}

fn text(value: Json, path: impl FnOnce() -> String) -> Result<String, Error> {
    match value {
        Json::String(text) => Ok(text),
        _ => Err(wrong(path(), "must be a string")),
    }
}

pub(super) fn wrong(path: String, message: &'static str) -> Error {
    let path = if path.is_empty() { "dialect".to_owned() } else { path };
    Error::new(ErrorKind::Config, message).with_path(path)
}
