//! Bytes that are the same in every run.

use sha2::{Digest, Sha512};

/// A stream of bytes: SHA-512 of a name and a counter.
pub struct Draws {
    name: &'static str,
    count: u64,
}

impl Draws {
    pub const fn new(name: &'static str) -> Self {
        Self { name, count: 0 }
    }

    pub fn wide(&mut self) -> [u8; 64] {
        self.count += 1;
        let digest = Sha512::new()
            .chain_update(self.name)
            .chain_update(self.count.to_be_bytes());
        digest.finalize().into()
    }

    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        self.wide()[..N].try_into().unwrap()
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        u64::from_be_bytes(self.bytes()) % end
    }

    pub fn of<T: Copy>(&mut self, items: &[T]) -> T {
        items[usize::try_from(self.below(items.len() as u64)).unwrap()]
    }
}
