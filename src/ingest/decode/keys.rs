//! The order in which a producer writes its keys: the next key is guessed from the record before, so that a good
//! guess costs one comparison of bytes instead of a search by name.
//!
//! **Invariant:** a guess is only ever believed when the raw bytes of the key are equal; what a key means never
//! depends on where it stands.

use std::borrow::Cow;

use super::json::{Fault, Scanner};

/// How many keys a producer may leave out in a row before the order is learned anew.
const LOOK_AHEAD: usize = 3;
/// Keys longer than this, and keys further back than `capacity`, are looked up each time: bounds the memory.
const REMEMBERED_BYTES: usize = 256;

#[derive(Debug)]
pub(super) struct KeyOrder<T> {
    places: Vec<(Vec<u8>, T)>,
    capacity: usize,
    /// Where a key that is not remembered is put.
    spare: Option<T>,
}

impl<T> KeyOrder<T> {
    pub fn new(capacity: usize) -> Self {
        Self {
            places: Vec::new(),
            capacity,
            spare: None,
        }
    }

    /// Reads the next key and its colon, and says what the key means. `cursor` begins at 0 for each object and is
    /// moved on.
    #[inline]
    pub fn next<'o>(
        &'o mut self,
        scanner: &mut Scanner<'_>,
        cursor: &mut usize,
        meaning: impl FnOnce(Cow<'_, str>) -> T,
    ) -> Result<&'o T, Fault> {
        let first = *cursor;
        for place in first..self.places.len().min(first + LOOK_AHEAD) {
            if scanner.eat_key(&self.places[place].0) {
                *cursor = place + 1;
                return Ok(&self.places[place].1);
            }
        }
        self.learn(scanner, cursor, meaning)
    }

    #[inline(never)]
    fn learn<'o>(
        &'o mut self,
        scanner: &mut Scanner<'_>,
        cursor: &mut usize,
        meaning: impl FnOnce(Cow<'_, str>) -> T,
    ) -> Result<&'o T, Fault> {
        let (key, raw) = scanner.key()?;
        let meaning = meaning(key);
        let place = *cursor;
        if place >= self.capacity || raw.len() > REMEMBERED_BYTES {
            return Ok(self.spare.insert(meaning));
        }
        *cursor += 1;
        if place == self.places.len() {
            self.places.push((raw.to_vec(), meaning));
        } else {
            let (old, means) = &mut self.places[place];
            old.clear();
            old.extend_from_slice(raw);
            *means = meaning;
        }
        Ok(&self.places[place].1)
    }
}

/// A key of the record itself.
#[derive(Debug, Clone)]
pub(super) enum TopKey {
    Model,
    Version,
    Id,
    Ts,
    Features,
    Prediction,
    Latency,
    /// Of the input contract, but not counted here.
    Ignored,
    Unknown(String),
}

impl TopKey {
    pub fn of(key: Cow<'_, str>) -> Self {
        match &*key {
            "model" => Self::Model,
            "version" => Self::Version,
            "id" => Self::Id,
            "ts" => Self::Ts,
            "features" => Self::Features,
            "prediction" => Self::Prediction,
            "latency_ms" => Self::Latency,
            "tags" | "entity" | "weight" | "attributions" | "group" | "position" => Self::Ignored,
            other => Self::Unknown(cut_name(&format!("$.{other}")).to_owned()),
        }
    }
}

/// The name of an unknown field as it is kept: at most 256 bytes, whole characters.
pub(super) fn cut_name(name: &str) -> &str {
    const BYTES: usize = 256;
    &name[..name.floor_char_boundary(BYTES)]
}
