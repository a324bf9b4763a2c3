//! What holds for every profile: the order of rows, the cut of batches and the order of merges change no bit.

use std::sync::Arc;

use arrow::array::{Float64Array, StringArray};
use proptest::prelude::*;

use super::layout::FORMAT;
use super::*;
use crate::event::{Column, State};

/// One row: its time, a number and a text with their states, and unknown fields.
#[derive(Debug, Clone)]
struct Row {
    ts: i64,
    number: (u8, f64),
    text: (u8, String),
    unknown: Vec<String>,
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => -3.0..3.0f64,
        2 => prop::sample::select(vec![0.0, -0.0, 1.0, -1.0, 2.0, 0.1, 1e17, -1e9, 1e300, f64::MAX, f64::MIN_POSITIVE]),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
        1 => any::<f64>(),
    ]
}

fn row() -> impl Strategy<Value = Row> {
    let state = || prop_oneof![5 => Just(0u8), 1 => 1u8..4];
    let unknown = prop::collection::vec("[a-f]{1,2}", 0..3);
    (
        any::<i64>(),
        (state(), number()),
        (state(), "[ab]{0,4}"),
        unknown,
    )
        .prop_map(|(ts, number, text, unknown)| Row {
            ts,
            number,
            text,
            unknown,
        })
}

fn layout(domain: Option<[f64; 2]>) -> Layout {
    let numeric = NumericCells {
        edges: vec![-1.0, 0.0, 0.1, 1.0, 2.0],
        domain,
        center: 0.5,
        sum_shift: 51,
        square_shift: 34,
    };
    let categories = CategoricalCells {
        categories: vec!["a".into(), "".into(), "ab".into()],
        closed: false,
    };
    let column = |name: &str, cells| LayoutColumn {
        name: name.into(),
        field: Field::Feature,
        cells,
    };
    let columns = vec![
        column("x", Cells::Numeric(numeric)),
        column("c", Cells::Categorical(categories)),
    ];
    Layout {
        format: FORMAT,
        columns,
        skipped: vec![],
    }
}

fn batch(rows: &[Row]) -> Batch {
    let present = |state: u8| state == State::Value as u8;
    let numbers: Float64Array = rows
        .iter()
        .map(|row| present(row.number.0).then_some(row.number.1))
        .collect();
    let texts: StringArray = rows
        .iter()
        .map(|row| present(row.text.0).then_some(row.text.1.as_str()))
        .collect();
    let states = |state: fn(&Row) -> u8| rows.iter().map(state).collect();
    let unknown = (0..)
        .zip(rows)
        .flat_map(|(i, row)| row.unknown.iter().map(move |name| (i, name.clone())));
    Batch {
        offsets: (0..rows.len() as i64).collect(),
        ts: rows.iter().map(|row| row.ts).collect(),
        columns: vec![
            Column {
                values: Arc::new(numbers),
                states: states(|row| row.number.0),
            },
            Column {
                values: Arc::new(texts),
                states: states(|row| row.text.0),
            },
        ],
        unknown_fields: unknown.collect(),
        ..Batch::default()
    }
}

fn counted(layout: &Layout, rows: &[Row]) -> Profile {
    let mut profile = Profile::new(layout);
    let all: Vec<u32> = (0..rows.len() as u32).collect();
    profile.update(
        &CompiledLayout::new(Arc::new(layout.clone())),
        &batch(rows),
        &all,
    );
    profile
}

fn merged(parts: &[&Profile]) -> Profile {
    let mut whole = parts[0].clone();
    parts[1..]
        .iter()
        .for_each(|part| whole.merge(part).expect("one layout"));
    whole
}

proptest! {
    #[test]
    fn order_and_batch_edges_change_nothing(
        (rows, shuffled) in prop::collection::vec(row(), 0..60)
            .prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
        cuts in prop::collection::vec(0usize..60, 0..4),
        closed in any::<bool>(),
    ) {
        let layout = layout(closed.then_some([-2.0, 2.5]));
        let compiled = CompiledLayout::new(Arc::new(layout.clone()));
        let whole = counted(&layout, &rows);
        let mut parts = Profile::new(&layout);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(shuffled.len())).chain([0, shuffled.len()]).collect();
        cuts.sort_unstable();
        for cut in cuts.windows(2) {
            // The even and the odd rows apart: selections that are not contiguous.
            let piece = batch(&shuffled[cut[0]..cut[1]]);
            for odd in [1, 0] {
                let selected: Vec<u32> = (0..piece.rows() as u32).filter(|row| row % 2 == odd).collect();
                parts.update(&compiled, &piece, &selected);
            }
        }
        prop_assert_eq!(&parts, &whole);
        prop_assert_eq!(parts.to_bytes(), whole.to_bytes());
        prop_assert!(whole.columns.iter().all(|column| column.rows() == rows.len() as u64));
    }

    #[test]
    fn merging_is_commutative_and_associative(
        a in prop::collection::vec(row(), 0..30),
        b in prop::collection::vec(row(), 0..30),
        c in prop::collection::vec(row(), 0..30),
    ) {
        let layout = layout(Some([-2.0, 2.5]));
        let [a, b, c] = [a, b, c].map(|rows| counted(&layout, &rows));
        let expected = merged(&[&a, &b, &c]).to_bytes();
        prop_assert_eq!(merged(&[&c, &a, &b]).to_bytes(), expected.clone());
        prop_assert_eq!(merged(&[&a, &merged(&[&b, &c])]).to_bytes(), expected.clone());
        prop_assert_eq!(merged(&[&Profile::new(&layout), &b, &a, &c]).to_bytes(), expected);
    }

    #[test]
    fn bytes_round_trip(rows in prop::collection::vec(row(), 0..60)) {
        let layout = layout(None);
        let profile = counted(&layout, &rows);
        let read = Profile::from_bytes(&profile.to_bytes(), &layout);
        prop_assert_eq!(read, Ok(profile));
    }

    /// A damaged profile is refused, or is another profile whose only form these bytes are.
    #[test]
    fn damaged_bytes_never_pass_for_the_same_profile(
        rows in prop::collection::vec(row(), 0..30), place in any::<prop::sample::Index>(), byte in any::<u8>(),
        cut in prop::option::of(any::<prop::sample::Index>()), tail in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let layout = layout(None);
        let mut bytes = counted(&layout, &rows).to_bytes();
        let at = place.index(bytes.len());
        bytes[at] = byte;
        if let Some(cut) = cut {
            // Keeps the version and the fingerprint, so that the rest is looked at.
            bytes.truncate(9 + cut.index(bytes.len() - 8));
            bytes.extend(tail);
        }
        if let Ok(read) = Profile::from_bytes(&bytes, &layout) {
            prop_assert_eq!(read.to_bytes(), bytes);
        }
    }

    #[test]
    fn random_bytes_are_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(Profile::from_bytes(&bytes, &layout(None)).is_err());
    }

    /// Sums and cells against the plain definition.
    #[test]
    fn counts_are_those_of_the_definition(numbers in prop::collection::vec(number(), 0..80)) {
        let layout = layout(None);
        let Cells::Numeric(cells) = &layout.columns[0].cells else { unreachable!("the first column is numeric") };
        let rows: Vec<Row> = numbers.iter()
            .map(|x| Row { ts: 0, number: (0, *x), text: (1, String::new()), unknown: vec![] }).collect();
        let whole = counted(&layout, &rows);
        let ColumnProfile::Numeric(profile) = &whole.columns[0] else { unreachable!("the first column is numeric") };
        let finite: Vec<f64> = numbers.iter().copied().filter(|x| x.is_finite()).collect();
        prop_assert_eq!(profile.finite(), finite.len() as u64);
        let mut expected = vec![0u64; cells.edges.len() + 1];
        let (mut sum, mut squares, mut clipped) = (0i128, 0i128, 0u64);
        for x in &finite {
            expected[cells.edges.iter().filter(|edge| *edge < x).count()] += 1;
            let scaled = x * 2f64.powi(cells.sum_shift);
            let distance = (x - cells.center) * 2f64.powi(cells.square_shift);
            if scaled.abs() <= 2f64.powi(85) && distance.abs() <= 2f64.powi(46) {
                sum += scaled.round() as i128;
                squares += (distance.round() as i128).pow(2);
            } else {
                clipped += 1;
            }
        }
        prop_assert_eq!(&profile.cells, &expected);
        prop_assert_eq!((profile.sum, profile.squares, profile.clipped), (sum, squares, clipped));
        prop_assert_eq!(profile.min, finite.iter().copied().reduce(f64::min).map(|x| x + 0.0));
        prop_assert_eq!(profile.max, finite.iter().copied().reduce(f64::max).map(|x| x + 0.0));
    }
}

#[test]
fn profiles_of_different_layouts_do_not_merge() {
    let (ours, theirs) = (layout(None), layout(Some([0.0, 1.0])));
    let mut profile = Profile::new(&ours);
    let error = profile
        .merge(&Profile::new(&theirs))
        .expect_err("two layouts");
    let (ours, theirs) = (ours.fingerprint(), theirs.fingerprint());
    let sentence = format!(
        "profiles of two different layouts cannot be merged: {ours:016x} and {theirs:016x}"
    );
    assert_eq!(error.to_string(), sentence);
}

#[test]
fn too_many_rows_are_refused_and_change_nothing() {
    let layout = layout(None);
    let mut profile = counted(&layout, &[]);
    profile.rows = MAX_ROWS;
    let before = profile.clone();
    let one = Profile {
        rows: 1,
        ..Profile::new(&layout)
    };
    assert_eq!(
        profile.merge(&one),
        Err(ProfileError::TooManyRows { rows: MAX_ROWS + 1 })
    );
    assert_eq!(profile, before);
}

#[test]
fn bytes_of_another_layout_or_version_are_refused() {
    let ours = layout(None);
    let other = layout(Some([0.0, 1.0]));
    let mut bytes = Profile::new(&other).to_bytes();
    let (found, expected) = (other.fingerprint(), ours.fingerprint());
    assert_eq!(
        Profile::from_bytes(&bytes, &ours),
        Err(ProfileError::OtherLayout { found, expected })
    );
    // As it would be stored if it kept counts without names.
    bytes[0] = 2;
    assert!(Profile::from_bytes(&bytes, &other).is_err());
    bytes[0] = 9;
    assert_eq!(
        Profile::from_bytes(&bytes, &other),
        Err(ProfileError::Version {
            found: 9,
            expected: 2
        })
    );
}

#[test]
fn a_huge_count_of_cells_allocates_nothing() {
    let layout = layout(None);
    let mut bytes = Profile::new(&layout).to_bytes();
    // Version, fingerprint, rows, times, three missing counts: then the number of cells, here 2⁴⁸.
    bytes.truncate(1 + 8 + 1 + 1 + 3);
    bytes.extend([0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x40]);
    let error = Profile::from_bytes(&bytes, &layout).expect_err("no cells follow");
    assert_eq!(
        error.to_string(),
        "the stored profile is damaged at byte 21: it ends too early"
    );
}

#[test]
fn an_empty_selection_counts_nothing() {
    let layout = layout(None);
    let mut profile = Profile::new(&layout);
    let row = Row {
        ts: 5,
        number: (0, 1.0),
        text: (0, "a".into()),
        unknown: vec!["u".into()],
    };
    profile.update(
        &CompiledLayout::new(Arc::new(layout.clone())),
        &batch(&[row]),
        &[],
    );
    assert_eq!(profile, Profile::new(&layout));
}
