//! The reading of `lockstep.toml`: the program's own source, for a program has no library.

/// What that source calls of the rest of its program.
pub(crate) mod connect {
    use super::program::config::Part;
    use catalog::Context;
    use ports::{Secret, SecretRef, SettingFault};
    use std::path::Path;

    /// As `engine/cli` asks its connectors.
    pub(crate) fn faults(pipeline: &str, dir: &Path, part: &Part, is_source: bool) -> Vec<SettingFault> {
        let unread = |_: &SecretRef| Ok(Secret::new("unread"));
        let system = part.system.clone();
        let context = Context { pipeline, system, base_dir: dir, types: &[], secret: &unread };
        if is_source {
            catalog::source_faults(&part.kind, &part.table, &context)
        } else {
            catalog::sink_faults(&part.kind, &part.table, &context)
        }
    }
}

#[path = "../../../engine/cli/src"]
pub(crate) mod program {
    #[expect(dead_code, reason = "only its reading is asked for here")]
    pub(crate) mod config;
}
