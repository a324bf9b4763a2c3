//! Floats in JSON, to the last bit.
//!
//! JSON readers may be off by one unit in the last place (`serde_json` is, for speed, unless asked otherwise), and a
//! layout that changes by one bit has another hash. So layouts write their numbers as texts, in the shortest decimal
//! that reads back as the same float.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A finite float that is written as text. −0.0 is written, and read, as 0.0.
#[derive(Clone, Copy)]
struct Exact(f64);

impl Serialize for Exact {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{:?}", self.0 + 0.0))
    }
}

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Self(number + 0.0)),
            _ => Err(serde::de::Error::custom(format_args!(
                "{text:?} is not a finite number"
            ))),
        }
    }
}

pub(crate) mod one {
    use super::*;

    pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Exact(*number).serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Ok(Exact::deserialize(deserializer)?.0)
    }
}

pub(crate) mod list {
    use super::*;

    pub fn serialize<S: Serializer>(numbers: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(numbers.iter().copied().map(Exact))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        Ok(Vec::<Exact>::deserialize(deserializer)?
            .into_iter()
            .map(|exact| exact.0)
            .collect())
    }
}

pub(crate) mod optional_pair {
    use super::*;

    pub fn serialize<S: Serializer>(
        pair: &Option<[f64; 2]>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        pair.map(|[low, high]| [Exact(low), Exact(high)])
            .serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<[f64; 2]>, D::Error> {
        Ok(Option::<[Exact; 2]>::deserialize(deserializer)?.map(|[low, high]| [low.0, high.0]))
    }
}
