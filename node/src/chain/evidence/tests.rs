//! Evidence and certificates on the disk: over crashes, in pages, and pruned by age.

use super::*;
use outrider_storage::{MemoryDisk, MemoryStore};
use outrider_types::evidence::Pair;
use outrider_types::testing::{CHAIN, committee, key};
use outrider_types::{
    Aggregate, BlockId, Certificate, Height, MemberIndex, Signature, Signed, Vote,
};

const KEEP: u64 = 100;

fn chain(disk: &MemoryDisk) -> Chain<MemoryStore> {
    let first = committee(&[1; 4]).0;
    let mut chain = Chain::open(disk.store(), first.clone(), Vec::new()).unwrap();
    chain.begin_evidence(&first, View(0)).unwrap();
    chain
}

/// The same members in a later epoch.
fn later(epoch: u64) -> Committee {
    let (first, _) = committee(&[1; 4]);
    let mut text = serde_json::to_value(&first).unwrap();
    text["epoch"] = epoch.into();
    serde_json::from_value(text).unwrap()
}

fn vote(epoch: u64, view: u64, block: u8) -> Vote {
    Vote {
        epoch: Epoch(epoch),
        view: View(view),
        block: BlockId([block; 32]),
    }
}

/// What it says does not matter to the store.
fn certificate(epoch: u64, view: u64, signatures: u16) -> Justification {
    Justification::Certificate(Certificate::Quorum(Aggregate {
        statement: vote(epoch, view, 1),
        signatures: (0..signatures)
            .map(|member| (MemberIndex(member), Signature([1; 64])))
            .collect(),
    }))
}

fn evidence(member: usize, view: u64) -> Evidence {
    let sign = |block| {
        let index = MemberIndex(u16::try_from(member).unwrap());
        Signed::sign(vote(0, view, block), CHAIN, index, &key(member)).into_inner()
    };
    Evidence::DoubleVote(Pair {
        first: sign(1),
        second: sign(2),
    })
}

fn all_certificates(chain: &Chain<MemoryStore>, epoch: u64) -> (Vec<Justification>, usize) {
    let (mut found, mut pages, mut from) = (Vec::new(), 0, None);
    loop {
        let page = chain.certificate_page(Epoch(epoch), from.as_deref());
        let (store, next) = page.unwrap().unwrap();
        assert_eq!(store.committee.epoch(), Epoch(epoch));
        found.extend(store.certificates);
        pages += 1;
        from = next;
        if from.is_none() {
            return (found, pages);
        }
    }
}

fn views(chain: &Chain<MemoryStore>, epoch: u64) -> Vec<u64> {
    let (found, _) = all_certificates(chain, epoch);
    found.iter().map(|one| one.view().0).collect()
}

#[test]
fn evidence_survives_a_crash_at_once_and_is_kept_once_per_charge() {
    let disk = MemoryDisk::new();
    let mut chain_ = chain(&disk);
    for member in 0..4 {
        for view in 1..=10 {
            assert!(chain_.put_evidence(&evidence(member, view)).unwrap());
            assert!(!chain_.put_evidence(&evidence(member, view)).unwrap());
        }
    }
    disk.crash(0);
    let chain = chain(&disk);
    let (mut found, mut pages, mut from) = (Vec::new(), 0, None);
    loop {
        let (page, next) = chain.evidence_page(from.as_deref()).unwrap();
        assert!(page.len() <= EVIDENCE_PER_PAGE);
        found.extend(page);
        pages += 1;
        from = next;
        if from.is_none() {
            break;
        }
    }
    assert_eq!((found.len(), pages), (40, 3));
    for (committee, evidence) in found {
        evidence.verify(&committee).unwrap();
    }
}

#[test]
fn certificates_come_back_by_view_each_once_with_headers() {
    let disk = MemoryDisk::new();
    let mut chain = chain(&disk);
    for view in [7, 3, 300, 5, 3] {
        chain.keep_certificate(&certificate(0, view, 3)).unwrap();
    }
    // Other signers make another certificate.
    chain.keep_certificate(&certificate(0, 5, 4)).unwrap();
    let header = Block {
        view: View(4),
        height: Height(1),
        ..Block::genesis(&committee(&[1; 4]).0)
    };
    chain.keep_header(&header).unwrap();
    chain.keep_header(&header).unwrap();
    assert_eq!(views(&chain, 0), [3, 5, 5, 7, 300]);
    let (store, next) = chain.certificate_page(Epoch(0), None).unwrap().unwrap();
    assert_eq!((store.headers, next), (vec![header], None));
    assert_eq!(chain.certificate_page(Epoch(1), None).unwrap(), None);
    // Keys that no page names do no harm.
    for from in [&[][..], &[1], &[9], &[3, 0], &[0xff; 64]] {
        chain.certificate_page(Epoch(0), Some(from)).unwrap();
        chain.evidence_page(Some(from)).unwrap();
    }
}

#[test]
fn large_certificates_come_in_pages() {
    let mut chain = chain(&MemoryDisk::new());
    for view in 1..=200 {
        chain.keep_certificate(&certificate(0, view, 200)).unwrap();
    }
    let (found, pages) = all_certificates(&chain, 0);
    assert_eq!(found.len(), 200);
    assert_eq!(pages, 3, "2.6 MB in pages of 1 MiB");
    let in_order: Vec<u64> = (1..=200).collect();
    assert_eq!(views(&chain, 0), in_order);
}

#[test]
fn certificates_older_than_the_evidence_period_go_step_by_step() {
    let mut chain = chain(&MemoryDisk::new());
    for view in 1..=1_000 {
        chain.keep_certificate(&certificate(0, view, 1)).unwrap();
    }
    let prune = |chain: &mut Chain<MemoryStore>, view| {
        chain.prune_evidence(Epoch(0), View(view), KEEP).unwrap()
    };
    assert_eq!(prune(&mut chain, KEEP), 0, "none is too old");
    assert_eq!(prune(&mut chain, KEEP + 2), 1);
    assert_eq!(prune(&mut chain, 1_000), PRUNED_MAX);
    assert_eq!(prune(&mut chain, 1_000), 898 - PRUNED_MAX);
    assert_eq!(prune(&mut chain, 1_000), 0);
    let left: Vec<u64> = (900..=1_000).collect();
    assert_eq!(views(&chain, 0), left);
}

#[test]
fn the_evidence_period_goes_on_over_epochs() {
    let disk = MemoryDisk::new();
    let mut chain = chain(&disk);
    chain.put_evidence(&evidence(1, 3)).unwrap();
    for epoch in 0..6 {
        // 40 views each, 100 are kept.
        let committee = later(epoch);
        chain.begin_evidence(&committee, View(40)).unwrap();
        // Known already: changes nothing.
        chain.begin_evidence(&committee, View(7)).unwrap();
        for view in 1..=40 {
            chain
                .keep_certificate(&certificate(epoch, view, 1))
                .unwrap();
        }
        chain.prune_evidence(Epoch(epoch), View(40), KEEP).unwrap();
    }
    assert!(views(&chain, 0).is_empty() && views(&chain, 2).is_empty());
    // 240 views in all: from view 140 on, which is view 20 of epoch 3.
    let left: Vec<u64> = (20..=40).collect();
    assert_eq!(views(&chain, 3), left);
    assert_eq!(views(&chain, 5).len(), 40);
    let (evidence, _) = chain.evidence_page(None).unwrap();
    assert_eq!(evidence.len(), 1, "evidence stays");
}
