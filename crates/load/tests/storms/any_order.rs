//! The number of threads and the order in which a manifest names its files change nothing of a lake.

use lakehaul_load::LoadOptions;
use serde_json::Value;

use crate::same_lake::Contents;
use crate::scene::{Scene, saving_always};

fn shuffled(manifest: &[u8], chance: &mut fastrand::Rng) -> Vec<u8> {
    let mut manifest: Value = serde_json::from_slice(manifest).expect("a manifest is JSON");
    for list in ["output", "deleted", "error"] {
        chance.shuffle(manifest[list].as_array_mut().expect("a list"));
    }
    manifest.to_string().into_bytes()
}

#[test]
fn threads_and_order_change_nothing() {
    let scene = Scene::of_everything();
    let manifest = std::fs::read(scene.path("m.json")).expect("the manifest is there");
    scene.load("lake", saving_always(1)).expect("it loads");
    let expected = Contents::of(&scene.path("lake"));
    let mut chance = fastrand::Rng::with_seed(16);
    for threads in [1, 2, 8, 32] {
        for (round, checkpoint) in [None, None, Some(LoadOptions::CHECKPOINT)].into_iter().enumerate() {
            let lake = format!("lake-{threads}-{round}");
            let mut scene = Scene::of_everything();
            scene.write("m.json", &shuffled(&manifest, &mut chance));
            if chance.bool() {
                scene.inputs.reverse();
            }
            let mut options = saving_always(threads);
            options.checkpoint = checkpoint.unwrap_or(options.checkpoint);
            options.chunk_bytes = [300, 600, 5_000][round];
            scene.load(&lake, options).expect("it loads");
            Contents::of(&scene.path(&lake)).is_the_same_as(&expected, &lake);
        }
    }
}
