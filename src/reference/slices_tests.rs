use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field as ArrowField, Schema};

use super::*;
use crate::compute::backend::Choice;
use crate::event::{Batch, Column};
use crate::profile::{ColumnRules, CompiledLayout, Observed, Profile, Sample};
use crate::reference::Block;

/// `delay`, `origin`, `dow`.
type Row = (f64, &'static str, &'static str);

const ORIGINS: [&str; 3] = ["EWR", "JFK", "LGA"];
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Every combination in turn; the delay goes through 0 to 99 in each.
fn quiet(count: usize) -> Vec<Row> {
    let row = |i: usize| ((i / 21 * 37 % 100) as f64, ORIGINS[i % 3], DAYS[i / 3 % 7]);
    (0..count).map(row).collect()
}

fn layout(rows: &[Row]) -> Arc<Layout> {
    let mut sample = Sample::new();
    for (delay, origin, dow) in rows {
        sample.row();
        sample.observe(&Field::Feature, "delay", Observed::Number(*delay));
        sample.observe(&Field::Feature, "origin", Observed::Text(origin));
        sample.observe(&Field::Feature, "dow", Observed::Text(dow));
    }
    let mut layout = Layout::learn(&sample, &ColumnRules::default());
    layout
        .columns
        .retain(|column| column.field == Field::Feature);
    Arc::new(layout)
}

fn arrays(layout: &Layout, rows: &[Row]) -> Vec<ArrayRef> {
    let of = |name: &str| -> ArrayRef {
        match name {
            "delay" => Arc::new(rows.iter().map(|row| Some(row.0)).collect::<Float64Array>()),
            "origin" => Arc::new(rows.iter().map(|row| Some(row.1)).collect::<StringArray>()),
            _ => Arc::new(rows.iter().map(|row| Some(row.2)).collect::<StringArray>()),
        }
    };
    layout
        .columns
        .iter()
        .map(|column| of(&column.name))
        .collect()
}

fn sample(layout: &Layout, rows: &[Row]) -> RowSample {
    let fields = layout.columns.iter().map(|column| {
        let kind = match column.cells {
            Cells::Numeric(_) => DataType::Float64,
            Cells::Categorical(_) => DataType::Utf8,
        };
        ArrowField::new(&column.name, kind, true)
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    RowSample {
        rows: RecordBatch::try_new(schema, arrays(layout, rows)).expect("the layout's columns"),
        spans: vec![0; rows.len()],
        found: vec![rows.len() as u64],
    }
}

fn found(window: &[Row], column: Option<&str>) -> WorstSlice {
    let rows = quiet(8_400);
    let layout = layout(&rows);
    let columns = arrays(&layout, &rows).into_iter().map(|values| Column {
        values,
        states: vec![0; rows.len()],
    });
    let batch = Batch {
        ts: vec![0; rows.len()],
        offsets: (0..rows.len() as i64).collect(),
        versions: vec![0; rows.len()],
        version_names: vec![String::new()],
        columns: columns.collect(),
        ..Batch::default()
    };
    let mut profile = Profile::new(&layout);
    let all: Vec<u32> = (0..rows.len() as u32).collect();
    profile.update(&CompiledLayout::new(Arc::clone(&layout)), &batch, &all);
    let block = Block {
        span: None,
        profile,
    };
    let reference = Reference::from_blocks("m", "file: f", &layout, vec![block]).expect("a block");
    let asked = Asked {
        layout: &layout,
        reference: &reference,
        cache: &NullCache::new(),
        compute: &Compute::new(Choice::Cpu),
        column: column.map(|name| layout.column(name).expect("a column")),
        of: "delay",
        rows: 10_000,
    };
    worst_slice(&asked, &sample(&layout, &rows), &sample(&layout, window))
}

#[test]
fn a_shift_in_one_corner_is_found_there() {
    let mut window = quiet(4_200);
    for row in &mut window {
        if row.1 == "JFK" && row.2 == "sat" {
            row.0 = 95.0;
        }
    }
    let worst = found(&window, Some("delay"));
    assert_eq!(
        worst.text,
        "the drift of delay is concentrated in dow = sat and origin = JFK: 100 % of the shift in 4.8 % of the rows"
    );
    let [first] = &worst.slices[..] else {
        panic!("what contains the corner holds less: {worst:?}")
    };
    let parts: Vec<(&str, &str)> = first
        .parts
        .iter()
        .map(|part| (part.column.as_str(), part.bin.as_str()))
        .collect();
    assert!(parts.contains(&("origin", "JFK")) && parts.contains(&("dow", "sat")));
    assert_eq!((worst.rows_reference, worst.rows_window), (8_400, 4_200));
}

#[test]
fn a_shift_everywhere_is_concentrated_nowhere() {
    let window: Vec<Row> = quiet(4_200)
        .into_iter()
        .map(|(delay, origin, dow)| (delay / 2.0 + 50.0, origin, dow))
        .collect();
    let worst = found(&window, Some("delay"));
    assert_eq!(worst.slices, []);
    assert_eq!(
        worst.text,
        "the drift of delay is not concentrated in any slice of one or two features"
    );
    assert!(worst.looked_at > 20);
}

#[test]
fn without_rows_or_other_features_it_says_so() {
    assert_eq!(found(&[], Some("delay")).slices, []);
    let none = none("the rows of this model are not kept");
    assert_eq!(
        (none.text.as_str(), none.looked_at),
        ("the rows of this model are not kept", 0)
    );
}
