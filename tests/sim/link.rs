//! The link between the session and the server: a wire for each dial, with a pipe each way. Like TCP a pipe keeps its order
//! and loses nothing in the middle; unlike a test's usual socket it delays, stalls without a word, and breaks in the middle
//! of a frame.

use super::random::Random;
use std::time::Duration;

/// How far one end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Dialing,
    Open,
    Gone,
}

/// One connection, or the try of one.
#[derive(Debug)]
pub(crate) struct Wire {
    /// What the session knows.
    pub(crate) client: End,
    /// What the server knows: it may serve a client that has long gone.
    pub(crate) server: End,
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,
}

/// One direction of a wire.
#[derive(Debug)]
pub(crate) struct Pipe {
    latency: Duration,
    /// When the last frame arrives: none overtakes it.
    last: Duration,
    /// Nothing more comes out of it, not even what is in it.
    dead: bool,
}

impl Wire {
    pub(crate) fn new(latency: Duration) -> Self {
        Self { client: End::Dialing, server: End::Dialing, up: Pipe::new(latency), down: Pipe::new(latency) }
    }

    /// Whether nothing is slow or lost on it.
    pub(crate) fn is_quick(&self) -> bool {
        let quick = |pipe: &Pipe| !pipe.dead && pipe.latency < Duration::from_secs(1);
        quick(&self.up) && quick(&self.down)
    }

    /// Both pipes go dead, and nobody is told.
    pub(crate) fn stall(&mut self) {
        self.up.stall();
        self.down.stall();
    }
}

impl Pipe {
    fn new(latency: Duration) -> Self {
        Self { latency, last: Duration::ZERO, dead: false }
    }

    /// When what is put in now comes out.
    pub(crate) fn arrival(&mut self, now: Duration, random: &mut Random) -> Duration {
        let jitter = random.up_to(self.latency);
        self.last = self.last.max(now + self.latency + jitter);
        self.last
    }

    /// Nothing comes out of it before this.
    pub(crate) fn opens(&mut self, at: Duration) {
        self.last = self.last.max(at);
    }

    pub(crate) fn stall(&mut self) {
        self.dead = true;
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.dead
    }

    /// Everything put in from now on takes so much longer.
    pub(crate) fn slow_down(&mut self, by: Duration) {
        self.latency += by;
    }
}
