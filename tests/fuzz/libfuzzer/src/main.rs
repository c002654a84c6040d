//! One program for every target: LOCKSTEP_FUZZ names it, libFuzzer does the rest. Run by `cargo x fuzz`.
//!
//! Before libFuzzer looks into its corpus, the target's seeds are written there, so that they are of the present formats.
#![no_main]

use lockstep_fuzz::Target;
use std::{path::Path, sync::LazyLock};

static TARGET: LazyLock<&'static Target> = LazyLock::new(|| {
    let name = std::env::var("LOCKSTEP_FUZZ").unwrap_or_default();
    lockstep_fuzz::target(&name).expect("LOCKSTEP_FUZZ names a target of tests/fuzz")
});

fn write_seeds() {
    let Some(folder) = std::env::var_os("LOCKSTEP_FUZZ_SEEDS") else { return };
    for (n, seed) in (TARGET.seeds)().iter().enumerate() {
        std::fs::write(Path::new(&folder).join(format!("seed-{n}")), seed)
            .expect("the folder is there to be written to");
    }
}

libfuzzer_sys::fuzz_target!(
    init: write_seeds(),
    |bytes: &[u8]| (TARGET.run)(bytes)
);
