//! From one epoch to the next (R13): what members approve of, and the proof that an epoch is over.

use crate::attestation::Attester;
use crate::block::Block;
use crate::certificate::{Aggregate, FinalityCertificate};
use crate::codec::{EncodeSize, Error, FixedSize, RangeCfg, Read, Write, hex_bytes, wire_struct};
use crate::committee::Committee;
use crate::crypto::{Preimage, preimage, sha256};
use crate::ids::{BlockId, ChainId, ChangeId, CommitteeId, Epoch};
use crate::lane::Roots;
use crate::limits::{CONTACT_NAME_BYTES_MAX, CONTACT_RPC_BYTES_MAX, FILLERS_MAX, MEMBERS_MAX};
use crate::origin::Origin;
use crate::payload::Payload;
use crate::statement::Statement;
use crate::verified::{Invalid, Verified};
use bytes::BufMut;
use commonware_codec::{Buf, Encode};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use serde::{Deserialize, Serialize};

/// What a member proves itself with on the network: a public Ed25519 key, in hex in JSON.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TransportKey(pub [u8; 32]);

hex_bytes!(TransportKey, 32);

/// Where a member is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// What people call it.
    pub name: String,
    /// What it proves itself with on the network.
    pub transport_key: TransportKey,
    /// Where other members connect to.
    pub address: SocketAddr,
    /// Where users connect to, if it serves them: an `http://` or `https://` URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rpc: Option<String>,
    /// Whom L1 knows its attestations by, if the network settles there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attester: Option<Attester>,
}

impl Write for Contact {
    fn write(&self, buf: &mut impl BufMut) {
        write_text(&self.name, buf);
        self.transport_key.write(buf);
        match self.address.ip() {
            IpAddr::V4(ip) => {
                buf.put_u8(4);
                buf.put_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                buf.put_u8(6);
                buf.put_slice(&ip.octets());
            }
        }
        self.address.port().write(buf);
        write_text(self.rpc.as_deref().unwrap_or_default(), buf);
        self.attester.write(buf);
    }
}

impl EncodeSize for Contact {
    fn encode_size(&self) -> usize {
        let ip = if self.address.is_ipv4() { 4 } else { 16 };
        let rpc = self.rpc.as_deref().unwrap_or_default();
        let sizes = [
            text_size(&self.name),
            text_size(rpc),
            self.attester.encode_size(),
        ];
        sizes.iter().sum::<usize>() + TransportKey::SIZE + 1 + ip + 2
    }
}

impl Read for Contact {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        let name = read_text(buf, CONTACT_NAME_BYTES_MAX)?;
        let transport_key = TransportKey::read_cfg(buf, &())?;
        let ip = match u8::read_cfg(buf, &())? {
            4 => IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::read_cfg(buf, &())?)),
            6 => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::read_cfg(buf, &())?)),
            other => return Err(Error::InvalidEnum(other)),
        };
        let address = SocketAddr::new(ip, u16::read_cfg(buf, &())?);
        let rpc = read_text(buf, CONTACT_RPC_BYTES_MAX)?;
        let attester = Option::read_cfg(buf, &())?;
        Ok(Self {
            name,
            transport_key,
            address,
            rpc: (!rpc.is_empty()).then_some(rpc),
            attester,
        })
    }
}

fn write_text(text: &str, buf: &mut impl BufMut) {
    text.len().write(buf);
    buf.put_slice(text.as_bytes());
}

fn text_size(text: &str) -> usize {
    text.len().encode_size() + text.len()
}

fn read_text(buf: &mut impl Buf, max: usize) -> Result<String, Error> {
    let len = usize::read_cfg(buf, &RangeCfg::from(0..=max))?;
    if buf.remaining() < len {
        return Err(Error::EndOfBuffer);
    }
    let mut bytes = vec![0; len];
    buf.copy_to_slice(&mut bytes);
    String::from_utf8(bytes).map_err(|_| Error::Invalid("text", "not UTF-8"))
}

/// "I approve of this change of the committee at the end of this epoch."
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approve {
    /// The epoch whose members approve; the change takes effect at its end.
    pub epoch: Epoch,
    /// The next committee and where its members are.
    pub change: ChangeId,
}

wire_struct!(Approve { epoch, change });

impl Statement for Approve {
    fn preimage(&self, chain: ChainId) -> Preimage {
        let (chain, epoch) = (chain.0.to_be_bytes(), self.epoch.0.to_be_bytes());
        preimage(b"OUTRNEXT", &[&chain, &epoch, &self.change.0])
    }
    fn epoch(&self) -> Epoch {
        self.epoch
    }
}

/// A committee for the next epoch, approved by members of stake >= Q of this one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitteeChange {
    /// The next committee.
    pub next: Committee,
    /// Where its members are, in the same order.
    pub contacts: Vec<Contact>,
    /// Who approves.
    pub approvals: Aggregate<Approve>,
}

wire_struct!(CommitteeChange { next, contacts[MEMBERS_MAX], approvals });

impl CommitteeChange {
    /// What members sign: SHA-256 over both, so that nobody can send new members to other addresses.
    #[must_use]
    pub fn id_of(next: &Committee, contacts: &[Contact]) -> ChangeId {
        let contacts: Vec<u8> = contacts
            .iter()
            .flat_map(|one| one.encode().to_vec())
            .collect();
        ChangeId(sha256(&[b"OUTRCHNG", &next.id().0, &contacts]))
    }

    /// Check that it may follow `committee`, and that members of stake >= Q say so.
    pub fn verify(self, committee: &Committee) -> Result<Verified<Self>, Invalid> {
        self.check(committee)?;
        Ok(Verified::new(self))
    }

    pub(crate) fn check(&self, committee: &Committee) -> Result<(), Invalid> {
        self.check_shape(committee)?;
        let statement = Approve {
            epoch: committee.epoch(),
            change: Self::id_of(&self.next, &self.contacts),
        };
        if self.approvals.statement != statement {
            return Err(Invalid::Malformed {
                what: "approvals of another change",
            });
        }
        self.approvals
            .check(committee, committee.thresholds().quorum)
    }

    /// What must hold before anyone signs it.
    pub fn check_shape(&self, committee: &Committee) -> Result<(), Invalid> {
        if self.next.chain() != committee.chain() {
            return Err(Invalid::Malformed {
                what: "committee of another chain",
            });
        }
        self.next.same_epoch(committee.epoch().next())?;
        if self.contacts.len() != self.next.members().len() {
            return Err(Invalid::Malformed {
                what: "another number of contacts than of members",
            });
        }
        Ok(())
    }
}

/// Where an epoch begins, who orders in it, and where they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochStart {
    /// Who orders.
    pub committee: Committee,
    /// Where they are, in the same order.
    pub contacts: Vec<Contact>,
    /// The block that the epoch builds on: genesis, or the last of the epoch before.
    pub base: Block,
}

wire_struct!(EpochStart { committee, contacts[MEMBERS_MAX], base });

/// Proof that an epoch is over: its last block is final, and names the committee of the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochEnd {
    /// The last block of the epoch.
    pub last: Block,
    /// Fillers from just above it up to the block of the certificate; none if that is the last block itself.
    pub fillers: Vec<Block>,
    /// Proof that all of these are final.
    pub certificate: FinalityCertificate,
    /// The next committee, if it is not the same one with the next epoch's number.
    pub change: Option<CommitteeChange>,
}

wire_struct!(EpochEnd { last, fillers[FILLERS_MAX], certificate, change });

impl EpochEnd {
    /// The committee that follows `committee`, if the last block names it.
    #[must_use]
    pub fn next(&self, committee: &Committee) -> Committee {
        self.change
            .as_ref()
            .map_or_else(|| committee.successor(), |change| change.next.clone())
    }

    /// The start of the next epoch.
    #[must_use]
    pub fn start(&self, current: &EpochStart) -> EpochStart {
        EpochStart {
            committee: self.next(&current.committee),
            contacts: self.change.as_ref().map_or_else(
                || current.contacts.clone(),
                |change| change.contacts.clone(),
            ),
            base: self.last,
        }
    }

    /// Check it against the committee of the epoch.
    pub fn verify(self, committee: &Committee) -> Result<Verified<Self>, Invalid> {
        if self.last.chain != committee.chain() {
            return Err(Invalid::Malformed {
                what: "block of another chain",
            });
        }
        committee.same_epoch(self.last.epoch)?;
        if self.last.next == CommitteeId::NONE {
            return Err(Invalid::Malformed {
                what: "last block of an epoch that names no committee",
            });
        }
        if let Some(change) = &self.change {
            change.check(committee)?;
        }
        if self.next(committee).id() != self.last.next {
            return Err(Invalid::Malformed {
                what: "another committee than the last block names",
            });
        }
        let tip = check_fillers(&self.last, &self.fillers)?;
        if self.certificate.block() != tip {
            return Err(Invalid::Malformed {
                what: "certificate of another block",
            });
        }
        let certificate = self.certificate.clone().verify(committee)?;
        drop(certificate);
        Ok(Verified::new(self))
    }
}

impl Verified<EpochEnd> {
    /// The certificate, verified with it.
    #[must_use]
    pub fn verified_certificate(&self) -> Verified<FinalityCertificate> {
        Verified::new(self.certificate.clone())
    }
}

/// Whether a block is a filler: it stands above the last block of its epoch, carries nothing and names nothing. The
/// first argument is its parent.
#[must_use]
pub fn is_filler_of(parent: &Block, block: &Block) -> bool {
    block.parent == parent.id()
        && block.chain == parent.chain
        && block.epoch == parent.epoch
        && block.height == parent.height.next()
        && block.payload == Payload::default().id()
        && block.roots == Roots::NONE
        && block.origin == Origin::NONE
        && block.next == CommitteeId::NONE
}

/// The block that fillers above the last block lead to; itself if there are none.
pub fn check_fillers(last: &Block, fillers: &[Block]) -> Result<BlockId, Invalid> {
    let mut parent = last;
    for filler in fillers {
        if !is_filler_of(parent, filler) {
            return Err(Invalid::Malformed {
                what: "filler that does not follow the last block",
            });
        }
        parent = filler;
    }
    Ok(parent.id())
}
