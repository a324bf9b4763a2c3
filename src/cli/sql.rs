//! `driftline sql`: one statement over files and over what a service has stored, with driftline's functions.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;

use super::retrain::block_on;
use crate::profile::Layout;
use crate::query::{File, Form, QueryError, Sql};
use crate::reference::{self, Reference};
use crate::store::lake::Lake;
use crate::store::{Store, handle, layouts, models, references};

/// What `driftline sql` takes.
#[derive(Debug, clap::Args)]
pub struct SqlArguments {
    /// The statement; it can only read. `SHOW FUNCTIONS` lists what there is.
    statement: String,
    /// The configuration of a service whose results, references and lake are asked.
    #[arg(long)]
    config: Option<PathBuf>,
    /// The data folder of a service, in place of its configuration; its lake is then the folder `lake` in it.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    data_dir: Option<PathBuf>,
    /// A CSV or Parquet file, or the URL of one in a bucket, as a table; may be repeated.
    #[arg(long = "table", value_name = "NAME=FILE", value_parser = named)]
    tables: Vec<(String, File)>,
    /// Such a file as a reference; its layout, learned from it, has the same name. May be repeated.
    #[arg(long = "reference", value_name = "NAME=FILE", value_parser = named)]
    references: Vec<(String, File)>,
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Format {
    /// A frame of lines, for people.
    Table,
    Csv,
    /// An array of objects.
    Json,
}

/// Runs the statement. Exit codes: 0 answered, 1 something failed, 2 the statement or a file is wrong.
pub fn run(arguments: &SqlArguments) -> anyhow::Result<ExitCode> {
    let service = match (&arguments.config, &arguments.data_dir) {
        (Some(file), _) => match super::config::load(file) {
            Ok(config) => {
                let lake = config.lake.location(&config.data_dir);
                Some((config.data_dir, lake))
            }
            Err(problems) => {
                let code = super::rules::print(&problems, &mut io::stderr())?;
                return Ok(ExitCode::from(code));
            }
        },
        (None, Some(data_dir)) => {
            let lake = crate::config::Lake::default().location(data_dir);
            Some((data_dir.clone(), lake))
        }
        (None, None) => None,
    };
    let asked = block_on(async {
        let mut sql = Sql::new(reference::value);
        let service = match &service {
            Some((data_dir, lake)) => Some((open(data_dir)?, open_lake(lake)?)),
            None => None,
        };
        Ok(ask(&mut sql, service.as_ref(), arguments).await)
    })?;
    match asked {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => match error.downcast::<QueryError>() {
            Ok(error @ (QueryError::Write(_) | QueryError::Store(_))) => Err(error.into()),
            Ok(error) => {
                eprintln!("driftline: {error}");
                Ok(ExitCode::from(super::rules::PROBLEMS))
            }
            Err(error) => Err(error),
        },
    }
}

/// A store that a service has made: a mistyped folder is not to become one.
fn open(data_dir: &Path) -> anyhow::Result<Store> {
    let file = data_dir.join(handle::FILE_NAME);
    anyhow::ensure!(
        file.is_file(),
        "{} is not there: {} is not the data folder of a service that has run",
        file.display(),
        data_dir.display()
    );
    Ok(Store::open(data_dir)?)
}

/// `None`: no model has kept a row yet, and opening the folder would make it.
fn open_lake(location: &str) -> anyhow::Result<Option<Lake>> {
    let is_there = location.contains("://") || Path::new(location).is_dir();
    Ok(if is_there {
        Some(Lake::open(location)?)
    } else {
        None
    })
}

async fn ask(
    sql: &mut Sql,
    service: Option<&(Store, Option<Lake>)>,
    arguments: &SqlArguments,
) -> anyhow::Result<()> {
    if let Some((store, lake)) = service {
        add_models(sql, store)?;
        sql.add_store(store).await?;
        if let Some(lake) = lake {
            sql.add_lake(lake);
        }
    }
    for (name, file) in &arguments.references {
        sql.add_reference_file(name, file).await?;
    }
    for (name, file) in &arguments.tables {
        sql.add_table(name, file).await?;
    }
    let answer = sql.ask(&arguments.statement).await?;
    let form = match arguments.format {
        Format::Table => Form::Table,
        Format::Csv => Form::Csv,
        Format::Json => Form::Json,
    };
    let mut out = BufWriter::new(io::stdout());
    answer.write(form, &mut out).await?;
    out.flush().map_err(QueryError::Write)?;
    Ok(())
}

/// The layouts of all models under the models' names, and their references: each by its hash, the bound one by the
/// model's name too.
fn add_models(sql: &mut Sql, store: &Store) -> anyhow::Result<()> {
    let bound = store.read(models::all)?;
    for (model, stored) in store.read(layouts::all)? {
        let layout = Layout::from_json(&stored.body)
            .with_context(|| format!("the stored layout of model {model:?}"))?;
        let layout = Arc::new(layout);
        sql.add_layout(&model, &layout);
        let bound = bound
            .iter()
            .find(|known| known.model == model)
            .and_then(|known| known.reference_hash.as_deref());
        for row in store.read(|conn| references::of_model(conn, &model))? {
            let Some((_, body)) = store.read(|conn| references::get(conn, &row.hash))? else {
                continue;
            };
            let reference = Reference::from_bytes(&body, &layout)
                .with_context(|| format!("the stored reference {} of model {model:?}", row.hash))?;
            let mut names = vec![row.hash.as_str()];
            if bound == Some(row.hash.as_str()) {
                names.push(&model);
            }
            sql.add_reference(&names, &layout, &reference.profile);
        }
    }
    Ok(())
}

/// `name=file`.
fn named(text: &str) -> Result<(String, File), String> {
    match text.split_once('=') {
        Some((name, file)) if !name.is_empty() && !file.is_empty() => {
            let file = File::of(file).map_err(|error| error.to_string())?;
            Ok((name.to_owned(), file))
        }
        _ => Err("write a name, =, and a file: trips=trips.csv".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_a_name() {
        assert_eq!(
            named("t=a=b.csv"),
            Ok(("t".to_owned(), File::Path(PathBuf::from("a=b.csv"))))
        );
        for wrong in ["", "t", "t=", "=a.csv"] {
            assert!(named(wrong).is_err(), "{wrong}");
        }
    }
}
