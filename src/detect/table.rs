//! The table of detectors: name, what it takes, source; and finding one by its name.

use super::{Kind, ParameterError};

/// Larger numbers are left out: squares of differences of such, times the longest stream, would not be finite.
const LARGEST: f64 = 1e100;

/// The values that a detector takes; all others are left out and counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Domain {
    /// Any number from −10¹⁰⁰ to 10¹⁰⁰.
    Numbers,
    /// From 0 to 1: an error (1) or none (0), or a loss with these bounds.
    Unit,
    /// An error (1) or none (0).
    Bits,
}

impl Domain {
    pub fn contains(self, x: f64) -> bool {
        match self {
            Domain::Numbers => x.abs() <= LARGEST,
            Domain::Unit => (0.0..=1.0).contains(&x),
            Domain::Bits => x == 0.0 || x == 1.0,
        }
    }

    pub fn words(self) -> &'static str {
        match self {
            Domain::Numbers => "numbers from -1e100 to 1e100",
            Domain::Unit => "numbers from 0 to 1",
            Domain::Bits => "0 and 1",
        }
    }
}

/// One line of the table of detectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub kind: Kind,
    /// The name on the command line and in results.
    pub name: &'static str,
    pub title: &'static str,
    pub takes: Domain,
    pub source: &'static str,
}

const TABLE: [Entry; 11] = [
    Entry {
        kind: Kind::Adwin,
        name: "adwin",
        title: "Adaptive windowing: the mean of an older part of the window is not that of a newer one",
        takes: Domain::Numbers,
        source: "Bifet and Gavaldà, Learning from Time-Changing Data with Adaptive Windowing (SDM 2007)",
    },
    Entry {
        kind: Kind::Ddm,
        name: "ddm",
        title: "Drift detection method: the error rate rose above its least by standard deviations",
        takes: Domain::Unit,
        source: "Gama, Medas, Castillo and Rodrigues, Learning with Drift Detection (SBIA 2004)",
    },
    Entry {
        kind: Kind::Eddm,
        name: "eddm",
        title: "Early drift detection method: errors come closer together than they ever were apart",
        takes: Domain::Bits,
        source: "Baena-García et al., Early Drift Detection Method (IWKDDS 2006)",
    },
    Entry {
        kind: Kind::HddmA,
        name: "hddm_a",
        title: "Hoeffding's bound on the difference of means before and after a cut",
        takes: Domain::Unit,
        source: "Frías-Blanco et al., Online and Non-Parametric Drift Detection Methods Based on Hoeffding's Bounds (TKDE 2015)",
    },
    Entry {
        kind: Kind::HddmW,
        name: "hddm_w",
        title: "McDiarmid's bound on the difference of weighted means before and after a cut",
        takes: Domain::Unit,
        source: "Frías-Blanco et al., Online and Non-Parametric Drift Detection Methods Based on Hoeffding's Bounds (TKDE 2015)",
    },
    Entry {
        kind: Kind::Fhddm,
        name: "fhddm",
        title: "Fast Hoeffding: the mean of a sliding window fell below its greatest; 1 is a *correct* prediction",
        takes: Domain::Unit,
        source: "Pesaranghader and Viktor, Fast Hoeffding Drift Detection Method for Evolving Data Streams (ECML-PKDD 2016)",
    },
    Entry {
        kind: Kind::Kswin,
        name: "kswin",
        title: "Kolmogorov–Smirnov test of the newest values against a draw of the older ones of a window",
        takes: Domain::Numbers,
        source: "Raab, Heusinger and Schleif, Reactive Soft Prototype Computing for Concept Drift Streams (Neurocomputing 2020)",
    },
    Entry {
        kind: Kind::PageHinkley,
        name: "page_hinkley",
        title: "Page–Hinkley: the sum of deviations from the running mean left its extreme",
        takes: Domain::Numbers,
        source: "Page, Continuous Inspection Schemes (Biometrika 1954); Hinkley (1971)",
    },
    Entry {
        kind: Kind::Cusum,
        name: "cusum",
        title: "Tabular CUSUM: a run of deviations from a fixed mean, in standard deviations",
        takes: Domain::Numbers,
        source: "Page (1954); Montgomery, Introduction to Statistical Quality Control, ch. 9",
    },
    Entry {
        kind: Kind::Ewma,
        name: "ewma",
        title: "EWMA control chart: a weighted moving average left its control limits",
        takes: Domain::Numbers,
        source: "Roberts, Control Chart Tests Based on Geometric Moving Averages (Technometrics 1959)",
    },
    Entry {
        kind: Kind::EProcess,
        name: "e_process",
        title: "Betting e-process: the risk of blocks rose above that of the reference, at any time, with a stated chance of a false alarm",
        takes: Domain::Unit,
        source: "Podkopaev and Ramdas, Tracking the Risk of a Deployed Model (ICLR 2022); Ville (1939); Waudby-Smith and Ramdas (JRSS B 2024)",
    },
];

/// Every detector.
pub fn table() -> &'static [Entry] {
    &TABLE
}

impl Kind {
    /// The detector's line of the table.
    pub fn entry(self) -> &'static Entry {
        // The table stands in the order of the enum; a test holds the two together.
        &TABLE[self as usize]
    }

    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// # Errors
    /// When there is none of that name.
    pub fn parse(name: &str) -> Result<Self, ParameterError> {
        let found = TABLE.iter().find(|entry| entry.name == name);
        found.map(|entry| entry.kind).ok_or_else(|| {
            let known: Vec<&str> = TABLE.iter().map(|entry| entry.name).collect();
            ParameterError::NoDetector {
                name: name.to_owned(),
                known: known.join(", "),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_enum() {
        for (place, entry) in TABLE.iter().enumerate() {
            assert_eq!(entry.kind as usize, place);
            assert_eq!(Kind::parse(entry.name), Ok(entry.kind));
            let name = serde_json::to_value(entry.kind).expect("a name");
            assert_eq!(name, entry.name);
        }
    }
}
