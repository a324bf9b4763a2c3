//! The handle that everybody holds: one writer thread that owns the writing connection, and a few readers.
//!
//! **Invariants:** all writes of a process go through one thread, each in its own IMMEDIATE transaction, so that
//! several processes may share the file. A reader sees one consistent snapshot and never holds the writer up.
//! A panic in a write ends the writer thread: every caller gets [`StoreError::Gone`] from then on, and
//! [`Store::ended`] lets the process end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;

use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{oneshot, watch};

use super::error::{Result, StoreError};
use super::failpoint::failpoint;
use super::schema;

/// The name of the file inside the data folder.
pub const FILE_NAME: &str = "driftline.sqlite";

/// Readers at the same time; further ones wait. Small, since a page cache is kept for each.
const READERS: usize = 4;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A cheap, clonable handle. The file is closed when the last clone goes.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    /// Unbounded, yet never long: each caller waits for the answer to its one job.
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    ended: watch::Receiver<()>,
    readers: Readers,
}

impl Store {
    /// Opens the store in `dir`, creating folder, file and schema where missing, upgrading an older file.
    pub fn open(dir: &Path) -> Result<Store> {
        std::fs::create_dir_all(dir).map_err(|source| StoreError::Open {
            path: dir.to_path_buf(),
            source,
        })?;
        let path = dir.join(FILE_NAME);
        let conn = schema::open_writer(&path)?;
        let (jobs, queue) = mpsc::channel::<Job>();
        let (alive, ended) = watch::channel(());
        let writer = std::thread::Builder::new()
            .name("store-writer".to_string())
            .spawn(move || run(conn, &queue, alive))
            .map_err(|source| StoreError::Open {
                path: path.clone(),
                source,
            })?;
        let readers = Readers {
            path: path.clone(),
            pool: Mutex::default(),
            freed: Condvar::new(),
        };
        Ok(Store {
            inner: Arc::new(Inner {
                path,
                jobs: Some(jobs),
                writer: Some(writer),
                ended,
                readers,
            }),
        })
    }

    /// The SQLite file.
    pub fn path(&self) -> &Path {
        &self.inner.path
    }

    /// Runs `job` in one transaction: committed and on disk when this returns `Ok`, rolled back on `Err`.
    /// Blocks the calling thread; not for async code. `job` must not call the store.
    pub fn write<R, F>(&self, job: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<R> + Send + 'static,
    {
        let (answer, answered) = mpsc::sync_channel(1);
        self.send(Box::new(move |conn| {
            // The caller is waiting below, so the answer cannot fail to be taken.
            let _ = answer.send(transact(conn, job));
        }))?;
        answered.recv().map_err(|_| StoreError::Gone)?
    }

    /// As [`Store::write`], for async code. The transaction goes through even if the future is dropped.
    pub async fn write_async<R, F>(&self, job: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<R> + Send + 'static,
    {
        let (answer, answered) = oneshot::channel();
        self.send(Box::new(move |conn| {
            // An error only says that the caller stopped waiting.
            let _ = answer.send(transact(conn, job));
        }))?;
        answered.await.map_err(|_| StoreError::Gone)?
    }

    /// Runs `query` on a read-only snapshot. Blocks; not for async code, and not inside another `read`.
    pub fn read<R, F>(&self, query: F) -> Result<R>
    where
        F: FnOnce(&Connection) -> Result<R>,
    {
        let mut reader = self.inner.readers.take()?;
        let snapshot = reader.conn()?.transaction()?;
        query(&snapshot)
    }

    /// As [`Store::read`], for async code. A panic in `query` is passed on to the caller.
    pub async fn read_async<R, F>(&self, query: F) -> Result<R>
    where
        R: Send + 'static,
        F: FnOnce(&Connection) -> Result<R> + Send + 'static,
    {
        let store = self.clone();
        match tokio::task::spawn_blocking(move || store.read(query)).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(StoreError::Gone),
            },
        }
    }

    /// Resolves when the writer thread has ended, which is a reason to end the process.
    pub async fn ended(&self) {
        let mut ended = self.inner.ended.clone();
        while ended.changed().await.is_ok() {}
    }

    fn send(&self, job: Job) -> Result<()> {
        self.inner
            .jobs
            .as_ref()
            .ok_or(StoreError::Gone)?
            .send(job)
            .map_err(|_| StoreError::Gone)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // The last connection to close folds the log into the file, which a reader could not.
        self.readers.lock().idle.clear();
        if let Some(writer) = self.writer.take()
            && writer.thread().id() != std::thread::current().id()
        {
            // Waits for the last job and the closing of the file; a panic has been reported by `ended`.
            let _ = writer.join();
        }
    }
}

fn run(mut conn: Connection, queue: &mpsc::Receiver<Job>, alive: watch::Sender<()>) {
    // Moved in, so that a panic drops it too.
    let _alive = alive;
    while let Ok(job) = queue.recv() {
        job(&mut conn);
    }
    // The file alone then holds everything, whether or not closing also removes the log: SQLite leaves that to a
    // connection that finds itself the last one. A failure loses nothing; the log is read at the next start.
    if let Err(error) = conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)") {
        tracing::warn!(%error, "folding the store's log into its file");
    }
}

fn transact<R>(
    conn: &mut Connection,
    job: impl FnOnce(&Transaction<'_>) -> Result<R>,
) -> Result<R> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    failpoint("store.begin");
    let value = job(&tx)?;
    failpoint("store.before_commit");
    tx.commit()?;
    failpoint("store.after_commit");
    Ok(value)
}

struct Readers {
    path: PathBuf,
    pool: Mutex<Pool>,
    freed: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Connection>,
    lent: usize,
}

impl Readers {
    fn lock(&self) -> MutexGuard<'_, Pool> {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> Result<Reader<'_>> {
        let mut pool = self.lock();
        while pool.lent >= READERS {
            pool = self
                .freed
                .wait(pool)
                .unwrap_or_else(PoisonError::into_inner);
        }
        pool.lent += 1;
        let idle = pool.idle.pop();
        drop(pool);
        let mut reader = Reader {
            conn: idle,
            readers: self,
        };
        if reader.conn.is_none() {
            reader.conn = Some(schema::open_reader(&self.path)?);
        }
        Ok(reader)
    }
}

/// A lent reading connection; goes back when dropped, also after a panic.
struct Reader<'a> {
    conn: Option<Connection>,
    readers: &'a Readers,
}

impl Reader<'_> {
    fn conn(&mut self) -> Result<&mut Connection> {
        self.conn.as_mut().ok_or(StoreError::Gone)
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        let mut pool = self.readers.lock();
        pool.lent -= 1;
        pool.idle.extend(self.conn.take());
        drop(pool);
        self.readers.freed.notify_one();
    }
}

#[cfg(test)]
#[path = "handle_tests.rs"]
mod tests;
