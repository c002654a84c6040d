//! Secrets: read from a file, or from the environment with a warning; never printed.

use std::{fmt, fs, path::Path};

/// A text that never prints.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Reads the file, without the end of its last line.
    pub fn from_file(path: &Path) -> std::io::Result<Secret> {
        Ok(Secret(fs::read_to_string(path)?.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// Takes a text.
    pub fn from_text(text: String) -> Secret {
        Secret(text)
    }

    /// The text, for the one who needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::from_text("canary".into())), "secret");
    }
}
