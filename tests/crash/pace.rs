//! Reading slowly: windows are closed one by one as records come, while who catches up closes many at once.

use crate::scene::{Assignment, BROKER, SHORT, SHORT_RUN, Scene};

/// Longer than reading a batch takes by far, so that windows close between batches.
const REST_MS: u32 = 200;

#[test]
fn the_pace_of_reading_changes_nothing() {
    let mut scene = Scene::new(&SHORT, &BROKER.address, Assignment::Manual);
    scene.rest_ms = REST_MS;
    let mut service = scene.start("slow", None);
    service.settle();
    scene.wait_for_delivery();
    service.kill();
    scene.check(&SHORT_RUN.dump, "read slowly");
}
