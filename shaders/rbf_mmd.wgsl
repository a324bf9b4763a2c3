// RBF kernels of pairs of rows, as values for pair_sums.wgsl. Twin: src/compute/rbf_mmd.rs.
//
// Kernels are rounded to steps of 2⁻²³ and summed as integers: no order matters.

const FARTHEST: f32 = 32.0;
const EXP2_0: f32 = 1.0;
const EXP2_1: f32 = -0.6931472;
const EXP2_2: f32 = 0.2402265;
const EXP2_3: f32 = -0.05550357;
const EXP2_4: f32 = 0.009618083;
const EXP2_5: f32 = -0.0013390863;
const EXP2_6: f32 = 0.00015453163;

// Sums of up to 128 pairs, each at most 2²³.
alias Value = u32;

fn encoded(value: Value) -> u32 {
    return value;
}

fn decoded(word: u32) -> Value {
    return word;
}

fn steps_of(sums: vec4<Value>) -> Totals {
    return Totals(sums, vec4(0u));
}

// 2⁻ᵗ in steps of 2⁻²³. The whole part is found without adding and taking off a large number, which a compiler may
// believe to be nothing.
fn kernels(squared: vec4<f32>) -> vec4<u32> {
    // On the bits: a NaN is past every number here, and no comparison of floats may be asked about it.
    let t = bitcast<vec4<f32>>(min(bitcast<vec4<u32>>(squared), vec4(bitcast<u32>(FARTHEST))));
    let whole = floor(t + 0.5);
    let rest = t - whole;
    let power = EXP2_0 + rest * (EXP2_1 + rest * (EXP2_2 + rest * (EXP2_3 + rest * (EXP2_4 + rest * (EXP2_5 + rest * EXP2_6)))));
    let scale = bitcast<vec4<f32>>((vec4(127u) - vec4<u32>(whole)) << vec4(23u));
    return bitcast<vec4<u32>>(1.0 + power * scale) - vec4(0x3f800000u);
}

fn values_of(tile: Tile, squared: mat4x4<f32>, thread: u32) -> Values {
    let row = row_of(tile, thread);
    let columns = columns_of(tile, thread);
    return Values(
        select(vec4(0u), kernels(squared[0]), paired(row, columns)),
        select(vec4(0u), kernels(squared[1]), paired(row + 1u, columns)),
        select(vec4(0u), kernels(squared[2]), paired(row + 2u, columns)),
        select(vec4(0u), kernels(squared[3]), paired(row + 3u, columns)),
    );
}
