//! Seeded mutation for the test form: the same seed makes the same inputs on every machine.

/// Longest input that a mutation makes.
const BYTES_MAX: usize = 16 * 1024;

/// splitmix64: small, seeded, the same everywhere.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// A stream of numbers from a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`; 0 if that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        let bound = (bound as u64).max(1);
        usize::try_from(self.next() % bound).unwrap_or_default()
    }

    /// One byte.
    pub const fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }
}

/// Change an input in one to six places: flip, overwrite with random bytes or a word, cut, extend, copy within, remove,
/// take over a piece of another seed.
pub fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>, seeds: &[Vec<u8>], words: &[Vec<u8>]) {
    for _ in 0..=rng.below(6) {
        let at = rng.below(bytes.len() + 1);
        match rng.below(12) {
            0..=3 => {
                let bit = rng.below(8);
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << bit;
                }
            }
            4 | 5 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = rng.byte();
                }
            }
            6 => {
                let word = pick(rng, words);
                let end = (at + word.len()).min(bytes.len());
                bytes.splice(at..end, word);
            }
            7 => {
                let word = pick(rng, words);
                bytes.splice(at..at, word);
            }
            8 => bytes.truncate(at),
            9 => {
                let more = rng.below(40);
                bytes.extend((0..more).map(|_| rng.byte()));
            }
            10 => {
                let end = (at + rng.below(120)).min(bytes.len());
                let piece: Vec<u8> = bytes[at..end].to_vec();
                if rng.below(2) == 0 {
                    bytes.drain(at..end);
                } else {
                    let to = rng.below(bytes.len() + 1);
                    bytes.splice(to..to, piece);
                }
            }
            _ => {
                let other = pick(rng, seeds);
                let from = rng.below(other.len() + 1);
                let end = (from + rng.below(200)).min(other.len());
                bytes.splice(at..at, other[from..end].iter().copied());
            }
        }
        bytes.truncate(BYTES_MAX);
    }
}

fn pick(rng: &mut Rng, list: &[Vec<u8>]) -> Vec<u8> {
    let at = rng.below(list.len());
    list.get(at).cloned().unwrap_or_default()
}
