// The tile that kernels over pairs of rows begin with: squared distances of 32 × 64 rows. Put before rbf_mmd.wgsl and
// pairwise_distance.wgsl. Twin: src/compute/tile.rs.
//
// Tiles cover the upper triangle. A slot (one workgroup) takes the tiles slot, slot + slots, slot + 2·slots …, in
// steps: which tiles a dispatch does changes nothing but its length.

const TILE_ROWS: u32 = 32u;
const TILE_COLUMNS: u32 = 64u;
const THREADS: u32 = 256u;
// Coordinates staged at a time; points are padded with zeros to a multiple of it.
const DEPTH: u32 = 8u;
// Pairs of a thread: 2 rows × 4 columns.
const PAIRS: u32 = 8u;

struct Params {
    rows: u32,
    dims: u32,
    labellings: u32,
    slots: u32,
    first_slot: u32,
    first_step: u32,
    steps: u32,
    // Blocks of TILE_COLUMNS rows.
    blocks: u32,
    // Values of `count_distances`: pairs count whose upper bits are `prefix`, into the cell of the bits below.
    prefix: u32,
    shift: u32,
    cell_bits: u32,
    // Steps of a sum in one unit of distance.
    steps_per_unit: f32,
}

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> points: array<f32>;

var<workgroup> left: array<f32, 256>;
var<workgroup> right: array<f32, 512>;

struct Tile {
    top: u32,
    left: u32,
    exists: bool,
}

// Tile number `index`. Row a of the triangle of blocks (blocks − a long) lies before row blocks − 1 − a (a + 1 long),
// so that all rows of the list are blocks + 1 long; if blocks is odd, the middle row has no partner.
fn tile_of(index: u32) -> Tile {
    let half = index & 1u;
    let a = (index >> 1u) / (params.blocks + 1u);
    let b = (index >> 1u) % (params.blocks + 1u);
    let partner = params.blocks - 1u - a;
    var row = a;
    var column = a + b;
    var exists = a * 2u < params.blocks;
    if b >= params.blocks - a {
        row = partner;
        column = partner + b - (params.blocks - a);
        exists = exists && partner != a;
    }
    let top = row * TILE_COLUMNS + half * TILE_ROWS;
    return Tile(top, column * TILE_COLUMNS, exists && top < params.rows);
}

// Whether a pair is of the upper triangle and both rows exist.
fn counts(row: u32, column: u32) -> bool {
    return row < column && column < params.rows;
}

// Squared distances of the thread's pairs: rows 2·(thread / 16) + r, columns 4·(thread % 16) + c, at 4·r + c.
fn squared_distances(tile: Tile, thread: u32) -> array<f32, 8> {
    var sums = array<f32, 8>();
    let row = 2u * (thread / 16u);
    let column = 4u * (thread % 16u);
    let last = params.rows - 1u;
    for (var start = 0u; start < params.dims; start += DEPTH) {
        workgroupBarrier();
        let at = thread / DEPTH;
        let dim = start + thread % DEPTH;
        left[(thread % DEPTH) * TILE_ROWS + at] = points[min(tile.top + at, last) * params.dims + dim];
        right[(thread % DEPTH) * TILE_COLUMNS + at] = points[min(tile.left + at, last) * params.dims + dim];
        right[(thread % DEPTH) * TILE_COLUMNS + at + 32u] = points[min(tile.left + at + 32u, last) * params.dims + dim];
        workgroupBarrier();
        for (var k = 0u; k < DEPTH; k++) {
            let columns = vec4(
                right[k * TILE_COLUMNS + column],
                right[k * TILE_COLUMNS + column + 1u],
                right[k * TILE_COLUMNS + column + 2u],
                right[k * TILE_COLUMNS + column + 3u],
            );
            let upper = vec4(left[k * TILE_ROWS + row]) - columns;
            let lower = vec4(left[k * TILE_ROWS + row + 1u]) - columns;
            sums[0] += upper.x * upper.x;
            sums[1] += upper.y * upper.y;
            sums[2] += upper.z * upper.z;
            sums[3] += upper.w * upper.w;
            sums[4] += lower.x * lower.x;
            sums[5] += lower.y * lower.y;
            sums[6] += lower.z * lower.z;
            sums[7] += lower.w * lower.w;
        }
    }
    return sums;
}

// Sum of two numbers of 64 bits, low word first.
fn add64(a: vec2<u32>, b: vec2<u32>) -> vec2<u32> {
    let low = a.x + b.x;
    return vec2(low, a.y + b.y + select(0u, 1u, low < a.x));
}
