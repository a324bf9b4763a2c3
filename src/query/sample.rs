//! Some rows that stand for many: of a window or a reference, chosen by a hash of what they are.
//!
//! A row's place in the sample is its hash: of model, version and id, of its place in the log where it has no id, or of
//! its number in a file; with a seed, so that windows do not all show the same entities. **Invariant:** a sample is a
//! function of the rows and the seed alone, whatever the batches, partitions, segments and threads they came by; and
//! the smaller of two samples of the same rows is the beginning of the larger.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::{interleave_record_batch, take_record_batch};
use arrow::datatypes::{DataType, Field, Float64Type, Schema, SchemaRef, UInt32Type};
use arrow::error::ArrowError;
use arrow::ipc::CompressionType;
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use datafusion::error::DataFusionError;

use super::batch::batch;
use super::table::Table;
use super::{File, QueryError};
use crate::event::{Millis, Span};
use crate::profile::{Cells, CompiledLayout, Layout};
use crate::window::WindowSpec;

/// Rows that are gathered before those that are too far behind are let go.
const SLACK: usize = 16_384;
/// The column of spans in the stored form, before the layout's. No layout has a column of this name that is a number
/// of 32 bits.
const SPAN: &str = "@span";
/// Where the stored form says how many rows there were.
const FOUND: &str = "found";

/// How many rows are kept: the first ones of all, and the first ones of each span.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    pub overall: usize,
    pub of_each: usize,
}

/// The rows that were kept, in the order of their hashes.
#[derive(Debug, Clone, PartialEq)]
pub struct RowSample {
    /// The layout's columns in its order: `Float64` or `Utf8`, null where there was no usable value.
    pub rows: RecordBatch,
    /// Of each row, the place of its span among those that were asked for.
    pub spans: Vec<u32>,
    /// All rows that were found, by span.
    pub found: Vec<u64>,
}

impl RowSample {
    /// The numbers of the `index`-th column of the layout, NaN where there is none; `None` for a column of texts.
    pub fn numbers(&self, index: usize) -> Option<Vec<f64>> {
        let column = self.rows.columns().get(index)?;
        let numbers = column.as_primitive_opt::<Float64Type>()?;
        Some(
            numbers
                .iter()
                .map(|value| value.unwrap_or(f64::NAN))
                .collect(),
        )
    }

    /// The texts of the `index`-th column; `None` for a column of numbers.
    pub fn texts(&self, index: usize) -> Option<Vec<Option<&str>>> {
        let column = self.rows.columns().get(index)?;
        Some(column.as_string_opt::<i32>()?.iter().collect())
    }

    /// Rows that were found in all spans.
    pub fn rows_found(&self) -> u64 {
        self.found.iter().sum()
    }

    /// The stored form: an Arrow IPC stream, compressed.
    ///
    /// # Errors
    /// When Arrow cannot write it: a defect.
    pub fn to_bytes(&self) -> Result<Vec<u8>, QueryError> {
        self.write()
            .map_err(|cause| QueryError::lake(DataFusionError::from(cause)))
    }

    fn write(&self) -> Result<Vec<u8>, ArrowError> {
        let schema = self.rows.schema();
        let own = Arc::new(Field::new(SPAN, DataType::UInt32, false));
        let fields: Vec<_> = std::iter::once(own)
            .chain(schema.fields().iter().cloned())
            .collect();
        let found: Vec<String> = self.found.iter().map(u64::to_string).collect();
        let about = [(FOUND.to_owned(), found.join(" "))];
        let schema = Arc::new(Schema::new_with_metadata(fields, about.into()));
        let spans: ArrayRef = Arc::new(UInt32Array::from(self.spans.clone()));
        let columns = std::iter::once(spans).chain(self.rows.columns().iter().cloned());
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns.collect())?;
        let options =
            IpcWriteOptions::default().try_with_compression(Some(CompressionType::ZSTD))?;
        let mut bytes = Vec::new();
        let mut writer = StreamWriter::try_new_with_options(&mut bytes, &schema, options)?;
        writer.write(&batch)?;
        writer.finish()?;
        drop(writer);
        Ok(bytes)
    }

    /// Reads [`RowSample::to_bytes`].
    ///
    /// # Errors
    /// When the bytes are damaged, or of another layout.
    pub fn from_bytes(bytes: &[u8], layout: &Layout) -> Result<Self, QueryError> {
        Self::read(bytes, layout).map_err(|cause| QueryError::lake(DataFusionError::from(cause)))
    }

    fn read(bytes: &[u8], layout: &Layout) -> Result<Self, ArrowError> {
        let damaged = |what: &str| ArrowError::SchemaError(format!("a stored sample has {what}"));
        let mut reader = StreamReader::try_new(Cursor::new(bytes), None)?;
        let batch = reader.next().ok_or_else(|| damaged("no rows"))??;
        let wanted = schema(layout);
        let found = batch.schema_ref().metadata().get(FOUND).cloned();
        let found = found.ok_or_else(|| damaged("no number of rows"))?;
        let found: Result<Vec<u64>, _> = found.split_whitespace().map(str::parse).collect();
        let found = found.map_err(|_| damaged("a number of rows that is none"))?;
        let (spans, columns) = batch
            .columns()
            .split_first()
            .ok_or_else(|| damaged("no columns"))?;
        let spans = spans
            .as_primitive_opt::<UInt32Type>()
            .ok_or_else(|| damaged("no spans"))?
            .values()
            .to_vec();
        if spans.iter().any(|span| *span as usize >= found.len()) {
            return Err(damaged("a row of no span"));
        }
        Ok(Self {
            rows: RecordBatch::try_new(wanted, columns.to_vec())?,
            spans,
            found,
        })
    }
}

/// The schema of a sample's rows.
pub(super) fn schema(layout: &Layout) -> SchemaRef {
    let fields = layout.columns.iter().map(|column| {
        let wanted = match &column.cells {
            Cells::Numeric(_) => DataType::Float64,
            Cells::Categorical(_) => DataType::Utf8,
        };
        Field::new(&column.name, wanted, true)
    });
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// Decides between rows: by hash; of equal ids by time, then by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    hash: u64,
    ts: Millis,
    place: u64,
}

impl Key {
    pub fn new(seed: u64, of: &[u8], ts: Millis, place: u64) -> Self {
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(of, seed);
        Self { hash, ts, place }
    }
}

/// Gathers a sample from batches as they come.
pub(super) struct Sampler {
    keep: Keep,
    schema: SchemaRef,
    taken: Vec<Taken>,
    batches: Vec<RecordBatch>,
    found: Vec<u64>,
    /// Beyond these nothing enters: the last key of a sample that is full.
    overall: Option<Key>,
    of_span: Vec<Option<Key>>,
}

#[derive(Debug, Clone, Copy)]
struct Taken {
    key: Key,
    span: u32,
    /// The batch and the row in it.
    place: (usize, usize),
}

impl Sampler {
    pub fn new(keep: Keep, layout: &Layout, spans: usize) -> Self {
        Self {
            keep,
            schema: schema(layout),
            taken: Vec::new(),
            batches: Vec::new(),
            found: vec![0; spans],
            overall: None,
            of_span: vec![None; spans],
        }
    }

    /// Offers the rows of a batch whose columns are the layout's: (row, its span, its key).
    pub fn offer(
        &mut self,
        columns: Vec<ArrayRef>,
        rows: impl Iterator<Item = (usize, u32, Key)>,
    ) -> Result<(), DataFusionError> {
        let batch = self.batches.len();
        let mut entered: Vec<u32> = Vec::new();
        for (row, span, key) in rows {
            let Some(found) = self.found.get_mut(span as usize) else {
                continue;
            };
            *found += 1;
            let enters =
                |keep: usize, last: Option<Key>| keep > 0 && last.is_none_or(|last| key < last);
            if enters(self.keep.overall, self.overall)
                || enters(self.keep.of_each, self.of_span[span as usize])
            {
                let place = (batch, entered.len());
                self.taken.push(Taken { key, span, place });
                entered.push(row as u32);
            }
        }
        if entered.is_empty() {
            return Ok(());
        }
        let rows = RecordBatch::try_new(Arc::clone(&self.schema), columns)?;
        // Those that do not enter are let go with the batch.
        self.batches
            .push(take_record_batch(&rows, &UInt32Array::from(entered))?);
        let full = self.keep.overall + self.keep.of_each * self.found.len();
        if self.taken.len() > 2 * full + SLACK {
            self.prune()?;
        }
        Ok(())
    }

    /// Lets go of rows that can no longer be kept, and of the batches they came in.
    fn prune(&mut self) -> Result<(), DataFusionError> {
        self.taken.sort_unstable_by(compare);
        let mut of_span = vec![0; self.found.len()];
        let (mut overall, keep) = (0, self.keep);
        let (last, last_of_span) = (&mut self.overall, &mut self.of_span);
        self.taken.retain(|taken| {
            let span = taken.span as usize;
            let kept = overall < keep.overall || of_span[span] < keep.of_each;
            overall += 1;
            of_span[span] += 1;
            if overall == keep.overall {
                *last = Some(taken.key);
            }
            if of_span[span] == keep.of_each {
                last_of_span[span] = Some(taken.key);
            }
            kept
        });
        let places: Vec<(usize, usize)> = self.taken.iter().map(|taken| taken.place).collect();
        if places.is_empty() {
            self.batches.clear();
            return Ok(());
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        let together = interleave_record_batch(&batches, &places)?;
        self.batches = vec![together];
        for (row, taken) in self.taken.iter_mut().enumerate() {
            taken.place = (0, row);
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<RowSample, DataFusionError> {
        self.prune()?;
        let rows = match self.batches.pop() {
            Some(rows) => plain(&rows)?,
            None => RecordBatch::new_empty(self.schema),
        };
        Ok(RowSample {
            rows,
            spans: self.taken.iter().map(|taken| taken.span).collect(),
            found: self.found,
        })
    }
}

/// The same values in the same bytes: what lies beneath a null, and behind the last bit of a bitmap, depends on how the
/// rows came.
fn plain(rows: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let columns = rows.columns().iter().map(|column| -> ArrayRef {
        match column.as_primitive_opt::<Float64Type>() {
            Some(numbers) => Arc::new(numbers.iter().collect::<Float64Array>()),
            None => Arc::new(column.as_string::<i32>().iter().collect::<StringArray>()),
        }
    });
    RecordBatch::try_new(rows.schema(), columns.collect())
}

fn compare(a: &Taken, b: &Taken) -> Ordering {
    a.key.cmp(&b.key).then(a.span.cmp(&b.span))
}

/// Samples a reference file. `spans` are those of its blocks, as the reference has them: `[None]` where the file has no
/// times. Rows outside of them (the file is another one by now) are not found.
///
/// # Errors
/// When the file cannot be read, or has a row without a usable time.
pub async fn sample_of_file(
    file: &File,
    layout: &CompiledLayout,
    window: &WindowSpec,
    spans: &[Option<Span>],
    keep: Keep,
    seed: u64,
) -> Result<RowSample, QueryError> {
    let blocks_of = WindowSpec {
        every: window.span,
        ..window.clone()
    };
    let place_of: BTreeMap<Option<Span>, u32> = spans.iter().copied().zip(0..).collect();
    let mut table = Table::open(file, None).await?;
    let mut sampler = Sampler::new(keep, layout.layout(), spans.len());
    let mut number = 0_u64;
    while let Some(columns) = table.next().await? {
        let times = columns.times.clone().filter(|_| spans != [None]);
        let rows = (0..columns.rows).filter_map(|row| {
            let block = times.as_ref().map(|times| blocks_of.pane(times[row]));
            let number = number + row as u64;
            let key = Key::new(seed, &number.to_le_bytes(), 0, number);
            Some((row, *place_of.get(&block)?, key))
        });
        let values = batch(layout.layout(), &columns).columns.into_iter();
        let offered = sampler.offer(values.map(|column| column.values).collect(), rows);
        offered.map_err(QueryError::lake)?;
        number += columns.rows as u64;
    }
    sampler.finish().map_err(QueryError::lake)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{ColumnRules, Field as Place, Observed, Sample};

    fn layout() -> Layout {
        let mut sample = Sample::new();
        for row in 0..100 {
            sample.row();
            sample.observe(&Place::Feature, "x", Observed::Number(f64::from(row)));
            let day = ["mon", "tue"][row as usize % 2];
            sample.observe(&Place::Feature, "day", Observed::Text(day));
        }
        Layout::learn(&sample, &ColumnRules::default())
    }

    /// Rows 0 to `rows`, of three spans in turn, in batches of `length`, the last batch first if `backwards`.
    fn sampled(keep: Keep, rows: u64, length: usize, backwards: bool) -> RowSample {
        let layout = layout();
        let mut sampler = Sampler::new(keep, &layout, 3);
        let all: Vec<u64> = (0..rows).collect();
        let mut batches: Vec<&[u64]> = all.chunks(length).collect();
        if backwards {
            batches.reverse();
        }
        for numbers in batches {
            let values = numbers.iter().map(|number| *number as f64);
            let (x, day): (ArrayRef, ArrayRef) = (
                Arc::new(Float64Array::from_iter_values(values)),
                Arc::new(StringArray::from(vec![Some("mon"); numbers.len()])),
            );
            let columns = layout.columns.iter();
            let columns = columns.map(|column| match column.cells {
                Cells::Numeric(_) => Arc::clone(&x),
                Cells::Categorical(_) => Arc::clone(&day),
            });
            let keys = numbers.iter().enumerate().map(|(row, number)| {
                let key = Key::new(7, &number.to_le_bytes(), 0, *number);
                (row, (number % 3) as u32, key)
            });
            sampler
                .offer(columns.collect(), keys)
                .expect("of the layout");
        }
        sampler.finish().expect("rows")
    }

    #[test]
    fn a_sample_does_not_depend_on_batches_or_order() {
        let keep = Keep {
            overall: 500,
            of_each: 300,
        };
        let one = sampled(keep, 100_000, 100_000, false);
        assert_eq!(one, sampled(keep, 100_000, 777, true));
        assert_eq!(one.found, [33_334, 33_333, 33_333]);
        for span in 0..3 {
            let of_span = one.spans.iter().filter(|place| **place == span).count();
            assert!((300..450).contains(&of_span), "{of_span}");
        }
    }

    #[test]
    fn the_stored_bytes_do_not_depend_on_how_rows_came() {
        // Every third number is null, over whatever lies beneath, in batches of any length.
        let bytes = |length: usize, beneath: f64| {
            let layout = layout();
            let keep = Keep {
                overall: 50,
                of_each: 0,
            };
            let mut sampler = Sampler::new(keep, &layout, 1);
            for rows in (0..100_u64).collect::<Vec<_>>().chunks(length) {
                let values = rows.iter().map(|row| match row % 3 {
                    0 => beneath,
                    _ => *row as f64,
                });
                let nulls = rows.iter().map(|row| row % 3 != 0).collect::<Vec<bool>>();
                let numbers = Float64Array::new(values.collect(), Some(nulls.into()));
                let columns = layout.columns.iter().map(|column| match column.cells {
                    Cells::Numeric(_) => Arc::new(numbers.clone()) as ArrayRef,
                    Cells::Categorical(_) => Arc::new(StringArray::from(vec!["mon"; rows.len()])),
                });
                let keys = (0..)
                    .zip(rows)
                    .map(|(place, row)| (place, 0, Key::new(7, &row.to_le_bytes(), 0, *row)));
                let columns = columns.collect();
                sampler.offer(columns, keys).expect("of the layout");
            }
            sampler.finish().expect("rows").to_bytes().expect("written")
        };
        assert_eq!(bytes(100, 0.0), bytes(7, 1e9));
    }

    #[test]
    fn rows_that_cannot_be_kept_are_not_held() {
        let keep = Keep {
            overall: 500,
            of_each: 0,
        };
        let layout = layout();
        let mut sampler = Sampler::new(keep, &layout, 1);
        let mut most = 0;
        for number in 0..400_u64 {
            let columns = layout.columns.iter().map(|column| match column.cells {
                Cells::Numeric(_) => Arc::new(Float64Array::from(vec![1.0; 1_000])) as ArrayRef,
                Cells::Categorical(_) => Arc::new(StringArray::from(vec!["mon"; 1_000])),
            });
            let columns = columns.collect();
            let keys = (0..1_000_u64).map(|row| {
                let place = number * 1_000 + row;
                (row as usize, 0, Key::new(7, &place.to_le_bytes(), 0, place))
            });
            sampler.offer(columns, keys).expect("of the layout");
            let held = sampler.batches.iter().map(RecordBatch::num_rows).sum();
            most = most.max(held);
        }
        assert!(most <= 2 * 500 + SLACK, "{most}");
        assert_eq!(sampler.finish().expect("rows").rows.num_rows(), 500);
    }

    #[test]
    fn a_smaller_sample_is_the_beginning_of_a_larger_one() {
        let of = |overall| {
            sampled(
                Keep {
                    overall,
                    of_each: 0,
                },
                50_000,
                5_000,
                false,
            )
        };
        let (small, large) = (of(100), of(2_000));
        assert_eq!(small.rows, large.rows.slice(0, 100));
        assert_eq!(large.rows.num_rows(), 2_000);
        // Every row is as likely: the mean of 0 … 49,999 within five standard errors.
        let index = layout().column("x").expect("a number");
        let mean = large.numbers(index).expect("numbers").iter().sum::<f64>() / 2_000.0;
        assert!(
            (mean - 25_000.0).abs() < 5.0 * 14_434.0 / 2_000_f64.sqrt(),
            "{mean}"
        );
    }

    #[test]
    fn a_sample_is_stored_and_read_again() {
        let keep = Keep {
            overall: 20,
            of_each: 10,
        };
        let sample = sampled(keep, 1_000, 100, false);
        let bytes = sample.to_bytes().expect("written");
        assert_eq!(
            RowSample::from_bytes(&bytes, &layout()).expect("read"),
            sample
        );
        assert!(RowSample::from_bytes(&bytes[..bytes.len() / 2], &layout()).is_err());
        let none = sampled(keep, 0, 1, false);
        let again = RowSample::from_bytes(&none.to_bytes().expect("written"), &layout());
        assert_eq!(again.expect("read"), none);
    }
}
