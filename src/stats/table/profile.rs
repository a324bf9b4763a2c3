//! Statistics of profiles: counts and sums that merge, so that they never need the rows again.

use super::{Applies, Data, Entry, Parameter, Statistic};

const BINS: Parameter = Parameter {
    name: "bins",
    default: "10",
    meaning: "numeric bins at the reference's quantiles; on rows also quantile:N, width:N, sturges, doane, fd, auto and edges:1;2;3",
};
const OVER: Parameter = Parameter {
    name: "over",
    default: "reference",
    meaning: "what edges are made of: reference, or both samples together",
};
const CLOSED: Parameter = Parameter {
    name: "closed",
    default: "right",
    meaning: "which end of a bin belongs to it: right or left",
};
const OUTER: Parameter = Parameter {
    name: "outer",
    default: "open",
    meaning: "values outside all edges: open (the outer bins take them), extra (a bin of their own) or nowhere",
};
pub(super) const MISSING: Parameter = Parameter {
    name: "missing",
    default: "bin",
    meaning: "null, NaN, infinities, wrong types and unseen categories are bins; drop leaves them out",
};
const UNSEEN: Parameter = Parameter {
    name: "unseen",
    default: "together",
    meaning: "categories that the reference lacks: together in one bin, or apart",
};
pub(super) const RANKED_MISSING: Parameter = Parameter {
    name: "missing",
    default: "rank",
    meaning: "what is missing ranks below all values; drop leaves it out",
};
const NO_MISSING: Parameter = Parameter {
    name: "missing",
    default: "drop",
    meaning: "what is no finite number has no place on the axis and is left out",
};
const SMOOTHING: Parameter = Parameter {
    name: "smoothing",
    default: "half_row",
    meaning: "half_row (in each occupied bin of both samples), none, one_row, floor:1e-4, floor:1e-4:renormalise, least_number or evidently",
};
const BASE: Parameter = Parameter {
    name: "base",
    default: "2",
    meaning: "of the logarithm: 2 or e",
};
const FORM: Parameter = Parameter {
    name: "form",
    default: "distance",
    meaning: "distance, or divergence, which is its square",
};
const DIRECTION: Parameter = Parameter {
    name: "direction",
    default: "current_from_reference",
    meaning: "or reference_from_current",
};
const RANKS_OR_ROWS: Parameter = Parameter {
    name: "method",
    default: "rank-binned",
    meaning: "rank-binned (from the profile, with its error bound) or exact (from rows)",
};
const P_VALUE: Parameter = Parameter {
    name: "p",
    default: "auto",
    meaning: "of the exact method: auto, exact or asymptotic",
};
const ROBUST: Parameter = Parameter {
    name: "robust",
    default: "none",
    meaning: "deequ takes off 1.8·√((n + m)/(nm))",
};
const SCALE: Parameter = Parameter {
    name: "scale",
    default: "reference",
    meaning: "the value is divided by the reference's standard deviation (the length of both samples where that is 0), by evidently's (ddof 0, at least 0.001), or by none",
};
const DEVIATION: Parameter = Parameter {
    name: "scale",
    default: "reference",
    meaning: "the reference's standard deviation",
};
const YATES: Parameter = Parameter {
    name: "yates",
    default: "false",
    meaning: "whether a 2×2 table is corrected for continuity",
};
const MERGE: Parameter = Parameter {
    name: "merge",
    default: "none",
    meaning: "cochran puts cells with an expected count below 5 together",
};

const BINNED: &[Parameter] = &[BINS, OVER, CLOSED, OUTER, MISSING, UNSEEN];
const SMOOTHED: &[Parameter] = &[BINS, OVER, CLOSED, OUTER, MISSING, UNSEEN, SMOOTHING];

pub(super) const PROFILE: [Entry; 12] = [
    Entry {
        statistic: Statistic::Psi,
        name: "psi",
        title: "Population stability index",
        applies: Applies::Both,
        from: Data::Profile,
        standard: true,
        continuous: false,
        floor: 0.1,
        formula: "Σ (q − p)·ln(q / p), half a row added to each occupied bin",
        unit: "nats, 0 and up",
        effect: "the value less (bins − 1)·(1/n + 1/m)",
        parameters: SMOOTHED,
        source: "Siddiqi, Credit Risk Scorecards (2006); null: Yurdakul, Statistical Properties of PSI (2018)",
    },
    Entry {
        statistic: Statistic::JensenShannon,
        name: "js",
        title: "Jensen–Shannon distance",
        applies: Applies::Both,
        from: Data::Profile,
        standard: true,
        continuous: false,
        floor: 0.1,
        formula: "√(½ Σ p·log₂(p / r) + ½ Σ q·log₂(q / r)), r = (p + q) / 2",
        unit: "√bits, 0 to 1",
        effect: "the square less its mean without drift, rooted",
        parameters: &[BINS, OVER, CLOSED, OUTER, MISSING, UNSEEN, BASE, FORM],
        source: "Lin, Divergence Measures Based on the Shannon Entropy (1991); Endres and Schindelin (2003)",
    },
    Entry {
        statistic: Statistic::LInfinity,
        name: "l_infinity",
        title: "Largest change of a share (L∞)",
        applies: Applies::Both,
        from: Data::Profile,
        standard: true,
        continuous: false,
        floor: 0.05,
        formula: "max |q − p|",
        unit: "share, 0 to 1",
        effect: "the square less what chance makes of the widest bin, rooted",
        parameters: &[BINS, OVER, CLOSED, OUTER, MISSING, UNSEEN, ROBUST],
        source: "Breck et al., Data Validation for Machine Learning (2019)",
    },
    Entry {
        statistic: Statistic::ChiSquared,
        name: "chi_squared",
        title: "Two-sample χ²",
        applies: Applies::Both,
        from: Data::Profile,
        standard: true,
        continuous: false,
        floor: 0.3,
        formula: "Σ (√(m/n)·a − √(n/m)·b)² / (a + b) over counts a, b; effect: Cohen's w",
        unit: "χ², 0 and up; effect: w",
        effect: "Cohen's w, √((χ² − (bins − 1))·(1/n + 1/m))",
        parameters: &[BINS, OVER, CLOSED, OUTER, MISSING, UNSEEN, YATES, MERGE],
        source: "Pearson (1900); Cohen, Statistical Power Analysis (1988), ch. 7",
    },
    Entry {
        statistic: Statistic::KolmogorovSmirnov,
        name: "ks",
        title: "Kolmogorov–Smirnov distance",
        applies: Applies::Numeric,
        from: Data::Profile,
        standard: true,
        continuous: false,
        floor: 0.1,
        formula: "max |G(x) − F(x)| at the layout's edges, missing values ranked below all",
        unit: "share, 0 to 1",
        effect: "the value less its mean without drift, 0.8687·√(1/n + 1/m)",
        parameters: &[RANKS_OR_ROWS, P_VALUE, RANKED_MISSING, ROBUST],
        source: "Smirnov (1948); Stephens (1970)",
    },
    Entry {
        statistic: Statistic::Wasserstein,
        name: "wasserstein",
        title: "Wasserstein distance",
        applies: Applies::Numeric,
        from: Data::Profile,
        standard: true,
        continuous: true,
        floor: 0.1,
        formula: "∫ |G(x) − F(x)| dx / standard deviation of the reference",
        unit: "standard deviations, 0 and up",
        effect: "the value less its mean without drift, √(2/π)·√(1/n + 1/m)·∫ √(F(1 − F)) dx",
        parameters: &[RANKS_OR_ROWS, NO_MISSING, SCALE],
        source: "Vallender (1974); scaling as Azure ML and Evidently",
    },
    Entry {
        statistic: Statistic::MeanShift,
        name: "mean_shift",
        title: "Shift of the mean",
        applies: Applies::Numeric,
        from: Data::Profile,
        standard: true,
        continuous: true,
        floor: 0.1,
        formula: "|mean(current) − mean(reference)| / standard deviation of the reference",
        unit: "standard deviations, 0 and up",
        effect: "the square less 1/n + 1/m, rooted",
        parameters: &[NO_MISSING, DEVIATION],
        source: "Cohen, Statistical Power Analysis (1988), ch. 2 (Glass's Δ)",
    },
    Entry {
        statistic: Statistic::Hellinger,
        name: "hellinger",
        title: "Hellinger distance",
        applies: Applies::Both,
        from: Data::Profile,
        standard: false,
        continuous: false,
        floor: 0.1,
        formula: "√(½ Σ (√p − √q)²)",
        unit: "0 to 1",
        effect: "the square less (bins − 1)·(1/n + 1/m) / 8, rooted",
        parameters: BINNED,
        source: "Hellinger (1909); Le Cam and Yang, Asymptotics in Statistics (2000)",
    },
    Entry {
        statistic: Statistic::KullbackLeibler,
        name: "kl",
        title: "Kullback–Leibler divergence of the window from the reference",
        applies: Applies::Both,
        from: Data::Profile,
        standard: false,
        continuous: false,
        floor: 0.05,
        formula: "Σ q·ln(q / p), half a row added to each occupied bin",
        unit: "nats, 0 and up; not symmetric",
        effect: "the value less (bins − 1)·(1/n + 1/m) / 2",
        parameters: &[
            BINS, OVER, CLOSED, OUTER, MISSING, UNSEEN, SMOOTHING, DIRECTION,
        ],
        source: "Kullback and Leibler, On Information and Sufficiency (1951)",
    },
    Entry {
        statistic: Statistic::TotalVariation,
        name: "tv",
        title: "Total variation distance",
        applies: Applies::Both,
        from: Data::Profile,
        standard: false,
        continuous: false,
        floor: 0.1,
        formula: "½ Σ |q − p|",
        unit: "share, 0 to 1",
        effect: "the square less its mean without drift, rooted",
        parameters: BINNED,
        source: "Levin and Peres, Markov Chains and Mixing Times (2017), ch. 4",
    },
    Entry {
        statistic: Statistic::GTest,
        name: "g_test",
        title: "G-test of two samples",
        applies: Applies::Both,
        from: Data::Profile,
        standard: false,
        continuous: false,
        floor: 0.3,
        formula: "2 Σ a·ln(a / (n·r)) + 2 Σ b·ln(b / (m·r)), r = (a + b) / (n + m), over counts a, b",
        unit: "χ², 0 and up; effect: w",
        effect: "of the size of Cohen's w, √((G − (bins − 1))·(1/n + 1/m))",
        parameters: BINNED,
        source: "Woolf (1957); Sokal and Rohlf, Biometry (1981), ch. 17",
    },
    Entry {
        statistic: Statistic::CramersV,
        name: "cramers_v",
        title: "Cramér's V",
        applies: Applies::Both,
        from: Data::Profile,
        standard: false,
        continuous: false,
        floor: 0.1,
        formula: "√(χ² / (n + m)) of the two samples",
        unit: "0 to 1; depends on the balance of the samples",
        effect: "Bergsma's bias-corrected V",
        parameters: BINNED,
        source: "Cramér, Mathematical Methods of Statistics (1946), ch. 21; Bergsma (2013)",
    },
];
