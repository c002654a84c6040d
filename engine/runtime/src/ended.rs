//! How a run ends, and what a panic does.
//!
//! A panic inside a step throws the step away (J32); a panic anywhere else ends the process at once, because nobody knows
//! what it left half done. Neither prints the panic's message: it may hold a patient's value.

use flow::Suspect;
use ports::Fault;
use std::cell::Cell;

/// How a run ended.
#[derive(Debug)]
pub enum Ended {
    /// Somebody asked for it; the state is checkpointed.
    Stopped,
    /// Nothing may go on; the fault says what to do.
    Failed(Fault),
    /// A fault of ours: a thread is gone, or steps panicked too often.
    Broken(Fault),
}

/// How one life of the flow ended; after a panic the next one begins where the checkpoint stands.
#[derive(Debug)]
pub(crate) enum LifeEnded {
    Stopped,
    Failed(Fault),
    Broken(Fault),
    Panicked(Suspect),
}

/// The exit code of a fault of ours.
const EXIT_OURS: i32 = 70;

thread_local! {
    static IN_STEP: Cell<bool> = const { Cell::new(false) };
}

/// Runs a step; a panic in it is caught by the caller, not by the hook.
pub(crate) fn in_step<T>(step: impl FnOnce() -> T) -> std::thread::Result<T> {
    IN_STEP.set(true);
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(step));
    IN_STEP.set(false);
    result
}

/// Installs the hook: place only, and the end of the process outside of a step.
pub fn install_panic_hook() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or_else(|| "unknown place".to_owned(), ToString::to_string);
        if IN_STEP.get() {
            tracing::error!(place, "a step panicked; it is thrown away and the fold begins again at the checkpoint");
        } else {
            tracing::error!(
                place,
                "panic outside of a step: the process ends; start it again, nothing acknowledged is lost"
            );
            std::process::exit(EXIT_OURS);
        }
    }));
}
