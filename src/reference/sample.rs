//! Small layouts and blocks for tests of this room: one numeric and one categorical column.

use std::sync::Arc;

use arrow::array::Float64Array;

use super::Block;
use crate::event::{Batch, Column, DAY, Span, State};
use crate::profile::layout::{CategoricalCells, Cells, Field, Layout, LayoutColumn, NumericCells};
use crate::profile::{ColumnProfile, ColumnRules, CompiledLayout, Observed, Profile, Sample};

/// Scale of the test column's sums, in bits: exact for the halves and quarters used here.
const SHIFT: i32 = 20;

pub fn layout() -> Layout {
    layout_with((1..20).map(f64::from).collect(), 10.0)
}

pub fn layout_with(edges: Vec<f64>, center: f64) -> Layout {
    Layout {
        format: crate::profile::layout::FORMAT,
        columns: vec![
            LayoutColumn {
                name: "x".to_owned(),
                field: Field::Feature,
                cells: Cells::Numeric(NumericCells {
                    edges,
                    domain: None,
                    center,
                    sum_shift: SHIFT,
                    square_shift: SHIFT,
                }),
            },
            LayoutColumn {
                name: "c".to_owned(),
                field: Field::Feature,
                cells: Cells::Categorical(CategoricalCells {
                    categories: ["a", "b", "z"].map(str::to_owned).to_vec(),
                    closed: false,
                }),
            },
        ],
        skipped: Vec::new(),
    }
}

/// The layout that a sample of these values of `x`, and of nothing else, gives.
pub fn learned(values: &[f64]) -> Layout {
    let mut sample = Sample::new();
    for &value in values {
        sample.row();
        sample.observe(&Field::Feature, "x", Observed::Number(value));
    }
    let rules = ColumnRules {
        exclude: vec!["latency_ms".to_owned()],
        ..ColumnRules::default()
    };
    Layout::learn(&sample, &rules)
}

/// The values of the only column, counted as rows are.
pub fn counted(layout: &Layout, values: &[f64]) -> Profile {
    let rows: Vec<u32> = (0..).take(values.len()).collect();
    let column = Column {
        values: Arc::new(Float64Array::from(values.to_vec())),
        states: vec![State::Value as u8; values.len()],
    };
    let batch = Batch {
        ts: vec![0; values.len()],
        columns: vec![column],
        ..Batch::default()
    };
    let mut profile = Profile::new(layout);
    profile.update(
        &CompiledLayout::new(Arc::new(layout.clone())),
        &batch,
        &rows,
    );
    profile
}

/// A profile of rows with these values of `x` and one category.
pub fn profile(layout: &Layout, values: &[f64], category: &str) -> Profile {
    let mut profile = Profile::new(layout);
    let Cells::Numeric(cells) = &layout.columns[0].cells else {
        panic!("x is numeric")
    };
    let Cells::Categorical(categories) = &layout.columns[1].cells else {
        panic!("c is categorical")
    };
    profile.rows = values.len() as u64;
    if let ColumnProfile::Numeric(numbers) = &mut profile.columns[0] {
        for &x in values {
            if x.is_nan() {
                numbers.nan += 1;
                continue;
            }
            numbers.cells[cells.edges.partition_point(|&edge| edge < x)] += 1;
            numbers.sum += (x * f64::from(SHIFT).exp2()).round() as i128;
            let off = ((x - cells.center) * f64::from(SHIFT).exp2()).round() as i128;
            numbers.squares += off * off;
            numbers.min = Some(numbers.min.map_or(x, |min| min.min(x)));
            numbers.max = Some(numbers.max.map_or(x, |max| max.max(x)));
        }
    }
    if let ColumnProfile::Categorical(texts) = &mut profile.columns[1] {
        match categories
            .categories
            .iter()
            .position(|name| name == category)
        {
            Some(at) => texts.cells[at] = values.len() as u64,
            None => texts.unseen = values.len() as u64,
        }
    }
    profile
}

pub fn block(layout: &Layout, day: i64, values: &[f64], category: &str) -> Block {
    Block {
        span: Some(Span::new(day * DAY, (day + 1) * DAY)),
        profile: profile(layout, values, category),
    }
}
