//! Reads the frames of a connection: the hello first, then events, and among them what concerns the session itself.

use super::super::{
    decimal::decimal,
    dialect::{Action, Dialect, member},
    error::{Error, ErrorKind},
    json::Json,
    message::{Class, Parts, Passed, Payload},
    server_error::{self, ServerError},
    template,
};
use super::{Link, Output, Session};
use std::{slice::from_ref, sync::Arc};

/// What the control types of a dialect are for. A type may be for more than one thing: in Stream's v1 the hello and the
/// answer to a health check are both a `health.check`.
pub(super) struct Roles {
    types: Vec<String>,
    roles: Vec<Role>,
}

#[derive(Clone, Copy, Default)]
pub(super) struct Role {
    /// Bits of the constants below.
    purposes: u8,
    answer: Option<usize>,
}

impl Role {
    const HELLO: u8 = 1;
    const ERROR: u8 = 2;
    const REPLY: u8 = 4;
    /// It says that events are gone.
    pub(super) const GAP: u8 = 8;
    /// It says which messages the server has taken.
    pub(super) const RECEIVED: u8 = 16;
    /// It can be the reply to a request.
    pub(super) const SETTLES: u8 = 32;

    /// Whether it is for one of these.
    pub(super) fn is(self, purposes: u8) -> bool {
        self.purposes & purposes != 0
    }
}

impl Roles {
    pub(super) fn new(dialect: &Dialect, parts: Parts) -> Self {
        let mut roles = Self { types: Vec::new(), roles: Vec::new() };
        for (index, rule) in dialect.answers.iter().enumerate() {
            roles.entry(&rule.kind).answer = Some(index);
        }
        let mut add = |purpose, types: Option<&[String]>| {
            for name in types.unwrap_or_default() {
                roles.entry(name).purposes |= purpose;
            }
        };
        add(Role::HELLO, dialect.hello.as_ref().map(|hello| &*hello.types));
        add(Role::ERROR, dialect.errors.as_ref().map(|errors| &*errors.types));
        add(Role::REPLY, dialect.health_check.as_ref().map(|health| health.reply.as_slice()));
        if parts.requests {
            add(Role::SETTLES, dialect.requests.as_ref().map(|rule| &*rule.reply_types));
        }
        if let (true, Some(rule)) = (parts.resume, &dialect.resume) {
            add(Role::GAP, rule.gap.as_ref().map(|gap| &*gap.types));
            add(Role::RECEIVED, rule.sends.as_ref().map(|sends| from_ref(&sends.received)));
        }
        roles
    }

    fn entry(&mut self, name: &str) -> &mut Role {
        let index = self.types.iter().position(|known| known == name).unwrap_or_else(|| {
            self.types.push(name.to_owned());
            self.roles.push(Role::default());
            self.roles.len() - 1
        });
        &mut self.roles[index]
    }

    pub(super) fn of(&self, class: Class) -> Role {
        match class {
            Class::Control(index) => self.roles[index],
            _ => Role::default(),
        }
    }

    pub(super) fn types(&self) -> &[String] {
        &self.types
    }
}

/// The types of a dialect's control messages, in the order in which a payload [classifies](Payload::classify) them.
pub fn control_types(dialect: &Dialect, parts: Parts) -> Vec<String> {
    Roles::new(dialect, parts).types
}

impl<P: Payload> Session<P> {
    /// Takes a message. An ordinary event is given back: it is for the listeners.
    pub(super) fn message(&mut self, generation: u64, mut payload: P) -> Option<P> {
        if self.is_successor(generation) {
            self.first_of_successor(generation, payload);
            return None;
        }
        if !self.is_current(generation, &[Link::Up, Link::Hello]) {
            return None;
        }
        self.health.last_received = self.now;
        self.stats.messages_in += 1;
        self.stats.last_message_at = Some(self.now);
        self.stats.bytes_in += payload.size() as u64;
        let class = payload.classify(&mut self.names);
        if self.link == Link::Hello {
            self.before_hello(class, payload);
            return None;
        }
        if P::PARTS.resume && self.resume.is_some() {
            return self.follow(class, payload);
        }
        self.sort(class, payload)
    }

    /// Whether an ordinary event concerns nobody but its listeners: then it may go to them at once, and an
    /// [`Input::Passed`](super::Input::Passed) tells of it before whatever comes next. It may not after the time at which
    /// something is [due](Self::next_timeout), for whatever comes off a socket does what is due.
    pub fn lets_pass(&self) -> bool {
        let numbered = P::PARTS.resume && self.resume.is_some();
        let replies = self.settings.dialect.requests.as_ref();
        let asked =
            P::PARTS.requests && !self.requests.is_empty() && replies.is_some_and(|rule| rule.reply_types.is_empty());
        self.link == Link::Up && !numbered && !asked
    }

    pub(super) fn passed(&mut self, generation: u64, passed: Passed) {
        self.stats.pass(passed, self.now);
        if generation == self.generation {
            self.health.last_received = self.health.last_received.max(self.now - passed.since);
        }
    }

    /// The first frame of the connection that is to take the place of this one. With the hello it does.
    fn first_of_successor(&mut self, generation: u64, mut payload: P) {
        let class = payload.classify(&mut self.names);
        let role = self.roles.of(class);
        if role.is(Role::HELLO) && payload.json().is_some_and(|document| self.is_complete_hello(&document)) {
            self.stats.messages_in += 1;
            self.stats.bytes_in += payload.size() as u64;
            self.health.last_received = self.now;
            self.promote();
            self.before_hello(class, payload);
        } else if role.answer.is_some() || role.is(Role::REPLY) {
            self.answer(role, generation);
        } else {
            // An error, or the wrong server: what follows is decided as for any other try.
            self.replace_at_once();
        }
    }

    /// What a message is for. An ordinary event is given back.
    pub(super) fn sort(&mut self, class: Class, payload: P) -> Option<P> {
        let payload = match P::PARTS.requests && !self.requests.is_empty() {
            true => self.reply(class, payload)?,
            false => payload,
        };
        match class {
            Class::Event => {
                self.stats.events += 1;
                return Some(payload);
            }
            Class::Control(_) | Class::Untyped => self.control(class, payload),
            Class::Binary => {
                self.stats.binary += 1;
                self.deliver(payload);
            }
            Class::Malformed => {
                self.stats.malformed += 1;
                let error = payload.undecoded();
                self.report(error.unwrap_or_else(|| Error::new(ErrorKind::Decode, "a message is not JSON")));
            }
        }
        None
    }

    fn deliver(&mut self, payload: P) {
        self.stats.events += 1;
        self.outputs.push(Output::Event(payload));
    }

    /// The first frame: a hello, an error, or the wrong server (S0-6).
    fn before_hello(&mut self, class: Class, payload: P) {
        let role = self.roles.of(class);
        let document = payload.json();
        if let Some(document) = &document {
            if role.is(Role::HELLO) && self.is_complete_hello(document) {
                let id = self.settings.dialect.hello.as_ref().and_then(|hello| hello.connection_id.as_deref());
                let id = id.and_then(|path| member(document, path)).map(|id| Arc::from(&*template::plain(id)));
                self.up(id, Some(document));
                return self.deliver(payload);
            }
            if let Some(ServerError { action, error }) = self.server_error(class, role, document) {
                // Before the hello every error counts as rejected authentication.
                let error = if action == Action::Event { error.into_auth() } else { error };
                return self.fail(error, action);
            }
            if role.answer.is_some() || role.is(Role::REPLY) {
                self.answer(role, self.generation);
                return;
            }
        }
        let what = "the first frame of the server is not the hello";
        let mut error = match class {
            Class::Binary => {
                let size = decimal(payload.size() as u64);
                Error::new(ErrorKind::Auth, [what, ", but a binary message of ", &size, " bytes"].concat())
            }
            _ => Error::new(ErrorKind::Auth, what),
        };
        if let Some(said) = payload.readable() {
            error = error.with_response(document.map_or_else(|| said.into_owned(), |document| document.text()));
        }
        self.fail(error, Action::Fatal);
    }

    /// Whether a hello has what it must have: a connection id too, where a frame cannot do without.
    fn is_complete_hello(&self, document: &Json) -> bool {
        let Some(hello) = &self.settings.dialect.hello else { return false };
        let has = |path: &String| member(document, path).is_some();
        hello.requires.iter().all(has)
            && (hello.connection_id.as_ref().is_none_or(has) || self.settings.check_params::<P>(None).is_ok())
    }

    /// The error in a frame, if it is one by its type or by the member that stands for one.
    fn server_error(&self, class: Class, role: Role, document: &Json) -> Option<ServerError> {
        let rule = self.settings.dialect.errors.as_ref()?;
        let bare =
            || class == Class::Untyped && rule.bare.as_ref().is_some_and(|path| member(document, path).is_some());
        (role.is(Role::ERROR) || bare()).then(|| server_error::read(rule, document))
    }

    fn control(&mut self, class: Class, payload: P) {
        let role = self.roles.of(class);
        if role.is(Role::REPLY) {
            self.health_reply();
        }
        let bare = self.settings.dialect.errors.as_ref().is_some_and(|rule| rule.bare.is_some());
        let document = if role.is(Role::ERROR) || bare && class == Class::Untyped { payload.json() } else { None };
        let found = document.and_then(|document| self.server_error(class, role, &document));
        self.answer(role, self.generation);
        if P::PARTS.resume {
            self.resume_control(role, &payload);
        }
        self.deliver(payload);
        self.act_on(found);
    }

    /// Answers on this connection, or on the one that is to take its place, which has no id yet.
    fn answer(&mut self, role: Role, generation: u64) {
        let Some(rule) = role.answer.map(|index| &self.settings.dialect.answers[index]) else { return };
        let point = self.resume_point();
        let mut params = self.params(point.as_ref());
        if P::PARTS.resume && generation != self.generation {
            params.connection_id = None;
        }
        self.write_filled_to(generation, params.frame(&rule.frame));
    }

    /// An error in the middle of the stream: the listeners have it as an event, the session acts on it.
    fn act_on(&mut self, found: Option<ServerError>) {
        match found {
            Some(ServerError { action: Action::Event, .. }) | None => {}
            Some(ServerError { action, error }) => self.fail(error, action),
        }
    }
}
