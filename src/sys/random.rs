//! Random bytes.

use std::io;

use ring::rand::{SecureRandom, SystemRandom};

/// Fills the buffer with random bytes of the kernel.
pub fn fill(buffer: &mut [u8]) -> io::Result<()> {
    SystemRandom::new().fill(buffer).map_err(|_| io::Error::other("the kernel gave no random bytes"))
}
