// RBF kernel sums over pairs of rows for all labellings in one pass. Twin: src/compute/rbf_mmd.rs. After tile.wgsl.
//
// Kernels are rounded to steps of 2⁻²³ and summed as integers: no order matters. A kernel matrix is never stored; of
// the tile in workgroup memory every labelling sums what it picks.

// Bindings 0 and 1 are the tile's. Labels: word by word, for that by labelling.
@group(0) @binding(2) var<storage, read> labels: array<u32>;
// By slot, quarter of a tile, labelling: pairs within the first sample and pairs across, 64 bits each.
@group(0) @binding(3) var<storage, read_write> sums: array<vec4<u32>>;

const FARTHEST: f32 = 32.0;
const EXP2_0: f32 = 1.0;
const EXP2_1: f32 = -0.6931472;
const EXP2_2: f32 = 0.2402265;
const EXP2_3: f32 = -0.05550357;
const EXP2_4: f32 = 0.009618083;
const EXP2_5: f32 = -0.0013390863;
const EXP2_6: f32 = 0.00015453163;
// Labellings at a time: 64 threads for each quarter of a tile's rows.
const LABELLINGS: u32 = 64u;
const QUARTER: u32 = 8u;

// 32 rows of 16 × 4 columns.
var<workgroup> kernels: array<vec4<u32>, 512>;
var<workgroup> row_sums: array<u32, 32>;

// 2⁻ᵗ in steps of 2⁻²³. The whole part is found without adding and taking off a large number, which a compiler may
// believe to be nothing.
fn kernel(squared: f32) -> u32 {
    // On the bits: a NaN is past every number here, and no comparison of floats may be asked about it.
    let t = bitcast<f32>(min(bitcast<u32>(squared), bitcast<u32>(FARTHEST)));
    let whole = floor(t + 0.5);
    let rest = t - whole;
    let power = EXP2_0 + rest * (EXP2_1 + rest * (EXP2_2 + rest * (EXP2_3 + rest * (EXP2_4 + rest * (EXP2_5 + rest * EXP2_6)))));
    let scale = bitcast<f32>((127u - u32(whole)) << 23u);
    return bitcast<u32>(1.0 + power * scale) - 0x3f800000u;
}

fn picked(values: vec4<u32>, bits: u32) -> u32 {
    let keep = vec4(0u) - (vec4(bits, bits >> 1u, bits >> 2u, bits >> 3u) & vec4(1u));
    let kept = values & keep;
    return kept.x + kept.y + kept.z + kept.w;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let slot = params.first_slot + group.x;
    for (var step = params.first_step; step < params.first_step + params.steps; step++) {
        let tile = tile_of(slot + step * params.slots);
        if !tile.exists {
            continue;
        }
        let squared = squared_distances(tile, thread);
        let row = 2u * (thread / 16u);
        let column = 4u * (thread % 16u);
        for (var r = 0u; r < 2u; r++) {
            var values = vec4(0u);
            for (var c = 0u; c < 4u; c++) {
                if counts(tile.top + row + r, tile.left + column + c) {
                    values[c] = kernel(squared[4u * r + c]);
                }
            }
            kernels[(row + r) * 16u + thread % 16u] = values;
        }
        workgroupBarrier();
        if thread < TILE_ROWS {
            var sum = vec4(0u);
            for (var q = 0u; q < 16u; q++) {
                sum += kernels[thread * 16u + q];
            }
            row_sums[thread] = sum.x + sum.y + sum.z + sum.w;
        }
        workgroupBarrier();
        let quarter = thread / LABELLINGS;
        for (var labelling = thread % LABELLINGS; labelling < params.labellings; labelling += LABELLINGS) {
            let first_word = labels[tile.left / 32u * params.labellings + labelling];
            let second_word = labels[(tile.left / 32u + 1u) * params.labellings + labelling];
            let of_rows = labels[tile.top / 32u * params.labellings + labelling];
            var within = vec2(0u);
            var across = vec2(0u);
            for (var r = quarter * QUARTER; r < (quarter + 1u) * QUARTER; r++) {
                var sum = 0u;
                for (var q = 0u; q < 8u; q++) {
                    sum += picked(kernels[r * 16u + q], first_word >> (4u * q));
                    sum += picked(kernels[r * 16u + 8u + q], second_word >> (4u * q));
                }
                // At most 64 · 2²³.
                if ((of_rows >> r) & 1u) == 1u {
                    within = add64(within, vec2(sum, 0u));
                    across = add64(across, vec2(row_sums[r] - sum, 0u));
                } else {
                    across = add64(across, vec2(sum, 0u));
                }
            }
            let at = (slot * 4u + quarter) * params.labellings + labelling;
            let so_far = sums[at];
            sums[at] = vec4(add64(so_far.xy, within), add64(so_far.zw, across));
        }
        // The next tile overwrites `kernels` only behind the barriers of its distances.
    }
}
