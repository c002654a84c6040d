//! Mutations that are the same in every run, for the tests that need no fuzzer.

/// SplitMix64.
pub struct Numbers(u64);

impl Numbers {
    /// From a seed.
    pub fn new(seed: u64) -> Numbers {
        Numbers(seed)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.max(1) as u64) as usize
    }
}

/// Bytes that parsers stumble over.
const UGLY: [&[u8]; 22] = [
    &[0],
    &[0x7f],
    &[0x80],
    &[0xff],
    &[0xff, 0xff, 0xff, 0xff],
    &[0x7f, 0xff, 0xff, 0xff],
    &[0x80, 0, 0, 0],
    &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
    "\u{301}".as_bytes(),
    "\u{feff}".as_bytes(),
    "\u{1f9d1}".as_bytes(),
    b"\"",
    b"\\",
    b"\\ud800",
    b"{",
    b"[",
    b"'",
    b":",
    b"\n",
    b"-",
    b"1e999999999",
    b"99999999999999999999",
];

/// Another input made of one of the seeds, or of two.
pub fn mutated(seeds: &[Vec<u8>], numbers: &mut Numbers) -> Vec<u8> {
    let Some(seed) = seeds.get(numbers.below(seeds.len())) else { return Vec::new() };
    let mut bytes = seed.clone();
    for _ in 0..=numbers.below(4) {
        let at = numbers.below(bytes.len() + 1);
        let to = at + numbers.below(bytes.len() - at + 1).min(16);
        match numbers.below(8) {
            0 | 1 if at < bytes.len() => bytes[at] ^= 1 << numbers.below(8),
            2 if at < bytes.len() => bytes[at] = numbers.below(256) as u8,
            3 => drop(bytes.drain(at..to)),
            4 => {
                let again = bytes[at..to].to_vec();
                drop(bytes.splice(at..at, again));
            }
            5 => drop(bytes.splice(at..to, UGLY[numbers.below(UGLY.len())].iter().copied())),
            6 => bytes.truncate(at),
            _ => {
                let other = &seeds[numbers.below(seeds.len())];
                let from = numbers.below(other.len() + 1);
                let until = from + numbers.below(other.len() - from + 1).min(64);
                drop(bytes.splice(at..at, other[from..until].iter().copied()));
            }
        }
    }
    bytes
}
