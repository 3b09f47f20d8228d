//! One session and its line to a server, for random schedules: what all of them do with dials, sockets and time.

use super::{bed::Event, dice::Dice};
use everwire::proto::{CloseInfo, Error, ErrorKind, Input, Output, Session, Settings, Timestamp};
use std::time::Duration;

pub(crate) struct Line {
    seed: u64,
    pub(crate) dice: Dice,
    pub(crate) now: Timestamp,
    pub(crate) session: Session<Event>,
    /// The open socket, and whether the hello has come.
    pub(crate) socket: Option<(u64, bool)>,
    dialling: Option<u64>,
}

impl Line {
    pub(crate) fn new(dice: Dice, settings: Settings) -> Self {
        let seed = settings.seed;
        let session = Session::new(settings).expect("the settings are right");
        Self { seed, dice, now: Timestamp::default(), session, socket: None, dialling: None }
    }

    #[track_caller]
    pub(crate) fn check(&self, holds: bool, what: &str) {
        assert!(holds, "at {:?}: {what} (replay with EVERWIRE_SEED={})", self.now.since_start(), self.seed);
    }

    /// The generation of the socket, or of one that may have been.
    pub(crate) fn current(&self) -> u64 {
        self.socket.map_or(1, |(open, _)| open)
    }

    pub(crate) fn is_up(&self) -> bool {
        self.socket.is_some_and(|(_, up)| up)
    }

    /// The next step towards a connection: a dial fails, or succeeds, or the hello comes.
    pub(crate) fn forward(&mut self, hello: &str, fails: u64) -> Option<Input<Event>> {
        if let Some(generation) = self.dialling.take() {
            if self.dice.chance(fails) {
                let error = Error::new(ErrorKind::Connect, "refused");
                return Some(Input::DialFailed { generation, error });
            }
            self.socket = Some((generation, false));
            return Some(Input::Opened { generation });
        }
        let (generation, _) = self.socket.filter(|(_, up)| !up)?;
        self.socket = Some((generation, true));
        Some(Input::Message { generation, payload: Event::from_text(hello.to_owned()) })
    }

    /// The socket breaks, if there is one, with this chance.
    pub(crate) fn cut(&mut self, chance: u64) -> Option<Input<Event>> {
        let (generation, _) = self.socket.take_if(|_| self.dice.chance(chance))?;
        Some(Input::Closed { generation, info: CloseInfo::default() })
    }

    /// Goes on to the next timer that is due within this time, or to the end of it; true at a timer.
    pub(crate) fn pass(&mut self, until: Timestamp) -> bool {
        let due = self.session.next_timeout().filter(|due| *due <= until);
        self.now = due.map_or(until, |due| self.now.max(due));
        due.is_some()
    }

    /// A time that is to pass: up to so many milliseconds from now.
    pub(crate) fn soon(&mut self, millis: u64) -> Timestamp {
        self.now + Duration::from_millis(self.dice.below(millis))
    }

    /// The next thing that the session wants done; dials and sockets are seen to.
    pub(crate) fn poll(&mut self) -> Option<Output<Event>> {
        let output = self.session.poll()?;
        match &output {
            Output::Dial { generation, .. } => self.dialling = Some(*generation),
            Output::Abort { generation, .. } => {
                self.dialling.take_if(|dial| dial == generation);
                self.socket.take_if(|(open, _)| open == generation);
            }
            _ => {}
        }
        Some(output)
    }
}
