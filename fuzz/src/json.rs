//! Everything that is read from JSON and verified: proofs, evidence, committees.

use crate::alphabet::{Words, payload};
use outrider_finality::{EvidenceFile, FinalityProof, verify_evidence_json, verify_json};
use outrider_types::{
    Block, BlockId, CommitVote, Committee, CommitteeChange, EpochEnd, FinalityCertificate, Height,
    Timestamp, TransactionId, Verified, View,
};
use std::sync::LazyLock;

/// What the committee of the target really signed.
struct World {
    words: Words,
    block: Block,
    proofs: Vec<FinalityProof>,
    /// Evidence against member 1, the only one that ever signed an offence.
    evidence: Vec<String>,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    fn new() -> Self {
        let words = Words::new();
        let genesis = Block::genesis(&words.committee);
        let block = child(&genesis);
        let last = Block {
            payload: outrider_types::Payload::default().id(),
            ..child(&block)
        };
        let proofs = payload()
            .ids()
            .flat_map(|id| [(id, Vec::new()), (id, vec![last])])
            .filter_map(|(id, path)| {
                let top = path.last().unwrap_or(&block);
                let certificate = certificate(&words, top)?;
                FinalityProof::build(&words.committee, block, path, certificate, &payload(), id)
            })
            .collect();
        let evidence = words
            .offences()
            .into_iter()
            .filter_map(|offence| offence.verify(&words.committee).ok())
            .map(|offence| EvidenceFile::new(words.committee.clone(), offence).to_json())
            .collect();
        Self {
            words,
            block,
            proofs,
            evidence,
        }
    }

    fn signed(&self, block: BlockId, transaction: TransactionId) -> bool {
        block == self.block.id() && payload().ids().any(|id| id == transaction)
    }
}

fn child(parent: &Block) -> Block {
    Block {
        view: View(parent.view.0 + 1),
        height: Height(parent.height.0 + 1),
        parent: parent.id(),
        justify: parent.view,
        payload: payload().id(),
        timestamp: Timestamp(parent.timestamp.0 + 1),
        ..*parent
    }
}

fn certificate(words: &Words, block: &Block) -> Option<FinalityCertificate> {
    let statement = CommitVote {
        epoch: block.epoch,
        view: block.view,
        block: block.id(),
    };
    let votes: Vec<_> = (0..4).map(|index| words.sign(index, statement)).collect();
    Verified::<FinalityCertificate>::slow(&votes, &words.committee).map(Verified::into_inner)
}

/// Hand a text to every verifier. What passes must be what the committee signed, and a committee that is read must be
/// read again from what it is written as.
///
/// # Panics
///
/// If a promise is broken.
pub fn json(data: &[u8]) {
    let world = &*WORLD;
    if let Ok(checked) = verify_json(&world.words.committee, data) {
        assert!(
            world.signed(checked.block, checked.transaction),
            "a proof of what nobody signed passes: {checked:?}"
        );
        let genuine = world
            .proofs
            .iter()
            .any(|proof| proof.to_json().as_bytes() == data);
        assert!(genuine, "a changed text passes as a proof");
    }
    let _ = FinalityProof::from_json(data);
    let trusted = world.words.committee.id();
    if let Ok(checked) = verify_evidence_json(data, Some(trusted)) {
        assert_eq!(
            checked.member.0, 1,
            "evidence against a member that did nothing passes"
        );
        let genuine = world.evidence.iter().any(|text| text.as_bytes() == data);
        assert!(genuine, "a changed text passes as evidence");
    }
    // Against whatever committee the file brings along.
    let _ = verify_evidence_json(data, None);
    if let Ok(change) = serde_json::from_slice::<CommitteeChange>(data)
        && let Ok(change) = change.verify(&world.words.committee)
    {
        let approved = world.words.change().map(|change| change.next.id());
        assert_eq!(
            Some(change.next.id()),
            approved,
            "a committee that nobody approved passes"
        );
    }
    if let Ok(end) = serde_json::from_slice::<EpochEnd>(data)
        && let Ok(end) = end.verify(&world.words.committee)
    {
        let signed = world.words.epoch_end().map(|end| end.last.id());
        assert_eq!(
            Some(end.last.id()),
            signed,
            "the end of an epoch that nobody signed passes"
        );
    }
    if let Ok(committee) = serde_json::from_slice::<Committee>(data) {
        let text = serde_json::to_vec(&committee);
        let again = text
            .ok()
            .and_then(|text| serde_json::from_slice::<Committee>(&text).ok());
        assert_eq!(
            again.map(|again| again.id()),
            Some(committee.id()),
            "a committee is read back as the same"
        );
        let thresholds = committee.thresholds();
        assert!(
            thresholds.total.0 > 3 * thresholds.byzantine.0 + 2 * thresholds.crashed.0,
            "N >= 3f + 2c + 1"
        );
    }
}

/// A text of each kind.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let world = &*WORLD;
    let mut seeds: Vec<Vec<u8>> = world
        .proofs
        .iter()
        .map(|proof| proof.to_json().into_bytes())
        .collect();
    seeds.extend(world.evidence.iter().map(|text| text.clone().into_bytes()));
    seeds.extend(serde_json::to_vec_pretty(&world.words.committee));
    seeds.extend(serde_json::to_vec_pretty(&world.words.change()));
    seeds.extend(serde_json::to_vec_pretty(&world.words.epoch_end()));
    seeds
}

/// Pieces of JSON, and numbers at their limits.
pub(crate) fn words() -> Vec<Vec<u8>> {
    [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "null",
        "true",
        "0",
        "1",
        "-1",
        "1e400",
        "18446744073709551615",
        "18446744073709551616",
        "65535",
        "\\u0000",
        "\n  ",
        "\"stake\"",
        "\"fast\"",
        "\"slow\"",
        "00",
        "ff",
    ]
    .map(|word| word.as_bytes().to_vec())
    .to_vec()
}
