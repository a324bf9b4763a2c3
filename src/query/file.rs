//! A file as a stream of Arrow batches in the file's own order. Bounded memory: one batch, and for Parquet the pages
//! of one row group, at a time.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::object_store::memory::InMemory;
use datafusion::object_store::{ObjectStoreExt, PutPayload, path::Path as ObjectPath};
use datafusion::prelude::{CsvReadOptions, ParquetReadOptions, SessionConfig, SessionContext};
use tokio_stream::StreamExt;

use super::QueryError;

/// Where a table of records lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum File {
    Path(PathBuf),
    /// A file compiled into the program; `name` stands for it in messages and says its format by its ending.
    Bytes {
        name: &'static str,
        bytes: &'static [u8],
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Parquet,
    Csv,
}

impl Format {
    fn name(self) -> &'static str {
        match self {
            Format::Parquet => "Parquet",
            Format::Csv => "CSV",
        }
    }
}

/// The rows of one file. For CSV every column is text, as it stands in the file; an empty cell is null.
pub struct Rows {
    file: String,
    format: Format,
    schema: SchemaRef,
    stream: SendableRecordBatchStream,
}

impl Rows {
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn format(&self) -> Format {
        self.format
    }

    /// The next rows of the file, `None` after the last.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        let batch = self.stream.next().await.transpose();
        batch.map_err(|cause| self.unreadable(cause))
    }

    pub(super) fn unreadable(&self, cause: DataFusionError) -> QueryError {
        unreadable(&self.file, self.format, cause)
    }
}

impl File {
    /// How messages call it.
    pub fn name(&self) -> String {
        match self {
            File::Path(path) => path.display().to_string(),
            File::Bytes { name, .. } => (*name).to_owned(),
        }
    }

    /// Opens the file at its first row. A byte-order mark before the first column's name is removed.
    ///
    /// # Errors
    /// When it cannot be opened, is neither Parquet nor CSV, is damaged, has a column without a name, or two of
    /// one name.
    pub async fn rows(&self) -> Result<Rows, QueryError> {
        let file = self.name();
        let format = self.format()?;
        let failed = |cause| unreadable(&file, format, cause);

        let session = session();
        let address = self.address(&session).await?;
        let frame = match format {
            Format::Parquet => {
                let options = ParquetReadOptions::default().file_extension("");
                session
                    .read_parquet(&address, options)
                    .await
                    .map_err(failed)?
            }
            Format::Csv => {
                let options = CsvReadOptions::new().file_extension("");
                let schema = header(&file, &session, &address).await?;
                session
                    .read_csv(&address, options.schema(&schema))
                    .await
                    .map_err(failed)?
            }
        };
        let schema: SchemaRef = Arc::clone(frame.schema().inner());
        let stream = frame.execute_stream().await.map_err(failed)?;
        Ok(Rows {
            file,
            format,
            schema,
            stream,
        })
    }

    /// Parquet is known by its first bytes whatever its name; CSV by its name alone.
    fn format(&self) -> Result<Format, QueryError> {
        let (start, name) = match self {
            File::Path(path) => (first_bytes(path)?, path.display().to_string()),
            File::Bytes { name, bytes } => {
                (bytes.iter().take(4).copied().collect(), (*name).to_owned())
            }
        };
        if start == b"PAR1" {
            Ok(Format::Parquet)
        } else if name.to_ascii_lowercase().ends_with(".csv") {
            Ok(Format::Csv)
        } else {
            Err(QueryError::UnknownFormat { file: name })
        }
    }

    /// Makes the file known to the session; returns its address there.
    async fn address(&self, session: &SessionContext) -> Result<String, QueryError> {
        match self {
            File::Path(path) => {
                let open = |source| QueryError::Open {
                    path: path.clone(),
                    source,
                };
                let whole = std::fs::canonicalize(path).map_err(open)?;
                Ok(format!("file://{}", percent_encoded(&whole)))
            }
            File::Bytes { name, bytes } => {
                let refused = |cause| QueryError::Session {
                    file: (*name).to_owned(),
                    cause: Box::new(cause),
                };
                let store = InMemory::new();
                let put = store
                    .put(&ObjectPath::from(*name), PutPayload::from_static(bytes))
                    .await;
                put.map_err(|cause| refused(DataFusionError::from(cause)))?;
                let url = ObjectStoreUrl::parse("memory://").map_err(refused)?;
                session.register_object_store(url.as_ref(), Arc::new(store));
                Ok(format!(
                    "memory:///{}",
                    percent_encoded(std::path::Path::new(name))
                ))
            }
        }
    }
}

/// One partition and no splitting of files, so that rows come in the file's order; plain strings, so that a text
/// column has one type.
fn session() -> SessionContext {
    let mut config = SessionConfig::new()
        .with_target_partitions(1)
        .with_repartition_file_scans(false);
    config
        .options_mut()
        .execution
        .parquet
        .schema_force_view_types = false;
    SessionContext::new_with_config(config)
}

fn unreadable(file: &str, format: Format, cause: DataFusionError) -> QueryError {
    QueryError::Unreadable {
        file: file.to_owned(),
        format: format.name(),
        cause: Box::new(cause),
    }
}

fn first_bytes(path: &std::path::Path) -> Result<Vec<u8>, QueryError> {
    use std::io::Read;
    let failed = |source| QueryError::Open {
        path: path.to_owned(),
        source,
    };
    if path.is_dir() {
        return Err(QueryError::Folder {
            file: path.display().to_string(),
        });
    }
    let mut start = Vec::new();
    std::fs::File::open(path)
        .map_err(failed)?
        .take(4)
        .read_to_end(&mut start)
        .map_err(failed)?;
    Ok(start)
}

/// An address takes `*`, `?`, `%` and spaces in a path for something else, so every unusual byte is escaped.
fn percent_encoded(path: &std::path::Path) -> String {
    let mut out = String::new();
    for &byte in path.as_os_str().as_encoded_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

/// The columns of a CSV file by its first line, all of them text: the types of some first rows would be a guess.
async fn header(file: &str, session: &SessionContext, address: &str) -> Result<Schema, QueryError> {
    let failed = |cause| unreadable(file, Format::Csv, cause);
    let plain = CsvReadOptions::new()
        .file_extension("")
        .has_header(false)
        .schema_infer_max_records(1);
    // The first line read as data, because DataFusion takes two columns of one name for one column.
    let shape = session
        .read_csv(address, plain.clone())
        .await
        .map_err(failed)?;
    let numbered = shape
        .schema()
        .fields()
        .iter()
        .map(|field| text_field(field.name()))
        .collect::<Vec<_>>();
    let numbered = Schema::new(numbered);
    let first = session
        .read_csv(address, plain.schema(&numbered))
        .await
        .map_err(failed)?;
    let first = first
        .limit(0, Some(1))
        .map_err(failed)?
        .collect()
        .await
        .map_err(failed)?;
    let Some(first) = first.iter().find(|batch| batch.num_rows() > 0) else {
        return Err(QueryError::Empty {
            file: file.to_owned(),
        });
    };
    let mut fields: Vec<Field> = Vec::new();
    for (place, cell) in first.columns().iter().enumerate() {
        let cell = cell.as_string::<i32>();
        let name = if cell.is_null(0) {
            ""
        } else {
            cell.value(0).trim_start_matches('\u{feff}')
        };
        if name.is_empty() {
            return Err(QueryError::UnnamedColumn {
                file: file.to_owned(),
                place: place + 1,
            });
        }
        if fields.iter().any(|field| field.name() == name) {
            return Err(QueryError::DuplicateColumn {
                file: file.to_owned(),
                column: name.to_owned(),
            });
        }
        fields.push(text_field(name));
    }
    Ok(Schema::new(fields))
}

fn text_field(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}
