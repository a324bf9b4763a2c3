// Distances of pairs of rows, as values for pair_sums.wgsl, and cells of distances from which a median is found.
// Twin: src/compute/pairwise_distance.rs.
//
// Distances of up to 128 pairs are summed as floats in one order, then rounded to steps of 2⁻³¹ of the largest distance
// there can be and summed as integers.

// Bindings 0 to 4 are the tile's and the sums'. Of `count_distances`:
@group(0) @binding(5) var<storage, read_write> cells: array<atomic<u32>>;

const CELLS: u32 = 2048u;

var<workgroup> counted: array<atomic<u32>, 2048>;

alias Value = f32;

fn encoded(value: Value) -> u32 {
    return bitcast<u32>(value);
}

fn decoded(word: u32) -> Value {
    return bitcast<f32>(word);
}

// Negative only by rounding: 0.
fn steps_of(sums: vec4<Value>) -> Totals {
    let steps = max(sums, vec4(0.0)) * params.steps_per_unit;
    let high = floor(steps / 4294967296.0);
    return Totals(vec4<u32>(steps - high * 4294967296.0), vec4<u32>(high));
}

fn values_of(tile: Tile, squared: mat4x4<f32>, thread: u32) -> Values {
    let row = row_of(tile, thread);
    let columns = columns_of(tile, thread);
    return Values(
        select(vec4(0.0), sqrt(squared[0]), paired(row, columns)),
        select(vec4(0.0), sqrt(squared[1]), paired(row + 1u, columns)),
        select(vec4(0.0), sqrt(squared[2]), paired(row + 2u, columns)),
        select(vec4(0.0), sqrt(squared[3]), paired(row + 3u, columns)),
    );
}

// Counts those of four pairs whose squared distance has the bits `prefix` above `shift + cell_bits`, by the `cell_bits`
// below: floats that are not negative are in the order of their bits.
fn count_row(squared: vec4<f32>, is_pair: vec4<bool>) {
    let upper = bitcast<vec4<u32>>(squared) >> vec4(params.shift);
    let here = is_pair & ((upper >> vec4(params.cell_bits)) == vec4(params.prefix));
    let cell = upper & vec4((1u << params.cell_bits) - 1u);
    if here.x {
        atomicAdd(&counted[cell.x], 1u);
    }
    if here.y {
        atomicAdd(&counted[cell.y], 1u);
    }
    if here.z {
        atomicAdd(&counted[cell.z], 1u);
    }
    if here.w {
        atomicAdd(&counted[cell.w], 1u);
    }
}

@compute @workgroup_size(256)
fn count_distances(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    for (var cell = thread; cell < CELLS; cell += THREADS) {
        atomicStore(&counted[cell], 0u);
    }
    workgroupBarrier();
    for (var step = 0u; step < params.steps; step++) {
        let tile = tile_of(params.first_tile + step * params.groups + group.x);
        if !tile.exists {
            continue;
        }
        let squared = squared_distances(tile, thread);
        let row = row_of(tile, thread);
        let columns = columns_of(tile, thread);
        count_row(squared[0], paired(row, columns));
        count_row(squared[1], paired(row + 1u, columns));
        count_row(squared[2], paired(row + 2u, columns));
        count_row(squared[3], paired(row + 3u, columns));
    }
    workgroupBarrier();
    for (var cell = thread; cell < CELLS; cell += THREADS) {
        let count = atomicLoad(&counted[cell]);
        if count > 0u {
            atomicAdd(&cells[cell], count);
        }
    }
}
