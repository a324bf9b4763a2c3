//! The statistics that profiles hold, of two files: neither file has to fit in memory.

use std::sync::Arc;

use anyhow::Context as _;

use super::report::Skipped;
use crate::event::{DAY, Millis, Span};
use crate::profile::{Cells, ColumnRules, CompiledLayout, Layout, Profile, glob};
use crate::query::{self, File};
use crate::reference::{Block, NullCache, Plan, Reference, compare};
use crate::stats::Statistic;
use crate::stats::score::Score;
use crate::window::WindowSpec;

/// Both files, counted with the layout that the reference gives.
pub struct Counted {
    pub layout: Arc<Layout>,
    pub reference: Reference,
    pub current: Profile,
    /// Places in the layout of the columns to compare.
    pub columns: Vec<usize>,
    pub skipped: Vec<Skipped>,
    cache: NullCache,
}

/// What of the files is compared.
pub struct Choice<'a> {
    /// Globs; empty: all.
    pub columns: &'a [String],
    pub rules: ColumnRules,
    /// The time column where it is not `ts`, and the length of the windows that the reference is cut into; `None`:
    /// rows are taken for independent.
    pub time: Option<&'a str>,
    pub every: Option<Millis>,
}

/// Reads the reference twice, for its layout and for its counts, and the current file once, at the same time.
///
/// # Errors
/// When a file cannot be read, or a glob names no column of the reference.
pub async fn count(
    reference: &File,
    current: &File,
    choice: &Choice<'_>,
) -> anyhow::Result<Counted> {
    let known = query::column_names(reference, choice.time).await?;
    let (only, mut skipped) = chosen(reference, &known, choice.columns)?;
    known_names(reference, &known, &choice.rules)?;
    let sample = query::sample_columns(reference, None, Some(&only)).await?;
    let mut layout = Layout::learn(&sample, &choice.rules);
    drop(sample);
    let there = query::column_names(current, None).await?;
    // A column that was all null and has values now has moved as far as a column can.
    let silent = of_profile(&there, layout.without_values());
    if !silent.is_empty() {
        let sample = query::sample_columns(current, None, Some(&silent)).await?;
        layout.take_values_from(Layout::learn(&sample, &choice.rules));
    }
    let layout = Arc::new(layout);
    let compiled = Arc::new(CompiledLayout::new(Arc::clone(&layout)));
    skipped.extend(of_current_alone(&known, &there, choice.columns));
    let only_there: Vec<String> = there.iter().map(|(name, _)| name.clone()).collect();
    let (of_reference, of_current) = tokio::join!(
        of_reference(reference, &compiled, choice, only),
        whole(current, &compiled, only_there)
    );
    // What is drawn depends on the reference's hash: on what was counted, not on the file's name.
    let reference = Reference::from_blocks("", "", &layout, of_reference?)?;
    let columns = (0..layout.columns.len())
        .filter(|&at| layout.columns[at].stands_alone() && !absent(&reference.profile, at))
        .collect();
    skipped.extend(layout.skipped.iter().map(|(column, why)| Skipped {
        column: column.clone(),
        why: why.clone(),
    }));
    Ok(Counted {
        reference,
        current: of_current?,
        columns,
        skipped,
        cache: NullCache::new(),
        layout,
    })
}

/// A layout always has a latency; files seldom do.
fn absent(profile: &Profile, column: usize) -> bool {
    let column = &profile.columns[column];
    column.missing().absent == column.rows()
}

async fn of_reference(
    file: &File,
    layout: &Arc<CompiledLayout>,
    choice: &Choice<'_>,
    only: Vec<String>,
) -> anyhow::Result<Vec<Block>> {
    let Some(every) = choice.every else {
        let profile = whole(file, layout, only).await?;
        return Ok(vec![Block {
            span: None,
            profile,
        }]);
    };
    let window = WindowSpec {
        every,
        span: every,
        ..WindowSpec::default()
    };
    let profiles = query::reference_file(file, layout, &window, choice.time).await?;
    anyhow::ensure!(
        profiles.iter().all(|(span, _)| span.is_some()),
        "{}: --every cuts the reference into windows, and it has no time column; name one with --time",
        file.name()
    );
    Ok(profiles
        .into_iter()
        .map(|(span, profile)| Block { span, profile })
        .collect())
}

/// All rows of a file as one profile, on a thread of its own, because counting keeps a core busy.
async fn whole(
    file: &File,
    layout: &Arc<CompiledLayout>,
    only: Vec<String>,
) -> anyhow::Result<Profile> {
    let (file, layout) = (file.clone(), Arc::clone(layout));
    let read = async move { query::profile_columns(&file, &layout, &only).await };
    Ok(tokio::spawn(read).await.context("reading was cut off")??)
}

/// Refuses a kind declared for a column that is not there.
fn known_names(
    reference: &File,
    known: &[(String, Option<String>)],
    rules: &ColumnRules,
) -> anyhow::Result<()> {
    let declared = [
        ("--categorical", &rules.categorical),
        ("--numeric", &rules.numeric),
    ];
    for (flag, names) in declared {
        for name in names {
            anyhow::ensure!(
                known.iter().any(|column| is_named(column, name)),
                "{flag} {name}: {} has no such column",
                reference.name()
            );
        }
    }
    Ok(())
}

/// The file's names of the columns to compare, and what is left out of those that were named.
fn chosen(
    reference: &File,
    known: &[(String, Option<String>)],
    globs: &[String],
) -> anyhow::Result<(Vec<String>, Vec<Skipped>)> {
    for glob in globs {
        let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        anyhow::ensure!(
            known.iter().any(|column| is_named(column, glob)),
            "--columns {glob}: {} has no such column; its columns are {}",
            reference.name(),
            names.join(", ")
        );
    }
    let wanted = |column: &&(String, Option<String>)| {
        globs.is_empty() || globs.iter().any(|glob| is_named(column, glob))
    };
    let (mut only, mut skipped) = (Vec::new(), Vec::new());
    for (name, profiled) in known.iter().filter(wanted) {
        match profiled {
            Some(_) => only.push(name.clone()),
            None => skipped.push(Skipped {
                column: name.clone(),
                why: "it is time, identity or a label by its name; rename it to compare it"
                    .to_owned(),
            }),
        }
    }
    Ok((only, skipped))
}

fn is_named((name, profiled): &(String, Option<String>), glob: &str) -> bool {
    glob::matches(glob, name)
        || profiled
            .as_deref()
            .is_some_and(|name| glob::matches(glob, name))
}

/// The file's names of columns of the layout.
fn of_profile<'a>(
    there: &[(String, Option<String>)],
    names: impl Iterator<Item = &'a str>,
) -> Vec<String> {
    let names: Vec<&str> = names.collect();
    there
        .iter()
        .filter(|(_, profiled)| {
            profiled
                .as_deref()
                .is_some_and(|name| names.contains(&name))
        })
        .map(|(name, _)| name.clone())
        .collect()
}

fn of_current_alone(
    known: &[(String, Option<String>)],
    there: &[(String, Option<String>)],
    globs: &[String],
) -> Vec<Skipped> {
    let known: Vec<&String> = known.iter().filter_map(|(_, name)| name.as_ref()).collect();
    there
        .iter()
        .filter(|column| globs.is_empty() || globs.iter().any(|glob| is_named(column, glob)))
        .filter_map(|(_, name)| name.as_ref())
        .filter(|name| !known.contains(name))
        .map(|name| Skipped {
            column: name.clone(),
            why: "the reference does not have it".to_owned(),
        })
        .collect()
}

impl Counted {
    pub fn numeric(&self, column: usize) -> bool {
        matches!(self.layout.columns[column].cells, Cells::Numeric(_))
    }

    /// One column's scores at a level.
    pub fn scores(
        &self,
        column: usize,
        statistics: &[Statistic],
        level: f64,
        every: Option<Millis>,
    ) -> Vec<Score> {
        let plan = Plan {
            layout: &self.layout,
            reference: Some(&self.reference),
            window: Span::new(0, every.unwrap_or(DAY)),
            min_rows: 1,
            level,
            for_k: 1,
            for_n: 1,
            every: every.unwrap_or(DAY),
            statistics: Some(statistics.to_vec()),
            cache: &self.cache,
        };
        compare(
            &plan,
            &self.current,
            &[self.layout.columns[column].name.clone()],
        )
    }
}
