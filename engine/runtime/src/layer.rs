//! How much memory the state may take that no checkpoint holds yet. Pure.

/// Whether a checkpoint is due for what was written since the last one was set aside. It is at half the limit: while one
/// half is on its way to the disk, steps fill the other, and the next checkpoint waits for the first.
#[must_use]
pub fn is_layer_full(layer_bytes: usize, overlay_bytes_max: usize) -> bool {
    layer_bytes >= overlay_bytes_max / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layer_being_written_and_the_one_above_it_stay_within_the_limit_together() {
        let (limit, step) = (1_000, 10);
        let fill = || (0..).step_by(step).find(|bytes| is_layer_full(*bytes, limit)).unwrap();
        let (written, above) = (fill(), fill());
        assert!(written + above <= limit, "{written} + {above}");
        assert!(!is_layer_full(limit / 2 - 1, limit), "and not before");
    }
}
