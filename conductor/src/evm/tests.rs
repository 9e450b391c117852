//! One test for each rule of the screen, and that it lets nothing pass that its sender cannot pay.

use super::*;
use alloy_consensus::{SignableTransaction as _, TxEip1559, TxLegacy};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Signature, TxKind};
use k256::ecdsa::SigningKey;
use proptest::prelude::*;

const ROLLUP: RollupId = RollupId(42_069);
const GWEI: u128 = 1_000_000_000;
const ETHER: u64 = 1_000_000_000_000_000_000;

const ENVIRONMENT: Environment = Environment {
    timestamp: 1_700_000_000,
    base_fee: 1_000_000_000,
    gas_limit: 30_000_000,
    coinbase: Address::ZERO,
};

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

fn address(seed: u8) -> Address {
    Address::from_public_key(key(seed).verifying_key())
}

fn transfer(nonce: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: ROLLUP.0,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 2 * GWEI,
        max_priority_fee_per_gas: GWEI,
        to: TxKind::Call(Address::repeat_byte(0x42)),
        value: U256::from(1),
        access_list: AccessList::default(),
        input: alloy_primitives::Bytes::new(),
    }
}

fn signed(seed: u8, transaction: TxEip1559) -> Bytes {
    let hash = transaction.signature_hash();
    let signature: Signature = key(seed).sign_prehash_recoverable(&hash.0).unwrap().into();
    let envelope = TxEnvelope::Eip1559(transaction.into_signed(signature));
    Bytes::from(envelope.encoded_2718())
}

fn rich(seeds: &[u8]) -> BTreeMap<Address, Account> {
    let account = Account {
        balance: U256::from(ETHER),
        ..Account::default()
    };
    seeds.iter().map(|seed| (address(*seed), account)).collect()
}

/// Places taken, and the codes of those skipped with their places.
fn screened(
    transactions: &[Bytes],
    accounts: &BTreeMap<Address, Account>,
) -> (Vec<usize>, Vec<(usize, &'static str)>) {
    let (candidates, mut skipped) = decode_all(ROLLUP, transactions);
    let (taken, more) = screen(&ENVIRONMENT, candidates, accounts);
    skipped.extend(more);
    skipped.sort_by_key(|one| one.index);
    let codes = skipped.iter().map(|one| (one.index, one.why.code()));
    (taken.iter().map(|one| one.index).collect(), codes.collect())
}

/// Why a transaction of sender 1 is skipped.
fn reason(transaction: TxEip1559) -> Option<&'static str> {
    let (_, skipped) = screened(&[signed(1, transaction)], &rich(&[1]));
    skipped.first().map(|(_, code)| *code)
}

#[test]
fn good_transactions_are_taken_in_order() {
    let all = [
        signed(1, transfer(0)),
        signed(2, transfer(0)),
        signed(1, transfer(1)),
    ];
    assert_eq!(screened(&all, &rich(&[1, 2])), (vec![0, 1, 2], vec![]));
}

#[test]
fn garbage_other_chains_and_kinds_that_are_not_executed_are_skipped() {
    let other = TxEip1559 {
        chain_id: 1,
        ..transfer(0)
    };
    let unprotected = TxLegacy {
        gas_limit: 21_000,
        ..TxLegacy::default()
    };
    let hash = unprotected.signature_hash();
    let signature: Signature = key(1).sign_prehash_recoverable(&hash.0).unwrap().into();
    let unprotected = TxEnvelope::Legacy(unprotected.into_signed(signature)).encoded_2718();
    let all = [
        Bytes::from_static(b"garbage"),
        Bytes::new(),
        signed(1, other),
        Bytes::from(unprotected),
        Bytes::from_static(&[3, 0xc0]),
    ];
    let expected = [
        "undecodable",
        "undecodable",
        "wrong-chain",
        "wrong-chain",
        "undecodable",
    ];
    let (taken, skipped) = screened(&all, &rich(&[1]));
    assert_eq!(taken, Vec::<usize>::new());
    assert_eq!(
        skipped,
        expected.into_iter().enumerate().collect::<Vec<_>>()
    );
}

#[test]
fn nonces_go_up_by_one_over_what_is_taken() {
    let all = [0, 0, 2, 1, 2].map(|nonce| signed(1, transfer(nonce)));
    let skipped = vec![(1, "nonce-too-low"), (2, "nonce-too-high")];
    assert_eq!(screened(&all, &rich(&[1])), (vec![0, 3, 4], skipped));
    let mut accounts = rich(&[1]);
    accounts.get_mut(&address(1)).unwrap().nonce = u64::MAX;
    let last = [signed(1, transfer(u64::MAX))];
    assert_eq!(screened(&last, &accounts).1, [(0, "nonce-too-low")]);
}

#[test]
fn what_is_skipped_does_not_use_its_nonce() {
    let poor_gas = TxEip1559 {
        gas_limit: 20_999,
        ..transfer(0)
    };
    let all = [signed(1, poor_gas), signed(1, transfer(0))];
    assert_eq!(
        screened(&all, &rich(&[1])),
        (vec![1], vec![(0, "intrinsic-gas")])
    );
}

#[test]
fn contracts_send_nothing() {
    let mut accounts = rich(&[1]);
    accounts.get_mut(&address(1)).unwrap().has_code = true;
    assert_eq!(
        screened(&[signed(1, transfer(0))], &accounts).1,
        [(0, "sender-has-code")]
    );
}

#[test]
fn fees_below_the_base_fee_and_tips_above_the_fee_are_skipped() {
    let fee = |max_fee_per_gas, max_priority_fee_per_gas| TxEip1559 {
        max_fee_per_gas,
        max_priority_fee_per_gas,
        ..transfer(0)
    };
    assert_eq!(reason(fee(GWEI, GWEI)), None);
    assert_eq!(reason(fee(GWEI - 1, 0)), Some("fee-too-low"));
    assert_eq!(reason(fee(GWEI, GWEI + 1)), Some("tip-above-fee"));
    assert_eq!(reason(fee(u128::MAX, 0)), Some("balance"));
}

#[test]
fn gas_is_at_least_what_the_transaction_costs_and_at_most_that_of_a_block() {
    let with = |gas_limit, input: &'static [u8], list: AccessList| TxEip1559 {
        gas_limit,
        input: input.into(),
        access_list: list,
        ..transfer(0)
    };
    let list = AccessList(vec![AccessListItem {
        address: Address::ZERO,
        storage_keys: vec![B256::ZERO; 2],
    }]);
    for (input, list, intrinsic) in [
        (&[][..], AccessList::default(), 21_000),
        (&[0, 1, 0], AccessList::default(), 21_000 + 4 + 16 + 4),
        (&[], list, 21_000 + 2_400 + 2 * 1_900),
    ] {
        assert_eq!(reason(with(intrinsic, input, list.clone())), None);
        assert_eq!(
            reason(with(intrinsic - 1, input, list)),
            Some("intrinsic-gas")
        );
    }
    let none = AccessList::default;
    assert_eq!(reason(with(30_000_000, &[], none())), None);
    assert_eq!(reason(with(30_000_001, &[], none())), Some("block-gas"));
}

#[test]
fn creations_cost_more_and_their_code_is_limited() {
    let create = |gas_limit, bytes: usize| TxEip1559 {
        gas_limit,
        to: TxKind::Create,
        input: vec![1; bytes].into(),
        ..transfer(0)
    };
    let intrinsic = |bytes: u64| 53_000 + 16 * bytes + 2 * bytes.div_ceil(32);
    assert_eq!(reason(create(intrinsic(33), 33)), None);
    assert_eq!(reason(create(intrinsic(33) - 1, 33)), Some("intrinsic-gas"));
    assert_eq!(reason(create(intrinsic(49_152), 49_152)), None);
    assert_eq!(reason(create(9_000_000, 49_153)), Some("init-code"));
}

#[test]
fn a_sender_pays_for_all_gas_of_its_earlier_transactions() {
    let one = U256::from(21_000 * 2 * GWEI + 1);
    let all = [signed(1, transfer(0)), signed(1, transfer(1))];
    for (balance, taken) in [
        (one * U256::from(2), 2),
        (one * U256::from(2) - U256::from(1), 1),
        (one - U256::from(1), 0),
    ] {
        let mut accounts = rich(&[1]);
        accounts.get_mut(&address(1)).unwrap().balance = balance;
        assert_eq!(screened(&all, &accounts).0.len(), taken, "{balance}");
    }
}

#[test]
fn a_plain_transfer_can_be_spent_at_once() {
    let to_poor = TxEip1559 {
        to: TxKind::Call(address(2)),
        value: U256::from(ETHER / 2),
        ..transfer(0)
    };
    let all = [
        signed(2, transfer(0)),
        signed(1, to_poor),
        signed(2, transfer(0)),
    ];
    let mut accounts = rich(&[1, 2]);
    accounts.get_mut(&address(2)).unwrap().balance = U256::ZERO;
    assert_eq!(
        screened(&all, &accounts),
        (vec![1, 2], vec![(0, "balance")])
    );
}

#[test]
fn an_account_that_is_not_given_has_nothing() {
    let all = [signed(1, transfer(0))];
    assert_eq!(screened(&all, &BTreeMap::new()).1, [(0, "balance")]);
}

#[test]
fn base_fee_and_time_follow_from_the_parent() {
    let parent = |gas_used| Parent {
        timestamp: 100,
        base_fee: 800,
        gas_limit: 30_000_000,
        gas_used,
    };
    for (used, base_fee) in [(0, 700), (15_000_000, 800), (30_000_000, 900)] {
        let next = Environment::after(&parent(used), 200, Address::ZERO);
        assert_eq!((next.base_fee, next.timestamp), (base_fee, 200));
    }
    for seconds in [0, 99, 100, 101] {
        let next = Environment::after(&parent(0), seconds, Address::ZERO);
        assert_eq!(next.timestamp, 101);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Executed one after the other, with every transaction using all its gas, no nonce is wrong and no balance negative.
    #[test]
    fn whatever_is_taken_can_be_executed_in_order(
        drawn in prop::collection::vec((1u8..4, 0u64..4, 0u64..3, 1u8..5), 1..24),
        balances in prop::collection::vec(0u64..400_000, 3),
    ) {
        let mut accounts = rich(&[1, 2, 3]);
        for (seed, balance) in (1..).zip(&balances) {
            accounts.get_mut(&address(seed)).unwrap().balance = U256::from(*balance) * U256::from(GWEI);
        }
        let all: Vec<Bytes> = drawn.iter().map(|(from, nonce, value, to)| signed(*from, TxEip1559 {
            to: TxKind::Call(address(*to)),
            value: U256::from(*value) * U256::from(60_000) * U256::from(GWEI),
            ..transfer(*nonce)
        })).collect();
        let (candidates, undecodable) = decode_all(ROLLUP, &all);
        prop_assert!(undecodable.is_empty());
        let (taken, skipped) = screen(&ENVIRONMENT, candidates, &accounts);
        prop_assert_eq!(taken.len() + skipped.len(), all.len());
        let mut state: BTreeMap<Address, (u64, U256)> =
            accounts.iter().map(|(address, one)| (*address, (one.nonce, one.balance))).collect();
        for candidate in &taken {
            let (nonce, balance) = state.get_mut(&candidate.sender).unwrap();
            prop_assert_eq!(candidate.envelope.nonce(), *nonce);
            *nonce += 1;
            let most = U256::from(21_000 * 2 * GWEI) + candidate.envelope.value();
            prop_assert!(*balance >= most);
            *balance -= most;
            let to = candidate.envelope.to().unwrap();
            state.entry(to).or_default().1 += candidate.envelope.value();
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), at in 0usize..100, flip in any::<u8>()) {
        let mut close = signed(1, transfer(0)).to_vec();
        let length = close.len();
        close[at % length] ^= flip;
        let (candidates, _) = decode_all(ROLLUP, &[Bytes::from(bytes), Bytes::from(close)]);
        let _screened = screen(&ENVIRONMENT, candidates, &rich(&[1]));
    }
}
