//! The object store under the lake: a local folder, or a bucket by its URL.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::RecordBatch;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rand::TryRng as _;
use rand::rngs::SysRng;
use url::Url;

use super::Kind;
use crate::event::Millis;
use crate::store::error::StoreError;

/// Rows decoded at a time.
const BATCH_ROWS: usize = 8192;
/// Of a model's name in a path: people can tell folders apart; the catalogue knows the rest.
const READABLE_BYTES: usize = 64;
/// Beside `segments/`: immutable files of trained models.
const MODELS: &str = "models";
const SEGMENTS: &str = "segments";
/// `object_store` writes `NAME#1` and renames it.
const UNFINISHED: &str = ".parquet#";

#[derive(Debug, thiserror::Error)]
pub enum LakeError {
    #[error("cannot open the lake at {location}: {reason}; correct `lake.url`")]
    Open { location: String, reason: String },
    #[error("the lake's object store: {0}")]
    Objects(#[from] object_store::Error),
    #[error("syncing {}: {source}", path.display())]
    Sync {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("the lake's file {path} cannot be read or written: {reason}")]
    Damaged { path: String, reason: String },
    #[error("{0:?} is not the hash of a model file")]
    NotAHash(String),
    #[error("the system gives no random numbers: {0}")]
    Random(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Where segments and model files lie. Cheap to clone.
#[derive(Clone)]
pub struct Lake {
    objects: Arc<dyn ObjectStore>,
    /// Of a local lake, whose files are synced by us.
    folder: Option<PathBuf>,
    location: String,
}

impl fmt::Debug for Lake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lake({})", self.location)
    }
}

/// The bucket that a URL names, and the path in it. Credentials come from the environment, under the names that the
/// providers' own tools use.
///
/// # Errors
/// When the URL's scheme is not known or says too little.
pub(crate) fn bucket(url: &Url) -> Result<(Box<dyn ObjectStore>, Path), object_store::Error> {
    let environment = std::env::vars_os().filter_map(|(name, value)| {
        let name = name.into_string().ok()?.to_ascii_lowercase();
        Some((name, value.into_string().ok()?))
    });
    object_store::parse_url_opts(url, environment)
}

impl Lake {
    /// Opens a lake: a folder, made when missing, or a URL such as `s3://bucket/driftline` (also `gs`, `az`, `abfss`,
    /// `memory`). Credentials of buckets come from the environment, under the names that the providers' own tools
    /// use (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT`, `GOOGLE_SERVICE_ACCOUNT`, `AZURE_STORAGE_ACCOUNT_NAME` …).
    ///
    /// # Errors
    /// When the folder cannot be made or the URL is not understood. A bucket is not asked before it is used.
    pub fn open(location: &str) -> Result<Self, LakeError> {
        let refuse = |reason: String| LakeError::Open {
            location: location.to_owned(),
            reason,
        };
        let folder = match location.strip_prefix("file://") {
            Some(path) => Some(PathBuf::from(path)),
            None if !location.contains("://") => Some(PathBuf::from(location)),
            None => None,
        };
        if let Some(folder) = folder {
            std::fs::create_dir_all(&folder).map_err(|error| refuse(error.to_string()))?;
            let folder = folder
                .canonicalize()
                .map_err(|error| refuse(error.to_string()))?;
            let objects = LocalFileSystem::new_with_prefix(&folder)
                .map_err(|error| refuse(error.to_string()))?;
            return Ok(Self {
                objects: Arc::new(objects),
                folder: Some(folder),
                location: location.to_owned(),
            });
        }
        let url = Url::parse(location).map_err(|error| refuse(error.to_string()))?;
        let (objects, prefix) = bucket(&url).map_err(|error| refuse(error.to_string()))?;
        Ok(Self {
            objects: Arc::new(PrefixStore::new(objects, prefix)),
            folder: None,
            location: location.to_owned(),
        })
    }

    /// The objects, by their paths in the catalogue.
    pub fn store(&self) -> Arc<dyn ObjectStore> {
        Arc::clone(&self.objects)
    }

    /// As it was opened.
    pub fn location(&self) -> &str {
        &self.location
    }

    /// A segment's rows, in batches, with all columns or those of these that it has, in the file's order.
    ///
    /// # Errors
    /// When the object is not there, or is no Parquet.
    pub async fn read(
        &self,
        path: &str,
        columns: Option<&[&str]>,
    ) -> Result<Vec<RecordBatch>, LakeError> {
        let bytes = self.objects.get(&Path::from(path)).await?.bytes().await?;
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)
            .map_err(|error| damaged(path, error))?;
        let mask = match columns {
            Some(columns) => {
                // Names with dots are names here, not paths: by place, then.
                let places = columns
                    .iter()
                    .flat_map(|name| builder.schema().index_of(name));
                ProjectionMask::roots(builder.parquet_schema(), places)
            }
            None => ProjectionMask::all(),
        };
        let reader = builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .map_err(|error| damaged(path, error))?;
        reader
            .collect::<Result<_, _>>()
            .map_err(|error| damaged(path, error))
    }

    /// Keeps a model file under its hash. Writing the same file again changes nothing.
    ///
    /// # Errors
    /// When `hash` is not lower-case hexadecimal, or the object store fails.
    pub async fn put_model(&self, hash: &str, bytes: Vec<u8>) -> Result<(), LakeError> {
        let path = model_path(hash)?;
        match self.put(&path, bytes).await {
            Err(LakeError::Objects(object_store::Error::AlreadyExists { .. })) => Ok(()),
            other => other,
        }
    }

    /// The model file of this hash; `None`: there is none.
    ///
    /// # Errors
    /// As [`Lake::put_model`].
    pub async fn get_model(&self, hash: &str) -> Result<Option<Vec<u8>>, LakeError> {
        match self.objects.get(&Path::from(model_path(hash)?)).await {
            Ok(found) => Ok(Some(found.bytes().await?.to_vec())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes an object that nobody had before; it survives a power cut when this returns.
    pub(super) async fn put(&self, path: &str, bytes: Vec<u8>) -> Result<(), LakeError> {
        let options = PutOptions::from(PutMode::Create);
        self.objects
            .put_opts(&Path::from(path), bytes.into(), options)
            .await?;
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let (folder, file) = (folder.clone(), folder.join(path));
        let synced = tokio::task::spawn_blocking(move || {
            // The file, then each folder above it up to the lake's, any of which may be new.
            let parts = file
                .ancestors()
                .take_while(|part| part.starts_with(&folder));
            for part in parts {
                let sync = std::fs::File::open(part).and_then(|open| open.sync_all());
                sync.map_err(|source| LakeError::Sync {
                    path: part.to_owned(),
                    source,
                })?;
            }
            Ok(())
        });
        match synced.await {
            Ok(synced) => synced,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }

    /// Removes an object. One that is gone already is no error.
    pub(super) async fn delete(&self, path: &str) -> Result<(), LakeError> {
        match self.objects.delete(&Path::from(path)).await {
            Err(object_store::Error::NotFound { .. }) => Ok(()),
            other => Ok(other?),
        }
    }
}

impl Lake {
    /// A process that dies while it writes a local file leaves a part of it beside the name it was to have, which no
    /// listing shows. Removes those last written to before `before`, in wall time.
    pub(super) async fn remove_unfinished(&self, before: Millis) -> Result<u64, LakeError> {
        let Some(folder) = self.folder.clone() else {
            return Ok(0);
        };
        let removed = tokio::task::spawn_blocking(move || {
            let mut removed = 0;
            let mut folders = vec![folder.join(SEGMENTS)];
            while let Some(folder) = folders.pop() {
                // A folder or file that is gone by now needs no removal.
                for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
                    let Ok(known) = entry.metadata() else {
                        continue;
                    };
                    if known.is_dir() {
                        folders.push(entry.path());
                    } else if entry.file_name().to_string_lossy().contains(UNFINISHED)
                        && known.modified().is_ok_and(|at| epoch_millis(at) <= before)
                        && std::fs::remove_file(entry.path()).is_ok()
                    {
                        removed += 1;
                    }
                }
            }
            removed
        });
        match removed.await {
            Ok(removed) => Ok(removed),
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
    }
}

fn epoch_millis(time: std::time::SystemTime) -> Millis {
    let since = time
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// A path that no segment ever had: its name is 128 random bits.
pub(super) fn new_path(kind: Kind, model: &str) -> Result<String, LakeError> {
    let mut name = [0; 16];
    SysRng
        .try_fill_bytes(&mut name)
        .map_err(|error| LakeError::Random(error.to_string()))?;
    let name = u128::from_le_bytes(name);
    let (kind, model) = (kind.as_str(), folder_name(model));
    Ok(format!("{SEGMENTS}/{kind}/{model}/{name:032x}.parquet"))
}

/// The folder of all segments.
pub(super) fn segments_folder() -> Path {
    Path::from(SEGMENTS)
}

fn model_path(hash: &str) -> Result<String, LakeError> {
    let is_hash = !hash.is_empty()
        && hash
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_hash {
        Ok(format!("{MODELS}/{hash}.json"))
    } else {
        Err(LakeError::NotAHash(hash.to_owned()))
    }
}

/// A model's name as a folder of any file system: other characters than letters, digits, `-` and `_` become `_`, and a
/// name that was changed has a hash behind it.
fn folder_name(model: &str) -> String {
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || c == '-' {
            c
        } else {
            '_'
        }
    };
    let readable: String = model.chars().take(READABLE_BYTES).map(plain).collect();
    if readable == model {
        readable
    } else {
        format!(
            "{readable}_{:016x}",
            xxhash_rust::xxh3::xxh3_64(model.as_bytes())
        )
    }
}

pub(super) fn damaged(path: &str, error: impl fmt::Display) -> LakeError {
    LakeError::Damaged {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}
