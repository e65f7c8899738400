use super::tree::{Hash, node_hash, range_root, split};

/// A proof that does not hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BadProof;

/// The proof that entry `index` stands in the tree of `size` entries (RFC 9162 2.1.3.1).
pub fn inclusion<E>(index: u64, size: u64, node: &mut impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Vec<Hash>, E> {
    let (mut from, mut to) = (0, size);
    let mut path = Vec::new();
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(range_root(middle, to, node)?);
            to = middle;
        } else {
            path.push(range_root(from, middle, node)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// The proof that the tree of `second` entries begins with the tree of `first` entries (RFC 9162 2.1.4.1).
pub fn consistency<E>(first: u64, second: u64, node: &mut impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Vec<Hash>, E> {
    let (mut from, mut to) = (0, second);
    let mut path = Vec::new();
    if first == 0 || first >= second {
        return Ok(path);
    }
    while to != first {
        let middle = from + split(to - from);
        if first <= middle {
            path.push(range_root(middle, to, node)?);
            to = middle;
        } else {
            path.push(range_root(from, middle, node)?);
            from = middle;
        }
    }
    if from > 0 {
        path.push(range_root(from, to, node)?);
    }
    path.reverse();
    Ok(path)
}

/// Checks that `leaf` is entry `index` of the tree with this size and root (RFC 9162 2.1.3.2).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> Result<(), BadProof> {
    if index >= size {
        return Err(BadProof);
    }
    let (mut fn_, mut sn) = (index, size - 1);
    let mut hash = *leaf;
    for step in proof {
        if sn == 0 {
            return Err(BadProof);
        }
        if fn_ & 1 == 1 || fn_ == sn {
            hash = node_hash(step, &hash);
            while fn_ & 1 == 0 && fn_ != 0 {
                fn_ >>= 1;
                sn >>= 1;
            }
        } else {
            hash = node_hash(&hash, step);
        }
        fn_ >>= 1;
        sn >>= 1;
    }
    if sn == 0 && hash == *root { Ok(()) } else { Err(BadProof) }
}

/// Checks that the tree of `size2` entries begins with the tree of `size1` entries (RFC 9162 2.1.4.2).
///
/// From an empty tree there is nothing to prove, so `size1` of 0 is an error: a caller that means to accept it says so itself.
pub fn verify_consistency(size1: u64, size2: u64, root1: &Hash, root2: &Hash, proof: &[Hash]) -> Result<(), BadProof> {
    if size1 == 0 || size1 > size2 {
        return Err(BadProof);
    }
    if size1 == size2 {
        return if proof.is_empty() && root1 == root2 { Ok(()) } else { Err(BadProof) };
    }
    let mut steps = proof.iter();
    let first = if size1.is_power_of_two() { root1 } else { steps.next().ok_or(BadProof)? };
    let (mut fn_, mut sn) = (size1 - 1, size2 - 1);
    while fn_ & 1 == 1 {
        fn_ >>= 1;
        sn >>= 1;
    }
    let (mut old, mut new) = (*first, *first);
    if proof.is_empty() {
        return Err(BadProof);
    }
    for step in steps {
        if sn == 0 {
            return Err(BadProof);
        }
        if fn_ & 1 == 1 || fn_ == sn {
            old = node_hash(step, &old);
            new = node_hash(step, &new);
            while fn_ & 1 == 0 && fn_ != 0 {
                fn_ >>= 1;
                sn >>= 1;
            }
        } else {
            new = node_hash(&new, step);
        }
        fn_ >>= 1;
        sn >>= 1;
    }
    if sn == 0 && old == *root1 && new == *root2 { Ok(()) } else { Err(BadProof) }
}
