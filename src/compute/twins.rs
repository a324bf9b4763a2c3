//! What each shader declares, as the Rust side believes it: a test compares the two.

use super::device::Shader;
use super::pairs_on_gpu as pairs;
use super::{calibration, histogram, pairwise_distance, rbf_mmd, resample, worst_slice};
use crate::stats::psi::SMOOTHING;

/// A shader and what its twin feeds it.
#[derive(Debug)]
pub struct Twin {
    pub shader: &'static Shader,
    /// Entry points and their workgroups.
    pub entries: &'static [(&'static str, [u32; 3])],
    /// Name and `uniform`, `read` or `read_write` of bindings 0, 1, 2 … of group 0.
    pub bindings: &'static [(&'static str, &'static str)],
    /// Members of `Params`, a word each.
    pub params: &'static [&'static str],
    /// Whether it may use subgroups, and then nothing else that is optional.
    pub subgroups: bool,
    /// Constants and their bits.
    pub constants: &'static [(&'static str, u32)],
}

/// Every shader.
pub static TWINS: &[Twin] = &[
    Twin {
        shader: &rbf_mmd::SHADER,
        subgroups: false,
        entries: &[("main", [256, 1, 1])],
        bindings: &[
            ("params", "uniform"),
            ("points", "read"),
            ("labels", "read"),
            ("within", "read_write"),
            ("by_row", "read_write"),
        ],
        params: &pairs::PARAMS,
        constants: &[
            ("BLOCK", pairs::BLOCK),
            ("THREADS", pairs::THREADS),
            ("DEPTH", pairs::DEPTH),
            ("QUADS", pairs::QUADS),
            ("STAGED", pairs::STAGED),
            ("SMALL_BLOCKS", pairs::SMALL_BLOCKS),
            ("SUBSETS", pairs::SUBSETS),
            ("ROUNDS", pairs::ROUNDS),
            ("BLOCK_WORDS", pairs::BLOCK_WORDS),
            ("FARTHEST", rbf_mmd::FARTHEST.to_bits()),
            ("EXP2_0", rbf_mmd::EXP2_NEGATIVE[0].to_bits()),
            ("EXP2_1", rbf_mmd::EXP2_NEGATIVE[1].to_bits()),
            ("EXP2_2", rbf_mmd::EXP2_NEGATIVE[2].to_bits()),
            ("EXP2_3", rbf_mmd::EXP2_NEGATIVE[3].to_bits()),
            ("EXP2_4", rbf_mmd::EXP2_NEGATIVE[4].to_bits()),
            ("EXP2_5", rbf_mmd::EXP2_NEGATIVE[5].to_bits()),
            ("EXP2_6", rbf_mmd::EXP2_NEGATIVE[6].to_bits()),
        ],
    },
    Twin {
        shader: &pairwise_distance::SHADER,
        subgroups: false,
        entries: &[("main", [256, 1, 1]), ("count_distances", [256, 1, 1])],
        bindings: &[
            ("params", "uniform"),
            ("points", "read"),
            ("labels", "read"),
            ("within", "read_write"),
            ("by_row", "read_write"),
            ("cells", "read_write"),
        ],
        params: &pairs::PARAMS,
        constants: &[
            ("BLOCK", pairs::BLOCK),
            ("THREADS", pairs::THREADS),
            ("DEPTH", pairs::DEPTH),
            ("QUADS", pairs::QUADS),
            ("STAGED", pairs::STAGED),
            ("SMALL_BLOCKS", pairs::SMALL_BLOCKS),
            ("SUBSETS", pairs::SUBSETS),
            ("ROUNDS", pairs::ROUNDS),
            ("BLOCK_WORDS", pairs::BLOCK_WORDS),
            ("CELLS", pairs::CELLS),
        ],
    },
    Twin {
        shader: &histogram::SHADER,
        subgroups: false,
        entries: &[("main", [256, 1, 1])],
        bindings: &[
            ("params", "uniform"),
            ("values", "read"),
            ("edges", "read"),
            ("lengths", "read"),
            ("counts", "read_write"),
        ],
        params: &histogram::PARAMS,
        constants: &[
            ("THREADS", histogram::THREADS),
            ("ROWS", histogram::ROWS),
            ("MAX_EDGES", histogram::MAX_EDGES),
            ("STRIDE", histogram::STRIDE),
            ("BELOW", histogram::BELOW),
            ("ABOVE", histogram::ABOVE),
            ("NAN", histogram::NAN),
            ("POSITIVE_INFINITY", histogram::POSITIVE_INFINITY),
            ("NEGATIVE_INFINITY", histogram::NEGATIVE_INFINITY),
        ],
    },
    Twin {
        shader: &histogram::WITH_SUBGROUPS,
        subgroups: true,
        entries: &[("main", [256, 1, 1])],
        bindings: &[
            ("params", "uniform"),
            ("values", "read"),
            ("edges", "read"),
            ("lengths", "read"),
            ("counts", "read_write"),
        ],
        params: &histogram::PARAMS,
        constants: &[
            ("THREADS", histogram::THREADS),
            ("ROWS", histogram::ROWS),
            ("MAX_EDGES", histogram::MAX_EDGES),
            ("STRIDE", histogram::STRIDE),
            ("BELOW", histogram::BELOW),
            ("ABOVE", histogram::ABOVE),
            ("NAN", histogram::NAN),
            ("POSITIVE_INFINITY", histogram::POSITIVE_INFINITY),
            ("NEGATIVE_INFINITY", histogram::NEGATIVE_INFINITY),
        ],
    },
    Twin {
        shader: &resample::SHADER,
        subgroups: false,
        entries: &[("main", [256, 1, 1])],
        bindings: &[
            ("params", "uniform"),
            ("thresholds", "read"),
            ("scores", "read_write"),
            ("counts", "read_write"),
        ],
        params: &resample::PARAMS,
        constants: &[
            ("THREADS", resample::THREADS),
            ("BINS", resample::BINS),
            ("SCORES", resample::SCORES),
            ("STREAM", resample::STREAM),
            ("MULTIPLIER_0", resample::CONSTANTS[0]),
            ("MULTIPLIER_1", resample::CONSTANTS[1]),
            ("INCREMENT_0", resample::CONSTANTS[2]),
            ("INCREMENT_1", resample::CONSTANTS[3]),
            ("SMOOTHING", (SMOOTHING as f32).to_bits()),
            ("SERIES", resample::SERIES.to_bits()),
            ("LN_2", std::f32::consts::LN_2.to_bits()),
        ],
    },
    Twin {
        shader: &resample::WITH_SUBGROUPS,
        subgroups: true,
        entries: &[("main", [256, 1, 1])],
        bindings: &[
            ("params", "uniform"),
            ("thresholds", "read"),
            ("scores", "read_write"),
            ("counts", "read_write"),
        ],
        params: &resample::PARAMS,
        constants: &[
            ("THREADS", resample::THREADS),
            ("BINS", resample::BINS),
            ("SCORES", resample::SCORES),
            ("STREAM", resample::STREAM),
            ("MULTIPLIER_0", resample::CONSTANTS[0]),
            ("MULTIPLIER_1", resample::CONSTANTS[1]),
            ("INCREMENT_0", resample::CONSTANTS[2]),
            ("INCREMENT_1", resample::CONSTANTS[3]),
            ("SMOOTHING", (SMOOTHING as f32).to_bits()),
            ("SERIES", resample::SERIES.to_bits()),
            ("LN_2", std::f32::consts::LN_2.to_bits()),
        ],
    },
    Twin {
        shader: &worst_slice::SHADER,
        subgroups: false,
        entries: &[("main", [256, 1, 1])],
        bindings: &[
            ("params", "uniform"),
            ("bins", "read"),
            ("flags", "read"),
            ("pairs", "read"),
            ("counts", "read_write"),
        ],
        params: &worst_slice::PARAMS,
        constants: &[
            ("THREADS", worst_slice::THREADS),
            ("ROWS", worst_slice::ROWS),
            ("BINS", worst_slice::BINS),
            ("CELLS", worst_slice::CELLS),
        ],
    },
    Twin {
        shader: &worst_slice::WITH_SUBGROUPS,
        subgroups: true,
        entries: &[("main", [256, 1, 1])],
        bindings: &[
            ("params", "uniform"),
            ("bins", "read"),
            ("flags", "read"),
            ("pairs", "read"),
            ("counts", "read_write"),
        ],
        params: &worst_slice::PARAMS,
        constants: &[
            ("THREADS", worst_slice::THREADS),
            ("ROWS", worst_slice::ROWS),
            ("BINS", worst_slice::BINS),
            ("CELLS", worst_slice::CELLS),
        ],
    },
    Twin {
        shader: &calibration::SHADER,
        subgroups: false,
        entries: &[("copy", [256, 1, 1]), ("multiply_add", [256, 1, 1])],
        bindings: &[
            ("params", "uniform"),
            ("source", "read"),
            ("target_words", "read_write"),
        ],
        params: &calibration::PARAMS,
        constants: &[
            ("THREADS", calibration::THREADS),
            ("FLOPS", calibration::FLOPS),
        ],
    },
];
