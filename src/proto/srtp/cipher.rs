//! Session keys and what is done with them: key derivation (RFC 3711 section 4.3), AES in counter mode (section 4.1.1)
//! with HMAC-SHA1 (section 4.2.1), AES in Galois/counter mode (RFC 7714).

use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipherCore, consts::U16};
use aes::{Aes128, Aes256};
use aes_gcm::aead::AeadInOut;
use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use ctr::{CtrCore, flavors::Ctr128BE};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use zeroize::Zeroizing;

use super::packet::put;
use super::{MasterKey, Refused, Suite};

/// Octets of a tag of GCM.
pub(super) const GCM_TAG: usize = 16;
/// Octets of the salt and so of the longest key that is derived.
const SALT: usize = 14;
/// Octets of the authentication key (RFC 3711 section 8.2).
const AUTH_KEY: usize = 20;

/// Which packets a set of session keys is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Rtp,
    Rtcp,
}

impl Kind {
    /// Labels of the encryption key, the authentication key and the salt (RFC 3711 section 4.3.2).
    const fn labels(self) -> [u8; 3] {
        match self {
            Self::Rtp => [0, 1, 2],
            Self::Rtcp => [3, 4, 5],
        }
    }
}

/// Derives a session key (RFC 3711 section 4.3.1, with a key derivation rate of zero). A salt of 96 bits counts as one of
/// 112 bits that ends in zeros (RFC 7714 section 11).
pub(super) fn derive(master: &MasterKey, label: u8, key: &mut [u8]) {
    let mut iv = [0; 16];
    put(&mut iv, master.salt());
    // The label stands above an index of 48 bits at the end of the salt's 112.
    iv[7] ^= label;
    key.fill(0);
    if let Ok(cipher) = Aes256::new_from_slice(master.key()) {
        count(&cipher, iv, key);
    } else if let Ok(cipher) = Aes128::new_from_slice(master.key()) {
        count(&cipher, iv, key);
    }
}

/// Adds the keystream of a cipher in counter mode to `data` (RFC 3711 section 4.1.1).
#[inline]
fn count<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>>(cipher: &C, iv: [u8; 16], data: &mut [u8]) {
    CtrCore::<&C, Ctr128BE>::inner_iv_init(cipher, &iv.into()).apply_keystream_partial(data.into());
}

/// Session keys of one direction and kind, ready for use.
pub(super) enum Keys {
    Cm(Cm),
    Gcm(Gcm),
}

impl Keys {
    /// Derives them.
    pub fn new(master: &MasterKey, kind: Kind) -> Keys {
        let [encryption, authentication, salting] = kind.labels();
        let suite = master.suite();
        let mut key = Zeroizing::new([0; 32]);
        let mut salt = [0; SALT];
        derive(master, salting, salt.get_mut(..suite.salt_len()).unwrap_or_default());
        match suite {
            Suite::AeadAes256Gcm => {
                derive(master, encryption, key.as_mut_slice());
                Self::Gcm(Gcm { cipher: Aead::Long(Aes256Gcm::new(&(*key).into())), salt: gcm_salt(&salt) })
            }
            Suite::AeadAes128Gcm => {
                let mut key = Zeroizing::new([0; 16]);
                derive(master, encryption, key.as_mut_slice());
                Self::Gcm(Gcm { cipher: Aead::Short(Aes128Gcm::new(&(*key).into())), salt: gcm_salt(&salt) })
            }
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => {
                let mut key = Zeroizing::new([0; 16]);
                derive(master, encryption, key.as_mut_slice());
                let mut auth = Zeroizing::new([0; AUTH_KEY]);
                derive(master, authentication, auth.as_mut_slice());
                let tag_len = if kind == Kind::Rtp { suite.rtp_tag_len() } else { suite.rtcp_tag_len() };
                Self::Cm(Cm { cipher: Aes128::new(&(*key).into()), salt, mac: mac(auth.as_slice()), tag_len })
            }
        }
    }

    /// Octets of a packet's tag.
    #[inline]
    pub fn tag_len(&self) -> usize {
        match self {
            Self::Cm(cm) => cm.tag_len,
            Self::Gcm(_) => GCM_TAG,
        }
    }
}

fn gcm_salt(salt: &[u8; SALT]) -> [u8; 12] {
    std::array::from_fn(|n| salt.get(n).copied().unwrap_or_default())
}

/// HMAC takes keys of any length.
fn mac(key: &[u8]) -> Hmac<Sha1> {
    <Hmac<Sha1> as KeyInit>::new_from_slice(key).unwrap_or_else(|_| <Hmac<Sha1> as KeyInit>::new(&Default::default()))
}

/// AES in counter mode with HMAC-SHA1.
pub(super) struct Cm {
    cipher: Aes128,
    salt: [u8; SALT],
    /// Keyed: each packet starts from a copy.
    mac: Hmac<Sha1>,
    pub tag_len: usize,
}

impl Cm {
    /// Encrypts or decrypts, which is the same (RFC 3711 section 4.1.1). `index` has 48 bits in RTP, 31 in RTCP.
    #[inline]
    pub fn apply(&self, ssrc: u32, index: u64, data: &mut [u8]) {
        let mut iv = [0; 16];
        let block = (u128::from(ssrc) << 64) ^ (u128::from(index) << 16);
        for ((to, from), salt) in iv.iter_mut().zip(block.to_be_bytes()).zip(self.salt.iter().chain(&[0, 0])) {
            *to = from ^ salt;
        }
        count(&self.cipher, iv, data);
    }

    /// The tag of a packet (RFC 3711 section 4.2): of RTP with the rollover counter behind it.
    #[inline]
    pub fn tag(&self, packet: &[u8], rollover: Option<u32>) -> [u8; 20] {
        let mut mac = self.mac.clone();
        mac.update(packet);
        if let Some(rollover) = rollover {
            mac.update(&rollover.to_be_bytes());
        }
        mac.finalize().into_bytes().into()
    }

    /// Whether `tag`, which may be cut short, belongs to a packet. Takes the same time whatever differs.
    #[inline]
    pub fn verify(&self, packet: &[u8], rollover: Option<u32>, tag: &[u8]) -> Result<(), Refused> {
        let right = self.tag(packet, rollover);
        let differs = right.iter().zip(tag).fold(0, |differs, (a, b)| differs | (a ^ b));
        if std::hint::black_box(differs) == 0 && tag.len() == self.tag_len {
            Ok(())
        } else {
            Err(Refused::NotAuthentic)
        }
    }
}

/// AES in Galois/counter mode.
pub(super) struct Gcm {
    cipher: Aead,
    salt: [u8; 12],
}

/// The cipher, by the length of its key.
enum Aead {
    Short(Aes128Gcm),
    Long(Aes256Gcm),
}

impl Gcm {
    /// The initialisation vector (RFC 7714 sections 8.1 and 9.1): SSRC and index under the salt.
    #[inline]
    fn nonce(&self, ssrc: u32, index: u64) -> [u8; 12] {
        let block = (u128::from(ssrc) << 48) ^ u128::from(index);
        let mut nonce = self.salt;
        for (to, from) in nonce.iter_mut().zip(block.to_be_bytes().iter().skip(4)) {
            *to ^= from;
        }
        nonce
    }

    /// Encrypts `data` in place; the tag also covers `clear`. `None` for more than any packet has.
    #[inline]
    pub fn seal(&self, ssrc: u32, index: u64, clear: &[u8], data: &mut [u8]) -> Option<[u8; GCM_TAG]> {
        let (nonce, data) = (self.nonce(ssrc, index).into(), InOutBuf::from(data));
        let tag = match &self.cipher {
            Aead::Short(cipher) => cipher.encrypt_inout_detached(&nonce, clear, data),
            Aead::Long(cipher) => cipher.encrypt_inout_detached(&nonce, clear, data),
        };
        tag.ok().map(Into::into)
    }

    /// Decrypts `data` in place if the tag is right, and leaves it as it is otherwise.
    #[inline]
    pub fn open(&self, ssrc: u32, index: u64, clear: &[u8], data: &mut [u8], tag: &[u8]) -> Result<(), Refused> {
        let tag = <[u8; GCM_TAG]>::try_from(tag).map_err(|_| Refused::Malformed)?.into();
        let (nonce, data) = (self.nonce(ssrc, index).into(), InOutBuf::from(data));
        let opened = match &self.cipher {
            Aead::Short(cipher) => cipher.decrypt_inout_detached(&nonce, clear, data, &tag),
            Aead::Long(cipher) => cipher.decrypt_inout_detached(&nonce, clear, data, &tag),
        };
        opened.map_err(|_| Refused::NotAuthentic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::srtp::tests::hex;

    #[test]
    fn keystream_of_rfc_3711_appendix_b2() {
        let cipher = Aes128::new(&<[u8; 16]>::try_from(hex("2B7E151628AED2A6ABF7158809CF4F3C")).unwrap().into());
        let salt = hex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD").try_into().unwrap();
        let cm = Cm { cipher, salt, mac: mac(&[]), tag_len: 10 };
        let mut stream = vec![0; 0xff02 * 16];
        cm.apply(0, 0, &mut stream);
        let block = |n: usize| &stream[n * 16..][..16];
        assert_eq!(block(0), hex("E03EAD0935C95E80E166B16DD92B4EB4"));
        assert_eq!(block(1), hex("D23513162B02D0F72A43A2FE4A5F97AB"));
        assert_eq!(block(2), hex("41E95B3BB0A2E8DD477901E4FCA894C0"));
        assert_eq!(block(0xfeff), hex("EC8CDF7398607CB0F2D21675EA9EA1E4"));
        assert_eq!(block(0xff00), hex("362B7C3C6773516318A077D7FC5073AE"));
        assert_eq!(block(0xff01), hex("6A2CC3787889374FBEB4C81B17BA6C44"));
    }

    #[test]
    fn keys_of_rfc_3711_appendix_b3() {
        let octets = hex("E1F97A0D3E018BE0D64FA32C06DE41390EC675AD498AFEEBB6960B3AABE6");
        let master = MasterKey::new(Suite::AesCm128HmacSha1_80, &octets).unwrap();
        let (mut key, mut salt, mut auth) = ([0; 16], [0; 14], [0; 94]);
        derive(&master, 0, &mut key);
        derive(&master, 2, &mut salt);
        derive(&master, 1, &mut auth);
        assert_eq!(key.as_slice(), hex("C61E7A93744F39EE10734AFE3FF7A087"));
        assert_eq!(salt.as_slice(), hex("30CBBC08863D8C85D49DB34A9AE1"));
        let right = "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE\
                     E049646C43D9327AD175578EF72270986371C10C9A369AC2F94A8C5FBCDD\
                     DC256D6E919A48B610EF17C2041E474035766B68642C59BBFC2F34DB60DBDFB2";
        assert_eq!(auth.as_slice(), hex(right));
    }

    /// RFC 7714 sections 16.1.1, 16.2.1 and 17.1 give session keys, not master keys.
    #[test]
    fn packets_of_rfc_7714() {
        let key: Vec<u8> = (0..32).collect();
        let salt = hex("51756964207072 6f2071756f").try_into().unwrap();
        let header = hex("8040f17b8041f8d35501a0b2");
        let plain = b"Gallia est omnis divisa in partes tres";
        let short = Gcm { cipher: Aead::Short(Aes128Gcm::new_from_slice(&key[..16]).unwrap()), salt };
        let long = Gcm { cipher: Aead::Long(Aes256Gcm::new_from_slice(&key).unwrap()), salt };
        let mut data = *plain;
        let tag = short.seal(0x5501_a0b2, 0xf17b, &header, &mut data).unwrap();
        assert_eq!(
            data.as_slice(),
            hex("f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b36de3adf8833")
        );
        assert_eq!(tag.as_slice(), hex("899d7f27beb16a9152cf765ee4390cce"));
        short.open(0x5501_a0b2, 0xf17b, &header, &mut data, &tag).unwrap();
        assert_eq!(&data, plain);

        let tag = long.seal(0x5501_a0b2, 0xf17b, &header, &mut data).unwrap();
        assert_eq!(
            data.as_slice(),
            hex("32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f1ba63799b87b")
        );
        assert_eq!(tag.as_slice(), hex("7aa3db36dfffd6b0f9bb7878d7a76c13"));

        let report = hex("81c8000d4d6172734e5450314e5450325254502000\
                          00042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef");
        let (clear, body) = report.split_at(8);
        let mut data = body.to_vec();
        let clear = [clear, &hex("800005d4")].concat();
        let tag = short.seal(0x4d61_7273, 0x5d4, &clear, &mut data).unwrap();
        assert_eq!(
            data,
            hex("63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda4ce09b468630\
                 3ded0bb9275b")
        );
        assert_eq!(tag.as_slice(), hex("c84aa45896cf4d2fc5abf87245d9eade"));
    }
}
