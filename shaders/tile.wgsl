// The tile that kernels over pairs of rows begin with: squared distances of 64 × 64 rows, 4 × 4 of them to a thread. Put
// before rbf_mmd.wgsl and pairwise_distance.wgsl. Twin: src/compute/tile.rs.
//
// Tiles cover the upper triangle. Which of them a dispatch or a workgroup takes changes nothing but its length.

// Rows of a block: a tile is a block of rows by a block of columns.
const BLOCK: u32 = 64u;
const THREADS: u32 = 256u;
// Coordinates staged at a time; points are padded with zeros to a multiple of it.
const DEPTH: u32 = 8u;
// Quadruples of rows in a block, and in what is staged of one.
const QUADS: u32 = 16u;
const STAGED: u32 = 128u;

struct Params {
    rows: u32,
    dims: u32,
    // Words of labels for 32 rows: labellings, filled up to whole batches.
    labellings: u32,
    // Threads that take different labellings: 256, or 128 of which two share a labelling.
    lanes: u32,
    // Labellings of a thread.
    batches: u32,
    // Workgroup g takes the tiles first_tile + g, and every groups-th from there on.
    first_tile: u32,
    groups: u32,
    steps: u32,
    blocks: u32,
    // Values of `count_distances`: pairs count whose upper bits are `prefix`, into the cell of the bits below.
    prefix: u32,
    shift: u32,
    cell_bits: u32,
    // Steps of a sum in one unit of distance.
    steps_per_unit: f32,
    unused_1: u32,
    unused_2: u32,
    unused_3: u32,
}

@group(0) @binding(0) var<uniform> params: Params;
// By block, for that by coordinate: four rows in a vec4.
@group(0) @binding(1) var<storage, read> points: array<vec4<f32>>;

// The rows' coordinates, then the columns'.
var<workgroup> staged: array<vec4<f32>, 256>;

// Numbers of a block of rows and a block of columns.
struct Tile {
    row: u32,
    column: u32,
    exists: bool,
}

// Tile number `index`. Row a of the triangle of blocks (blocks − a long) lies before row blocks − 1 − a (a + 1 long),
// so that all rows of the list are blocks + 1 long; if blocks is odd, the middle row has no partner. Numbers go down the
// list, not along it: workgroups that run at the same time then add to the sums of different rows.
fn tile_of(index: u32) -> Tile {
    let list = (params.blocks + 1u) / 2u;
    let a = index % list;
    let b = index / list;
    if b < params.blocks - a {
        return Tile(a, a + b, b <= params.blocks);
    }
    let partner = params.blocks - 1u - a;
    return Tile(partner, partner + b - (params.blocks - a), b <= params.blocks && partner != a);
}

// Which of four columns make a pair with the row: those of the upper triangle, if they exist.
fn paired(row: u32, columns: vec4<u32>) -> vec4<bool> {
    return (vec4(row) < columns) & (columns < vec4(params.rows));
}

// The thread's first row and its columns.
fn row_of(tile: Tile, thread: u32) -> u32 {
    return tile.row * BLOCK + 4u * (thread / QUADS);
}

fn columns_of(tile: Tile, thread: u32) -> vec4<u32> {
    return vec4(tile.column * BLOCK + 4u * (thread % QUADS)) + vec4(0u, 1u, 2u, 3u);
}

// One coordinate more.
fn farther(sums: mat4x4<f32>, rows: vec4<f32>, columns: vec4<f32>) -> mat4x4<f32> {
    let a = vec4(rows.x) - columns;
    let b = vec4(rows.y) - columns;
    let c = vec4(rows.z) - columns;
    let d = vec4(rows.w) - columns;
    return mat4x4(sums[0] + a * a, sums[1] + b * b, sums[2] + c * c, sums[3] + d * d);
}

// Squared distances of the thread's pairs: of row r to column c at [r][c].
fn squared_distances(tile: Tile, thread: u32) -> mat4x4<f32> {
    var sums = mat4x4<f32>();
    let row = thread / QUADS;
    let column = STAGED + thread % QUADS;
    // Each thread brings four numbers at a time, the next ones while it works on these.
    var at = select(tile.row, tile.column, thread >= STAGED) * params.dims * QUADS + thread % STAGED;
    var next = points[at];
    for (var start = 0u; start < params.dims; start += DEPTH) {
        workgroupBarrier();
        staged[thread] = next;
        workgroupBarrier();
        at += STAGED;
        if start + DEPTH < params.dims {
            next = points[at];
        }
        // Eight times, not in a loop: see the bound on iterations in the twin.
        sums = farther(sums, staged[row], staged[column]);
        sums = farther(sums, staged[row + 16u], staged[column + 16u]);
        sums = farther(sums, staged[row + 32u], staged[column + 32u]);
        sums = farther(sums, staged[row + 48u], staged[column + 48u]);
        sums = farther(sums, staged[row + 64u], staged[column + 64u]);
        sums = farther(sums, staged[row + 80u], staged[column + 80u]);
        sums = farther(sums, staged[row + 96u], staged[column + 96u]);
        sums = farther(sums, staged[row + 112u], staged[column + 112u]);
    }
    return sums;
}
