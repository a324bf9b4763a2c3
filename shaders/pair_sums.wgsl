// Of a tile's values the sums that every labelling picks, in one pass and without a stored matrix. Put after tile.wgsl,
// with rbf_mmd.wgsl or pairwise_distance.wgsl, which say what a value is. Twin: src/compute/pair_sums.rs.
//
// A labelling picks rows and columns. Of 4 × 4 pairs there are 16 · 16 sums it can want: all are made once, and each
// labelling looks one up where it would else add sixteen. A thread has its labellings for itself, so that nothing is
// joined before the end. What a labelling's pairs across the samples add up to follows from the sums of rows.

// Bindings 0 and 1 are the tile's. Labels: word by word of rows, for that by labelling.
@group(0) @binding(2) var<storage, read> labels: array<u32>;
// By labelling: steps of the pairs within the first sample, 64 bits, low word first.
@group(0) @binding(3) var<storage, read_write> within: array<atomic<u32>>;
// By row: steps of all its pairs, likewise.
@group(0) @binding(4) var<storage, read_write> by_row: array<atomic<u32>>;

// Small blocks of 4 × 4 pairs tabulated at a time, and the words of one's 256 sums, filled up so that two blocks that are
// written at once lie in different banks of memory.
const SMALL_BLOCKS: u32 = 8u;
const SUBSETS: u32 = 272u;
// Such rounds for a tile.
const ROUNDS: u32 = 32u;
// Words of a block's labels.
const BLOCK_WORDS: u32 = 2u;

// By small block: sums of the pairs of which the row is in the upper four bits and the column in the lower four.
var<workgroup> table: array<array<u32, 272>, 8>;
// By small block: its four rows.
var<workgroup> small_blocks: array<vec4<Value>, 32>;

struct Values {
    a: vec4<Value>,
    b: vec4<Value>,
    c: vec4<Value>,
    d: vec4<Value>,
}

// Four sums of 64 bits.
struct Totals {
    low: vec4<u32>,
    high: vec4<u32>,
}

fn added(a: Totals, b: Totals) -> Totals {
    let low = a.low + b.low;
    return Totals(low, a.high + b.high + select(vec4(0u), vec4(1u), low < b.low));
}

fn sum_of(values: vec4<Value>) -> Value {
    return (values.x + values.y) + (values.z + values.w);
}

fn picked(values: vec4<Value>, keep: vec4<bool>) -> Value {
    return sum_of(select(vec4<Value>(), values, keep));
}

// Adds the tile's rows and columns to the sums of their rows: in the order of the threads' quadruples.
fn add_to_rows(tile: Tile, values: Values, thread: u32) {
    let row = thread / QUADS;
    let column = thread % QUADS;
    // Sixteen numbers a row, then sixteen a column: four quadruples' in the place of a small block.
    let of_rows = (column % 4u) * BLOCK + 4u * row;
    table[column / 4u][of_rows] = encoded(sum_of(values.a));
    table[column / 4u][of_rows + 1u] = encoded(sum_of(values.b));
    table[column / 4u][of_rows + 2u] = encoded(sum_of(values.c));
    table[column / 4u][of_rows + 3u] = encoded(sum_of(values.d));
    let of_columns = (row % 4u) * BLOCK + 4u * column;
    let columns = (values.a + values.b) + (values.c + values.d);
    table[4u + row / 4u][of_columns] = encoded(columns.x);
    table[4u + row / 4u][of_columns + 1u] = encoded(columns.y);
    table[4u + row / 4u][of_columns + 2u] = encoded(columns.z);
    table[4u + row / 4u][of_columns + 3u] = encoded(columns.w);
    workgroupBarrier();
    if thread < 2u * BLOCK {
        var sum = Value();
        for (var quad = 0u; quad < QUADS; quad++) {
            sum += decoded(table[4u * (thread / BLOCK) + quad / 4u][(quad % 4u) * BLOCK + thread % BLOCK]);
        }
        let steps = steps_of(vec4(sum, Value(), Value(), Value()));
        let place = 2u * (select(tile.row, tile.column, thread >= BLOCK) * BLOCK + thread % BLOCK);
        let low = atomicAdd(&by_row[place], steps.low.x);
        let carry = select(0u, 1u, low + steps.low.x < low);
        if steps.high.x + carry > 0u {
            atomicAdd(&by_row[place + 1u], steps.high.x + carry);
        }
    }
}

// All sums of the small blocks: 16 threads for each, of which one makes those of some columns.
fn tabulate(thread: u32) {
    let block = thread / 16u;
    let columns = thread % 16u;
    let keep = (vec4(columns, columns >> 1u, columns >> 2u, columns >> 3u) & vec4(1u)) == vec4(1u);
    let a = picked(small_blocks[4u * block], keep);
    let b = picked(small_blocks[4u * block + 1u], keep);
    let c = picked(small_blocks[4u * block + 2u], keep);
    let d = picked(small_blocks[4u * block + 3u], keep);
    let ab = a + b;
    let cd = c + d;
    table[block][columns] = encoded(Value());
    table[block][columns + 16u] = encoded(a);
    table[block][columns + 32u] = encoded(b);
    table[block][columns + 48u] = encoded(ab);
    table[block][columns + 64u] = encoded(c);
    table[block][columns + 80u] = encoded(a + c);
    table[block][columns + 96u] = encoded(b + c);
    table[block][columns + 112u] = encoded(ab + c);
    table[block][columns + 128u] = encoded(d);
    table[block][columns + 144u] = encoded(a + d);
    table[block][columns + 160u] = encoded(b + d);
    table[block][columns + 176u] = encoded(ab + d);
    table[block][columns + 192u] = encoded(cd);
    table[block][columns + 208u] = encoded(a + cd);
    table[block][columns + 224u] = encoded(b + cd);
    table[block][columns + 240u] = encoded(ab + cd);
}

// What is picked of the first four small blocks, and of the others. Rows: bits 4 … 7. The block is a constant, and an
// index cannot be beyond its sums, so that neither costs an instruction.
fn of_first_four(rows: u32, columns: u32) -> Value {
    let a = decoded(table[0][rows | (columns & 15u)]);
    let b = decoded(table[1][rows | ((columns >> 4u) & 15u)]);
    let c = decoded(table[2][rows | ((columns >> 8u) & 15u)]);
    let d = decoded(table[3][rows | ((columns >> 12u) & 15u)]);
    return (a + b) + (c + d);
}

fn of_last_four(rows: u32, columns: u32) -> Value {
    let a = decoded(table[4][rows | ((columns >> 16u) & 15u)]);
    let b = decoded(table[5][rows | ((columns >> 20u) & 15u)]);
    let c = decoded(table[6][rows | ((columns >> 24u) & 15u)]);
    let d = decoded(table[7][rows | (columns >> 28u)]);
    return (a + b) + (c + d);
}

// What a labelling picks of this round; if two threads share it, of half of it.
fn of_round(thread: u32, shift: u32, rows: u32, columns: u32) -> Value {
    let nibble = ((rows >> shift) & 15u) << 4u;
    if params.lanes == THREADS {
        return of_first_four(nibble, columns) + of_last_four(nibble, columns);
    }
    if thread < params.lanes {
        return of_first_four(nibble, columns);
    }
    return of_last_four(nibble, columns);
}

// Labels of 32 rows, for the thread's labellings.
fn bits_of(word: u32, lane: u32) -> vec4<u32> {
    let at = word * params.labellings + lane;
    var bits = vec4(labels[at], 0u, 0u, 0u);
    if params.batches > 1u {
        bits.y = labels[at + THREADS];
    }
    if params.batches > 2u {
        bits.z = labels[at + 2u * THREADS];
    }
    if params.batches > 3u {
        bits.w = labels[at + 3u * THREADS];
    }
    return bits;
}

fn add_to_labelling(labelling: u32, low: u32, high: u32) {
    let before = atomicAdd(&within[2u * labelling], low);
    let carry = select(0u, 1u, before + low < before);
    if high + carry > 0u {
        atomicAdd(&within[2u * labelling + 1u], high + carry);
    }
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let lane = thread % params.lanes;
    // In which round the thread's own values are tabulated.
    let own_round = (thread / 128u) * 16u + ((thread / 8u) % 2u) * 8u + (thread / 16u) % 8u;
    let own_place = 4u * (thread % 8u);
    var totals = Totals(vec4(0u), vec4(0u));
    for (var step = 0u; step < params.steps; step++) {
        let tile = tile_of(params.first_tile + step * params.groups + group.x);
        if !tile.exists {
            continue;
        }
        let values = values_of(tile, squared_distances(tile, thread), thread);
        add_to_rows(tile, values, thread);
        var rows = vec4(0u);
        var columns = vec4(0u);
        for (var round = 0u; round <= ROUNDS; round++) {
            // Rounds overlap: while one is looked up, the next one's values are put in place.
            if round > 0u {
                workgroupBarrier();
                if thread < 16u * SMALL_BLOCKS {
                    tabulate(thread);
                }
                workgroupBarrier();
            }
            if own_round == round {
                small_blocks[own_place] = values.a;
                small_blocks[own_place + 1u] = values.b;
                small_blocks[own_place + 2u] = values.c;
                small_blocks[own_place + 3u] = values.d;
            }
            if round > 0u {
                let now = round - 1u;
                if now % 16u == 0u {
                    rows = bits_of(tile.row * BLOCK_WORDS + now / 16u, lane);
                }
                if now % 8u == 0u {
                    columns = bits_of(tile.column * BLOCK_WORDS + (now / 8u) % 2u, lane);
                }
                let shift = 4u * (now % 8u);
                var sums = vec4<Value>();
                sums.x = of_round(thread, shift, rows.x, columns.x);
                if params.batches > 1u {
                    sums.y = of_round(thread, shift, rows.y, columns.y);
                }
                if params.batches > 2u {
                    sums.z = of_round(thread, shift, rows.z, columns.z);
                }
                if params.batches > 3u {
                    sums.w = of_round(thread, shift, rows.w, columns.w);
                }
                totals = added(totals, steps_of(sums));
            }
        }
        // The next tile's sums of rows overwrite the table only behind the barriers of its distances.
    }
    add_to_labelling(lane, totals.low.x, totals.high.x);
    if params.batches > 1u {
        add_to_labelling(lane + THREADS, totals.low.y, totals.high.y);
    }
    if params.batches > 2u {
        add_to_labelling(lane + 2u * THREADS, totals.low.z, totals.high.z);
    }
    if params.batches > 3u {
        add_to_labelling(lane + 3u * THREADS, totals.low.w, totals.high.w);
    }
}
