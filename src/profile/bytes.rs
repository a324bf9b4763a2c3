//! The stored form of a profile.
//!
//! One version byte, the layout's fingerprint, then varints (LEB128; signed ones zigzag), cells as (gap, count)
//! pairs of the non-empty ones. **Invariant:** there is one form only. A reader refuses every byte sequence that a
//! writer would not have written, and every profile whose columns do not add up to its rows, so damage is found and
//! equal profiles have equal bytes.

use super::categorical::MAX_TEXT_BYTES;
use super::distinct::{COUNTED, Distinct, Hashed, NAMED};
use super::layout::Layout;
use super::missing::Missing;
use super::numeric::NumericProfile;
use super::{ColumnProfile, MAX_ROWS, Profile, ProfileError};

const VERSION: u8 = 2;
/// The first version, which is still how a profile is stored whose samples of texts have no other counts than those of the
/// names that they keep: what was stored once is stored the same for ever.
const NAMES_ONLY: u8 = 1;

pub(super) fn write(profile: &Profile) -> Vec<u8> {
    let mut out = Writer {
        bytes: vec![version(profile)],
    };
    out.bytes.extend_from_slice(&profile.layout.to_le_bytes());
    out.varint(profile.rows.into());
    out.optional(
        profile.first_ts.zip(profile.last_ts),
        |out, (first, last)| {
            out.signed(first.into());
            out.signed(last.into());
        },
    );
    for column in &profile.columns {
        out.missing(column.missing());
        out.cells(column.cells());
        match column {
            ColumnProfile::Numeric(column) => out.numeric(column),
            ColumnProfile::Categorical(column) => {
                out.varint(column.unseen.into());
                out.distinct(&column.examples);
            }
        }
    }
    out.distinct(&profile.unknown_fields);
    out.bytes
}

fn version(profile: &Profile) -> u8 {
    let texts = profile.columns.iter().filter_map(|column| match column {
        ColumnProfile::Numeric(_) => None,
        ColumnProfile::Categorical(column) => Some(&column.examples),
    });
    let mut samples = texts.chain([&profile.unknown_fields]);
    match samples.all(|sample| sample.others().is_empty()) {
        true => NAMES_ONLY,
        false => VERSION,
    }
}

pub(super) fn read(bytes: &[u8], layout: &Layout) -> Result<Profile, ProfileError> {
    let mut profile = Profile::new(layout);
    let mut input = Reader { bytes, at: 0 };
    let found = input.header()?;
    if found != profile.layout {
        return Err(ProfileError::OtherLayout {
            found,
            expected: profile.layout,
        });
    }
    profile.rows = input.count()?;
    if let Some((first, last)) = input.optional(|input| Ok((input.time()?, input.time()?)))? {
        input.require(
            first <= last && profile.rows > 0,
            "its times do not fit its rows",
        )?;
        (profile.first_ts, profile.last_ts) = (Some(first), Some(last));
    }
    for column in &mut profile.columns {
        let missing = input.missing()?;
        match column {
            ColumnProfile::Numeric(column) => {
                column.missing = missing;
                input.cells(&mut column.cells)?;
                input.numeric(column)?;
                input.require(
                    column.clipped <= column.cells.iter().sum(),
                    "more values clipped than there are",
                )?;
                input.require(
                    column.min.is_some() == (column.finite() > 0),
                    "its extremes do not fit its counts",
                )?;
            }
            ColumnProfile::Categorical(column) => {
                column.missing = missing;
                input.cells(&mut column.cells)?;
                column.unseen = input.count()?;
                column.examples = input.distinct()?;
                input.require(
                    column.examples.total() <= column.unseen,
                    "more examples than unseen values",
                )?;
            }
        }
        input.require(
            column.rows() == profile.rows,
            "a column does not add up to the rows",
        )?;
    }
    profile.unknown_fields = input.distinct()?;
    input.require(input.at == bytes.len(), "bytes follow the end")?;
    input.require(
        bytes.first() == Some(&version(&profile)),
        "it is stored as another version would be",
    )?;
    Ok(profile)
}

/// The fingerprint in the bytes' header.
pub(super) fn fingerprint(bytes: &[u8]) -> Result<u64, ProfileError> {
    Reader { bytes, at: 0 }.header()
}

struct Writer {
    bytes: Vec<u8>,
}

impl Writer {
    fn varint(&mut self, mut number: u128) {
        while number >= 0x80 {
            self.bytes.push(number as u8 | 0x80);
            number >>= 7;
        }
        self.bytes.push(number as u8);
    }

    fn signed(&mut self, number: i128) {
        self.varint(((number << 1) ^ (number >> 127)) as u128);
    }

    fn optional<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.bytes.push(u8::from(value.is_some()));
        if let Some(value) = value {
            write(self, value);
        }
    }

    fn missing(&mut self, missing: &Missing) {
        for count in [missing.null, missing.absent, missing.wrong_type] {
            self.varint(count.into());
        }
    }

    fn cells(&mut self, cells: &[u64]) {
        let filled = || (0..).zip(cells).filter(|(_, count)| **count > 0);
        self.varint(filled().count() as u128);
        let mut next = 0u32;
        for (cell, count) in filled() {
            self.varint((cell - next).into());
            self.varint((*count).into());
            next = cell + 1;
        }
    }

    fn numeric(&mut self, column: &NumericProfile) {
        let NumericProfile {
            nan,
            positive_infinity,
            negative_infinity,
            below,
            above,
            clipped,
            ..
        } = column;
        for count in [
            nan,
            positive_infinity,
            negative_infinity,
            below,
            above,
            clipped,
        ] {
            self.varint((*count).into());
        }
        self.optional(column.min.zip(column.max), |out, (min, max)| {
            out.bytes.extend_from_slice(&min.to_le_bytes());
            out.bytes.extend_from_slice(&max.to_le_bytes());
        });
        self.signed(column.sum);
        self.signed(column.squares);
    }

    fn distinct(&mut self, distinct: &Distinct) {
        self.varint(distinct.total().into());
        self.varint(distinct.named().len() as u128);
        for (name, count) in distinct.named() {
            self.varint(name.len() as u128);
            self.bytes.extend_from_slice(name.as_bytes());
            self.varint(count.into());
        }
        if self.bytes.first() == Some(&NAMES_ONLY) {
            return;
        }
        self.varint(distinct.others().len() as u128);
        for other in distinct.others() {
            self.bytes.extend_from_slice(&other.hash.to_le_bytes());
            self.varint(other.count.into());
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn require(&self, holds: bool, what: &'static str) -> Result<(), ProfileError> {
        if holds {
            Ok(())
        } else {
            Err(ProfileError::Damaged { at: self.at, what })
        }
    }

    /// The version, checked, and the layout's fingerprint.
    fn header(&mut self) -> Result<u64, ProfileError> {
        let found = self.byte()?;
        if ![NAMES_ONLY, VERSION].contains(&found) {
            return Err(ProfileError::Version {
                found,
                expected: VERSION,
            });
        }
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], ProfileError> {
        let taken = self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.get(..length));
        let taken = taken.ok_or(ProfileError::Damaged {
            at: self.at,
            what: "it ends too early",
        })?;
        self.at += length;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProfileError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn byte(&mut self) -> Result<u8, ProfileError> {
        Ok(self.array::<1>()?[0])
    }

    fn varint(&mut self) -> Result<u128, ProfileError> {
        let mut number = 0u128;
        for place in 0.. {
            let byte = self.byte()?;
            let bits = u128::from(byte & 0x7f);
            let shift = 7 * place;
            // 18 groups of 7 bits and two more fill 128.
            self.require(
                shift < 126 || (shift == 126 && bits < 4),
                "a number is too large",
            )?;
            number |= bits << shift;
            if byte < 0x80 {
                self.require(
                    byte > 0 || place == 0,
                    "a number is longer than it needs to be",
                )?;
                break;
            }
        }
        Ok(number)
    }

    fn signed(&mut self) -> Result<i128, ProfileError> {
        let number = self.varint()?;
        Ok((number >> 1) as i128 ^ -((number & 1) as i128))
    }

    /// At most [`MAX_ROWS`], so that sums of a column's counts cannot overflow.
    fn count(&mut self) -> Result<u64, ProfileError> {
        let count = self.varint()?;
        self.require(count <= MAX_ROWS.into(), "a count is too large")?;
        Ok(count as u64)
    }

    fn time(&mut self) -> Result<i64, ProfileError> {
        let time = i64::try_from(self.signed()?);
        time.map_err(|_| ProfileError::Damaged {
            at: self.at,
            what: "a time is too large",
        })
    }

    fn optional<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, ProfileError>,
    ) -> Result<Option<T>, ProfileError> {
        match self.byte()? {
            0 => Ok(None),
            1 => read(self).map(Some),
            _ => Err(ProfileError::Damaged {
                at: self.at,
                what: "a flag is neither 0 nor 1",
            }),
        }
    }

    fn missing(&mut self) -> Result<Missing, ProfileError> {
        Ok(Missing {
            null: self.count()?,
            absent: self.count()?,
            wrong_type: self.count()?,
        })
    }

    fn cells(&mut self, cells: &mut [u64]) -> Result<(), ProfileError> {
        let mut next = 0;
        for _ in 0..self.count()? {
            let cell = next + self.count()? as usize;
            let count = self.count()?;
            self.require(count > 0, "an empty cell is listed")?;
            self.require(cell < cells.len(), "it has more cells than its layout")?;
            cells[cell] = count;
            next = cell + 1;
        }
        Ok(())
    }

    fn numeric(&mut self, column: &mut NumericProfile) -> Result<(), ProfileError> {
        let NumericProfile {
            nan,
            positive_infinity,
            negative_infinity,
            below,
            above,
            clipped,
            ..
        } = column;
        for count in [
            nan,
            positive_infinity,
            negative_infinity,
            below,
            above,
            clipped,
        ] {
            *count = self.count()?;
        }
        let extreme = |input: &mut Self| Ok(f64::from_le_bytes(input.array()?));
        if let Some((min, max)) = self.optional(|input| Ok((extreme(input)?, extreme(input)?)))? {
            let usable = |x: f64| x.is_finite() && x.to_bits() != (-0.0f64).to_bits();
            self.require(
                usable(min) && usable(max) && min <= max,
                "its extremes are not a range",
            )?;
            (column.min, column.max) = (Some(min), Some(max));
        }
        column.sum = self.signed()?;
        column.squares = self.signed()?;
        Ok(())
    }

    fn distinct(&mut self) -> Result<Distinct, ProfileError> {
        let total = self.varint()?;
        let kept = self.count()?;
        self.require(kept <= NAMED as u64, "too many names are kept")?;
        let mut names = Vec::new();
        for _ in 0..kept {
            let length = self.count()?;
            self.require(length <= MAX_TEXT_BYTES as u64, "a name is too long")?;
            let name = std::str::from_utf8(self.take(length as usize)?);
            let name = name.map_err(|_| ProfileError::Damaged {
                at: self.at,
                what: "a name is not UTF-8",
            })?;
            names.push((name.to_owned(), self.count()?));
        }
        let kept = match self.bytes.first() {
            Some(&NAMES_ONLY) => 0,
            _ => self.count()?,
        };
        self.require(kept <= (COUNTED - NAMED) as u64, "too many counts are kept")?;
        let mut others = Vec::new();
        for _ in 0..kept {
            let hash = u64::from_le_bytes(self.array()?);
            let count = self.count()?;
            others.push(Hashed { hash, count });
        }
        let distinct = u64::try_from(total)
            .ok()
            .and_then(|total| Distinct::from_stored(total, names, others));
        distinct.ok_or(ProfileError::Damaged {
            at: self.at,
            what: "its kept names are not a sample of all names",
        })
    }
}
