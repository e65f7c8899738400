use super::tree::{Hash, empty_root, node_hash};

/// The complete subtrees that a tree of some size consists of, largest first: all that an append needs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Frontier {
    size: u64,
    nodes: Vec<Hash>,
}

impl Frontier {
    /// Reads the bytes back that [`Self::bytes`] gave.
    pub fn parse(size: u64, bytes: &[u8]) -> Option<Self> {
        let (nodes, rest) = bytes.as_chunks::<32>();
        (rest.is_empty() && nodes.len() == size.count_ones() as usize).then(|| Self { size, nodes: nodes.to_vec() })
    }

    /// The hashes one after the other.
    pub fn bytes(&self) -> Vec<u8> {
        self.nodes.concat()
    }

    /// How many entries the tree has.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds an entry, and hands over each node that it completes: level (1 and up), index, hash.
    pub fn append(&mut self, leaf: Hash, mut completed: impl FnMut(u8, u64, Hash)) {
        let index = self.size;
        let mut hash = leaf;
        for level in 1..=u8::try_from(index.trailing_ones()).unwrap_or(u8::MAX) {
            let Some(left) = self.nodes.pop() else { break };
            hash = node_hash(&left, &hash);
            completed(level, index >> level, hash);
        }
        self.nodes.push(hash);
        self.size += 1;
    }

    /// The root over all entries.
    pub fn root(&self) -> Hash {
        let mut from_the_right = self.nodes.iter().rev();
        let Some(last) = from_the_right.next() else { return empty_root() };
        from_the_right.fold(*last, |right, left| node_hash(left, &right))
    }
}
