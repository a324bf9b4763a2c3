//! From two files to the report: counts, rows, the correction for how much was asked, verdicts.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::asked::{Asked, Asks};
use super::profiles::{Choice, Counted};
use super::report::{ColumnReport, Line, Report, Side, Skipped, together};
use super::rows::{self, Pair, above_floor};
use super::{CompareArguments, Correction, many, profiles, vendor};
use crate::compute::backend::Compute;
use crate::profile::{ColumnRules, Field};
use crate::query::{ColumnRows, File, column_rows};
use crate::reference::two_sample::Draws;
use crate::stats::Statistic;
use crate::stats::compat::Vendor;
use crate::stats::multiplicity::{benjamini_hochberg, benjamini_yekutieli, bonferroni, holm};
use crate::stats::score::Verdict;

/// Bytes of columns held at a time, both files together.
const ROWS_BUDGET: u64 = 1 << 30;
/// Bytes that a row of a column takes, with its sorted copy.
const BYTES_A_ROW: u64 = 24;

/// Reads both files and judges.
///
/// # Errors
/// When a file cannot be read, or something asked for does not exist.
pub async fn report(arguments: &CompareArguments) -> anyhow::Result<Report> {
    // With --compat the names are the other tool's own.
    let names: &[String] = if arguments.compat.is_some() {
        anyhow::ensure!(
            arguments.parameters.is_empty(),
            "--param: with --compat every parameter is the other tool's own; leave one of the two out"
        );
        &[]
    } else {
        &arguments.statistics
    };
    let asks = Asks::read(names, &arguments.parameters)?;
    let (reference, current) = (
        File::of(&arguments.reference)?,
        File::of(&arguments.current)?,
    );
    let columns = arguments.columns.concat();
    let choice = Choice {
        columns: &columns,
        rules: ColumnRules {
            categorical: arguments.categorical.concat(),
            numeric: arguments.numeric.concat(),
            ..ColumnRules::default()
        },
        time: arguments.time.as_deref(),
        every: arguments.every,
    };
    let counted = profiles::count(&reference, &current, &choice).await?;
    let mut report = Report {
        verdict: Verdict::NoData,
        reference: Side {
            file: reference.name(),
            rows: counted.reference.profile.rows,
        },
        current: Side {
            file: current.name(),
            rows: counted.current.rows,
        },
        alpha: arguments.alpha,
        correction: arguments.correction.name(),
        compat: arguments.compat.map(Vendor::name),
        columns: Vec::new(),
        multivariate: Vec::new(),
        skipped: counted.skipped.clone(),
    };
    let judging = Judging {
        arguments,
        asks: &asks,
        counted: &counted,
        files: (&reference, &current),
    };
    match arguments.compat {
        Some(vendor) => judging.by_vendor(vendor, &mut report).await?,
        None => judging.by_null(&mut report).await?,
    }
    for column in &mut report.columns {
        let deciding = column.statistics.iter().filter(|line| line.decides);
        column.verdict = together(deciding.map(|line| line.verdict));
    }
    let columns = report.columns.iter().map(|column| column.verdict);
    let all = columns.chain(report.multivariate.iter().map(|line| line.verdict));
    report.verdict = together(all.collect::<Vec<_>>());
    Ok(report)
}

/// What a p-value without a threshold takes for granted.
fn null_of(statistic: Statistic) -> &'static str {
    match statistic {
        // Its false alarms are many unless the reference is many times larger than the current sample.
        Statistic::ChiSquaredFit => "takes_reference_as_known",
        _ => "assumes_independence",
    }
}

/// Why columns were skipped, to be appended to a sentence.
fn left_out(skipped: &[Skipped]) -> String {
    let reasons: Vec<String> = skipped
        .iter()
        .map(|one| format!("{} ({})", one.column, one.why))
        .collect();
    match reasons.is_empty() {
        true => String::new(),
        false => format!("; not compared: {}", reasons.join(", ")),
    }
}

struct Judging<'a> {
    arguments: &'a CompareArguments,
    asks: &'a Asks,
    counted: &'a Counted,
    files: (&'a File, &'a File),
}

impl Judging<'_> {
    /// Every statistic asked for, against what chance makes of it.
    async fn by_null(&self, report: &mut Report) -> anyhow::Result<()> {
        let asked: Vec<(usize, Vec<Asked>)> = self
            .counted
            .columns
            .iter()
            .map(|&column| (column, self.asks.of_column(self.counted.numeric(column))))
            .filter(|(_, asked)| !asked.is_empty())
            .collect();
        anyhow::ensure!(
            !asked.is_empty() || !self.asks.many.is_empty(),
            "nothing to compare: no column of the reference is of a kind that the statistics asked for apply to{}",
            left_out(&self.counted.skipped)
        );
        let deciding = asked
            .iter()
            .flat_map(|(_, asked)| asked)
            .chain(&self.asks.many)
            .filter(|asked| asked.decides)
            .count();
        let level = match self.arguments.correction {
            Correction::None => self.arguments.alpha,
            _ => self.arguments.alpha / deciding.max(1) as f64,
        };
        let rows = self.on_rows(&asked, level).await?;
        // What chance makes of a column takes longer to find than its counts: every core takes some columns.
        report.columns = asked
            .par_iter()
            .map(|(column, asked)| self.column(*column, asked, level, &rows))
            .collect();
        report.multivariate = self.of_many(level).await?;
        self.adjust(report);
        Ok(())
    }

    /// One column, with the lines that were found on `rows`.
    fn column(
        &self,
        column: usize,
        asked: &[Asked],
        level: f64,
        rows: &BTreeMap<(usize, usize), Line>,
    ) -> ColumnReport {
        // Together: all statistics of a column are judged by the same draws.
        let counted: Vec<Statistic> = (0..asked.len())
            .filter(|place| !rows.contains_key(&(column, *place)))
            .map(|place| asked[place].statistic)
            .collect();
        let every = self.arguments.every;
        let scores = self.counted.scores(column, &counted, level, every);
        let lines = asked.iter().enumerate().filter_map(|(place, asked)| {
            let line = match rows.get(&(column, place)) {
                Some(line) => line.clone(),
                None => {
                    let score = scores
                        .iter()
                        .find(|score| score.statistic == asked.statistic.name())?;
                    let mut line = Line::of(score.clone(), every.is_some());
                    self.floor(&mut line);
                    line
                }
            };
            Some(Line {
                decides: asked.decides,
                ..line
            })
        });
        ColumnReport {
            column: self.counted.layout.columns[column].name.clone(),
            kind: if self.counted.numeric(column) {
                "numeric"
            } else {
                "categorical"
            },
            verdict: Verdict::NoData,
            statistics: lines.collect(),
        }
    }

    /// A floor of the user's takes the place of the statistic's own.
    fn floor(&self, line: &mut Line) {
        let (Some(floor), Some(p), Some(level)) = (self.arguments.floor, line.p_value, line.level)
        else {
            return;
        };
        line.floor = Some(floor);
        if !matches!(line.verdict, Verdict::Ok | Verdict::Drift) {
            return;
        }
        let beyond = line.score > line.threshold || p <= level;
        let matters = line.effect.is_some_and(|effect| above_floor(effect, floor));
        line.verdict = if beyond && matters {
            Verdict::Drift
        } else {
            Verdict::Ok
        };
        line.reason = format!("p {p:.1e} at level {level:.1e}, effect against a floor of {floor}");
    }

    /// What needs rows, by column and place among what was asked; some columns at a time.
    async fn on_rows(
        &self,
        asked: &[(usize, Vec<Asked>)],
        level: f64,
    ) -> anyhow::Result<BTreeMap<(usize, usize), Line>> {
        let columns: Vec<&(usize, Vec<Asked>)> = asked
            .iter()
            .filter(|(_, asked)| asked.iter().any(rows::needed))
            .collect();
        let mut found = BTreeMap::new();
        let all = self.counted.reference.profile.rows + self.counted.current.rows;
        let at_a_time = (ROWS_BUDGET / (all * BYTES_A_ROW).max(1)).max(1) as usize;
        for group in columns.chunks(at_a_time) {
            let places: Vec<usize> = group.iter().map(|(column, _)| *column).collect();
            let (ours, theirs) = self.read(&places).await?;
            for ((column, asked), (ours, theirs)) in group.iter().zip(ours.iter().zip(&theirs)) {
                let pair = Pair {
                    name: &self.counted.layout.columns[*column].name,
                    reference: ours,
                    current: theirs,
                };
                for (place, asked) in asked
                    .iter()
                    .enumerate()
                    .filter(|(_, asked)| rows::needed(asked))
                {
                    let draws = Draws::new(level, self.seed(*column, place));
                    let score = rows::judge(asked, pair, &draws, self.arguments.floor)?;
                    let mut line = Line::of(score, false);
                    line.level = Some(level);
                    if line.p_value.is_some() && line.threshold_source.is_none() {
                        line.threshold_source = Some(null_of(asked.statistic).into());
                    }
                    found.insert((*column, place), line);
                }
            }
        }
        Ok(found)
    }

    async fn read(&self, columns: &[usize]) -> anyhow::Result<(Vec<ColumnRows>, Vec<ColumnRows>)> {
        let (layout, (reference, current)) = (&self.counted.layout, self.files);
        let (ours, theirs) = tokio::join!(
            column_rows(reference, layout, columns),
            column_rows(current, layout, columns)
        );
        Ok((ours?, theirs?))
    }

    /// Each statistic of each column draws from a stream of its own.
    fn seed(&self, column: usize, place: usize) -> u64 {
        let name = &self.counted.layout.columns[column].name;
        xxhash_rust::xxh3::xxh3_64_with_seed(name.as_bytes(), self.arguments.seed ^ place as u64)
    }

    async fn of_many(&self, level: f64) -> anyhow::Result<Vec<Line>> {
        if self.asks.many.is_empty() {
            return Ok(Vec::new());
        }
        let layout = &self.counted.layout;
        let columns = self.counted.columns.iter();
        let columns: Vec<usize> = columns.flat_map(|&at| layout.numbers_of(at)).collect();
        let names: Vec<&str> = columns
            .iter()
            .map(|&column| layout.columns[column].name.as_str())
            .collect();
        let (ours, theirs) = self.read(&columns).await?;
        let choice = self.arguments.backend;
        let compute = match Compute::users_folder() {
            Some(folder) => Compute::remembering(choice, folder),
            None => Compute::new(choice),
        };
        self.asks
            .many
            .iter()
            .map(|asked| {
                let draws = Draws::new(level, self.arguments.seed);
                let score = many::judge(
                    asked,
                    &names,
                    &ours,
                    &theirs,
                    &draws,
                    self.arguments.floor,
                    &compute,
                )?;
                let mut line = Line::of(score, false);
                (line.decides, line.level) = (asked.decides, Some(level));
                Ok(line)
            })
            .collect()
    }

    async fn by_vendor(&self, vendor: Vendor, report: &mut Report) -> anyhow::Result<()> {
        let all = self.counted.reference.profile.rows + self.counted.current.rows;
        let at_a_time = (ROWS_BUDGET / (all * BYTES_A_ROW).max(1)).max(1) as usize;
        let layout = &self.counted.layout;
        let is_list = |at: &usize| matches!(layout.columns[*at].field, Field::Vector(_));
        let (lists, columns): (Vec<usize>, Vec<usize>) =
            self.counted.columns.iter().copied().partition(is_list);
        report.skipped.extend(lists.iter().map(|&at| Skipped {
            column: layout.columns[at].name.clone(),
            why: "it holds lists, of which the tool has no numbers".to_owned(),
        }));
        for group in columns.chunks(at_a_time) {
            let (ours, theirs) = self.read(group).await?;
            for (&column, (ours, theirs)) in group.iter().zip(ours.iter().zip(&theirs)) {
                let pair = Pair {
                    name: &self.counted.layout.columns[column].name,
                    reference: ours,
                    current: theirs,
                };
                report
                    .columns
                    .push(vendor::judge(vendor, &self.arguments.statistics, pair)?);
            }
        }
        Ok(())
    }

    /// Where the correction is one that looks at all p-values together, verdicts follow the adjusted ones.
    fn adjust(&self, report: &mut Report) {
        let mut lines: Vec<&mut Line> = report
            .columns
            .iter_mut()
            .flat_map(|column| &mut column.statistics)
            .chain(&mut report.multivariate)
            .filter(|line| line.decides && line.p_value.is_some())
            .collect();
        let p_values: Vec<f64> = lines.iter().filter_map(|line| line.p_value).collect();
        let adjusted = match self.arguments.correction {
            Correction::None => p_values.clone(),
            Correction::Bonferroni => bonferroni(&p_values),
            Correction::Holm => holm(&p_values),
            Correction::Bh => benjamini_hochberg(&p_values),
            Correction::By => benjamini_yekutieli(&p_values),
        };
        let alpha = self.arguments.alpha;
        let stepwise = !matches!(
            self.arguments.correction,
            Correction::None | Correction::Bonferroni
        );
        for (line, adjusted) in lines.iter_mut().zip(adjusted) {
            line.adjusted_p_value = Some(adjusted);
            if !stepwise || !matches!(line.verdict, Verdict::Ok | Verdict::Drift) {
                continue;
            }
            let matters = line
                .effect
                .zip(line.floor)
                .is_some_and(|(effect, floor)| above_floor(effect, floor));
            line.verdict = if adjusted <= alpha && matters {
                Verdict::Drift
            } else {
                Verdict::Ok
            };
            let (name, floor) = (self.arguments.correction.name(), line.floor.unwrap_or(0.0));
            let side = if matters { "above" } else { "not above" };
            line.reason = format!(
                "p after {name} {adjusted:.2e} against {alpha}; the effect is {side} the floor {floor}"
            );
        }
    }
}
