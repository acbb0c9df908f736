//! Passwords and PINs at rest: sealed with XChaCha20-Poly1305 (RFC 8439's construction with a 192-bit nonce) under a key
//! in a file beside the database, so that a copy of the database alone gives none of them away.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use rustix::rand::{GetRandomFlags, getrandom};

use crate::base::Redacted;
use crate::edge::store::StoreError;
use crate::edge::store::lock::sync_dir;

/// Octets of a key.
pub const KEY_LENGTH: usize = 32;

const NONCE_LENGTH: usize = 24;
/// First octet of a sealed value; another algorithm would have another one.
const VERSION: u8 = 1;

/// The key of a data folder.
#[derive(Clone)]
pub struct SecretKey {
    octets: Redacted<[u8; KEY_LENGTH]>,
    cipher: XChaCha20Poly1305,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey([redacted])")
    }
}

impl SecretKey {
    /// Where a data folder keeps its key.
    pub fn path(dir: &Path) -> PathBuf {
        dir.join("secret.key")
    }

    /// From its octets.
    pub fn from_octets(octets: [u8; KEY_LENGTH]) -> Self {
        Self { octets: Redacted::new(octets), cipher: XChaCha20Poly1305::new(&Key::from(octets)) }
    }

    /// Its octets, for a backup that carries them.
    pub fn octets(&self) -> &Redacted<[u8; KEY_LENGTH]> {
        &self.octets
    }

    /// The folder's key, or none when there is no key file.
    ///
    /// # Errors
    /// [`StoreError::Io`]; [`StoreError::Sealed`] when the file does not hold [`KEY_LENGTH`] octets.
    pub fn load(dir: &Path) -> Result<Option<Self>, StoreError> {
        let path = Self::path(dir);
        match fs::read(&path) {
            Ok(octets) => match <[u8; KEY_LENGTH]>::try_from(octets) {
                Ok(octets) => Ok(Some(Self::from_octets(octets))),
                Err(_) => Err(StoreError::Sealed { what: path.display().to_string() }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(StoreError::Io { path, source }),
        }
    }

    /// The folder's key; a new random one where there is none.
    ///
    /// # Errors
    /// As for [`SecretKey::load`].
    pub fn load_or_create(dir: &Path) -> Result<Self, StoreError> {
        if let Some(key) = Self::load(dir)? {
            return Ok(key);
        }
        let key = Self::from_octets(random(&Self::path(dir))?);
        key.save(dir)?;
        Ok(key)
    }

    /// Writes the key file (mode 0600), durable before it returns and never half there.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn save(&self, dir: &Path) -> Result<(), StoreError> {
        let path = Self::path(dir);
        let fresh = dir.join("secret.key.new");
        let mut options = OpenOptions::new();
        let mut file =
            options.write(true).create(true).truncate(true).mode(0o600).open(&fresh).map_err(StoreError::io(&fresh))?;
        file.write_all(self.octets.expose()).and_then(|()| file.sync_all()).map_err(StoreError::io(&fresh))?;
        fs::rename(&fresh, &path).map_err(StoreError::io(&path))?;
        sync_dir(dir)
    }

    /// Seals `text`. `place` (table, key and column) is bound in: a sealed value moved elsewhere does not open.
    ///
    /// # Errors
    /// [`StoreError::Io`] when the kernel gives no random octets; [`StoreError::Sealed`] when `text` is too long
    /// (256 GiB).
    pub fn seal(&self, place: &str, text: &str) -> Result<Vec<u8>, StoreError> {
        let nonce: [u8; NONCE_LENGTH] = random(Path::new(place))?;
        let payload = Payload { msg: text.as_bytes(), aad: place.as_bytes() };
        let text = self
            .cipher
            .encrypt(&XNonce::from(nonce), payload)
            .map_err(|_| StoreError::Sealed { what: place.to_string() })?;
        Ok([&[VERSION][..], &nonce, &text].concat())
    }

    /// Opens what [`SecretKey::seal`] sealed for the same place.
    ///
    /// # Errors
    /// [`StoreError::Sealed`] when it was sealed with another key or for another place, or was tampered with.
    pub fn open(&self, place: &str, sealed: &[u8]) -> Result<Redacted<String>, StoreError> {
        let opened = sealed.split_first_chunk::<{ NONCE_LENGTH + 1 }>().and_then(|(head, text)| {
            let (version, nonce) = head.split_first()?;
            let nonce = <[u8; NONCE_LENGTH]>::try_from(nonce).ok().filter(|_| *version == VERSION)?;
            let payload = Payload { msg: text, aad: place.as_bytes() };
            String::from_utf8(self.cipher.decrypt(&XNonce::from(nonce), payload).ok()?).ok()
        });
        opened.map(Redacted::new).ok_or_else(|| StoreError::Sealed { what: place.to_string() })
    }
}

fn random<const N: usize>(what: &Path) -> Result<[u8; N], StoreError> {
    let mut octets = [0; N];
    let mut filled = 0;
    while let Some(rest @ [_, ..]) = octets.get_mut(filled..) {
        filled += getrandom(rest, GetRandomFlags::empty()).map_err(StoreError::os(what))?;
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_in_its_place_only() {
        let key = SecretKey::from_octets([7; KEY_LENGTH]);
        let sealed = key.seal("agent/acme/ana/password", "s3cret").expect("sealed");
        assert!(!sealed.windows(6).any(|w| w == b"s3cret"));
        let opened = key.open("agent/acme/ana/password", &sealed).expect("opens");
        assert_eq!(opened.expose(), "s3cret");
        assert!(key.open("agent/acme/bob/password", &sealed).is_err());
        assert!(SecretKey::from_octets([8; KEY_LENGTH]).open("agent/acme/ana/password", &sealed).is_err());
        assert_ne!(sealed, key.seal("agent/acme/ana/password", "s3cret").expect("sealed"), "nonces differ");
    }

    #[test]
    fn tampering_is_noticed_and_never_panics() {
        let key = SecretKey::from_octets([7; KEY_LENGTH]);
        let sealed = key.seal("p", "secret").expect("sealed");
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(key.open("p", &bent).is_err(), "octet {at}");
            assert!(key.open("p", &sealed[..at]).is_err(), "cut at {at}");
        }
    }
}
