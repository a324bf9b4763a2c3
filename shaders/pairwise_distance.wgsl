// Sums of distances over pairs of rows for all labellings in one pass, and cells of distances from which a median is
// found. Twin: src/compute/pairwise_distance.rs. After tile.wgsl.
//
// Distances of a row of the tile are summed as floats in one order, then rounded to steps of 2⁻³¹ of the largest
// distance there can be and summed as integers.

// Bindings 0 and 1 are the tile's. Labels: word by word, for that by labelling.
@group(0) @binding(2) var<storage, read> labels: array<u32>;
// By slot, quarter of a tile, labelling: pairs within the first sample and pairs across, 64 bits each.
@group(0) @binding(3) var<storage, read_write> sums: array<vec4<u32>>;
// Of `count_distances`, at the same place.
@group(0) @binding(4) var<storage, read_write> cells: array<atomic<u32>>;

// Labellings at a time: 64 threads for each quarter of a tile's rows.
const LABELLINGS: u32 = 64u;
const QUARTER: u32 = 8u;
const CELLS: u32 = 2048u;

// 32 rows of 16 × 4 columns.
var<workgroup> distances: array<vec4<f32>, 512>;
var<workgroup> row_sums: array<f32, 32>;
var<workgroup> counted: array<atomic<u32>, 2048>;

fn picked(values: vec4<f32>, bits: u32) -> f32 {
    let keep = (vec4(bits, bits >> 1u, bits >> 2u, bits >> 3u) & vec4(1u)) == vec4(1u);
    let kept = select(vec4(0.0), values, keep);
    return (kept.x + kept.y) + (kept.z + kept.w);
}

// A sum in steps, 64 bits. Negative only by rounding: 0.
fn steps_of(sum: f32) -> vec2<u32> {
    let steps = max(sum, 0.0) * params.steps_per_unit;
    let high = floor(steps / 4294967296.0);
    return vec2(u32(steps - high * 4294967296.0), u32(high));
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
            var values = vec4(0.0);
            for (var c = 0u; c < 4u; c++) {
                if counts(tile.top + row + r, tile.left + column + c) {
                    values[c] = sqrt(squared[4u * r + c]);
                }
            }
            distances[(row + r) * 16u + thread % 16u] = values;
        }
        workgroupBarrier();
        if thread < TILE_ROWS {
            var sum = 0.0;
            for (var q = 0u; q < 8u; q++) {
                sum += picked(distances[thread * 16u + q], 15u);
                sum += picked(distances[thread * 16u + 8u + q], 15u);
            }
            row_sums[thread] = sum;
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
                var sum = 0.0;
                for (var q = 0u; q < 8u; q++) {
                    sum += picked(distances[r * 16u + q], first_word >> (4u * q));
                    sum += picked(distances[r * 16u + 8u + q], second_word >> (4u * q));
                }
                if ((of_rows >> r) & 1u) == 1u {
                    within = add64(within, steps_of(sum));
                    across = add64(across, steps_of(row_sums[r] - sum));
                } else {
                    across = add64(across, steps_of(sum));
                }
            }
            let at = (slot * 4u + quarter) * params.labellings + labelling;
            let so_far = sums[at];
            sums[at] = vec4(add64(so_far.xy, within), add64(so_far.zw, across));
        }
    }
}

// Counts pairs whose squared distance has the bits `prefix` above `shift + cell_bits`, by the `cell_bits` below:
// floats that are not negative are in the order of their bits.
@compute @workgroup_size(256)
fn count_distances(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let slot = params.first_slot + group.x;
    for (var cell = thread; cell < CELLS; cell += THREADS) {
        atomicStore(&counted[cell], 0u);
    }
    workgroupBarrier();
    for (var step = params.first_step; step < params.first_step + params.steps; step++) {
        let tile = tile_of(slot + step * params.slots);
        if !tile.exists {
            continue;
        }
        let squared = squared_distances(tile, thread);
        for (var r = 0u; r < 2u; r++) {
            for (var c = 0u; c < 4u; c++) {
                let bits = bitcast<u32>(squared[4u * r + c]);
                let upper = bits >> params.shift;
                let here = (upper >> params.cell_bits) == params.prefix;
                if here && counts(tile.top + 2u * (thread / 16u) + r, tile.left + 4u * (thread % 16u) + c) {
                    atomicAdd(&counted[upper & ((1u << params.cell_bits) - 1u)], 1u);
                }
            }
        }
    }
    workgroupBarrier();
    for (var cell = thread; cell < CELLS; cell += THREADS) {
        let count = atomicLoad(&counted[cell]);
        if count > 0u {
            atomicAdd(&cells[cell], count);
        }
    }
}
