//! Distances of bins, from rows and from categories, and the numbers of other tools.

use driftline::stats::attribution::{Ties, ndcg};
use driftline::stats::compat::{Column, Vendor, nannyml};
use driftline::stats::histogram::{Axis, Missing, Numbers, Pair, Rule, Texts, Unseen, categories};
use driftline::stats::shares::{Base, Shares, Smoothing};

use super::case::{Case, number};
use super::found::Found;

pub fn psi(case: &Case, found: &mut Found) {
    let smoothing = Smoothing::Floor {
        floor: case.params["floor"].as_f64().expect("a floor"),
        renormalise: case.params["renormalise"].as_bool().expect("yes or no"),
    };
    let pair = pair(case, found);
    let shares = Shares::new(&pair, smoothing).expect("rows");
    found.number("value", shares.psi().expect("a number"));
    if found.has("ref_props") {
        let plain = plain(&pair);
        found.numbers("ref_props", plain.reference());
        found.numbers("cur_props", plain.current());
    }
}

pub fn jensen_shannon(case: &Case, found: &mut Found) {
    assert_eq!(case.params["base"], 2);
    let shares = plain(&pair(case, found));
    let distance = shares.jensen_shannon(Base::Two);
    let divergence = shares.jensen_shannon_divergence(Base::Two);
    found.number("distance", distance.expect("a number"));
    found.number("divergence", divergence.expect("a number"));
}

pub fn hellinger(case: &Case, found: &mut Found) {
    let value = plain(&pair(case, found)).hellinger();
    found.number("value", value.expect("a number"));
}

pub fn tvd(case: &Case, found: &mut Found) {
    let value = plain(&pair(case, found)).total_variation();
    found.number("value", value.expect("a number"));
}

pub fn l_infinity(case: &Case, found: &mut Found) {
    let value = plain(&pair(case, found)).l_infinity();
    found.number("value", value.expect("a number"));
}

pub fn attribution_ndcg(case: &Case, found: &mut Found) {
    let side = |name: &str| -> Vec<f64> {
        let values = case.input[name].as_array().expect("attributions");
        values.iter().map(number).collect()
    };
    let (reference, current) = (side("ref_attribution"), side("cur_attribution"));
    for (path, ties) in [
        ("ndcg_ties_averaged", Ties::Averaged),
        ("ndcg_ignore_ties", Ties::Reversed),
        ("ndcg_stable_order", Ties::Given),
    ] {
        if found.has(path) {
            let value = ndcg(&reference, &current, ties);
            found.number(path, value.expect("a number"));
        }
    }
}

pub fn evidently_numeric(case: &Case, found: &mut Found) {
    let (reference, current) = (case.sample("ref"), case.sample("cur"));
    let (reference, current) = (Column::Numeric(&reference), Column::Numeric(&current));
    for (path, name) in [
        ("psi", "psi"),
        ("jensenshannon", "jensenshannon"),
        ("hellinger", "hellinger"),
        ("kl_div", "kl_div"),
        ("wasserstein_normed", "wasserstein"),
        ("energy", "ed"),
        ("ks_p", "ks"),
    ] {
        let judged = Vendor::Evidently.score(Some(name), reference, current);
        found.number(path, judged.expect("a value").value);
    }
}

pub fn evidently_categorical(case: &Case, found: &mut Found) {
    let (reference, current) = (case.texts("ref"), case.texts("cur"));
    let (reference, current) = (options(&reference), options(&current));
    let (reference, current) = (
        Column::Categorical(&reference),
        Column::Categorical(&current),
    );
    for (path, name) in [
        ("psi", "psi"),
        ("jensenshannon", "jensenshannon"),
        ("hellinger", "hellinger"),
        ("kl_div", "kl_div"),
        ("chisquare_p", "chisquare"),
    ] {
        let judged = Vendor::Evidently.score(Some(name), reference, current);
        // Where Evidently's value is NaN, ours is refused.
        found.number(path, judged.map_or(f64::NAN, |judged| judged.value));
    }
}

pub fn nannyml_univariate(case: &Case, found: &mut Found) {
    let method = case.params["method"].as_str().expect("a method");
    let rows = case.input["chunk_size"].as_u64().expect("a size") as usize;
    let (reference, current) = (case.texts("ref"), case.texts("cur"));
    let numbers = |texts: &[String]| -> Option<Vec<f64>> {
        texts.iter().map(|text| text.parse().ok()).collect()
    };
    match (numbers(&reference), numbers(&current)) {
        (Some(reference), Some(current)) => {
            let chunks = current.chunks(rows).map(Column::Numeric);
            chunked(found, method, rows, Column::Numeric(&reference), chunks);
        }
        _ => {
            let (reference, current) = (options(&reference), options(&current));
            let chunks = current.chunks(rows).map(Column::Categorical);
            chunked(found, method, rows, Column::Categorical(&reference), chunks);
        }
    }
}

fn chunked<'a>(
    found: &mut Found,
    method: &str,
    rows: usize,
    reference: Column,
    chunks: impl Iterator<Item = Column<'a>>,
) {
    let fitted = nannyml::Fitted::new(method, reference).expect("a statistic");
    let threshold = fitted.threshold(rows);
    let values: Vec<nannyml::Value> = chunks
        .map(|chunk| fitted.value(chunk).expect("a value"))
        .collect();
    let plain: Vec<f64> = values.iter().map(|found| found.value).collect();
    let alerts: Vec<bool> = values
        .iter()
        .map(|found| fitted.alerts(found, threshold))
        .collect();
    found.numbers("values", &plain);
    found.flags("alert", &alerts);
    found.number("upper_threshold", threshold.unwrap_or(f64::NAN));
}

pub fn frouros_batch(case: &Case, found: &mut Found) {
    let (reference, current) = (case.sample("ref"), case.sample("cur"));
    let (reference, current) = (Column::Numeric(&reference), Column::Numeric(&current));
    for (path, name) in [
        ("psi_10", "PSI"),
        ("js_10_base_e", "JS"),
        ("hellinger_10", "HellingerDistance"),
        ("bhattacharyya_10", "BhattacharyyaDistance"),
        ("emd", "EMD"),
        ("energy", "EnergyDistance"),
    ] {
        let judged = Vendor::Frouros.score(Some(name), reference, current);
        found.number(path, judged.expect("a value").value);
    }
}

/// Both sides of a case in bins: deciles of the reference where it names inner edges, which ours must equal, else
/// categories.
fn pair(case: &Case, found: &mut Found) -> Pair {
    let Some(named) = case.params["inner_edges"].as_array() else {
        let (reference, current) = (case.texts("ref"), case.texts("cur"));
        let reference: Vec<&str> = reference.iter().map(String::as_str).collect();
        let current: Vec<&str> = current.iter().map(String::as_str).collect();
        let (reference, current) = (Texts::new(&reference), Texts::new(&current));
        return categories::count(&reference, &current, Missing::Drop, Unseen::Apart).pair;
    };
    let named: Vec<f64> = named.iter().map(number).collect();
    let (reference, current) = (case.sample("ref"), case.sample("cur"));
    let (reference, current) = (Numbers::new(&reference), Numbers::new(&current));
    let ascending = reference.ascending();
    let mut axis = Axis::fitted(Rule::Quantiles(10), &ascending);
    if ascending.first() == ascending.last() {
        // Ours gives a constant a bin of its own, so that a constant that moves is seen; the case's two bins do not
        // see it.
        let ours = Pair::of_numbers(&reference, &current, &axis, Missing::Drop);
        assert_eq!(plain(&ours).total_variation(), Some(1.0), "{}", case.id);
        axis = Axis::open(named);
    } else if axis.edges() != named {
        found.wrong(
            "inner_edges",
            &format!("{:?}", axis.edges()),
            &format!("{named:?}"),
        );
    }
    Pair::of_numbers(&reference, &current, &axis, Missing::Drop)
}

fn plain(pair: &Pair) -> Shares {
    Shares::new(pair, Smoothing::None).expect("rows")
}

fn options(texts: &[String]) -> Vec<Option<&str>> {
    texts.iter().map(|text| Some(text.as_str())).collect()
}
