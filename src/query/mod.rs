//! Questions to tables: files of past records, read as a sample to learn a layout from and as the blocks of a
//! reference; the lake (`lake`), asked for rows with their labels, training sets, and what became of labels; and SQL
//! (`sql`) over all of these, with functions of our own (`functions`).
//!
//! This is the only room that names DataFusion. **Invariant:** a file is read in its own order, batch by batch, and
//! its values mean what they would mean in a JSON record (`cells`), so that a file and a stream of the same rows give
//! the same profile. Deliberately absent: choosing a reference, calibrating it, storing it.
//!
//! A file is a table with one row a prediction. Its columns:
//!
//! | name | is |
//! |---|---|
//! | `ts`, or the column declared as time | event time: whole milliseconds, RFC 3339 text, or a Parquet timestamp (UTC if it has no zone) |
//! | `prediction` | the predicted label if it holds text or booleans, else the predicted value |
//! | `prediction.label`, `prediction.value`, `prediction.scores.<class>`, `prediction.values.<output>`, `latency_ms` | the same fields of a prediction record |
//! | `model`, `version`, `id`, `label`, `label_ts` | not read here |
//! | `features.<name>` | the feature `<name>`, for names that mean something else above |
//! | any other | a feature of that name |

mod batch;
mod blocks;
mod cells;
mod column;
mod columns;
mod error;
mod file;
mod functions;
mod lake;
mod sample;
mod sql;
mod table;
mod times;
mod values;

#[cfg(test)]
mod tests;

pub use blocks::{profile_columns, reference_file, sample_columns, sample_file};
pub use column::Numbers;
pub use columns::column_names;
pub use error::QueryError;
pub use file::{File, Rows};
pub use functions::Measure;
pub use lake::{
    Ask, DataManifest, DataSource, Ledger, Observations, SampleAsk, SourceKind, TrainingAsk,
    TrainingSet, Unusable, label_ledger, observations, sample_of_lake, training_set,
    training_set_again,
};
pub use sample::{Keep, RowSample, sample_of_file};
pub use sql::{Answer, Form, Sql};
pub use values::{ColumnRows, NumberRows, TextRows, column_rows};
