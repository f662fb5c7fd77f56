//! Delta tables whose store fails, or whose process dies, at any call: each commit is in each table once, all of it or
//! nothing, and the ledger and the log say the same.

use std::path::PathBuf;

use lakehaul_load::{CompactRequest, Format, LoadError, LoadOptions, Silent, StoreLayer, SystemClock, compact};

use crate::every_call::{Run, check};
use crate::scene::{Scene, lines, patient, saving_always};

/// What is done to a lake of Delta tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// A first load.
    Make,
    /// All rows come anew.
    Replace,
    Compact,
}

struct Lake {
    what: What,
    scene: Scene,
}

impl Lake {
    fn new(what: What) -> Lake {
        let mut scene = Scene::of_everything();
        if what != What::Make {
            let options = || LoadOptions { format: Some(Format::Delta), ..saving_always(1) };
            scene.load("lake", options()).unwrap();
            let wide = r#"{"resourceType":"Patient","id":"w","extension":[{"url":"u","valueString":"v"}]}"#.to_owned();
            scene.write("late.ndjson", &lines((60..70).map(patient).chain([wide]), "\n"));
            scene.inputs = vec!["late.ndjson"];
            if what == What::Compact {
                scene.load("lake", options()).unwrap();
            }
        }
        Lake { what, scene }
    }
}

impl Run for Lake {
    fn test(&self) -> &'static str {
        match self.what {
            What::Make => "delta::a_first_load_outlives_any_call",
            What::Replace => "delta::a_full_refresh_outlives_any_call",
            What::Compact => "delta::a_compaction_outlives_any_call",
        }
    }

    fn lake(&self) -> PathBuf {
        self.scene.path("lake")
    }

    fn run(&self, store_layer: Option<StoreLayer>) -> Result<(), LoadError> {
        if self.what == What::Compact {
            let options = LoadOptions { store_layer, ..LoadOptions::default() };
            let lake = self.lake().to_str().unwrap().to_owned();
            let request = CompactRequest { lake, part_bytes: CompactRequest::PART_BYTES, options };
            return compact(&request, &SystemClock, &Silent).map(drop);
        }
        let replace = self.what == What::Replace;
        let options = LoadOptions { store_layer, format: Some(Format::Delta), replace, ..saving_always(1) };
        self.scene.load("lake", options).map(drop)
    }
}

#[test]
fn a_first_load_outlives_any_call() {
    check(|| Lake::new(What::Make), 11);
}

#[test]
fn a_full_refresh_outlives_any_call() {
    check(|| Lake::new(What::Replace), 11);
}

#[test]
fn a_compaction_outlives_any_call() {
    check(|| Lake::new(What::Compact), 7);
}
