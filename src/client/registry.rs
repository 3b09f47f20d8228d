//! Who listens to what: patterns to listeners, shared by native closures and JavaScript functions.
//!
//! Writers take a lock; the event path looks at one number, and takes the lock only when that has changed.

use crate::proto::{Error, pattern};
use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

/// One listener.
pub(crate) struct Entry<L> {
    pattern: String,
    pub(crate) listener: L,
    once: bool,
    active: AtomicBool,
}

impl<L> Entry<L> {
    /// Whether to call it now. One that wants a single event is active for the first only. A listener that was removed
    /// while an event is being dispatched is not called any more.
    pub(crate) fn take_turn(&self) -> bool {
        if self.once { self.active.swap(false, Ordering::Relaxed) } else { self.active.load(Ordering::Relaxed) }
    }

    /// Whether it is still on.
    pub(crate) fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }
}

/// Listeners in the order in which they were added.
pub(crate) type Entries<L> = Arc<[Arc<Entry<L>>]>;

/// All listeners of a client.
pub(crate) struct Registry<L> {
    entries: Mutex<Vec<Arc<Entry<L>>>>,
    version: AtomicU64,
}

impl<L> Default for Registry<L> {
    fn default() -> Self {
        Self { entries: Mutex::default(), version: AtomicU64::new(0) }
    }
}

impl<L> Registry<L> {
    /// Adds a listener for a type or a pattern.
    ///
    /// # Errors
    /// `InvalidInput` for a pattern that makes no sense.
    pub(crate) fn add(&self, pattern: &str, listener: L, once: bool) -> Result<Arc<Entry<L>>, Error> {
        pattern::check(pattern)?;
        let entry = Arc::new(Entry { pattern: pattern.to_owned(), listener, once, active: AtomicBool::new(true) });
        self.change(|entries| {
            // Spent listeners go when others come, so that a program that uses `once` for hours does not grow.
            entries.retain(|entry| entry.is_active());
            entries.push(entry.clone());
        });
        Ok(entry)
    }

    /// Removes a listener; tells whether it was still on.
    pub(crate) fn remove(&self, entry: &Arc<Entry<L>>) -> bool {
        let was_active = entry.active.swap(false, Ordering::Relaxed);
        self.change(|entries| entries.retain(|other| !Arc::ptr_eq(other, entry)));
        was_active
    }

    fn change(&self, change: impl FnOnce(&mut Vec<Arc<Entry<L>>>)) {
        change(&mut self.entries.lock().unwrap_or_else(PoisonError::into_inner));
        self.version.fetch_add(1, Ordering::Release);
    }

    /// Shows every listener.
    #[cfg_attr(feature = "npm", allow(dead_code))]
    pub(crate) fn each(&self, mut see: impl FnMut(&L)) {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone();
        entries.iter().for_each(|entry| see(&entry.listener));
    }

    /// A number that changes with every change of the listeners.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The listeners of a type, patterns included.
    pub(crate) fn resolve(&self, name: &str) -> Entries<L> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = |entry: &&Arc<Entry<L>>| {
            entry.is_active()
                && if pattern::is_exact(&entry.pattern) {
                    entry.pattern == name
                } else {
                    pattern::matches(&entry.pattern, name)
                }
        };
        entries.iter().filter(fits).cloned().collect()
    }
}

/// How many types are remembered. A server may invent any number of them.
const MAX_TYPES: usize = 1024;

/// The answers of a registry, remembered for as long as its listeners stay the same.
pub(crate) struct Resolved<L> {
    registry: Arc<Registry<L>>,
    version: u64,
    /// Where in `entries` the listeners of a type stand.
    by_type: HashMap<Box<str>, usize, BuildHasherDefault<NameHasher>>,
    entries: Vec<Entries<L>>,
}

impl<L> Resolved<L> {
    pub(crate) fn new(registry: Arc<Registry<L>>) -> Self {
        Self { registry, version: 0, by_type: HashMap::default(), entries: Vec::new() }
    }

    /// Whose answers they are.
    #[cfg_attr(feature = "npm", allow(dead_code))]
    pub(crate) fn registry(&self) -> &Arc<Registry<L>> {
        &self.registry
    }

    /// The listeners of a type.
    pub(crate) fn get(&mut self, name: &str) -> &Entries<L> {
        let version = self.registry.version();
        if version != self.version {
            self.forget();
            self.version = version;
        }
        let index = match self.by_type.get(name) {
            Some(index) => *index,
            None => self.remember(name),
        };
        &self.entries[index]
    }

    #[cold]
    fn remember(&mut self, name: &str) -> usize {
        if self.entries.len() >= MAX_TYPES {
            self.forget();
        }
        self.entries.push(self.registry.resolve(name));
        self.by_type.insert(name.into(), self.entries.len() - 1);
        self.entries.len() - 1
    }

    fn forget(&mut self) {
        self.by_type.clear();
        self.entries.clear();
    }
}

/// Hashes a type for the look-up that every event makes: eight bytes at a time, by a multiplication each. Names that
/// are made to collide cost comparisons with at most [`MAX_TYPES`] others.
#[derive(Default)]
struct NameHasher(u64);

impl NameHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
}

impl Hasher for NameHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.add(u64::from_le_bytes(*word));
        }
        match bytes.last_chunk::<8>() {
            _ if rest.is_empty() => {}
            // Some bytes count twice, and all count.
            Some(last) => self.add(u64::from_le_bytes(*last)),
            None => self.add(rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))),
        }
    }

    /// The end of a text; `write` has seen all of it.
    fn write_u8(&mut self, _: u8) {}

    fn finish(&self) -> u64 {
        // A table looks at the highest and the lowest bits; the multiplication mixed the high ones.
        self.0 ^ self.0 >> 32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test;

    fn names(resolved: &mut Resolved<&'static str>, name: &str) -> Vec<&'static str> {
        resolved.get(name).iter().filter(|entry| entry.take_turn()).map(|entry| entry.listener).collect()
    }

    // S0-19, pitfall 9
    #[test]
    fn resolves_in_the_order_of_adding_and_follows_changes() {
        let registry = Arc::new(Registry::default());
        let mut resolved = Resolved::new(registry.clone());
        assert!(names(&mut resolved, "a.b").is_empty());
        let exact = registry.add("a.b", "exact", false).unwrap();
        registry.add("*", "all", false).unwrap();
        registry.add("a.*", "level", false).unwrap();
        registry.add("a.b", "once", true).unwrap();
        assert_eq!(names(&mut resolved, "a.b"), ["exact", "all", "level", "once"]);
        assert_eq!(names(&mut resolved, "a.b"), ["exact", "all", "level"]);
        assert!(registry.remove(&exact));
        assert!(!registry.remove(&exact));
        assert_eq!(names(&mut resolved, "a.b"), ["all", "level"]);
        assert_eq!(names(&mut resolved, "x"), ["all"]);
        assert!(registry.add("a*", "wrong", false).is_err());
        // The spent one is gone for good.
        registry.add("b", "b", false).unwrap();
        assert_eq!(registry.entries.lock().unwrap().len(), 3);
    }

    #[test]
    fn a_server_that_invents_types_does_not_fill_the_memory() {
        let registry = Arc::new(Registry::default());
        registry.add("*", "all", false).unwrap();
        let mut resolved = Resolved::new(registry);
        for number in 0..5_000 {
            assert_eq!(names(&mut resolved, &format!("type.{number}")), ["all"]);
            assert!(resolved.by_type.len() <= MAX_TYPES);
        }
    }
}
