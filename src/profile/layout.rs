//! Layout: the columns of a model, their types, cells and scales. Immutable, hashed, made once for each model.
//!
//! **Invariant:** two layouts with the same hash count every row alike. Bins of a reference are unions of layout
//! cells, so a reference can change without a recount. Deliberately absent: how a layout is found (see `learn`).

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use xxhash_rust::xxh3::Xxh3;

use super::categorical::MAX_TEXT_BYTES;
use super::exact;
use super::vector;

/// The form of layouts written by this program.
pub const FORMAT: u16 = 1;
/// Most edges of a numeric column, so that a cell index fits one byte.
pub const MAX_EDGES: usize = 255;
/// Most categories of a categorical column.
pub const MAX_CATEGORIES: usize = 255;
/// Shifts stay within ±this, so that 2^shift and its reciprocal are ordinary floats.
pub const MAX_SHIFT: i32 = 1000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layout {
    pub format: u16,
    pub columns: Vec<LayoutColumn>,
    /// Columns that the sample showed and that are not watched: (name, why).
    pub skipped: Vec<(String, String)>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayoutColumn {
    /// Unique in the layout; see [`Field::column_name`].
    pub name: String,
    pub field: Field,
    pub cells: Cells,
}

/// Where a column's value stands in a prediction record.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    /// `features.<name>`.
    Feature,
    /// `features.<name>`, a list of so many numbers: its Euclidean length. See [`vector`].
    Vector(u32),
    /// One number of such a list: the name of the vector's column, and the place, from 0.
    Element(String, u32),
    /// `prediction.label`.
    Label,
    /// `prediction.scores.<class>`.
    Score(String),
    /// `prediction.value`.
    Value,
    /// `prediction.values.<output>`.
    Values(String),
    /// `latency_ms`.
    Latency,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cells {
    Numeric(NumericCells),
    Categorical(CategoricalCells),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NumericCells {
    /// Strictly increasing, finite, at most [`MAX_EDGES`]. Cell `i` is `(edges[i-1], edges[i]]`; the outer cells are
    /// open. No edge is one cell that holds everything.
    #[serde(with = "exact::list")]
    pub edges: Vec<f64>,
    /// Declared smallest and largest allowed value, both included.
    #[serde(with = "exact::optional_pair")]
    pub domain: Option<[f64; 2]>,
    /// What squares are taken from: a value in the middle of the sample.
    #[serde(with = "exact::one")]
    pub center: f64,
    /// Sums are of round(x·2^sum_shift).
    pub sum_shift: i32,
    /// Squares are of round((x−center)·2^square_shift).
    pub square_shift: i32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoricalCells {
    /// At most [`MAX_CATEGORIES`], each once; most frequent in the sample first, ties by name. Where there are more and some
    /// were met as often as the last one, a hash says which of these are here.
    pub categories: Vec<String>,
    /// Declared complete: any other text is outside the domain.
    pub closed: bool,
}

/// Why a stored layout cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LayoutError {
    #[error("the layout is not valid JSON of a layout: {0}")]
    Json(#[from] serde_json::Error),
    #[error("the layout has format {found}; this program reads format {FORMAT}")]
    Format { found: u16 },
    #[error("column {column:?} of the layout is not usable: {what}")]
    Column { column: String, what: &'static str },
}

impl Layout {
    /// SHA-256 of the canonical JSON, in hex.
    pub fn hash(&self) -> String {
        Sha256::digest(self.to_json())
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// 64 bits that differ between layouts (XXH3 of everything that decides how rows are counted): what profiles
    /// carry to keep layouts apart. Much cheaper than [`Layout::hash`], and no more than a guard against mistakes.
    pub fn fingerprint(&self) -> u64 {
        let mut hasher = Xxh3::new();
        let mut text = |text: &str| {
            hasher.update(&(text.len() as u64).to_le_bytes());
            hasher.update(text.as_bytes());
        };
        for column in &self.columns {
            text(&column.name);
            text(column.field.kind());
            text(column.field.key());
            // An element's place is in its name.
            if let Field::Vector(elements) = column.field {
                text(&elements.to_string());
            }
        }
        for column in &self.columns {
            match &column.cells {
                Cells::Numeric(cells) => {
                    let domain = cells.domain.iter().flatten();
                    hasher.update(&[0, u8::from(cells.domain.is_some())]);
                    hasher.update(&(cells.edges.len() as u64).to_le_bytes());
                    for number in cells.edges.iter().chain(domain).chain([&cells.center]) {
                        hasher.update(&(number + 0.0).to_le_bytes());
                    }
                    hasher.update(&cells.sum_shift.to_le_bytes());
                    hasher.update(&cells.square_shift.to_le_bytes());
                }
                Cells::Categorical(cells) => {
                    hasher.update(&[1, u8::from(cells.closed)]);
                    hasher.update(&(cells.categories.len() as u64).to_le_bytes());
                    for category in &cells.categories {
                        hasher.update(&(category.len() as u64).to_le_bytes());
                        hasher.update(category.as_bytes());
                    }
                }
            }
        }
        hasher.digest()
    }

    /// Canonical JSON: no spaces, fields in declared order, floats as texts in their shortest exact form.
    pub fn to_json(&self) -> String {
        // Texts, integers and lists only: nothing that JSON cannot hold.
        serde_json::to_string(self).expect("a layout is always JSON")
    }

    /// Reads and checks [`Layout::to_json`].
    ///
    /// # Errors
    /// When the text is not a layout, or is one that breaks a promise of its types.
    pub fn from_json(text: &str) -> Result<Self, LayoutError> {
        let layout: Self = serde_json::from_str(text)?;
        layout.check()?;
        Ok(layout)
    }

    /// Whether every promise in the fields' documentation holds.
    ///
    /// # Errors
    /// Names the first column that breaks one.
    pub fn check(&self) -> Result<(), LayoutError> {
        if self.format != FORMAT {
            return Err(LayoutError::Format { found: self.format });
        }
        let mut names = HashSet::new();
        for column in &self.columns {
            let problem = if names.insert(&column.name) {
                column.cells.problem()
            } else {
                Some("its name occurs twice")
            };
            let problem = problem.or_else(|| self.torn_vector(column));
            if let Some(what) = problem {
                return Err(LayoutError::Column {
                    column: column.name.clone(),
                    what,
                });
            }
        }
        Ok(())
    }

    /// Index of the column called `name`.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }
}

impl Cells {
    fn problem(&self) -> Option<&'static str> {
        match self {
            Cells::Numeric(cells) => {
                let shifts = -MAX_SHIFT..=MAX_SHIFT;
                if cells.edges.len() > MAX_EDGES {
                    Some("it has more than 255 edges")
                } else if !cells.edges.iter().all(|edge| edge.is_finite()) {
                    Some("an edge is not finite")
                } else if !cells.edges.is_sorted_by(|a, b| a < b) {
                    Some("its edges do not increase")
                } else if cells.domain.is_some_and(|[low, high]| {
                    !(low <= high && low.is_finite() && high.is_finite())
                }) {
                    Some("its domain is not a finite range")
                } else if !cells.center.is_finite() {
                    Some("its center is not finite")
                } else if !shifts.contains(&cells.sum_shift)
                    || !shifts.contains(&cells.square_shift)
                {
                    Some("a shift is beyond ±1000")
                } else {
                    None
                }
            }
            Cells::Categorical(cells) => {
                if cells.categories.len() > MAX_CATEGORIES {
                    Some("it has more than 255 categories")
                } else if cells
                    .categories
                    .iter()
                    .any(|category| category.len() > MAX_TEXT_BYTES)
                {
                    Some("a category is longer than 1024 bytes")
                } else if cells.categories.iter().collect::<HashSet<_>>().len()
                    < cells.categories.len()
                {
                    Some("a category occurs twice")
                } else {
                    None
                }
            }
        }
    }
}

impl Field {
    /// Whether it is part of a record's `features`.
    pub fn is_of_features(&self) -> bool {
        matches!(self, Field::Feature | Field::Vector(_) | Field::Element(..))
    }

    /// The column's name for a field; `name` is the feature's own name and counts for features and vectors only.
    ///
    /// Features keep their name; one that would be mistaken for another field gets `features.` in front, so no two
    /// fields of a record share a column name.
    ///
    /// ```
    /// use driftline::profile::Field;
    /// assert_eq!(Field::Feature.column_name("demand"), "demand");
    /// assert_eq!(Field::Feature.column_name("latency_ms"), "features.latency_ms");
    /// assert_eq!(Field::Score("up".into()).column_name(""), "prediction.scores.up");
    /// ```
    pub fn column_name(&self, name: &str) -> String {
        match self {
            Field::Feature | Field::Vector(_) => {
                let taken = matches!(name, "latency_ms" | "prediction.label" | "prediction.value")
                    || ["prediction.scores.", "prediction.values.", "features."]
                        .iter()
                        .any(|p| name.starts_with(p));
                if taken {
                    format!("features.{name}")
                } else {
                    name.to_owned()
                }
            }
            Field::Element(vector, place) => vector::element_name(vector, *place),
            Field::Label => "prediction.label".to_owned(),
            Field::Score(class) => format!("prediction.scores.{class}"),
            Field::Value => "prediction.value".to_owned(),
            Field::Values(output) => format!("prediction.values.{output}"),
            Field::Latency => "latency_ms".to_owned(),
        }
    }

    fn kind(&self) -> &'static str {
        match self {
            Field::Feature => "feature",
            Field::Vector(_) => "vector",
            Field::Element(..) => "element",
            Field::Label => "label",
            Field::Score(_) => "score",
            Field::Value => "value",
            Field::Values(_) => "values",
            Field::Latency => "latency",
        }
    }

    fn key(&self) -> &str {
        match self {
            Field::Score(key) | Field::Values(key) | Field::Element(key, _) => key,
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(edges: &[f64]) -> NumericCells {
        NumericCells {
            edges: edges.to_vec(),
            domain: None,
            center: 0.0,
            sum_shift: 40,
            square_shift: 23,
        }
    }

    fn layout(cells: Cells) -> Layout {
        let column = LayoutColumn {
            name: "a".into(),
            field: Field::Feature,
            cells,
        };
        Layout {
            format: FORMAT,
            columns: vec![column],
            skipped: vec![("ref".into(), "why".into())],
        }
    }

    #[test]
    fn canonical_json_is_what_is_hashed() {
        let cells = NumericCells {
            domain: Some([-0.0, 100.0]),
            ..numeric(&[0.1 + 0.2, 1e300])
        };
        let layout = layout(Cells::Numeric(cells));
        assert_eq!(
            layout.to_json(),
            r#"{"format":1,"columns":[{"name":"a","field":"feature","cells":{"numeric":{"edges":["0.30000000000000004","1e300"],"domain":["0.0","100.0"],"center":"0.0","sum_shift":40,"square_shift":23}}}],"skipped":[["ref","why"]]}"#
        );
        assert_eq!(layout.hash().len(), 64);
        assert_eq!(
            Layout::from_json(&layout.to_json())
                .expect("own JSON")
                .hash(),
            layout.hash()
        );
    }

    fn of_a_vector(numbers: u32) -> Layout {
        let mut layout = layout(Cells::Numeric(numeric(&[])));
        let mut push = |name: &str, field: Field| {
            layout.columns.push(LayoutColumn {
                name: name.to_owned(),
                field,
                cells: Cells::Numeric(numeric(&[1.0])),
            });
        };
        push("emb", Field::Vector(numbers));
        for place in 0..2 {
            push(
                &format!("emb[{place}]"),
                Field::Element("emb".into(), place),
            );
        }
        layout
    }

    #[test]
    fn a_vector_is_its_length_and_its_elements() {
        let layout = of_a_vector(2);
        let again = Layout::from_json(&layout.to_json()).expect("own JSON");
        assert_eq!(again, layout);
        assert_eq!((layout.numbers_of(0), layout.numbers_of(1)), (0..1, 2..4));
        assert_eq!(layout.numbers_of(7), 7..8);
        let parts = layout.parts();
        let of = |list: &[f64]| {
            parts
                .iter()
                .map(|part| (*part)?.of(list))
                .collect::<Vec<_>>()
        };
        assert_eq!(of(&[3.0, 4.0]), [None, Some(5.0), Some(3.0), Some(4.0)]);
        assert_eq!(of(&[3.0]), [None; 4]);
        let alone = layout.columns.iter().map(LayoutColumn::stands_alone);
        assert_eq!(alone.collect::<Vec<_>>(), [true, true, false, false]);
        let mut scalar = layout.clone();
        scalar.columns[1].field = Field::Feature;
        assert_ne!(scalar.fingerprint(), layout.fingerprint());
    }

    #[track_caller]
    fn torn(change: impl FnOnce(&mut Layout), sentence: &str) {
        let mut layout = of_a_vector(2);
        change(&mut layout);
        let error = Layout::from_json(&layout.to_json()).expect_err("must be refused");
        assert_eq!(error.to_string(), sentence);
    }

    #[test]
    fn a_torn_vector_is_refused() {
        let torn_vector = r#"column "emb" of the layout is not usable: it is a vector whose elements are not there in their order"#;
        torn(
            |layout| layout.columns[1].field = Field::Vector(3),
            torn_vector,
        );
        torn(|layout| layout.columns.swap(2, 3), torn_vector);
        torn(|layout| layout.columns.truncate(3), torn_vector);
        torn(
            |layout| layout.columns[1].field = Field::Vector(0),
            r#"column "emb" of the layout is not usable: it is a vector without elements"#,
        );
        torn(
            |layout| layout.columns[1].field = Field::Feature,
            r#"column "emb[0]" of the layout is not usable: it is an element of no vector"#,
        );
    }

    #[test]
    fn fields_of_scores_keep_their_class() {
        let mut layout = layout(Cells::Numeric(numeric(&[])));
        layout.columns[0].field = Field::Score("up".into());
        assert!(layout.to_json().contains(r#""field":{"score":"up"}"#));
        assert_eq!(
            Layout::from_json(&layout.to_json()).expect("own JSON"),
            layout
        );
    }

    #[test]
    fn every_part_that_decides_counting_changes_the_fingerprint() {
        let base = layout(Cells::Numeric(numeric(&[1.0, 2.0])));
        let mut variants = vec![base.fingerprint()];
        let mut push = |change: &dyn Fn(&mut NumericCells)| {
            let mut cells = numeric(&[1.0, 2.0]);
            change(&mut cells);
            variants.push(layout(Cells::Numeric(cells)).fingerprint());
        };
        push(&|cells| cells.edges = vec![1.0]);
        push(&|cells| cells.edges = vec![1.0, 2.5]);
        push(&|cells| cells.domain = Some([0.0, 1.0]));
        push(&|cells| cells.center = 1.0);
        push(&|cells| cells.sum_shift = 41);
        push(&|cells| cells.square_shift = 24);
        for (categories, closed) in [
            (vec!["ab", "c"], false),
            (vec!["a", "bc"], false),
            (vec!["ab", "c"], true),
        ] {
            let categories = categories.into_iter().map(str::to_owned).collect();
            variants.push(
                layout(Cells::Categorical(CategoricalCells { categories, closed })).fingerprint(),
            );
        }
        let distinct: HashSet<u64> = variants.iter().copied().collect();
        assert_eq!(distinct.len(), variants.len());
    }

    #[track_caller]
    fn refused(cells: Cells, sentence: &str) {
        let error = Layout::from_json(&layout(cells).to_json()).expect_err("must be refused");
        assert_eq!(error.to_string(), sentence);
    }

    #[test]
    fn layouts_that_break_a_promise_are_refused() {
        refused(
            Cells::Numeric(numeric(&[1.0, 1.0])),
            r#"column "a" of the layout is not usable: its edges do not increase"#,
        );
        let many: Vec<f64> = (0..256).map(f64::from).collect();
        refused(
            Cells::Numeric(numeric(&many)),
            r#"column "a" of the layout is not usable: it has more than 255 edges"#,
        );
        let shifted = NumericCells {
            sum_shift: 1001,
            ..numeric(&[])
        };
        refused(
            Cells::Numeric(shifted),
            r#"column "a" of the layout is not usable: a shift is beyond ±1000"#,
        );
        let reversed = NumericCells {
            domain: Some([1.0, 0.0]),
            ..numeric(&[])
        };
        refused(
            Cells::Numeric(reversed),
            r#"column "a" of the layout is not usable: its domain is not a finite range"#,
        );
        let twice = CategoricalCells {
            categories: vec!["x".into(), "x".into()],
            closed: false,
        };
        refused(
            Cells::Categorical(twice),
            r#"column "a" of the layout is not usable: a category occurs twice"#,
        );
        let infinite = layout(Cells::Numeric(numeric(&[1.0])))
            .to_json()
            .replace("1.0", "inf");
        let error = Layout::from_json(&infinite)
            .expect_err("must be refused")
            .to_string();
        assert!(error.contains(r#""inf" is not a finite number"#), "{error}");
    }

    #[test]
    fn column_names_never_collide() {
        let names = [
            "latency_ms",
            "features.latency_ms",
            "prediction.scores.up",
            "prediction.age",
            "a",
        ];
        let columns: HashSet<String> = names
            .iter()
            .map(|name| Field::Feature.column_name(name))
            .collect();
        assert_eq!(columns.len(), names.len());
        assert!(!columns.contains(&Field::Latency.column_name("")));
        assert!(!columns.contains(&Field::Score("up".into()).column_name("")));
        assert!(columns.contains("prediction.age"));
    }
}
