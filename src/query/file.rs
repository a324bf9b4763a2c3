//! A file as a stream of Arrow batches in the file's own order. Bounded memory: one batch, and for Parquet the pages
//! of one row group, at a time.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::prelude::{
    CsvReadOptions, DataFrame, ParquetReadOptions, SessionConfig, SessionContext,
};
use object_store::memory::InMemory;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload, path::Path as ObjectPath};
use tokio_stream::StreamExt;
use url::{Position, Url};

use super::QueryError;
use super::functions::{TEXT_OF_CSV, UNTYPED};
use crate::store::lake;

/// Where a table of records lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum File {
    Path(PathBuf),
    /// An object of a bucket, `s3://bucket/path/file.parquet` (also `gs`, `az`, `abfss` …). Credentials come from the
    /// environment, under the names that the providers' own tools use.
    Url(Url),
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
    /// What a user typed: a URL where it has a scheme (`file://` is a path all the same), else a path.
    ///
    /// # Errors
    /// When it looks like a URL and is none.
    pub fn of(text: &str) -> Result<Self, QueryError> {
        if let Some(path) = text.strip_prefix("file://") {
            return Ok(File::Path(PathBuf::from(path)));
        }
        if !text.contains("://") {
            return Ok(File::Path(PathBuf::from(text)));
        }
        Url::parse(text)
            .map(File::Url)
            .map_err(|cause| QueryError::Url {
                url: text.to_owned(),
                cause: cause.to_string(),
            })
    }

    /// How messages call it.
    pub fn name(&self) -> String {
        match self {
            File::Path(path) => path.display().to_string(),
            File::Url(url) => url.to_string(),
            File::Bytes { name, .. } => (*name).to_owned(),
        }
    }

    /// Opens the file at its first row. A byte-order mark before the first column's name is removed.
    ///
    /// # Errors
    /// When it cannot be opened, is neither Parquet nor CSV, is damaged, has a column without a name, or two of
    /// one name.
    pub async fn rows(&self) -> Result<Rows, QueryError> {
        self.rows_of(None).await
    }

    /// As [`File::rows`], with the columns of these names only, in the file's order; a name that it lacks is left out.
    pub async fn rows_of(&self, only: Option<&[String]>) -> Result<Rows, QueryError> {
        let file = self.name();
        let (format, frame) = self.frame(&session()).await?;
        let failed = |cause| unreadable(&file, format, cause);
        let frame = match only {
            None => frame,
            Some(only) => {
                let fields = frame.schema().inner().fields().clone();
                let kept: Vec<&str> = fields
                    .iter()
                    .map(|field| field.name().as_str())
                    .filter(|name| only.iter().any(|other| other == name))
                    .collect();
                frame.select_columns(&kept).map_err(failed)?
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

    /// The file as a table of `session`, whose texts must be plain ones. Texts of CSV are marked as untyped.
    pub(super) async fn frame(
        &self,
        session: &SessionContext,
    ) -> Result<(Format, DataFrame), QueryError> {
        let file = self.name();
        let format = self.format().await?;
        let failed = |cause| unreadable(&file, format, cause);
        let address = self.address(session).await?;
        let frame = match format {
            Format::Parquet => {
                let options = ParquetReadOptions::default().file_extension("");
                session
                    .read_parquet(&address, options)
                    .await
                    .map_err(failed)?
            }
            Format::Csv => {
                // So that the file is not cut inside of a quoted text.
                let options = CsvReadOptions::new()
                    .file_extension("")
                    .newlines_in_values(true);
                // The first line is only the first of one partition.
                let alone = self::session();
                let schema = header(&file, &alone, &self.address(&alone).await?).await?;
                session
                    .read_csv(&address, options.schema(&schema))
                    .await
                    .map_err(failed)?
            }
        };
        Ok((format, frame))
    }

    /// Parquet is known by its first bytes whatever its name; CSV by its name alone.
    async fn format(&self) -> Result<Format, QueryError> {
        let name = self.name();
        let start = match self {
            File::Path(path) => first_bytes(path)?,
            File::Url(url) => {
                let (objects, path) = bucket(url)?;
                let failed = |cause: object_store::Error| QueryError::Url {
                    url: url.to_string(),
                    cause: cause.to_string(),
                };
                // An object may be shorter than a beginning.
                let size = objects.head(&path).await.map_err(failed)?.size;
                let start = objects.get_range(&path, 0..size.min(4)).await;
                start.map_err(failed)?.to_vec()
            }
            File::Bytes { bytes, .. } => bytes.iter().take(4).copied().collect(),
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
            File::Url(url) => {
                let (objects, path) = bucket(url)?;
                // Paths are relative to the bucket, whatever the provider; the name keeps buckets of a session apart.
                let name = xxhash_rust::xxh3::xxh3_64(url[..Position::BeforePath].as_bytes());
                let bucket = format!("bucket://{name:016x}/");
                let address =
                    ObjectStoreUrl::parse(&bucket).map_err(|cause| QueryError::Session {
                        file: url.to_string(),
                        cause: Box::new(cause),
                    })?;
                session.register_object_store(address.as_ref(), objects);
                let path = percent_encoded(std::path::Path::new(path.as_ref()));
                Ok(format!("{bucket}{path}"))
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

/// The bucket that a URL names, and the object's path in it.
fn bucket(url: &Url) -> Result<(Arc<dyn ObjectStore>, ObjectPath), QueryError> {
    let (objects, path) = lake::bucket(url).map_err(|cause| QueryError::Url {
        url: url.to_string(),
        cause: cause.to_string(),
    })?;
    Ok((Arc::from(objects), path))
}

/// A session that reads values instead of believing a file's statistics: of those NaN is left out. A column whose
/// smallest and largest value are the same would be taken for a constant, its NaN with it, and rows that are NaN would be
/// passed over by `WHERE x > 100`, although NaN is larger than any number there.
pub(super) fn honest() -> SessionConfig {
    let mut config = SessionConfig::new().with_collect_statistics(false);
    let parquet = &mut config.options_mut().execution.parquet;
    parquet.pruning = false;
    parquet.enable_page_index = false;
    config
}

/// One partition and no splitting of files, so that rows come in the file's order; plain strings, so that a text
/// column has one type.
fn session() -> SessionContext {
    let mut config = honest()
        .with_target_partitions(1)
        .with_repartition_file_scans(false);
    config
        .options_mut()
        .execution
        .parquet
        .schema_force_view_types = false;
    SessionContext::new_with_config(config)
}

pub(super) fn unreadable(file: &str, format: Format, cause: DataFusionError) -> QueryError {
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

/// A text of which nothing is known but that it was written without a type.
fn text_field(name: &str) -> Field {
    let untyped = HashMap::from([(UNTYPED.to_owned(), TEXT_OF_CSV.to_owned())]);
    Field::new(name, DataType::Utf8, true).with_metadata(untyped)
}
