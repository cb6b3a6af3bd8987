//! What does this server call itself to DHCPv6 clients?
//!
//! A server needs one DUID for ever (RFC 8415 section 11): clients name it in whatever they extend.
//! Ours is a UUID (RFC 6355) made by chance at the first start and kept in the store, so that it
//! stays with the leases it belongs to: through new network cards, renamed interfaces, and a move
//! of the store to another machine.

use crate::entropy::Entropy;
use crate::proto::dhcp6::Duid;
use crate::service::memory::{Change, Memory, Query, Refused};

/// Where it stands among the references of the store.
const OUTLET: &str = "dhcp6";
const SUBJECT: &str = "server";

/// The server's name, made and stored if there is none yet.
pub async fn of_server(memory: &Memory, entropy: &Entropy) -> Result<Duid, Refused> {
    let kept = memory
        .ask(|reply| Query::OutletReference {
            outlet: OUTLET.to_owned(),
            subject: SUBJECT.to_owned(),
            reply,
        })
        .await?;
    if let Some(duid) = kept.as_deref().and_then(Duid::from_hex) {
        return Ok(duid);
    }
    let duid = made(entropy);
    let change = Change::OutletReference {
        outlet: OUTLET.to_owned(),
        subject: SUBJECT.to_owned(),
        reference: duid.to_string(),
    };
    memory.commit(vec![change]).await?;
    Ok(duid)
}

/// A UUID of version 4 and variant 1 (RFC 9562 section 5.4): 122 bits of chance.
fn made(entropy: &Entropy) -> Duid {
    let mut uuid = [0; 16];
    uuid[..8].copy_from_slice(&entropy.next_u64().to_be_bytes());
    uuid[8..].copy_from_slice(&entropy.next_u64().to_be_bytes());
    uuid[6] = uuid[6] & 0x0f | 0x40;
    uuid[8] = uuid[8] & 0x3f | 0x80;
    Duid::uuid(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::dhcp6::duid::Kind;

    #[test]
    fn a_made_name_is_a_uuid_of_version_4() {
        let entropy = Entropy::seeded(1);
        let (one, two) = (made(&entropy), made(&entropy));
        assert_ne!(one, two);
        let Kind::Uuid(uuid) = one.kind() else { panic!("{one}") };
        assert_eq!((uuid[6] >> 4, uuid[8] >> 6), (4, 2));
    }
}
