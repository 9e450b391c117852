//! Merkle trees as in RFC 6962 section 2.1, over SHA-256: leaves are hashed behind 0x00, nodes behind 0x01, and a
//! list that is no power of two splits at the largest one below its length.

use crate::crypto::sha256;

/// A node of the tree.
pub type Hash = [u8; 32];

/// Most siblings in a path: a tree over more leaves than this allows cannot be addressed. A place in the history of a chain is
/// a height, of 64 bits.
pub const PATH_MAX: usize = 64;

/// `sha256(0x00 || leaf)`.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    sha256(&[&[0], leaf])
}

/// `sha256(0x01 || left || right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// Largest power of two below `len`, for `len >= 2`.
const fn split(len: usize) -> usize {
    1 << (usize::BITS - 1 - (len - 1).leading_zeros())
}

/// Root of the tree over already hashed leaves; of none it is `sha256("")`.
#[must_use]
pub fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => sha256(&[]),
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node_hash(&root(left), &root(right))
        }
    }
}

/// Siblings from the leaf at `index` up to the root; none if there is no such leaf.
#[must_use]
pub fn path(leaves: &[Hash], index: usize) -> Option<Vec<Hash>> {
    if index >= leaves.len() {
        return None;
    }
    if leaves.len() == 1 {
        return Some(Vec::new());
    }
    let (left, right) = leaves.split_at(split(leaves.len()));
    let (mut siblings, other) = if index < left.len() {
        (path(left, index)?, root(right))
    } else {
        (path(right, index - left.len())?, root(left))
    };
    siblings.push(other);
    Some(siblings)
}

/// The root that this leaf and path lead to; none if the path's length does not fit the tree's shape. Of 64 bits also where
/// memory has 32, as in WebAssembly: a place can be a height.
#[must_use]
pub fn root_from_path(leaf: Hash, index: u64, len: u64, siblings: &[Hash]) -> Option<Hash> {
    if index >= len {
        return None;
    }
    if len == 1 {
        return siblings.is_empty().then_some(leaf);
    }
    let (sibling, rest) = siblings.split_last()?;
    let middle = 1_u64 << (len - 1).ilog2();
    if index < middle {
        Some(node_hash(
            &root_from_path(leaf, index, middle, rest)?,
            sibling,
        ))
    } else {
        Some(node_hash(
            sibling,
            &root_from_path(leaf, index - middle, len - middle, rest)?,
        ))
    }
}

/// What must be remembered of a list to append to it and to know its root: the roots of its perfect subtrees, largest
/// first. At most 64 hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Peaks {
    len: u64,
    peaks: Vec<Hash>,
}

impl Peaks {
    /// Of a list of so many leaves; none if that is not how many peaks it has.
    #[must_use]
    pub fn new(len: u64, peaks: Vec<Hash>) -> Option<Self> {
        (len.count_ones() as usize == peaks.len()).then_some(Self { len, peaks })
    }

    /// How many leaves the list has.
    #[must_use]
    pub const fn len(&self) -> u64 {
        self.len
    }

    /// Whether the list is empty.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The roots of the perfect subtrees, largest first.
    #[must_use]
    pub fn peaks(&self) -> &[Hash] {
        &self.peaks
    }

    /// Append an already hashed leaf.
    ///
    /// # Panics
    ///
    /// If the list has `2^64 - 1` leaves.
    pub fn push(&mut self, leaf: Hash) {
        let mut node = leaf;
        for _ in 0..self.len.trailing_ones() {
            let left = self.peaks.pop();
            assert!(
                left.is_some(),
                "there is one peak for each bit of the length"
            );
            node = node_hash(&left.unwrap_or_default(), &node);
        }
        self.peaks.push(node);
        assert!(self.len < u64::MAX, "no list is that long");
        self.len += 1;
    }

    /// Root of the list, as [`root`] would give it.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut from_right = self.peaks.iter().rev();
        let Some(last) = from_right.next() else {
            return root(&[]);
        };
        from_right.fold(*last, |right, left| node_hash(left, &right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_of_every_small_tree_proves_and_nothing_else_does() {
        for len in 1..=17 {
            let leaves: Vec<Hash> = (0..len).map(|i| leaf_hash(&[i as u8])).collect();
            let top = root(&leaves);
            for index in 0..len {
                let siblings = path(&leaves, index).unwrap();
                assert_eq!(
                    root_from_path(leaves[index], index as u64, len as u64, &siblings),
                    Some(top)
                );
                for other in (0..len).filter(|other| *other != index) {
                    assert_ne!(
                        root_from_path(leaves[index], other as u64, len as u64, &siblings),
                        Some(top)
                    );
                    assert_ne!(
                        root_from_path(leaves[other], index as u64, len as u64, &siblings),
                        Some(top)
                    );
                }
                let mut long = siblings.clone();
                long.push([0; 32]);
                assert_eq!(
                    root_from_path(leaves[index], index as u64, len as u64, &long),
                    None
                );
            }
            assert_eq!(path(&leaves, len), None);
        }
    }

    #[test]
    fn peaks_know_the_root_of_every_prefix() {
        let leaves: Vec<Hash> = (0..70_u8).map(|i| leaf_hash(&[i])).collect();
        let mut peaks = Peaks::default();
        for len in 0..leaves.len() {
            assert_eq!(peaks.root(), root(&leaves[..len]), "of {len} leaves");
            assert_eq!(peaks.len(), len as u64);
            let again = Peaks::new(peaks.len(), peaks.peaks().to_vec());
            assert_eq!(again.as_ref(), Some(&peaks));
            peaks.push(leaves[len]);
        }
        assert_eq!(Peaks::new(3, vec![[0; 32]]), None);
    }

    #[test]
    fn roots_are_those_of_rfc_6962() {
        // Test vectors of the certificate-transparency project: leaves "", 00, 10, 2021.
        let data: [&[u8]; 4] = [&[], &[0x00], &[0x10], &[0x20, 0x21]];
        let leaves: Vec<Hash> = data.iter().map(|leaf| leaf_hash(leaf)).collect();
        let expected = [
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
            "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ];
        for (len, hex_root) in expected.iter().enumerate() {
            assert_eq!(
                hex::encode(root(&leaves[..len])),
                *hex_root,
                "of {len} leaves"
            );
        }
    }
}
