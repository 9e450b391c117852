//! Identities and thresholds of committees, and headers with the places of their fields.

use crate::draws::Draws;
use crate::hex;
use outrider_types::{
    Block, BlockId, ChainId, Committee, CommitteeId, Epoch, Height, HistoryRoot, L1BlockHash,
    LanesRoot, Member, MemberIndex, Origin, PayloadId, RegistryRoot, Roots, SecretKey, Stake,
    Timestamp, View,
};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// A committee, in the order of letters, as forge wants it. The seed of member `i` is sha256("committee" || i u64).
#[derive(Serialize)]
pub struct CommitteeCase {
    chain: u64,
    epoch: u64,
    epoch_blocks: u64,
    fast: u64,
    genesis: String,
    id: String,
    /// 32 bytes each.
    keys: String,
    quorum: u64,
    /// 8 bytes each.
    stakes: String,
    total: u64,
}

fn committee(n: u16, epoch: u64, epoch_blocks: u64) -> CommitteeCase {
    let mut draws = Draws::new("committees");
    let member = |i: u16| {
        let seed = Sha256::new()
            .chain_update("committee")
            .chain_update(u64::from(i).to_be_bytes());
        Member {
            public_key: SecretKey::from_seed(&seed.finalize().into()).public_key(),
            stake: Stake(4 + draws.below(1 << (i % 40))),
        }
    };
    let members: Vec<Member> = (0..n).map(member).collect();
    let keys: Vec<u8> = members
        .iter()
        .flat_map(|member| member.public_key.0)
        .collect();
    let stakes: Vec<u8> = members
        .iter()
        .flat_map(|member| member.stake.0.to_be_bytes())
        .collect();
    let committee = Committee::new(ChainId(77), Epoch(epoch), members, None)
        .unwrap()
        .with_epoch_blocks(epoch_blocks);
    let thresholds = committee.thresholds();
    CommitteeCase {
        chain: 77,
        epoch,
        epoch_blocks,
        fast: thresholds.fast.0,
        genesis: hex(Block::genesis(&committee).header_bytes()),
        id: hex(committee.id().0),
        keys: hex(keys),
        quorum: thresholds.quorum.0,
        stakes: hex(stakes),
        total: thresholds.total.0,
    }
}

/// Around the sizes at which the count takes another byte.
pub fn committees() -> Vec<CommitteeCase> {
    [
        (1, 0, 0),
        (4, 0, 10),
        (127, 7, 1),
        (128, 7, 600),
        (200, 1 << 40, 10),
    ]
    .map(|(n, epoch, blocks)| committee(n, epoch, blocks))
    .into()
}

/// A header, in the order of letters. Only what a contract reads is named.
#[derive(Serialize)]
pub struct HeaderCase {
    chain: u64,
    epoch: u64,
    header: String,
    height: u64,
    id: String,
    inbox: u64,
    next: String,
    parent: String,
    payload: String,
    timestamp: u64,
    view: u64,
}

pub fn headers() -> Vec<HeaderCase> {
    let mut draws = Draws::new("headers");
    (0..16).map(|_| header(&mut draws)).collect()
}

fn header(draws: &mut Draws) -> HeaderCase {
    let number = |draws: &mut Draws| u64::from_be_bytes(draws.bytes());
    let block = Block {
        version: 4,
        chain: ChainId(number(draws)),
        epoch: Epoch(number(draws)),
        view: View(number(draws)),
        height: Height(number(draws)),
        parent: BlockId(draws.bytes()),
        justify: View(number(draws)),
        payload: PayloadId(draws.bytes()),
        timestamp: Timestamp(number(draws)),
        proposer: MemberIndex(u16::from_be_bytes(draws.bytes())),
        next: CommitteeId(draws.bytes()),
        roots: Roots {
            lanes: LanesRoot(draws.bytes()),
            history: HistoryRoot(draws.bytes()),
            registry: RegistryRoot(draws.bytes()),
        },
        origin: Origin {
            number: number(draws),
            hash: L1BlockHash(draws.bytes()),
            inbox: number(draws),
        },
    };
    HeaderCase {
        chain: block.chain.0,
        epoch: block.epoch.0,
        header: hex(block.header_bytes()),
        height: block.height.0,
        id: hex(block.id().0),
        inbox: block.origin.inbox,
        next: hex(block.next.0),
        parent: hex(block.parent.0),
        payload: hex(block.payload.0),
        timestamp: block.timestamp.0,
        view: block.view.0,
    }
}
