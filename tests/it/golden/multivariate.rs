//! Statistics of several columns at once.

use driftline::learn::{Column, Table};
use driftline::stats::multivariate::domain_classifier::DomainClassifier;
use driftline::stats::multivariate::kernel::{Median, sigma};
use driftline::stats::multivariate::pca::{Components, Pca};
use driftline::stats::multivariate::{Kernel, Labels, Matrix, energy_nd, mmd};
use serde_json::Value;

use super::case::{Case, number};
use super::found::Found;

fn matrix(case: &Case, side: &str) -> Matrix {
    let (values, columns) = case.matrix(side);
    Matrix::new(columns, values).expect("finite rows")
}

pub fn mmd2_rbf(case: &Case, found: &mut Found) {
    let (reference, current) = (matrix(case, "ref"), matrix(case, "cur"));
    let width = |rule| sigma(&reference, rule).expect("two rows");
    let mmd2 = |sigma| {
        let kernel = Kernel::sigma(sigma).expect("a width");
        mmd::mmd2(&reference, &current, kernel).expect("the same columns")
    };
    if found.has("mmd2_unbiased") {
        // A tool's own run: its width is given, or named.
        let params = case.params;
        let width = match (params["sigma"].as_f64(), params["sigma_inferred"].as_f64()) {
            (Some(sigma), _) => sigma,
            (None, Some(inferred)) => {
                let ours = width(Median::HalfSquared);
                found.close_to("sigma_inferred", ours, inferred, 1e-6 * inferred);
                ours
            }
            (None, None) => {
                assert!(
                    params["sigma"]
                        .as_str()
                        .is_some_and(|text| text.contains("incl. diagonal")),
                    "{}: an unknown width",
                    case.id
                );
                width(Median::HalfSquaredWithSelf)
            }
        };
        found.number("mmd2_unbiased", mmd2(width).unbiased);
        if found.has("p_val_100perm") {
            let labels = Labels::of_rows(reference.rows(), current.rows(), 999, 1).expect("rows");
            let kernel = Kernel::sigma(width).expect("a width");
            let ours =
                mmd::permutation_test(&reference, &current, kernel, &labels).expect("labels fit");
            let (want, within) = (number(found.want("p_val_100perm")), number(&case.tol["p"]));
            found.close_to("p_val_100perm", ours.p_value, want, within);
        }
        return;
    }
    for (name, width) in [
        ("fixed_1.0", 1.0),
        ("median_pairwise_offdiag", width(Median::Distance)),
        ("alibi", width(Median::HalfSquared)),
        ("evidently", width(Median::HalfSquaredWithSelf)),
    ] {
        let ours = mmd2(width);
        found.number(&format!("{name}/sigma"), width);
        found.number(&format!("{name}/mmd2_unbiased"), ours.unbiased);
        found.number(&format!("{name}/mmd2_biased"), ours.biased);
    }
}

pub fn energy_distance_nd(case: &Case, found: &mut Found) {
    let ours = energy_nd::energy_distance(&matrix(case, "ref"), &matrix(case, "cur"));
    found.number("value", ours.expect("the same columns").v_statistic);
}

pub fn pca_reconstruction(case: &Case, found: &mut Found) {
    let wanted = &case.params["n_components"];
    let components = match wanted.as_u64() {
        Some(count) => Components::Count(count as usize),
        None => Components::Share(number(wanted)),
    };
    let fitted = Pca::fit(&matrix(case, "ref"), components).expect("enough rows");
    found.integer("n_components", fitted.components() as i64);
    found.numbers("explained_variance_ratio", fitted.explained_shares());
    let chunks = found.want("chunks").as_array().expect("chunks");
    for (place, chunk) in chunks.iter().enumerate() {
        let (values, columns) = case.matrix_of(chunk);
        let rows = Matrix::new(columns, values).expect("finite rows");
        let ours = fitted.score(&rows).expect("the same columns");
        for (name, ours) in [
            ("mean_euclidean", ours.mean_euclidean),
            ("mean_squared", ours.mean_squared),
        ] {
            found.close(
                &format!("chunks/{place}/{name}"),
                ours,
                number(&chunk[name]),
            );
        }
    }
}

/// Rows `first..end` of a side (all where they are not given) as a table: columns of numbers only are numeric.
fn table(case: &Case, side: &str, part: Option<(usize, usize)>) -> Table {
    let (source, mut rows) = case.rows(&case.input[side]);
    if let Some((first, end)) = part {
        rows = rows.start + first..rows.start + end;
    }
    let names = case.input["columns"].as_array().expect("columns");
    let names: Vec<String> = names
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let column = |name: &String| {
        let texts = source.texts(name, 0..source.len());
        let numeric = texts
            .iter()
            .flatten()
            .all(|text| text.parse::<f64>().is_ok());
        if numeric {
            Column::Numeric(source.numbers(name, rows.clone()))
        } else {
            Column::Categorical(texts[rows.clone()].to_vec())
        }
    };
    Table {
        columns: names.iter().map(column).collect(),
        names,
    }
}

/// Their gradient boosting is our forest: another learner of the same kind of thing, hence a band.
pub fn domain_classifier_auc(case: &Case, found: &mut Found) {
    let (reference, current) = (table(case, "ref", None), table(case, "cur", None));
    let within = number(&case.tol["abs"]);
    for (name, classifier) in [
        ("logistic", DomainClassifier::logistic()),
        ("hist_gb", DomainClassifier::forest()),
    ] {
        let classifier = DomainClassifier {
            seeds: vec![1, 2, 3],
            ..classifier
        };
        let ours = classifier
            .compare(&reference, &current, None)
            .expect("enough rows");
        for auc in ours.by_seed {
            let (low, high) = (format!("{name}/auc_min"), format!("{name}/auc_max"));
            found.between(&low, &high, auc, within);
        }
    }
}

/// Chunks of the current table, each against the whole reference; LightGBM there, a forest here.
pub fn nannyml_domain_classifier(case: &Case, found: &mut Found) {
    let reference = table(case, "ref", None);
    let size = case.params["chunk_size"].as_u64().expect("a chunk size") as usize;
    let (source, rows) = case.rows(&case.input["cur"]);
    assert_eq!(rows.len(), source.len());
    let ours: Vec<f64> = (0..rows.len() / size)
        .map(|chunk| {
            let current = table(case, "cur", Some((chunk * size, (chunk + 1) * size)));
            let compared = DomainClassifier::forest().compare(&reference, &current, None);
            compared.expect("enough rows").auc
        })
        .collect();
    found.numbers("values", &ours);
}
