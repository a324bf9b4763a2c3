//! The promise on real structure: where nothing has changed, whole-window thresholds speak as rarely as they say,
//! and thresholds for independent rows speak nearly always.

use driftline::cli::bench::null::{Figures, LEVEL, measure};
use driftline::event::{DAY, Millis, WEEK};
use statrs::distribution::{Binomial, DiscreteCDF};

use crate::flights::FLIGHTS;

/// Chance, were the promise just kept and the tests independent, of more alarms than are allowed here.
const ALLOWANCE: f64 = 0.01;

async fn check(every: Millis) -> Figures {
    let figures = measure(&FLIGHTS, every)
        .await
        .expect("the flights are readable");
    let allowed = Binomial::new(LEVEL, u64::from(figures.tests))
        .expect("a level and a number")
        .inverse_cdf(1.0 - ALLOWANCE);
    println!(
        "{figures:?}: whole windows {:.1} %, independent rows {:.1} %, promised {:.1} %, allowed {allowed} of {}",
        100.0 * figures.share(figures.whole_windows),
        100.0 * figures.share(figures.independent_rows),
        100.0 * LEVEL,
        figures.tests
    );
    assert!(u64::from(figures.whole_windows) <= allowed, "{figures:?}");
    assert!(figures.drift <= figures.whole_windows);
    assert!(figures.share(figures.independent_rows) > 0.5, "{figures:?}");
    figures
}

#[tokio::test]
async fn weekly_windows_keep_the_promise() {
    let figures = check(WEEK).await;
    assert_eq!(
        (figures.reference_windows, figures.windows, figures.tests),
        (4, 5, 65)
    );
}

#[tokio::test]
async fn daily_windows_keep_the_promise() {
    check(DAY).await;
}
