//! Registered rollups: their ordering policy, and how long they live. The registry is a pure function of what stands in the lane of
//! rollup 0, so all members and everyone who follows that lane have the same one; each header commits to the one before it.
//!
//! | ids | need to be registered | live |
//! |---|---|---|
//! | 0 | the registry itself | always |
//! | [`SHORT_LIVED`] | yes, else nothing is ordered for them | until their time is over or their owner closes them; once |
//! | all others | only for another policy than `fcfs`, before their first transaction | always |

use crate::codec::{Error, FixedSize, Read, ReadExt, Write, hex_id, wire_struct};
use crate::crypto::{PublicKey, SecretKey, Signature, Verifier, preimage, sha256};
use crate::ids::{ChainId, Height, RollupId, Timestamp};
use crate::merkle::{self, Hash};
use crate::order::Policy;
use bytes::{BufMut, Bytes};
use commonware_codec::Buf;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// The rollup whose lane is the registry.
pub const REGISTRY: RollupId = RollupId(0);
/// Ids of rollups that live for a while. They are chain ids that wallets take (below 2^52 - 20) and that nobody else uses.
pub const SHORT_LIVED: Range<u64> = 1 << 51..(1 << 52) - 32;
/// Most short-lived rollups that are open or were closed less than [`CLOSED_KEPT`] ago.
pub const SHORT_LIVED_MAX: usize = 4_096;
/// Most other rollups that are registered.
pub const LASTING_MAX: usize = 1_024;
/// Most rollups that are registered.
pub const REGISTERED_MAX: usize = SHORT_LIVED_MAX + LASTING_MAX;
/// Longest life of a short-lived rollup.
pub const TTL_MAX: Duration = Duration::from_secs(30 * 24 * 3_600);
/// How long a rollup that closed is remembered.
pub const CLOSED_KEPT: Duration = Duration::from_secs(24 * 3_600);
/// What a registry transaction begins with.
const MAGIC: &[u8; 8] = b"OUTRREGI";

hex_id! {
    /// SHA-256 over how many rollups are registered, and the Merkle root over them.
    RegistryRoot
}

/// What executes a rollup's transactions. Nothing here depends on it: it is a word for those who follow the lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vm {
    /// Nobody says.
    #[default]
    Opaque,
    /// An Ethereum machine.
    Evm,
    /// The key-value machine of `outrider vm kv`.
    Kv,
}

impl Vm {
    const ALL: [Self; 3] = [Self::Opaque, Self::Evm, Self::Kv];

    /// Its name, as in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Opaque => "opaque",
            Self::Evm => "evm",
            Self::Kv => "kv",
        }
    }
}

impl std::fmt::Display for Vm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl Write for Vm {
    fn write(&self, buf: &mut impl BufMut) {
        buf.put_u8(*self as u8);
    }
}

impl FixedSize for Vm {
    const SIZE: usize = 1;
}

impl Read for Vm {
    type Cfg = ();
    fn read_cfg(buf: &mut impl Buf, _: &()) -> Result<Self, Error> {
        let byte = u8::read(buf)?;
        let found = Self::ALL.into_iter().find(|vm| *vm as u8 == byte);
        found.ok_or(Error::InvalidEnum(byte))
    }
}

/// A registered rollup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// Which.
    pub rollup: RollupId,
    /// What executes it.
    pub vm: Vm,
    /// How its transactions are ordered.
    pub policy: Policy,
    /// Who may close it.
    pub owner: PublicKey,
    /// The block that registered it.
    pub opened: Height,
    /// Blocks of this time and later order nothing for it; `2^64 - 1`: it does not close.
    pub closes: Timestamp,
}

wire_struct!(Registration {
    rollup,
    vm,
    policy,
    owner,
    opened,
    closes
});

impl Registration {
    /// Whether a block of this time may order something for it.
    #[must_use]
    pub const fn is_open(&self, at: Timestamp) -> bool {
        at.0 < self.closes.0
    }

    fn leaf(&self) -> Hash {
        let mut leaf = Vec::new();
        self.write(&mut leaf);
        merkle::leaf_hash(&leaf)
    }
}

/// A transaction of the registry's lane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RegistryCommand {
    /// Register a rollup.
    Open(Open),
    /// Close a short-lived rollup before its time.
    Close(Close),
}

/// Register a rollup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Open {
    /// Which.
    pub rollup: RollupId,
    /// What executes it.
    pub vm: Vm,
    /// How its transactions are ordered.
    pub policy: Policy,
    /// Who may close it.
    pub owner: PublicKey,
    /// Seconds that it lives; 0, and only 0, for one that is not short-lived.
    pub ttl: u64,
}

wire_struct!(Open {
    rollup,
    vm,
    policy,
    owner,
    ttl
});

/// Close a short-lived rollup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// Which.
    pub rollup: RollupId,
    /// The block that registered it.
    pub opened: Height,
    /// The owner's signature over these two.
    pub signature: Signature,
}

wire_struct!(Close {
    rollup,
    opened,
    signature
});

impl Close {
    /// By the owner's key.
    #[must_use]
    pub fn sign(chain: ChainId, rollup: RollupId, opened: Height, key: &SecretKey) -> Self {
        let signature = key.sign(&Self::preimage(chain, rollup, opened));
        Self {
            rollup,
            opened,
            signature,
        }
    }

    fn preimage(chain: ChainId, rollup: RollupId, opened: Height) -> crate::crypto::Preimage {
        // There is no epoch in it: the owner is no member.
        preimage(
            b"OUTRCLOS",
            &[
                &chain.0.to_be_bytes(),
                &[],
                &rollup.0.to_be_bytes(),
                &opened.0.to_be_bytes(),
            ],
        )
    }
}

impl RegistryCommand {
    /// As the data of a transaction of [`REGISTRY`].
    #[must_use]
    pub fn to_data(&self) -> Bytes {
        let mut data = MAGIC.to_vec();
        match self {
            Self::Open(open) => {
                data.push(1);
                open.write(&mut data);
            }
            Self::Close(close) => {
                data.push(2);
                close.write(&mut data);
            }
        }
        data.into()
    }

    /// From the data of such a transaction; none if it is something else.
    #[must_use]
    pub fn from_data(data: &[u8]) -> Option<Self> {
        let mut rest = Bytes::copy_from_slice(data.strip_prefix(MAGIC)?);
        let command = match u8::read(&mut rest).ok()? {
            1 => Self::Open(Open::read_cfg(&mut rest, &()).ok()?),
            2 => Self::Close(Close::read_cfg(&mut rest, &()).ok()?),
            _ => return None,
        };
        rest.is_empty().then_some(command)
    }
}

/// Every rollup that is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    rollups: BTreeMap<RollupId, Registration>,
    root: RegistryRoot,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new(BTreeMap::new())
    }
}

impl Registry {
    fn new(rollups: BTreeMap<RollupId, Registration>) -> Self {
        let leaves: Vec<Hash> = rollups.values().map(Registration::leaf).collect();
        let count = u32::try_from(leaves.len()).unwrap_or(u32::MAX);
        let root = sha256(&[&[4], &count.to_be_bytes(), &merkle::root(&leaves)]);
        Self {
            rollups,
            root: RegistryRoot(root),
        }
    }

    /// What a header says of it.
    #[must_use]
    pub const fn root(&self) -> RegistryRoot {
        self.root
    }

    /// A registered rollup.
    #[must_use]
    pub fn get(&self, rollup: RollupId) -> Option<&Registration> {
        self.rollups.get(&rollup)
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Registration> + '_ {
        self.rollups.values()
    }

    /// The policy of a rollup in a block of this time; none if nothing may be ordered for it.
    #[must_use]
    pub fn policy(&self, rollup: RollupId, at: Timestamp) -> Option<Policy> {
        match self.rollups.get(&rollup) {
            Some(registration) => registration.is_open(at).then_some(registration.policy),
            None => (!SHORT_LIVED.contains(&rollup.0)).then_some(Policy::Fcfs),
        }
    }

    /// The registry after a block of this chain, height and time that has these transactions of [`REGISTRY`]; none if it is the same.
    /// `used` says whether anything was ever ordered for a rollup. What makes no sense is passed over.
    #[must_use]
    pub fn after(
        &self,
        (chain, height, at): (ChainId, Height, Timestamp),
        transactions: &[Bytes],
        used: impl Fn(RollupId) -> bool,
    ) -> Option<Self> {
        let commands = transactions
            .iter()
            .filter_map(|data| RegistryCommand::from_data(data));
        let mut rollups = self.rollups.clone();
        let kept = |it: &Registration| it.closes.after(CLOSED_KEPT) > at || it.closes.0 == u64::MAX;
        rollups.retain(|_, registration| kept(registration));
        for command in commands {
            match command {
                RegistryCommand::Open(open) => {
                    if may_open(&rollups, &open) && !used(open.rollup) {
                        let closes = match open.ttl {
                            0 => Timestamp(u64::MAX),
                            ttl => at.after(Duration::from_secs(ttl)),
                        };
                        let registration = Registration {
                            rollup: open.rollup,
                            vm: open.vm,
                            policy: open.policy,
                            owner: open.owner,
                            opened: height,
                            closes,
                        };
                        rollups.insert(open.rollup, registration);
                    }
                }
                RegistryCommand::Close(close) => {
                    let Some(found) = rollups.get_mut(&close.rollup) else {
                        continue;
                    };
                    let preimage = Close::preimage(chain, close.rollup, close.opened);
                    let owner = found.owner.checked().ok().map(Verifier::Ed25519);
                    if found.opened == close.opened
                        && SHORT_LIVED.contains(&close.rollup.0)
                        && found.is_open(at)
                        && owner.is_some_and(|it| it.verifies(&preimage, &close.signature))
                    {
                        found.closes = at;
                    }
                }
            }
        }
        (rollups != self.rollups).then(|| Self::new(rollups))
    }
}

/// The registry as it is stored: with what it was before the last block that changed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegistryRecord {
    /// Height of that block.
    pub height: Height,
    /// With it, by id.
    pub now: Vec<Registration>,
    /// Without it, by id.
    pub before: Vec<Registration>,
}

wire_struct!(RegistryRecord {
    height,
    now[REGISTERED_MAX],
    before[REGISTERED_MAX]
});

/// What can be said of an opening without the ledger.
fn may_open(rollups: &BTreeMap<RollupId, Registration>, open: &Open) -> bool {
    let short = |rollup: &RollupId| SHORT_LIVED.contains(&rollup.0);
    let many = rollups
        .keys()
        .filter(|rollup| short(rollup) == short(&open.rollup));
    let many = many.count();
    let in_time = if short(&open.rollup) {
        (1..=TTL_MAX.as_secs()).contains(&open.ttl) && many < SHORT_LIVED_MAX
    } else {
        open.ttl == 0 && many < LASTING_MAX
    };
    in_time && open.rollup != REGISTRY && !rollups.contains_key(&open.rollup)
}

impl FromIterator<Registration> for Registry {
    fn from_iter<T: IntoIterator<Item = Registration>>(list: T) -> Self {
        let by_id = |registration: Registration| (registration.rollup, registration);
        Self::new(list.into_iter().map(by_id).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::key;

    const CHAIN: ChainId = ChainId(5);
    const FIRST: RollupId = RollupId(SHORT_LIVED.start);

    fn open(rollup: RollupId, ttl: u64) -> RegistryCommand {
        RegistryCommand::Open(Open {
            rollup,
            vm: Vm::Evm,
            policy: Policy::Shuffled,
            owner: key(1).public_key(),
            ttl,
        })
    }

    fn after(
        registry: &Registry,
        height: u64,
        at: u64,
        commands: &[RegistryCommand],
    ) -> Option<Registry> {
        let data: Vec<Bytes> = commands.iter().map(RegistryCommand::to_data).collect();
        let place = (CHAIN, Height(height), Timestamp(at * 1_000_000));
        registry.after(place, &data, |rollup| rollup == RollupId(7))
    }

    #[test]
    fn short_lived_rollup_opens_and_closes_by_itself() {
        let none = Registry::default();
        let at = |second: u64| Timestamp(second * 1_000_000);
        assert_eq!(none.policy(FIRST, at(0)), None, "not registered");
        assert_eq!(none.policy(RollupId(9), at(0)), Some(Policy::Fcfs));
        let one = after(&none, 3, 100, &[open(FIRST, 60)]).unwrap();
        assert_ne!(one.root(), none.root());
        assert_eq!(one.policy(FIRST, at(159)), Some(Policy::Shuffled));
        assert_eq!(one.policy(FIRST, at(160)), None);
        assert_eq!(
            after(&one, 4, 101, &[open(FIRST, 60)]),
            None,
            "it is registered"
        );
        let much_later = 160 + CLOSED_KEPT.as_secs();
        assert_eq!(after(&one, 5, much_later - 1, &[]), None);
        assert_eq!(after(&one, 5, much_later, &[]), Some(none));
    }

    #[test]
    fn only_its_owner_closes_a_rollup_and_only_this_one() {
        let one = after(&Registry::default(), 3, 100, &[open(FIRST, 60)]).unwrap();
        let close = |chain, opened, by| {
            let close = Close::sign(chain, FIRST, Height(opened), &key(by));
            after(&one, 4, 110, &[RegistryCommand::Close(close)])
        };
        assert_eq!(close(CHAIN, 3, 2), None, "another key");
        assert_eq!(close(ChainId(6), 3, 1), None, "another chain");
        assert_eq!(close(CHAIN, 2, 1), None, "another opening");
        let closed = close(CHAIN, 3, 1).unwrap();
        assert_eq!(closed.policy(FIRST, Timestamp(110_000_000)), None);
        assert_eq!(closed.get(FIRST).unwrap().closes, Timestamp(110_000_000));
    }

    #[test]
    fn openings_that_make_no_sense_are_passed_over() {
        let none = Registry::default();
        for (rollup, ttl) in [
            (REGISTRY, 0),
            (FIRST, 0),
            (FIRST, TTL_MAX.as_secs() + 1),
            (RollupId(8), 5),
            (RollupId(7), 0),
        ] {
            assert_eq!(after(&none, 1, 1, &[open(rollup, ttl)]), None, "{rollup}");
        }
        assert!(after(&none, 1, 1, &[open(RollupId(8), 0)]).is_some());
        let many: Registry = (0..SHORT_LIVED_MAX as u64)
            .map(|at| Registration {
                rollup: RollupId(FIRST.0 + at),
                vm: Vm::Kv,
                policy: Policy::Fcfs,
                owner: key(1).public_key(),
                opened: Height(1),
                closes: Timestamp(u64::MAX - 1),
            })
            .collect();
        let full = open(RollupId(FIRST.0 + SHORT_LIVED_MAX as u64), 5);
        assert_eq!(after(&many, 1, 1, &[full]), None);
        assert!(after(&many, 1, 1, &[open(RollupId(8), 0)]).is_some());
    }

    #[test]
    fn commands_have_one_encoding() {
        let commands = [
            open(FIRST, 9),
            RegistryCommand::Close(Close::sign(CHAIN, FIRST, Height(1), &key(1))),
        ];
        for command in commands {
            let data = command.to_data();
            assert_eq!(RegistryCommand::from_data(&data), Some(command));
            for len in 0..data.len() {
                assert_eq!(RegistryCommand::from_data(&data[..len]), None);
            }
            let longer = [&data[..], &[0]].concat();
            assert_eq!(RegistryCommand::from_data(&longer), None);
        }
    }
}
