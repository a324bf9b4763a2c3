//! Which declaration covers a model.
//!
//! **Invariant:** the answer does not depend on the order of files. An exact name beats a pattern, and of two patterns
//! the one that settles more characters wins; where that leaves two, the declarations are refused together.

use super::declaration::Declaration;
use super::problem::Problem;

/// All declarations of a service, free of contradiction.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Declarations(Vec<Declaration>);

impl Declarations {
    /// # Errors
    /// One problem for each pair of declarations that could claim the same model with equal right.
    pub fn new(declarations: Vec<Declaration>) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        for (i, later) in declarations.iter().enumerate() {
            for earlier in &declarations[..i] {
                if let Some(problem) = contradiction(earlier, later) {
                    problems.push(problem);
                }
            }
        }
        if problems.is_empty() {
            Ok(Self(declarations))
        } else {
            Err(problems)
        }
    }

    pub fn covering(&self, model: &str) -> Option<&Declaration> {
        self.0
            .iter()
            .filter(|declaration| declaration.model.matches(model))
            .max_by_key(|declaration| rank(declaration))
    }

    pub fn iter(&self) -> impl Iterator<Item = &Declaration> {
        self.0.iter()
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn rank(declaration: &Declaration) -> (bool, usize) {
    (declaration.model.is_exact(), declaration.model.literals())
}

fn contradiction(earlier: &Declaration, later: &Declaration) -> Option<Problem> {
    if rank(earlier) != rank(later) || !earlier.model.overlaps(&later.model) {
        return None;
    }
    let place = format!("{}:{}", earlier.source, earlier.line);
    let (wrong, remedy) = if earlier.model == later.model {
        (format!("{place} declares the same"), "keep one of the two")
    } else {
        let wrong = format!(
            "{place} declares `{}`, and a model may match both with equal right",
            earlier.model
        );
        (wrong, "make one of the patterns more particular")
    };
    Some(Problem {
        source: later.source.clone(),
        line: later.line,
        field: "model".to_owned(),
        value: later.model.to_string(),
        wrong,
        remedy: remedy.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::parse;

    fn declare(models: &[&str]) -> Result<Declarations, Vec<Problem>> {
        let text: Vec<String> = models
            .iter()
            .map(|model| format!("model: \"{model}\"\ntask: none\n"))
            .collect();
        Declarations::new(parse("r.yaml", &text.join("---\n")).expect("two fields that are right"))
    }

    #[track_caller]
    fn check(models: &[&str], model: &str, expect: Option<&str>) {
        let mut models = models.to_vec();
        for _ in 0..2 {
            let declarations = declare(&models).expect("no contradiction");
            assert_eq!(
                declarations
                    .covering(model)
                    .map(|found| found.model.as_str()),
                expect
            );
            models.reverse();
        }
    }

    #[test]
    fn the_more_particular_one_covers_whatever_the_order() {
        check(&["*", "power-*", "power-eu"], "power-eu", Some("power-eu"));
        check(&["*", "power-*", "power-eu"], "power-us", Some("power-*"));
        check(&["*", "power-*", "power-eu"], "price", Some("*"));
        check(&["power-*"], "price", None);
        check(&["price-*", "power-*"], "price-1", Some("price-*"));
    }

    #[track_caller]
    fn refuse(models: &[&str], expect: &str) {
        let problems = declare(models).expect_err("a contradiction");
        assert_eq!(
            problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [expect]
        );
    }

    #[test]
    fn equal_claims_are_refused() {
        refuse(
            &["power", "power"],
            "r.yaml:4: model: power: r.yaml:1 declares the same; keep one of the two",
        );
        refuse(
            &["a*", "a*"],
            "r.yaml:4: model: a*: r.yaml:1 declares the same; keep one of the two",
        );
        refuse(
            &["eu-*", "*-v2"],
            "r.yaml:4: model: *-v2: r.yaml:1 declares `eu-*`, and a model may match both with equal right; make one of the patterns more particular",
        );
    }
}
