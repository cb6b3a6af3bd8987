//! Which algorithms are offered to a device, and in which order. As a rule all of them, modern
//! first: a device that can do better is not asked for less, and a switch of 2008 is still reached.

use std::borrow::Cow;

use russh::client::GexParams;
use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher, compression, kex, mac};

use crate::platform::Legacy;

/// Group exchange stands last: its SHA-1 form with groups below 2048 bits is refused by our own
/// library, so a device that offers a fixed group as well must not be led there.
const KEY_EXCHANGE: &[kex::Name] = &[
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::ECDH_SHA2_NISTP256,
    kex::ECDH_SHA2_NISTP384,
    kex::ECDH_SHA2_NISTP521,
    kex::DH_G16_SHA512,
    kex::DH_G14_SHA256,
    kex::DH_G14_SHA1,
    kex::DH_G1_SHA1,
    kex::DH_GEX_SHA256,
    kex::DH_GEX_SHA1,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
];

const HOST_KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
    Algorithm::Rsa { hash: None },
    Algorithm::Dsa,
];

const CIPHERS: &[cipher::Name] = &[
    cipher::CHACHA20_POLY1305,
    cipher::AES_256_GCM,
    cipher::AES_128_GCM,
    cipher::AES_256_CTR,
    cipher::AES_192_CTR,
    cipher::AES_128_CTR,
    cipher::AES_256_CBC,
    cipher::AES_192_CBC,
    cipher::AES_128_CBC,
    cipher::TRIPLE_DES_CBC,
];

const MACS: &[mac::Name] = &[
    mac::HMAC_SHA512_ETM,
    mac::HMAC_SHA256_ETM,
    mac::HMAC_SHA512,
    mac::HMAC_SHA256,
    mac::HMAC_SHA1_ETM,
    mac::HMAC_SHA1,
];

/// What a switch of 2008 speaks, and nothing that it would have to skip.
const OLD_KEY_EXCHANGE: &[kex::Name] = &[kex::DH_G14_SHA1, kex::DH_G1_SHA1, kex::DH_GEX_SHA1];
const OLD_HOST_KEYS: &[Algorithm] = &[Algorithm::Rsa { hash: None }, Algorithm::Dsa];
const OLD_CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_CTR,
    cipher::AES_256_CBC,
    cipher::AES_192_CBC,
    cipher::AES_128_CBC,
    cipher::TRIPLE_DES_CBC,
];
const OLD_MACS: &[mac::Name] = &[mac::HMAC_SHA1];

/// Which algorithms one connection offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// All of them, modern first.
    All,
    /// Those of old switches alone: some break off at a long list, others offer modern ones that do
    /// not work.
    Legacy,
    /// All but those of old switches.
    Modern,
}

impl Offer {
    /// As it is kept over restarts.
    pub(super) fn name(self) -> &'static str {
        match self {
            Offer::All => "all",
            Offer::Legacy => "legacy",
            Offer::Modern => "modern",
        }
    }

    /// The one of this name; later versions may know others.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Offer::All, Offer::Legacy, Offer::Modern].into_iter().find(|offer| offer.name() == name)
    }
}

/// The offers to be made one after the other until one leads to a session. What worked last comes
/// first, where the platform allows it at all.
pub(super) fn offers(legacy: Legacy, worked: Option<Offer>) -> Vec<Offer> {
    let mut offers = match legacy {
        Legacy::First => vec![Offer::Legacy, Offer::All],
        Legacy::Last => vec![Offer::All, Offer::Legacy],
        Legacy::Never => vec![Offer::Modern],
    };
    if let Some(worked) = worked {
        offers.sort_by_key(|offer| *offer != worked);
    }
    offers
}

pub(super) fn preferred(offer: Offer) -> Preferred {
    let modern = |name: &str| !name.contains("sha1") && !name.ends_with("-cbc");
    match offer {
        Offer::All => list(KEY_EXCHANGE.into(), HOST_KEYS.into(), CIPHERS.into(), MACS.into()),
        Offer::Legacy => {
            list(OLD_KEY_EXCHANGE.into(), OLD_HOST_KEYS.into(), OLD_CIPHERS.into(), OLD_MACS.into())
        }
        Offer::Modern => list(
            only(KEY_EXCHANGE, |name| modern(name.as_ref())),
            only(HOST_KEYS, |name| !OLD_HOST_KEYS.contains(name)),
            only(CIPHERS, |name| modern(name.as_ref())),
            only(MACS, |name| modern(name.as_ref())),
        ),
    }
}

fn list(
    kex: Cow<'static, [kex::Name]>,
    key: Cow<'static, [Algorithm]>,
    cipher: Cow<'static, [cipher::Name]>,
    mac: Cow<'static, [mac::Name]>,
) -> Preferred {
    Preferred {
        kex,
        key,
        host_key_certificates: Cow::Borrowed(&[]),
        cipher,
        mac,
        compression: Cow::Borrowed(&[compression::NONE]),
    }
}

fn only<T: Clone>(all: &'static [T], fits: impl Fn(&T) -> bool) -> Cow<'static, [T]> {
    all.iter().filter(|name| fits(name)).cloned().collect::<Vec<_>>().into()
}

/// 2048 bits are asked for, for old devices compute a larger group for seconds, and some stop at
/// 4096.
pub(super) fn group_exchange() -> GexParams {
    GexParams::new(2048, 2048, 4096).expect("the three sizes ascend from the least allowed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_worked_last_is_tried_first_and_nothing_that_the_platform_forbids() {
        let cases = [
            (Legacy::Last, None, vec![Offer::All, Offer::Legacy]),
            (Legacy::Last, Some(Offer::Legacy), vec![Offer::Legacy, Offer::All]),
            (Legacy::First, None, vec![Offer::Legacy, Offer::All]),
            (Legacy::First, Some(Offer::All), vec![Offer::All, Offer::Legacy]),
            (Legacy::Never, None, vec![Offer::Modern]),
            (Legacy::Never, Some(Offer::Legacy), vec![Offer::Modern]),
        ];
        for (legacy, worked, expected) in cases {
            assert_eq!(offers(legacy, worked), expected, "{legacy:?} after {worked:?}");
        }
    }

    #[test]
    fn the_modern_offer_has_nothing_of_the_legacy_one() {
        let (modern, old) = (preferred(Offer::Modern), preferred(Offer::Legacy));
        assert!(modern.kex.len() > 5 && modern.cipher.len() > 4 && modern.mac.len() > 3);
        assert!(old.kex.iter().all(|name| !modern.kex.contains(name)));
        assert!(old.key.iter().all(|name| !modern.key.contains(name)));
        assert!(old.mac.iter().all(|name| !modern.mac.contains(name)));
        let all = preferred(Offer::All);
        assert!(old.kex.iter().all(|name| all.kex.contains(name)));
        assert!(old.key.iter().all(|name| all.key.contains(name)));
    }
}
