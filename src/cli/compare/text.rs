//! The comparison as a table for a terminal, and as Markdown for a review or a wiki.

use std::io::{self, Write};

use super::report::{Line, Report};
use crate::stats::score::Verdict;

/// Digits of a number in a table.
const DIGITS: usize = 4;

/// A header, a line for each column and statistic, and what was left out.
pub fn text(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", headline(report))?;
    writeln!(
        out,
        "reference {} ({} rows), current {} ({} rows); {}\n",
        report.reference.file,
        report.reference.rows,
        report.current.file,
        report.current.rows,
        promise(report)
    )?;
    let rows = table(report);
    let mut widths = [0; HEAD.len()];
    for row in std::iter::once(&HEAD.map(str::to_owned)).chain(&rows) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    for row in std::iter::once(&HEAD.map(str::to_owned)).chain(&rows) {
        let cells: Vec<String> = row
            .iter()
            .zip(widths)
            .enumerate()
            .map(|(at, (cell, width))| match at {
                NUMBERS_FROM..=NUMBERS_TO => format!("{cell:>width$}"),
                _ => format!("{cell:<width$}"),
            })
            .collect();
        writeln!(out, "{}", cells.join("  ").trim_end())?;
    }
    for skipped in &report.skipped {
        writeln!(out, "not compared: {} ({})", skipped.column, skipped.why)?;
    }
    for reason in unjudged(report) {
        writeln!(out, "{reason}")?;
    }
    Ok(())
}

/// The same as a Markdown section.
pub fn markdown(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "## {}\n", headline(report))?;
    writeln!(
        out,
        "Reference {} ({} rows), current {} ({} rows); {}.\n",
        code(&report.reference.file),
        report.reference.rows,
        code(&report.current.file),
        report.current.rows,
        promise(report)
    )?;
    writeln!(out, "| {} |", HEAD.join(" | "))?;
    let rule = (0..HEAD.len()).map(|at| match at {
        NUMBERS_FROM..=NUMBERS_TO => "---:",
        _ => "---",
    });
    writeln!(out, "|{}|", rule.collect::<Vec<_>>().join("|"))?;
    for row in table(report) {
        let mut cells = row;
        // The others are our own words and numbers.
        for of_the_file in [0, HEAD.len() - 1] {
            cells[of_the_file] = plain(&cells[of_the_file]);
        }
        writeln!(out, "| {} |", cells.join(" | "))?;
    }
    if !report.skipped.is_empty() {
        writeln!(out, "\nNot compared:\n")?;
    }
    for skipped in &report.skipped {
        writeln!(out, "- {}: {}", code(&skipped.column), plain(&skipped.why))?;
    }
    for reason in unjudged(report) {
        writeln!(out, "\n{}", plain(&reason))?;
    }
    Ok(())
}

/// Text that Markdown shows as it is, in a cell of a table too: names and categories come from files.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\n' | '\r' | '\t' => out.push(' '),
            '\\' | '|' | '`' | '*' | '<' | '>' | '[' | ']' | '~' | '&' => {
                out.push('\\');
                out.push(character);
            }
            // Inside a word it is not read as emphasis.
            '_' if out.ends_with(' ') || out.is_empty() => out.push_str("\\_"),
            other => out.push(other),
        }
    }
    out
}

/// Text as inline code, between more backticks than it has in a row.
fn code(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    match text.starts_with('`') || text.ends_with('`') {
        true => format!("{fence} {text} {fence}"),
        false => format!("{fence}{text}{fence}"),
    }
}

const HEAD: [&str; 8] = [
    "column",
    "statistic",
    "verdict",
    "score",
    "threshold",
    "p",
    "threshold from",
    "what moved",
];
/// The columns of the table that hold numbers.
const NUMBERS_FROM: usize = 3;
const NUMBERS_TO: usize = 5;

fn headline(report: &Report) -> String {
    let [drift, ok, unjudged] = report.counts();
    let mut text = format!("{}: ", word(report.verdict));
    if report.columns.is_empty() {
        let together = report.multivariate.len();
        text += &format!("{together} of all columns together");
        return text;
    }
    text += &match report.columns.len() {
        1 => "1 column: ".to_owned(),
        n => format!("{n} columns: "),
    };
    text += &format!("{drift} drift, {ok} ok");
    if !report.skipped.is_empty() {
        text += &format!(", {} not compared", report.skipped.len());
    }
    if unjudged > 0 {
        text += &format!(", {unjudged} could not be judged");
    }
    text
}

fn promise(report: &Report) -> String {
    if let Some(vendor) = report.compat {
        return format!("bins, tests and thresholds of {vendor}");
    }
    let alpha = short(report.alpha * 100.0);
    match report.correction {
        "none" => format!("false alarms: {alpha} % for each statistic, nothing corrected"),
        "bh" | "by" => format!(
            "at most {alpha} % false ones expected among what drifts ({})",
            report.correction
        ),
        correction => format!("false alarms: {alpha} % for the whole comparison ({correction})"),
    }
}

fn table(report: &Report) -> Vec<[String; HEAD.len()]> {
    let of_columns = report.columns.iter().flat_map(|column| {
        column
            .statistics
            .iter()
            .map(|line| row(&column.column, line))
    });
    of_columns
        .chain(
            report
                .multivariate
                .iter()
                .map(|line| row("(together)", line)),
        )
        .collect()
}

fn row(column: &str, line: &Line) -> [String; HEAD.len()] {
    let number = |value: Option<f64>| value.map_or("–".to_owned(), short);
    let source = match &line.threshold_source {
        Some(serde_json::Value::String(text)) => text.clone(),
        _ => "–".to_owned(),
    };
    let mut statistic = line.statistic.clone();
    if line.decides {
        statistic += " *";
    }
    [
        column.to_owned(),
        statistic,
        word(line.verdict).to_owned(),
        number(line.score),
        number(line.threshold),
        number(line.p_value),
        source,
        line.moved.clone(),
    ]
}

/// What weakens the promise, and why what could not be judged was not.
fn unjudged(report: &Report) -> Vec<String> {
    let lines = report.columns.iter().flat_map(|column| {
        column
            .statistics
            .iter()
            .map(move |line| (&column.column, line))
    });
    let mut reasons = Vec::new();
    let warning = |(_, line): (&String, &Line)| {
        let text = line.parameters.get("warning")?.as_str()?;
        Some(format!("warning: {text}"))
    };
    reasons.extend(lines.clone().find_map(warning));
    for (column, line) in lines {
        if !matches!(line.verdict, Verdict::Ok | Verdict::Drift) {
            reasons.push(format!("{column}, {}: {}", line.statistic, line.reason));
        }
    }
    for line in &report.multivariate {
        if !matches!(line.verdict, Verdict::Ok | Verdict::Drift) {
            reasons.push(format!("{}: {}", line.statistic, line.reason));
        }
    }
    reasons
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Drift => "DRIFT",
        other => other.as_str(),
    }
}

/// A number in few digits.
fn short(number: f64) -> String {
    let size = number.abs();
    if number == 0.0 {
        "0".to_owned()
    } else if !(1e-4..1e6).contains(&size) {
        format!("{number:.2e}")
    } else {
        let whole = size.log10().floor() as i32 + 1;
        let digits = (DIGITS as i32 - whole).clamp(0, 6) as usize;
        let text = format!("{number:.digits$}");
        if text.contains('.') {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        } else {
            text
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{code, plain, short};

    #[test]
    fn names_from_files_cannot_break_a_table() {
        assert_eq!(plain("a|b\nc"), "a\\|b c");
        assert_eq!(
            plain("<b>*x*</b> [y](z) `q` l_infinity"),
            "\\<b\\>\\*x\\*\\</b\\> \\[y\\](z) \\`q\\` l_infinity"
        );
        assert_eq!(plain("ends with \\"), "ends with \\\\");
        assert_eq!(code("plain.csv"), "`plain.csv`");
        assert_eq!(code("a`b``c"), "```a`b``c```");
        assert_eq!(code("`"), "`` ` ``");
    }

    #[test]
    fn numbers_are_short_and_never_lose_their_size() {
        let shown: Vec<String> = [0.0, 0.05, 0.123456, 12.34567, 123456.7, 1e-9, 2.5e7, -0.5]
            .into_iter()
            .map(short)
            .collect();
        assert_eq!(
            shown,
            [
                "0", "0.05", "0.1235", "12.35", "123457", "1.00e-9", "2.50e7", "-0.5"
            ]
        );
    }
}
