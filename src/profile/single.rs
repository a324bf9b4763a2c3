//! One column taken out of a layout or a profile: what travels where only one column is asked for, as in SQL.
//!
//! A column alone is a profile of a layout that has this column and no other, so that it is read, merged and stored
//! by the code that is there. It has no times and no unknown fields: both belong to the whole row.

use super::bytes;
use super::distinct::Distinct;
use super::layout::{Field, Layout, LayoutColumn};
use super::{Profile, ProfileError};

impl Layout {
    /// The layout of `column` alone. Equal columns have equal layouts, whatever stands beside them. Of a vector its
    /// length, and of an element its numbers, are a feature like any.
    pub fn of_one(column: &LayoutColumn) -> Layout {
        let mut column = column.clone();
        if column.field.is_of_features() {
            column.field = Field::Feature;
        }
        Layout {
            format: super::layout::FORMAT,
            columns: vec![column],
            skipped: Vec::new(),
        }
    }
}

impl Profile {
    /// The column at `index`, under `layout`, which is [`Layout::of_one`] of it. `None`: there is no such column.
    pub fn of_one(&self, index: usize, layout: &Layout) -> Option<Profile> {
        Some(Profile {
            layout: layout.fingerprint(),
            rows: self.rows,
            first_ts: None,
            last_ts: None,
            columns: vec![self.columns.get(index)?.clone()],
            unknown_fields: Distinct::default(),
        })
    }

    /// The fingerprint of the layout that stored bytes were counted with: what finds the layout to read them with.
    ///
    /// # Errors
    /// When the bytes are too short, or of a format that this program does not read.
    pub fn layout_of(bytes: &[u8]) -> Result<u64, ProfileError> {
        bytes::fingerprint(bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Float64Array, StringArray};

    use super::*;
    use crate::event::{Batch, Column, State};
    use crate::profile::layout::FORMAT;
    use crate::profile::{CategoricalCells, Cells, CompiledLayout, Field, NumericCells};

    fn layout() -> Layout {
        let numbers = Cells::Numeric(NumericCells {
            edges: vec![1.0, 2.0],
            domain: None,
            center: 1.0,
            sum_shift: 20,
            square_shift: 10,
        });
        let texts = Cells::Categorical(CategoricalCells {
            categories: vec!["a".to_owned()],
            closed: false,
        });
        let column = |name: &str, cells| LayoutColumn {
            name: name.to_owned(),
            field: Field::Feature,
            cells,
        };
        Layout {
            format: FORMAT,
            columns: vec![column("x", numbers), column("c", texts)],
            skipped: vec![("y".to_owned(), "why".to_owned())],
        }
    }

    fn batch(columns: Vec<Column>) -> Batch {
        Batch {
            ts: vec![7, 9],
            columns,
            unknown_fields: vec![(0, "z".to_owned())],
            ..Batch::default()
        }
    }

    fn columns() -> Vec<Column> {
        let states = || vec![State::Value as u8; 2];
        vec![
            Column {
                values: Arc::new(Float64Array::from(vec![0.5, 1.5])),
                states: states(),
            },
            Column {
                values: Arc::new(StringArray::from(vec!["a", "b"])),
                states: states(),
            },
        ]
    }

    #[test]
    fn a_column_alone_is_what_counting_it_alone_gives() {
        let layout = layout();
        let mut whole = Profile::new(&layout);
        whole.update(
            &CompiledLayout::new(Arc::new(layout.clone())),
            &batch(columns()),
            &[0, 1],
        );
        for (index, column) in layout.columns.iter().enumerate() {
            let one = Layout::of_one(column);
            let taken = whole.of_one(index, &one).expect("it is there");
            let mut counted = Profile::new(&one);
            let alone = Batch {
                unknown_fields: Vec::new(),
                ..batch(vec![columns().swap_remove(index)])
            };
            counted.update(&CompiledLayout::new(Arc::new(one.clone())), &alone, &[0, 1]);
            (counted.first_ts, counted.last_ts) = (None, None);
            assert_eq!(taken.to_bytes(), counted.to_bytes(), "{}", column.name);
            assert_eq!(
                Profile::from_bytes(&taken.to_bytes(), &one).as_ref(),
                Ok(&taken)
            );
            assert_eq!(Profile::layout_of(&taken.to_bytes()), Ok(one.fingerprint()));
        }
        assert_eq!(whole.of_one(2, &layout), None);
    }

    #[test]
    fn bytes_that_are_no_profile_name_no_layout() {
        assert!(Profile::layout_of(&[]).is_err());
        assert!(Profile::layout_of(&[1, 2, 3]).is_err());
        assert_eq!(
            Profile::layout_of(&[9; 20]),
            Err(ProfileError::Version {
                found: 9,
                expected: 2
            })
        );
    }
}
