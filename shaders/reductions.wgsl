// What the counting kernels share that needs all threads of a workgroup: sums, running sums, a tree. In workgroup
// memory; subgroups.wgsl has the same by other means. Put after a kernel that says what `run` is. Twin:
// src/compute/reductions.rs.

// Words of which sums are made, and terms of the tree.
var<workgroup> running_words: array<vec3<u32>, 256>;
var<workgroup> terms: array<vec4<f32>, 256>;
var<workgroup> gaps: array<f32, 256>;

// Of a thread and those before it, and of all.
struct Running {
    here: vec3<u32>,
    all: vec3<u32>,
}

struct Joined {
    term: vec4<f32>,
    gap: f32,
}

fn running(thread: u32, value: vec3<u32>) -> Running {
    running_words[thread] = value;
    workgroupBarrier();
    for (var width = 1u; width < THREADS; width <<= 1u) {
        var before = vec3(0u);
        if thread >= width {
            before = running_words[thread - width];
        }
        workgroupBarrier();
        running_words[thread] += before;
        workgroupBarrier();
    }
    return Running(running_words[thread], running_words[THREADS - 1u]);
}

// Sums, except of the third term and the gap, whose largest are taken. Only thread 0 is told.
fn joined(a: Joined, b: Joined) -> Joined {
    return Joined(vec4(a.term.x + b.term.x, a.term.y + b.term.y, max(a.term.z, b.term.z), a.term.w + b.term.w), max(a.gap, b.gap));
}

fn all_joined(thread: u32, own: Joined) -> Joined {
    terms[thread] = own.term;
    gaps[thread] = own.gap;
    workgroupBarrier();
    for (var width = THREADS / 2u; width > 0u; width >>= 1u) {
        if thread < width {
            let both = joined(Joined(terms[thread], gaps[thread]), Joined(terms[thread + width], gaps[thread + width]));
            terms[thread] = both.term;
            gaps[thread] = both.gap;
        }
        workgroupBarrier();
    }
    return Joined(terms[0], gaps[0]);
}

// How many the thread is to add to a count at this place.
fn to_add(place: u32) -> u32 {
    return 1u;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    run(group, thread);
}
