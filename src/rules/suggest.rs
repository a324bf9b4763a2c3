//! A first declaration for a model, written from what its data looks like.
//!
//! **Invariant:** the text parses, and says nothing that the data did not: guesses stand in comments to be checked.

use std::fmt::Write;

use crate::performance::Metric;
use crate::profile::{Cells, Field, Layout};

/// Longest list of categories that is worth showing.
const SHOWN_CATEGORIES: usize = 12;

/// Writes a declaration of `model` as YAML.
///
/// `origin` says in words what was read, for the first line. Columns stand with their types, skipped ones with the
/// reason why.
pub fn suggest(model: &str, layout: &Layout, origin: &str) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = write_declaration(&mut text, model, layout, origin);
    text
}

fn write_declaration(
    out: &mut String,
    model: &str,
    layout: &Layout,
    origin: &str,
) -> std::fmt::Result {
    writeln!(
        out,
        "# Suggested from {}. Check it, then run `driftline rules check` on the file.",
        one_line(origin)
    )?;
    writeln!(out, "model: {}", scalar(model))?;
    let (task, why) = task(layout);
    writeln!(out, "task: {task}  # {why}")?;
    writeln!(out, "window: {{every: 1d, lateness: 1h}}")?;
    writeln!(
        out,
        "# The first month in production; {{file: PATH}} for a file with known good rows."
    )?;
    writeln!(out, "reference: {{first: 30d}}")?;
    let loss = primary_metric(&task);
    if loss.is_some() {
        writeln!(
            out,
            "# Keeps predictions, so that labels can be joined with them: for performance rules and retraining."
        )?;
        writeln!(out, "# rows: all")?;
    }
    columns(out, layout)?;
    writeln!(out, "rules:")?;
    writeln!(
        out,
        "  - {{name: inputs, watch: drift, on: \"*\", for: 3 of 5, severity: ticket}}"
    )?;
    writeln!(
        out,
        "  - {{name: nulls, watch: null_rate, on: \"*\", above: reference + 2pp, severity: ticket}}"
    )?;
    if layout
        .columns
        .iter()
        .any(|column| matches!(column.cells, Cells::Categorical(_)))
    {
        writeln!(
            out,
            "  - {{name: unseen, watch: unseen, on: \"*\", above: reference + 2pp, severity: ticket}}"
        )?;
    }
    writeln!(
        out,
        "  - {{name: wrong_types, watch: wrong_type, on: \"*\", above: reference + 2pp, severity: ticket}}"
    )?;
    writeln!(
        out,
        "  - {{name: schema, watch: schema_change, severity: ticket}}"
    )?;
    writeln!(
        out,
        "  - {{name: volume, watch: volume, below: reference * 0.5, severity: ticket}}"
    )?;
    writeln!(out, "  # How long may the model be silent?")?;
    writeln!(
        out,
        "  # - {{name: silent, watch: freshness, above: 2h, severity: page}}"
    )?;
    let Some(loss) = loss else { return Ok(()) };
    writeln!(
        out,
        "  # How much worse than in the reference may predictions be? Needs labels and `rows`."
    )?;
    writeln!(
        out,
        "  # - {{name: loss, watch: performance, metric: {loss}, above: reference * 1.1, severity: page}}"
    )
}

/// The loss that a performance rule would watch; `None` for tasks without metrics.
fn primary_metric(task: &str) -> Option<Metric> {
    match task {
        "none" => None,
        "regression" => Some(Metric::Rmse),
        _ => Some(Metric::LogLoss),
    }
}

fn columns(out: &mut String, layout: &Layout) -> std::fmt::Result {
    writeln!(out, "columns:")?;
    writeln!(out, "  exclude: []")?;
    for (key, numeric) in [("numeric", true), ("categorical", false)] {
        // A feature may be called "", which no list can say; its type then follows the data.
        let of_type = layout.columns.iter().filter(|column| {
            matches!(column.cells, Cells::Numeric(_)) == numeric
                && !column.name.trim().is_empty()
                && !matches!(column.field, Field::Vector(_) | Field::Element(..))
        });
        for (i, column) in of_type.enumerate() {
            if i == 0 {
                writeln!(out, "  {key}:")?;
            }
            writeln!(
                out,
                "    - {}{}",
                scalar(&column.name),
                shape(&column.cells)
            )?;
        }
    }
    for column in &layout.columns {
        if let Field::Vector(numbers) = column.field {
            writeln!(
                out,
                "  # A vector of {numbers} numbers, which needs no word here: {}",
                scalar(&column.name)
            )?;
        }
    }
    if !layout.skipped.is_empty() {
        writeln!(out, "  # Not watched:")?;
    }
    for (name, why) in &layout.skipped {
        writeln!(out, "  #   {}: {}", one_line(name), one_line(why))?;
    }
    Ok(())
}

/// What was seen of a column, as a comment.
fn shape(cells: &Cells) -> String {
    match cells {
        Cells::Numeric(cells) => match (cells.edges.first(), cells.edges.last()) {
            (Some(first), Some(last)) if first < last => format!("  # mostly {first} to {last}"),
            _ => String::new(),
        },
        Cells::Categorical(cells) => {
            let mut names: Vec<String> = cells
                .categories
                .iter()
                .take(SHOWN_CATEGORIES)
                .map(|name| scalar(name))
                .collect();
            if cells.categories.len() > SHOWN_CATEGORIES {
                names.push(format!(
                    "and {} more",
                    cells.categories.len() - SHOWN_CATEGORIES
                ));
            }
            if names.is_empty() {
                String::new()
            } else {
                format!("  # {}", one_line(&names.join(", ")))
            }
        }
    }
}

/// The task that the prediction's fields look like, and the words of the guess.
fn task(layout: &Layout) -> (String, &'static str) {
    let label = layout
        .columns
        .iter()
        .find(|column| column.field == Field::Label);
    let mut classes: Vec<&str> = layout
        .columns
        .iter()
        .filter_map(|column| match &column.field {
            Field::Score(class) => Some(class.as_str()),
            _ => None,
        })
        .collect();
    if let Some(Cells::Categorical(cells)) = label.map(|column| &column.cells)
        && cells.categories.len() > classes.len()
    {
        classes = cells.categories.iter().map(String::as_str).collect();
    }
    match classes.as_slice() {
        // Of two classes the rarer one is usually the event that is predicted; categories stand by frequency.
        [_, rarer] => (
            format!("{{type: binary, positive: {}}}", scalar(rarer)),
            "two classes; check which is positive",
        ),
        [_, _, _, ..] => ("multiclass".to_owned(), "more than two classes"),
        _ if layout
            .columns
            .iter()
            .any(|column| matches!(column.field, Field::Value | Field::Values(_))) =>
        {
            ("regression".to_owned(), "the prediction is a number")
        }
        _ => (
            "none".to_owned(),
            "no prediction was seen that tells; binary, multiclass, regression or ranking",
        ),
    }
}

/// A YAML scalar that reads back as this text: bare where that is safe, else quoted as JSON.
fn scalar(text: &str) -> String {
    let bare = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        && !matches!(
            text.to_ascii_lowercase().as_str(),
            "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n"
        );
    if bare {
        return text.to_owned();
    }
    let quoted = serde_json::Value::from(text).to_string();
    quoted
        .chars()
        .map(|c| {
            if is_printable(c) {
                c.to_string()
            } else {
                format!("\\u{:04x}", u32::from(c))
            }
        })
        .collect()
}

/// Whether YAML lets a character stand as it is, on one line. All others lie below U+10000.
fn is_printable(c: char) -> bool {
    !c.is_control()
        && !matches!(
            c,
            '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
        )
}

/// Line breaks must not end a comment, and characters that YAML refuses must not stand in one.
fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if is_printable(c) { c } else { ' ' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{CategoricalCells, LayoutColumn, NumericCells};
    use crate::rules::{Rows, Task, parse};
    use proptest::prelude::*;

    fn numeric(name: &str, field: Field, edges: &[f64]) -> LayoutColumn {
        let cells = NumericCells {
            edges: edges.to_vec(),
            domain: None,
            center: 0.0,
            sum_shift: 0,
            square_shift: 0,
        };
        LayoutColumn {
            name: name.to_owned(),
            field,
            cells: Cells::Numeric(cells),
        }
    }

    fn categorical(name: &str, field: Field, categories: &[&str]) -> LayoutColumn {
        let categories = categories.iter().map(|name| (*name).to_owned()).collect();
        let cells = Cells::Categorical(CategoricalCells {
            categories,
            closed: false,
        });
        LayoutColumn {
            name: name.to_owned(),
            field,
            cells,
        }
    }

    fn layout(columns: Vec<LayoutColumn>) -> Layout {
        Layout {
            format: 1,
            columns,
            skipped: vec![(
                "tail\nnum".to_owned(),
                "almost every value is different".to_owned(),
            )],
        }
    }

    #[test]
    fn the_suggestion_reads_as_a_person_would_write_it() {
        let layout = layout(vec![
            numeric("temp", Field::Feature, &[10.5, 20.0, 95.0]),
            categorical("origin", Field::Feature, &["EWR", "JFK", "no"]),
            categorical("prediction.label", Field::Label, &["in time", "late"]),
        ]);
        let text = suggest("flights", &layout, "flights.parquet (1000 rows)");
        let start = "\
# Suggested from flights.parquet (1000 rows). Check it, then run `driftline rules check` on the file.
model: flights
task: {type: binary, positive: late}  # two classes; check which is positive
window: {every: 1d, lateness: 1h}
# The first month in production; {file: PATH} for a file with known good rows.
reference: {first: 30d}
# Keeps predictions, so that labels can be joined with them: for performance rules and retraining.
# rows: all
columns:
  exclude: []
  numeric:
    - temp  # mostly 10.5 to 95
  categorical:
    - origin  # EWR, JFK, \"no\"
    - prediction.label  # \"in time\", late
  # Not watched:
  #   tail num: almost every value is different
rules:
";
        assert_eq!(&text[..start.len()], start);
        let declared = &parse("s.yaml", &text).expect("a declaration")[0];
        assert_eq!(
            declared.task,
            Task::Binary {
                positive: "late".to_owned()
            }
        );
        assert_eq!(declared.columns.numeric, ["temp"]);
        assert_eq!(declared.columns.categorical, ["origin", "prediction.label"]);
        assert_eq!(declared.rules.len(), 6);
    }

    /// What stands in comments is what a person would take out of them.
    #[test]
    fn the_suggestion_also_parses_without_its_comment_signs() {
        for (layout, metric) in [
            (
                layout(vec![numeric("prediction.value", Field::Value, &[])]),
                Some(Metric::Rmse),
            ),
            (
                layout(vec![categorical(
                    "prediction.label",
                    Field::Label,
                    &["a", "b"],
                )]),
                Some(Metric::LogLoss),
            ),
            (layout(Vec::new()), None),
        ] {
            let text = suggest("m", &layout, "a file")
                .replace("# rows: all", "rows: all")
                .replace("  # - {", "  - {");
            let declared = &parse("s.yaml", &text).expect("a declaration")[0];
            let rule = declared.rules.iter().find_map(|rule| rule.metric);
            assert_eq!(rule, metric);
            assert_eq!(declared.rows == Rows::All, metric.is_some());
        }
    }

    #[test]
    fn the_task_follows_the_prediction() {
        let value = layout(vec![numeric("prediction.value", Field::Value, &[])]);
        assert_eq!(task(&value).0, "regression");
        let three = layout(vec![categorical(
            "prediction.label",
            Field::Label,
            &["a", "b", "c"],
        )]);
        assert_eq!(task(&three).0, "multiclass");
        assert_eq!(task(&layout(Vec::new())).0, "none");
    }

    proptest! {
        /// Whatever the data is called, the text parses and names the same model and columns.
        #[test]
        fn it_parses_again(
            model in "\\PC{1,12}|[a-z*? ]{1,3}|yes|1e3", names in proptest::collection::hash_set(".{1,8}|no|007|~|- a: #b", 0..5),
            category in ".{0,6}", why in ".{0,9}",
        ) {
            prop_assume!(!model.trim().is_empty());
            let columns: Vec<LayoutColumn> = names.iter().enumerate().map(|(i, name)| match i % 2 {
                0 => numeric(name, Field::Feature, &[1.0, 2.5]),
                _ => categorical(name, Field::Feature, &[&category]),
            }).collect();
            let layout = Layout { format: 1, columns, skipped: vec![(category, why.clone())] };
            let text = suggest(&model, &layout, &why);
            let declared = parse("s.yaml", &text);
            prop_assert!(declared.is_ok(), "{declared:?}\n{text}");
            let declared = declared.expect("it is ok");
            prop_assert_eq!(declared[0].model.as_str(), model);
            let listed = declared[0].columns.numeric.len() + declared[0].columns.categorical.len();
            prop_assert_eq!(listed, names.iter().filter(|name| !name.trim().is_empty()).count());
        }
    }
}
