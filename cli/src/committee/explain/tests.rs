//! What is said about committees, and what is refused.

use super::*;
use outrider_types::{
    ChainId, Contact, Epoch, Member, MemberIndex, SecretKey, Stake, TransportKey,
};
use std::net::SocketAddr;

fn file(stakes: &[u64], faults: Option<(u64, u64)>) -> CommitteeFile {
    let members = (1..)
        .zip(stakes)
        .map(|(seed, stake)| Member {
            public_key: SecretKey::from_seed(&[seed; 32]).public_key(),
            stake: Stake(*stake),
        })
        .collect();
    let faults = faults.map(|(f, c)| (Stake(f), Stake(c)));
    let entries = (0..)
        .zip(stakes)
        .map(|(index, _)| Contact {
            name: format!("m{index}"),
            transport_key: TransportKey(outrider_network::transport_public_key(&[index; 32])),
            address: SocketAddr::from(([127, 0, 0, 1], 9000 + u16::from(index))),
            rpc: None,
            attester: None,
        })
        .collect();
    CommitteeFile {
        committee: Committee::new(ChainId(1), Epoch(0), members, faults).unwrap(),
        members: entries,
        rollups: None,
    }
}

fn explained(stakes: &[u64], faults: Option<(u64, u64)>) -> Explained {
    Explained::new(&file(stakes, faults))
}

fn names(list: &[String]) -> Vec<&str> {
    list.iter().map(String::as_str).collect()
}

/// Every set of members, by brute force: what the greedy choice claims is the smallest or the largest.
#[test]
fn greedy_sets_are_the_smallest_and_the_largest_there_are() {
    for stakes in [
        &[1_u64, 1, 1, 1][..],
        &[3, 2, 2, 1, 1],
        &[5, 1, 1, 1],
        &[7, 7, 1, 1, 1, 1, 30],
        &[1],
    ] {
        let mut members: Vec<(&str, u64)> = stakes.iter().map(|stake| ("x", *stake)).collect();
        members.sort_by_key(|(_, stake)| std::cmp::Reverse(*stake));
        let total: u64 = stakes.iter().sum();
        for bound in 0..total {
            let sets: Vec<(u32, u64)> = (0_u32..1 << stakes.len())
                .map(|set| {
                    let chosen = stakes.iter().enumerate().filter(|(i, _)| set >> i & 1 == 1);
                    (set.count_ones(), chosen.map(|(_, stake)| stake).sum())
                })
                .collect();
            let over = sets.iter().filter(|(_, stake)| *stake > bound);
            let within = sets.iter().filter(|(_, stake)| *stake <= bound);
            let found = Tolerance::of(&members, bound);
            let fewest = over.map(|(size, _)| *size as usize).min().unwrap();
            assert_eq!(found.too_many.len(), fewest, "{stakes:?}, over {bound}");
            assert_eq!(found.any_members, fewest - 1);
            let most = within.map(|(size, _)| *size as usize).max().unwrap();
            assert_eq!(found.most_members.len(), most, "{stakes:?}, within {bound}");
        }
    }
}

#[test]
fn four_equal_members() {
    let text = explained(&[1; 4], None).to_text();
    for line in [
        "Q        3  votes certify a block; commit votes commit it after three delays",
        "p        0  may be missing on the fast path of two delays",
        "safe       while Byzantine stake is at most 1 of 4: any 1 member may be Byzantine",
        "smallest Byzantine set that can fork: any 2 members, as m0, m1 (stake 2)",
        "progress   while silent stake (Byzantine included) is at most 1 of 4: any 1 member may be silent",
        "smallest silent set that can stop progress: any 2 members, as m0, m1 (stake 2)",
        "fast path  while silent stake is at most 0 of 4: no member may be silent",
        "smallest silent set that ends it: any 1 member, as m0 (stake 1)",
        "m3          1   25.0 %   25.0 %",
        "epoch      0, never ends",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert!(!text.contains("warning"), "{text}");
}

#[test]
fn weighted_members_are_named() {
    // N = 9, f = 2, p = 1.
    let found = explained(&[1, 3, 2, 1, 2], None);
    assert_eq!(found.safety.any_members, 0);
    assert_eq!(names(&found.safety.too_many), ["m1"]);
    assert_eq!(names(&found.safety.most_members), ["m0", "m3"]);
    assert_eq!(names(&found.fast_path.most_members), ["m3"]);
    let leads: Vec<f64> = found.members.iter().map(|m| m.leads_percent).collect();
    assert_eq!(leads, [11.11, 33.33, 22.22, 11.11, 22.22]);
    let text = found.to_text();
    for line in [
        "not every member may be Byzantine; at most 2 members may: m0, m3",
        "smallest Byzantine set that can fork: 1 member: m1 (stake 3)",
        "warning: each of these alone can fork the chain: m1",
        "warning: each of these alone can stop progress: m1",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[test]
fn crashed_stake_counts_for_progress_and_not_for_safety() {
    let found = explained(&[1; 100], Some((20, 15)));
    assert!(found.to_text().contains("warning: c is more than p"));
    assert_eq!(
        [
            found.safety.any_members,
            found.progress.any_members,
            found.fast_path.any_members
        ],
        [20, 35, 12]
    );
    let text = found.to_text();
    assert!(text.contains("A       33  timeouts"), "{text}");
    assert!(text.contains("m6, m7 and 13 more (stake 21)"), "{text}");
}

#[test]
fn json_holds_thresholds_sets_and_shares() {
    let json: serde_json::Value =
        serde_json::from_str(&explained(&[1; 4], None).to_json()).unwrap();
    assert_eq!(json["thresholds"]["quorum"], 3);
    assert_eq!(json["progress"]["too_many"][1], "m1");
    assert_eq!(json["fast_path"]["any_members"], 0);
    assert_eq!(json["members"][2]["leads_percent"], 25.0);
    assert!(json["epoch_blocks"].is_null());
    assert_eq!(json["ring"][3], "m3");
}

#[test]
fn length_of_the_epoch_and_ring_are_said() {
    let mut file = file(&[1; 4], None);
    let ring = [2, 0, 1, 3].map(MemberIndex).to_vec();
    file.committee = file
        .committee
        .with_epoch_blocks(50)
        .with_ring(ring)
        .unwrap();
    let text = Explained::new(&file).to_text();
    assert!(
        text.contains("epoch      0, ends after 50 blocks"),
        "{text}"
    );
    assert!(text.contains("turns      m2, m0, m1, m3"), "{text}");
}

fn refused(f: u64, c: u64) -> String {
    let text = file(&[1; 4], None)
        .to_json()
        .replacen("\"byzantine\": 1", &format!("\"byzantine\": {f}"), 1)
        .replacen("\"crashed\": 0", &format!("\"crashed\": {c}"), 1);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("committee.json");
    std::fs::write(&path, text).unwrap();
    let explain = Explain {
        file: path,
        json: false,
    };
    match explain.run() {
        Ok(()) => "safe".to_owned(),
        Err(failure) => failure.to_string(),
    }
}

#[test]
fn what_cannot_be_safe_is_refused_with_what_could() {
    assert_eq!(refused(1, 0), "safe");
    assert_eq!(refused(0, 1), "safe");
    let text = refused(2, 0);
    assert!(
        text.ends_with("N = 4, f = 2, c = 0; safe would be f up to 1 with c = 0"),
        "{text}"
    );
    let text = refused(1, 1);
    assert!(
        text.ends_with(
            "safe would be f up to 0 with c = 1, or c up to 0 with f = 1, or f up to 1 with c = 0"
        ),
        "{text}"
    );
    let text = refused(u64::MAX, u64::MAX);
    assert!(
        text.ends_with("safe would be f up to 1 with c = 0"),
        "{text}"
    );
}

#[test]
fn other_faults_keep_their_own_message() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("committee.json");
    std::fs::write(&path, "{").unwrap();
    let explain = Explain {
        file: path.clone(),
        json: true,
    };
    let error = explain.run().unwrap_err().to_string();
    assert!(error.contains("is not a committee file"), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = explain.run().unwrap_err().to_string();
    assert!(error.contains("cannot read the committee file"), "{error}");
}
