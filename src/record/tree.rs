use ring::digest::{Context, SHA256};

/// SHA-256.
pub type Hash = [u8; 32];

/// The hash of an entry, as RFC 6962 has it: `SHA-256(0x00 || body)`.
pub fn leaf_hash(body: &[u8]) -> Hash {
    sha256(&[&[0], body])
}

/// The hash of two subtrees, as RFC 6962 has it: `SHA-256(0x01 || left || right)`.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[1], left, right])
}

/// The root of the tree without entries.
pub fn empty_root() -> Hash {
    sha256(&[])
}

pub(crate) fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// The root over entries `from..to`, from the hashes of complete subtrees, which `node(level, index)` gives.
pub fn range_root<E>(from: u64, to: u64, node: &mut impl FnMut(u8, u64) -> Result<Hash, E>) -> Result<Hash, E> {
    let size = to.saturating_sub(from);
    if size == 0 {
        return Ok(empty_root());
    }
    if size.is_power_of_two() && from.is_multiple_of(size) {
        let level = size.trailing_zeros();
        return node(level.to_le_bytes()[0], from >> level);
    }
    let middle = from + split(size);
    let left = range_root(from, middle, node)?;
    let right = range_root(middle, to, node)?;
    Ok(node_hash(&left, &right))
}

/// The largest power of two below `size`.
pub(super) fn split(size: u64) -> u64 {
    debug_assert!(size > 1);
    1 << (size - 1).ilog2()
}

/// Reads a hash back; only lower case is hex here.
pub fn unhex(text: &str) -> Option<Hash> {
    let text = text.as_bytes();
    let nibble = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    if text.len() != 64 {
        return None;
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(text.chunks_exact(2)) {
        *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
    }
    Some(hash)
}
