//! What a label says, in the words of the task: one text, number or truth value becomes a declared class or a number.
//!
//! Producers write the same class in several ways: the predicting service logs `"1"`, the system that knows the truth
//! sends `1` or `true`. Two texts **mean the same** when they are equal, when both are finite numbers of one value
//! (`"1.0"`, `"1"`), or when both are the same truth value: `1` and `true` (any case) are true, `0` and `false` are
//! false.
//!
//! The *declared classes* of a binary or multiclass model are the classes that its layout has scores for, the
//! categories of `prediction.label` in its layout, and the declared positive class. A logged class that means the
//! same as the positive class is the positive class. A label is coerced so:
//!
//! 1. it is a declared class, or means the same as one: that class;
//! 2. binary, and only the positive class is known: a positive class that is a truth value has its opposite in the
//!    same form as the negative class (`1` has `0`, `true` has `false`) and no other; beside any other positive class
//!    every text is a negative class as written, unless it is a truth value or blank: a label `1` beside a positive
//!    class `up` is a mistake and must not count as "not up";
//! 3. multiclass: any text that is not blank is a class of its own, which the model has not predicted so far;
//! 4. anything else is **unusable**.
//!
//! A label that came as `value` is taken as the text of that number. For regression the `value` counts, else a label
//! text that is a finite number; everything else is unusable.
//!
//! **Invariant:** a function of the label, the task and the layout alone: the same label means the same in every
//! window. Deliberately absent: which label of an id counts (`latest`).

use std::borrow::Cow;

use crate::event::Millis;
use crate::performance::{Kind, Truth};
use crate::profile::{Cells, Field, Layout, category_text};

/// How labels, predicted classes and scores of one model are read.
pub(super) struct Classes {
    task: Task,
    /// The declared classes; the positive one first, the others in the order of their names.
    declared: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Task {
    Binary,
    Multiclass,
    Regression,
}

impl Classes {
    pub fn new(kind: Kind<'_>, layout: &Layout) -> Self {
        let (task, positive) = match kind {
            Kind::Binary { positive } => (Task::Binary, Some(positive)),
            Kind::Multiclass => (Task::Multiclass, None),
            Kind::Regression => (Task::Regression, None),
        };
        let mut logged: Vec<&str> = Vec::new();
        for column in &layout.columns {
            match (&column.field, &column.cells) {
                (Field::Score(class), _) => logged.push(class),
                (Field::Label, Cells::Categorical(cells)) => {
                    logged.extend(cells.categories.iter().map(String::as_str));
                }
                _ => {}
            }
        }
        logged.sort_unstable();
        logged.dedup();
        if let Some(positive) = positive {
            logged.retain(|class| !same(class, positive));
            if logged.is_empty() {
                logged.extend(opposite(positive));
            }
        }
        let declared = positive.into_iter().chain(logged).map(str::to_owned);
        Self {
            task,
            declared: declared.collect(),
        }
    }

    /// A predicted class by its declared name; one that means none of them stays as it was logged.
    pub fn predicted<'a>(&'a self, logged: &'a str) -> &'a str {
        self.declared_as(logged).unwrap_or(logged)
    }

    /// What a label says; `None` when it is unusable. `ts` is the label's.
    pub fn truth(&self, label: Option<&str>, value: Option<f64>, ts: Millis) -> Option<Truth> {
        let value = value.filter(|value| value.is_finite());
        if self.task == Task::Regression {
            let text = || label.and_then(number);
            return Some(Truth {
                class: None,
                value: Some(value.or_else(text)?),
                ts,
            });
        }
        let text: Cow<'_, str> = match (label, value) {
            (Some(label), _) => Cow::Borrowed(label),
            (None, Some(value)) => Cow::Owned(category_text(value)),
            (None, None) => return None,
        };
        Some(Truth {
            class: Some(self.class(&text)?.to_owned()),
            value: None,
            ts,
        })
    }

    fn class<'a>(&'a self, text: &'a str) -> Option<&'a str> {
        if let Some(declared) = self.declared_as(text) {
            return Some(declared);
        }
        let open = match self.task {
            Task::Binary => self.declared.len() == 1 && truth_value(text).is_none(),
            Task::Multiclass => true,
            Task::Regression => false,
        };
        (open && !text.trim().is_empty()).then_some(text)
    }

    fn declared_as(&self, text: &str) -> Option<&str> {
        let declared = || self.declared.iter().map(String::as_str);
        let exact = declared().find(|class| *class == text);
        exact.or_else(|| declared().find(|class| same(class, text)))
    }
}

/// Whether two texts mean the same class.
fn same(a: &str, b: &str) -> bool {
    let equal_numbers = || number(a).is_some_and(|a| number(b) == Some(a));
    let equal_truths = || truth_value(a).is_some_and(|a| truth_value(b) == Some(a));
    a == b || equal_numbers() || equal_truths()
}

fn number(text: &str) -> Option<f64> {
    text.trim()
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

fn truth_value(text: &str) -> Option<bool> {
    match number(text) {
        Some(1.0) => Some(true),
        Some(0.0) => Some(false),
        Some(_) => None,
        None if text.eq_ignore_ascii_case("true") => Some(true),
        None if text.eq_ignore_ascii_case("false") => Some(false),
        None => None,
    }
}

/// The other truth value, in the form of this one.
fn opposite(text: &str) -> Option<&'static str> {
    let is_number = number(text).is_some();
    match (truth_value(text)?, is_number) {
        (true, true) => Some("0"),
        (false, true) => Some("1"),
        (true, false) => Some("false"),
        (false, false) => Some("true"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{CategoricalCells, LayoutColumn, NumericCells};

    fn layout(scores: &[&str], labels: &[&str]) -> Layout {
        let numeric = Cells::Numeric(NumericCells {
            edges: Vec::new(),
            domain: None,
            center: 0.0,
            sum_shift: 0,
            square_shift: 0,
        });
        let scores = scores.iter().map(|class| Field::Score((*class).to_owned()));
        let mut columns: Vec<LayoutColumn> = scores
            .map(|field| LayoutColumn {
                name: field.column_name(""),
                field,
                cells: numeric.clone(),
            })
            .collect();
        if !labels.is_empty() {
            let categories = labels.iter().map(|&label| label.to_owned()).collect();
            columns.push(LayoutColumn {
                name: Field::Label.column_name(""),
                field: Field::Label,
                cells: Cells::Categorical(CategoricalCells {
                    categories,
                    closed: false,
                }),
            });
        }
        Layout {
            format: crate::profile::layout::FORMAT,
            columns,
            skipped: Vec::new(),
        }
    }

    /// `labels` reads "text→class" and, for an unusable one, "text→".
    #[track_caller]
    fn check(kind: Kind<'_>, layout: &Layout, labels: &str) {
        let classes = Classes::new(kind, layout);
        for label in labels.split_whitespace() {
            let (text, expect) = label.split_once('→').expect("an arrow");
            let truth = classes.truth(Some(text), None, 5);
            let found = truth.as_ref().and_then(|truth| truth.class.as_deref());
            assert_eq!(found.unwrap_or(""), expect, "label {text:?}");
            assert!(truth.is_none_or(|truth| truth.ts == 5 && truth.value.is_none()));
        }
    }

    #[test]
    fn one_and_true_mean_each_other_only_where_a_class_is_one_of_them() {
        let one = Kind::Binary { positive: "1" };
        check(
            one,
            &layout(&[], &[]),
            "1→1 1.0→1 true→1 True→1 0→0 false→0 -1→ 2→ up→ NaN→",
        );
        let yes = Kind::Binary { positive: "true" };
        check(
            yes,
            &layout(&[], &["true", "false"]),
            "1→true 0→false true→true FALSE→false 7→",
        );
        let up = Kind::Binary { positive: "up" };
        check(
            up,
            &layout(&[], &[]),
            "up→up down→down 1→ true→ 0→ false→ Up→Up",
        );
        check(
            up,
            &layout(&["up", "down"], &[]),
            "up→up down→down 1→ 0→ sideways→",
        );
        // The positive class may be the false one.
        let zero = Kind::Binary { positive: "0" };
        check(zero, &layout(&[], &[]), "0→0 false→0 true→1 1→1");
    }

    #[test]
    fn what_is_logged_says_what_the_negative_class_is() {
        let one = Kind::Binary { positive: "1" };
        check(
            one,
            &layout(&[], &["-1", "1"]),
            "1→1 -1→-1 -1.0→-1 true→1 0→ false→",
        );
        // Logged in another form than declared: the declared name is used.
        let yes = Kind::Binary { positive: "true" };
        check(
            yes,
            &layout(&["0", "1"], &[]),
            "1→true true→true 0→0 false→0",
        );
        let classes = Classes::new(yes, &layout(&["0", "1"], &[]));
        assert_eq!(classes.predicted("1"), "true");
        assert_eq!(classes.predicted("other"), "other");
    }

    #[test]
    fn a_multiclass_label_may_be_a_class_that_was_never_predicted() {
        let layout = layout(&["1", "2"], &[]);
        check(Kind::Multiclass, &layout, "1→1 2.0→2 true→1 3→3 cat→cat");
        let classes = Classes::new(Kind::Multiclass, &layout);
        assert_eq!(classes.truth(Some(" "), None, 0), None);
    }

    #[test]
    fn a_label_may_come_as_a_value() {
        let classes = Classes::new(Kind::Binary { positive: "1" }, &layout(&[], &[]));
        let class = |value| {
            let truth = classes.truth(None, Some(value), 0);
            truth.and_then(|truth| truth.class)
        };
        assert_eq!(class(1.0).as_deref(), Some("1"));
        assert_eq!(class(-0.0).as_deref(), Some("0"));
        assert_eq!(class(0.5), None);
        assert_eq!(class(f64::NAN), None);
        assert_eq!(classes.truth(None, None, 0), None);
    }

    #[test]
    fn a_regression_label_is_a_finite_number() {
        let classes = Classes::new(Kind::Regression, &layout(&[], &[]));
        let value = |label, value| {
            let truth = classes.truth(label, value, 0);
            truth.and_then(|truth| truth.value)
        };
        assert_eq!(value(None, Some(1.5)), Some(1.5));
        assert_eq!(value(Some("2.5"), None), Some(2.5));
        assert_eq!(value(Some("2.5"), Some(1.5)), Some(1.5));
        assert_eq!(value(Some("2.5"), Some(f64::NAN)), Some(2.5));
        for unusable in ["", "up", "true", "inf", "NaN"] {
            assert_eq!(value(Some(unusable), None), None, "{unusable:?}");
        }
    }
}
