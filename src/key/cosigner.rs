use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::{NotAKey, PublicKey, is_key_name, key_id, read, short, typed};

const ED25519_COSIGNATURE: u8 = 4;

/// The public key of a witness with the name it signs under (C2SP tlog-cosignature, Ed25519).
///
/// It is never taken for the key of a log: the kinds differ in the bytes that the id is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CosignerKey {
    name: String,
    id: [u8; 4],
    public: PublicKey,
}

impl CosignerKey {
    /// Names a key, by the rules of [`super::Vkey::new`].
    pub fn new(name: &str, public: PublicKey) -> Result<Self, NotAKey> {
        if !is_key_name(name) {
            return Err(NotAKey);
        }
        Ok(Self { name: name.to_owned(), id: key_id(name, ED25519_COSIGNATURE, &public), public })
    }

    /// Reads `name+id+base64`.
    pub fn parse(text: &str) -> Result<Self, NotAKey> {
        let (name, id, public) = read(text, ED25519_COSIGNATURE)?;
        let key = Self::new(name, public)?;
        if key.id == id { Ok(key) } else { Err(NotAKey) }
    }

    /// The name it signs under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What signature lines carry of it.
    pub fn id(&self) -> [u8; 4] {
        self.id
    }

    /// The key.
    pub fn public(&self) -> PublicKey {
        self.public
    }
}

impl fmt::Display for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", short(&self.name, self.id), STANDARD.encode(typed(ED25519_COSIGNATURE, &self.public)))
    }
}
