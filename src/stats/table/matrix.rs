//! Statistics of many columns at once, and of a model's attributions.

use super::{Applies, Data, Entry, Parameter, Statistic};

const ROWS: Parameter = Parameter {
    name: "rows",
    default: "2000",
    meaning: "most rows a side; of more, a sample is taken by hash of the place",
};
const BANDWIDTH: Parameter = Parameter {
    name: "sigma",
    default: "median",
    meaning: "width of the kernel: a number, or the median distance within the reference; columns are standardised first",
};
const PERMUTATIONS: Parameter = Parameter {
    name: "permutations",
    default: "999",
    meaning: "labellings drawn for the p-value",
};
const FORM: Parameter = Parameter {
    name: "form",
    default: "exact",
    meaning: "exact (all pairs), linear (random Fourier features, linear time) or cross (studentised across halves, no permutations)",
};
const CONTRIBUTIONS: Parameter = Parameter {
    name: "contributions",
    default: "true",
    meaning: "whether to say which column it comes from, at the cost of one more pass over all pairs",
};
const STANDARDISE: Parameter = Parameter {
    name: "standardise",
    default: "true",
    meaning: "whether columns are brought to the reference's mean 0 and deviation 1 first",
};
const COMPONENTS: Parameter = Parameter {
    name: "components",
    default: "0.65",
    meaning: "how many, or the share of the variance that they explain",
};
const LEARNER: Parameter = Parameter {
    name: "learner",
    default: "forest",
    meaning: "forest, or logistic, which is cheaper and sees shifts of single columns only",
};
const FOLDS: Parameter = Parameter {
    name: "folds",
    default: "5",
    meaning: "folds of the cross-validation",
};
const RANKS: Parameter = Parameter {
    name: "of",
    default: "pearson",
    meaning: "which correlation: pearson or spearman",
};

const ATTRIBUTIONS: Parameter = Parameter {
    name: "columns",
    default: "named",
    meaning: "which columns are attributions: named (those whose name begins with attribution or shap) or all",
};

pub(super) const MATRIX: [Entry; 6] = [
    Entry {
        statistic: Statistic::Mmd,
        name: "mmd",
        title: "Maximum mean discrepancy (RBF kernel)",
        applies: Applies::Numeric,
        from: Data::Matrix,
        standard: false,
        continuous: true,
        floor: 0.002,
        formula: "E k(x, x′) + E k(y, y′) − 2 E k(x, y), k = exp(−‖x − y‖²/(2σ²)), without the diagonal",
        unit: "0 on average without drift, at most 2",
        effect: "the value, which is unbiased",
        parameters: &[
            FORM,
            BANDWIDTH,
            PERMUTATIONS,
            ROWS,
            STANDARDISE,
            CONTRIBUTIONS,
        ],
        source: "Gretton et al., A kernel two-sample test (2012)",
    },
    Entry {
        statistic: Statistic::EnergyNd,
        name: "energy_nd",
        title: "Energy distance of several columns",
        applies: Applies::Numeric,
        from: Data::Matrix,
        standard: false,
        continuous: true,
        floor: 0.01,
        formula: "2·E‖X − Y‖ − E‖X − X′‖ − E‖Y − Y′‖",
        unit: "the columns' unit, or standard deviations; 0 and up",
        effect: "the form without the diagonal, whose mean is 0 without drift",
        parameters: &[PERMUTATIONS, ROWS, STANDARDISE],
        source: "Székely and Rizzo, Energy statistics (2013)",
    },
    Entry {
        statistic: Statistic::PcaReconstruction,
        name: "pca_reconstruction",
        title: "Reconstruction error by principal components",
        applies: Applies::Numeric,
        from: Data::Matrix,
        standard: false,
        continuous: true,
        floor: 0.02,
        formula: "mean Euclidean distance of standardised rows from their projection on the reference's components",
        unit: "standard deviations, 0 and up",
        effect: "how much larger it is than in held-out pieces of the reference, relatively",
        parameters: &[COMPONENTS, ROWS],
        source: "Jolliffe, Principal Component Analysis (2002); as NannyML's data reconstruction",
    },
    Entry {
        statistic: Statistic::DomainClassifier,
        name: "domain_classifier",
        title: "How well a classifier tells the samples apart",
        applies: Applies::Both,
        from: Data::Matrix,
        standard: false,
        continuous: true,
        floor: 0.05,
        formula: "cross-validated ROC AUC of telling current from reference rows",
        unit: "0.5 (no difference) to 1",
        effect: "AUC − 0.5",
        parameters: &[LEARNER, FOLDS, ROWS],
        source: "Lopez-Paz and Oquab, Revisiting classifier two-sample tests (2017)",
    },
    Entry {
        statistic: Statistic::CorrelationChange,
        name: "correlation_change",
        title: "Change of the correlations",
        applies: Applies::Numeric,
        from: Data::Matrix,
        standard: false,
        continuous: true,
        floor: 0.1,
        formula: "the largest change of a pair's correlation, as Fisher's z",
        unit: "z, 0 and up",
        effect: "the value",
        parameters: &[RANKS, PERMUTATIONS, ROWS],
        source: "Fisher (1921); Steiger (1980)",
    },
    Entry {
        statistic: Statistic::AttributionNdcg,
        name: "attribution_ndcg",
        title: "Agreement of feature attributions",
        applies: Applies::Both,
        from: Data::Attributions,
        standard: false,
        continuous: false,
        floor: 0.1,
        formula: "DCG / ideal DCG, DCG = Σ a(f′ᵢ)/log₂(i + 1): the reference's attributions in the order of the current ones",
        unit: "0 to 1; 1 is the same order",
        effect: "1 − the value; below 0.90 is drift by convention",
        parameters: &[ATTRIBUTIONS],
        source: "Amazon SageMaker Clarify; Järvelin and Kekäläinen (2002)",
    },
];
