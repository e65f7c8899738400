use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig};

use crate::text;

/// What a file of certificates or a key may hold at most, in bytes.
const MOST: u64 = 1024 * 1024;

/// Everybody but owner and group.
const OTHERS: u32 = 0o007;

/// The server's certificates. They can be changed while it runs.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    current: RwLock<Current>,
}

struct Current {
    config: Arc<ServerConfig>,
    files: Vec<Seen>,
}

/// What tells one version of a file from another.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Seen {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

impl Tls {
    /// Reads certificate, key, and who may sign clients' certificates.
    pub fn read(certificate: PathBuf, key: PathBuf, client_ca: Option<PathBuf>) -> Result<Self, String> {
        let current = RwLock::new(load(&certificate, &key, client_ca.as_deref())?);
        Ok(Self { certificate, key, client_ca, current })
    }

    /// Reads the files again; what was read before stays in use where that fails.
    pub fn reload(&self) -> Result<(), String> {
        let loaded = load(&self.certificate, &self.key, self.client_ca.as_deref())?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }

    /// Whether a file is another one than what is in use was read from.
    pub fn changed(&self) -> bool {
        let files = [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()];
        let now: Option<Vec<Seen>> = files.into_iter().flatten().map(|path| Seen::of(&std::fs::metadata(path).ok()?)).collect();
        now.is_some_and(|now| now != self.current.read().unwrap_or_else(PoisonError::into_inner).files)
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner).config))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls({:?})", self.certificate)
    }
}

impl Seen {
    fn of(file: &std::fs::Metadata) -> Option<Self> {
        let changed = (file.mtime(), file.mtime_nsec());
        file.is_file().then(|| Self { device: file.dev(), inode: file.ino(), size: file.size(), changed })
    }
}

fn load(certificate: &Path, key: &Path, client_ca: Option<&Path>) -> Result<Current, String> {
    let mut files = Vec::with_capacity(3);
    let chain = certificates(certificate, &mut files)?;
    let (bytes, mode) = contents(key, &mut files)?;
    if mode & OTHERS != 0 {
        return Err(format!("`{}` can be read or written by everybody (mode {:o})", shown(key), mode & 0o777));
    }
    let private = PrivateKeyDer::from_pem_slice(&bytes).map_err(|_| format!("`{}` holds no private key in PEM", shown(key)))?;
    let provider: Arc<CryptoProvider> = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.map_err(|error| error.to_string())?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let mut roots = RootCertStore::empty();
            for root in certificates(path, &mut files)? {
                roots.add(root).map_err(|error| format!("`{}`: {error}", shown(path)))?;
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).allow_unauthenticated().build();
            builder.with_client_cert_verifier(verifier.map_err(|error| format!("`{}`: {error}", shown(path)))?)
        }
    };
    let config = builder.with_single_cert(chain, private);
    let mut config = config.map_err(|error| format!("`{}` and `{}` do not go together: {error}", shown(certificate), shown(key)))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Current { config: Arc::new(config), files })
}

fn certificates(path: &Path, files: &mut Vec<Seen>) -> Result<Vec<CertificateDer<'static>>, String> {
    let (bytes, _) = contents(path, files)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(|| format!("`{}` holds no certificates in PEM", shown(path)))
}

/// The file's bytes and mode. Its links are followed: certificates are changed by links.
fn contents(path: &Path, files: &mut Vec<Seen>) -> Result<(Vec<u8>, u32), String> {
    let failed = |error: std::io::Error| format!("`{}` cannot be read: {error}", shown(path));
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    files.push(Seen::of(&about).ok_or_else(|| format!("`{}` is not a file", shown(path)))?);
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).map_err(failed)?;
    Ok((bytes, about.mode()))
}

fn shown(path: &Path) -> String {
    text::escape(path.as_os_str().as_encoded_bytes())
}
