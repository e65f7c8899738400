use std::fmt;
use std::time::Duration;

/// SHA-256 (FIPS 180-4).
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref());
    digest
}

/// SHA-256 of a canonical approval request. Computed once, shown everywhere, compared again at exec.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// Hashes canonical bytes.
    pub(crate) fn of(canonical: &[u8]) -> Self {
        Self(sha256(canonical))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 40 bits in groups of five: what people compare between two screens.
    pub fn short(&self) -> String {
        let hex = crate::text::hex(&self.0[..5]);
        format!("{}-{}", &hex[..5], &hex[5..])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// A moment on both clocks: the wall clock is recorded, the boot clock (which a user cannot set) measures deadlines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stamp {
    /// Nanoseconds since 1970 by `CLOCK_REALTIME`.
    pub wall: i64,
    /// Time since boot by `CLOCK_BOOTTIME`.
    pub boot: Duration,
}
