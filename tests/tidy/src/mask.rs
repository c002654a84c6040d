//! Blanks what is not code, so that a ban cannot be tripped by a comment, a string or a test.
//!
//! Knows just enough of Rust's lexis: comments (nested), strings (raw, byte, C), character literals beside lifetimes,
//! and items under `#[cfg(test)]`. Keeps every line break and every byte offset.

/// One source file, seen in four ways; all have the same length and the same lines.
pub struct Source {
    /// Code without comments and string contents; test items kept.
    pub code: String,
    /// The same, without test items.
    pub product: String,
    /// Without comments and test items; strings kept.
    pub product_with_strings: String,
    /// Byte ranges of the test items.
    tests: Vec<std::ops::Range<usize>>,
}

impl Source {
    /// Masks the text of one file.
    pub fn new(text: &str) -> Self {
        let kinds = kinds(text.as_bytes());
        let code = blanked(text, |at| kinds[at] != Kind::Code);
        let tests = test_items(&code);
        let in_test = |at: usize| tests.iter().any(|range| range.contains(&at));
        Self {
            product: blanked(&code, in_test),
            product_with_strings: blanked(text, |at| kinds[at] == Kind::Comment || in_test(at)),
            code,
            tests,
        }
    }

    /// How many lines belong to test items.
    pub fn test_lines(&self) -> usize {
        let lines = |range: &std::ops::Range<usize>| self.code[range.clone()].lines().count();
        self.tests.iter().map(lines).sum()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Code,
    Comment,
    Text,
}

/// Every place where `needle` stands as whole words.
pub fn find_words<'a>(haystack: &'a str, needle: &'a str) -> impl Iterator<Item = usize> + 'a {
    let bytes = haystack.as_bytes();
    let first = needle.bytes().next().is_some_and(is_word);
    let last = needle.bytes().next_back().is_some_and(is_word);
    haystack.match_indices(needle).map(|(at, _)| at).filter(move |&at| {
        let before = at.checked_sub(1).map(|before| bytes[before]);
        let after = bytes.get(at + needle.len()).copied();
        !(first && before.is_some_and(is_word) || last && after.is_some_and(is_word))
    })
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn blanked(text: &str, blank: impl Fn(usize) -> bool) -> String {
    let bytes = text
        .bytes()
        .enumerate()
        .map(|(at, byte)| if byte != b'\n' && (blank(at) || !byte.is_ascii()) { b' ' } else { byte });
    String::from_utf8(bytes.collect()).expect("every byte above 127 became a blank")
}

/// What each byte is.
fn kinds(text: &[u8]) -> Vec<Kind> {
    let mut kinds = vec![Kind::Code; text.len()];
    let mut at = 0;
    while at < text.len() {
        let rest = &text[at..];
        let (kind, length) = if rest.starts_with(b"//") {
            (Kind::Comment, position(rest, b"\n").unwrap_or(rest.len()))
        } else if rest.starts_with(b"/*") {
            (Kind::Comment, block_comment(rest))
        } else if let Some(length) = raw_string(text, at) {
            (Kind::Text, length)
        } else if rest[0] == b'"' {
            (Kind::Text, quoted(rest, b'"'))
        } else if let Some(length) = character(rest) {
            (Kind::Text, length)
        } else {
            (Kind::Code, 1)
        };
        kinds[at..at + length].fill(kind);
        at += length;
    }
    kinds
}

fn position(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len()).position(|window| window == wanted)
}

fn block_comment(text: &[u8]) -> usize {
    let (mut depth, mut at) = (0usize, 0);
    while at < text.len() {
        let step = if text[at..].starts_with(b"/*") {
            depth += 1;
            2
        } else if text[at..].starts_with(b"*/") {
            depth -= 1;
            2
        } else {
            1
        };
        at += step;
        if depth == 0 {
            return at;
        }
    }
    text.len()
}

/// The length of `r"…"`, `r#"…"#`, `br"…"` or `cr"…"`, when one begins at `at`.
fn raw_string(text: &[u8], at: usize) -> Option<usize> {
    if at > 0 && is_word(text[at - 1]) {
        return None;
    }
    let rest = &text[at..];
    let prefix = [&b"r"[..], b"br", b"cr"].into_iter().find(|prefix| rest.starts_with(prefix))?.len();
    let hashes = rest[prefix..].iter().take_while(|&&b| b == b'#').count();
    let open = prefix + hashes + 1;
    if rest.get(open - 1) != Some(&b'"') {
        return None;
    }
    let close = [&b"\""[..], &b"#".repeat(hashes)].concat();
    let body = position(&rest[open..], &close);
    Some(body.map_or(rest.len(), |body| open + body + close.len()))
}

fn quoted(text: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            byte if byte == quote => return at + 1,
            _ => at += 1,
        }
    }
    text.len()
}

/// The length of a character literal; `None` when the quote opens a lifetime, or is none.
fn character(text: &[u8]) -> Option<usize> {
    if text[0] != b'\'' {
        return None;
    }
    if text.get(1) == Some(&b'\\') {
        return Some(quoted(text, b'\''));
    }
    // A character is up to four bytes of UTF-8.
    let width = (1..=4).find(|width| text.get(1 + width) == Some(&b'\''))?;
    (width == 1 || !text[1].is_ascii()).then_some(width + 2)
}

fn test_items(code: &str) -> Vec<std::ops::Range<usize>> {
    if code.trim_start().starts_with("#![cfg(test)]") {
        return std::iter::once(0..code.len()).collect();
    }
    let starts = ["#[cfg(test)]", "#[cfg(all(test,"];
    let mut found: Vec<usize> = starts.iter().flat_map(|start| code.match_indices(start).map(|(at, _)| at)).collect();
    found.sort_unstable();
    let mut items: Vec<std::ops::Range<usize>> = Vec::new();
    for at in found {
        // A test item inside a test item is counted once.
        if items.last().is_none_or(|last| at >= last.end) {
            items.push(at..item_end(code.as_bytes(), at));
        }
    }
    items
}

/// The end of the item whose first attribute begins at `from`: its `;` or its closing brace.
fn item_end(code: &[u8], from: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.iter().enumerate().skip(from) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' => depth = depth.saturating_sub(1),
            b'}' if depth <= 1 => return at + 1,
            b'}' => depth -= 1,
            b';' if depth == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_blank_and_offsets_stay() {
        let text = "let a = \"x // y\"; // b\nlet c = r#\"d\"e\"#; /* f /* g */ h */ let i = 1;";
        let source = Source::new(text);
        assert_eq!(source.code.len(), text.len());
        for gone in ["x", "// b", "d\"e", " g ", " h "] {
            assert!(!source.code.contains(gone), "{gone}: {}", source.code);
        }
        assert!(source.code.ends_with("let i = 1;"));
        assert!(source.product_with_strings.contains("x // y"));
        assert!(!source.product_with_strings.contains("// b"));
    }

    #[test]
    fn a_lifetime_is_not_a_character() {
        let source = Source::new("fn f<'a>(b: &'a str) { let q = '\"'; let e = 'é'; g('\\'') } // h");
        assert!(source.code.contains("fn f<'a>(b: &'a str)"));
        assert!(source.code.contains("g("));
        assert!(!source.code.contains('h') && !source.code.contains('"'));
    }

    #[test]
    fn an_unfinished_raw_string_or_comment_ends_with_the_file() {
        for text in ["r#\"a", "/* a", "\"a", "\"a\\", "'\\", "r\""] {
            assert_eq!(Source::new(text).code.len(), text.len(), "{text}");
        }
    }

    #[test]
    fn test_items_leave_the_product() {
        let text = "fn a() {}\n#[cfg(test)]\nmod tests {\n    fn b() { c(); }\n}\nfn d() {}\n#[cfg(test)]\nuse e::f;\nfn g() {}\n";
        let source = Source::new(text);
        for kept in ["fn a", "fn d", "fn g"] {
            assert!(source.product.contains(kept), "{kept}");
        }
        for gone in ["mod tests", "c();", "e::f"] {
            assert!(!source.product.contains(gone), "{gone}");
            assert!(source.code.contains(gone), "{gone}");
        }
        assert_eq!(source.test_lines(), 6);
    }

    #[test]
    fn words_are_whole() {
        assert_eq!(find_words("rand::x brand::y", "rand::").count(), 1);
        assert_eq!(find_words("HashMap HashMapper", "HashMap").count(), 1);
        assert_eq!(find_words("eprintln!()", "println!").count(), 0);
    }
}
