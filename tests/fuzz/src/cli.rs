//! The reading of `lockstep.toml`: the program's own source, for a program has no library.

/// What that source calls of the rest of its program.
pub(crate) mod connect {
    use super::program::config::Part;
    use catalog::{Context, SecretPlace};
    use ports::Fault;
    use std::path::Path;

    /// As `engine/cli` asks its connectors.
    pub(crate) fn faults(pipeline: &str, dir: &Path, part: &Part, is_source: bool) -> Vec<Fault> {
        let unread = |_: &SecretPlace| Ok("unread".to_owned());
        let system = part.system.clone();
        let context = Context { pipeline, system, base_dir: dir, types: &[], secret: &unread };
        let made = if is_source {
            catalog::source(&part.kind, &part.table, &context).map(drop)
        } else {
            catalog::sink(&part.kind, &part.table, &context).map(drop)
        };
        made.err().unwrap_or_default()
    }
}

#[path = "../../../engine/cli/src"]
pub(crate) mod program {
    #[expect(dead_code, reason = "only its reading is asked for here")]
    pub(crate) mod config;
}
