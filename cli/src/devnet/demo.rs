//! The demo: signed Ethereum transactions of two rollups, each proved by a member that it was not sent to.

use crate::epochs;
use crate::failure::Failure;
use crate::folder::{COMMITTEE_FILE, Network};
use crate::output::say;
use crate::verify::check;
use alloy_consensus::{SignableTransaction as _, TxEip1559};
use alloy_eips::eip2718::Encodable2718 as _;
use alloy_primitives::{Address, Signature, TxKind, U256};
use k256::ecdsa::SigningKey;
use outrider_client::{Checked, Client, RawSubmitted, Status, Trust};
use outrider_node::committee_file::CommitteeFile;
use outrider_types::RollupId;
use std::fs;
use std::time::Duration;

/// The demo's rollups, named by their Ethereum chain ids.
const ROLLUPS: [u64; 2] = [31_337, 31_338];
/// Transactions of each.
const TRANSACTIONS: u64 = 3;
/// Name of the file with the hand-overs between epochs.
const EPOCHS_FILE: &str = "epochs.json";
/// How long a transaction may take to be soft-final.
const SOFT_WITHIN: Duration = Duration::from_secs(30);

/// Run it. Any proof that is missing or does not verify is an error.
pub async fn run(network: &Network) -> Result<(), Failure> {
    let clients = network
        .members
        .iter()
        .map(|member| Client::new(&member.rpc_url()))
        .collect::<Result<Vec<_>, _>>()?;
    let proofs = network.dir.join("proofs");
    fs::create_dir_all(&proofs).map_err(Failure::file("create the folder", &proofs))?;
    // What anyone outside would verify with: the file, not what a member says.
    let committee_path = network.dir.join(COMMITTEE_FILE);
    let mut trust = Trust::new(CommitteeFile::load(&committee_path)?.committee);
    let key = demo_key()?;
    say!(
        "\ndemo: signed Ethereum transactions of rollups {} and {}",
        ROLLUPS[0],
        ROLLUPS[1]
    );
    let (mut sender, mut verified, mut last) = (0, 0, proofs.clone());
    for nonce in 0..TRANSACTIONS {
        for rollup in ROLLUPS {
            let prover = (sender + 1) % clients.len();
            let raw = sign(&key, rollup, nonce)?;
            let sent = clients[sender]
                .submit_raw_ethereum(RollupId(rollup), &raw)
                .await?;
            clients[sender].wait_soft(sent.id, SOFT_WITHIN).await?;
            let status = clients[prover].wait_soft(sent.id, SOFT_WITHIN).await?;
            let (proof, _) = clients[prover].verified_proof(sent.id, &mut trust).await?;
            let path = proofs.join(format!("{rollup}-{}.json", hex::encode(sent.hash)));
            fs::write(&path, proof.to_json()).map_err(Failure::file("write", &path))?;
            let checked = check(&path, &trust)?;
            agree(&checked, sent, rollup, status)?;
            say!(
                "  {}  sent to {}, proof from {}: verified",
                describe(&checked, sent, trust.current().members().len()),
                network.members[sender].name,
                network.members[prover].name
            );
            verified += 1;
            sender = prover;
            last = path;
        }
    }
    say!("demo: {verified} of {verified} proofs verified; check one yourself, offline:");
    let program =
        std::env::current_exe().map_err(Failure::file("find", std::path::Path::new("outrider")))?;
    let mut options = format!("--committee {}", committee_path.display());
    if trust.epoch() > trust.first_epoch() {
        // The proofs of later epochs need the hand-overs.
        let path = network.dir.join(EPOCHS_FILE);
        let ends = epochs::fetch(&clients[0], trust.first_epoch()).await?;
        epochs::write(&path, ends)?;
        options.push_str(&format!(" --epochs {}", path.display()));
    }
    say!(
        "  {} verify {} {options}\n",
        program.display(),
        last.display()
    );
    Ok(())
}

/// A new key for every run, so that a restarted devnet gets new transactions.
fn demo_key() -> Result<SigningKey, Failure> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(Failure::Random)?;
    SigningKey::from_slice(&seed).map_err(Failure::Sign)
}

/// A signed EIP-1559 transfer, as a wallet would send it.
fn sign(key: &SigningKey, chain_id: u64, nonce: u64) -> Result<Vec<u8>, Failure> {
    let transfer = TxEip1559 {
        chain_id,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: 2_000_000_000,
        max_priority_fee_per_gas: 1_000_000_000,
        to: TxKind::Call(Address::repeat_byte(0x42)),
        value: U256::from(1_000_000_000_u64),
        ..TxEip1559::default()
    };
    let hash = transfer.signature_hash();
    let signature = key
        .sign_prehash_recoverable(hash.as_slice())
        .map_err(Failure::Sign)?;
    Ok(transfer
        .into_signed(Signature::from(signature))
        .encoded_2718())
}

/// The proof must say what the member said.
fn agree(
    checked: &Checked,
    sent: RawSubmitted,
    rollup: u64,
    status: Status,
) -> Result<(), Failure> {
    let same = checked.rollup == RollupId(rollup)
        && checked.transaction == sent.id
        && matches!(status, Status::Soft { height, block, .. } if height == checked.height && block == checked.block);
    if same {
        Ok(())
    } else {
        Err(Failure::Demo { id: sent.id })
    }
}

fn describe(checked: &Checked, sent: RawSubmitted, members: usize) -> String {
    format!(
        "rollup {}  tx 0x{}..  height {}  {}, {} of {members} signed",
        checked.rollup,
        hex::encode(&sent.hash[..8]),
        checked.height,
        if checked.fast { "fast" } else { "slow" },
        checked.signers,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use outrider_node::ethereum::decode;

    #[test]
    fn signed_transfers_are_what_a_node_takes() {
        let key = SigningKey::from_slice(&[7; 32]).unwrap();
        let raw = sign(&key, 31_337, 4).unwrap();
        let decoded = decode(RollupId(31_337), &raw).unwrap();
        assert_eq!(decoded.nonce, 4);
        assert_eq!(decoded.sender, Address::from_private_key(&key).into_array());
        assert!(decode(RollupId(31_338), &raw).is_err());
        assert_ne!(sign(&key, 31_338, 4).unwrap(), raw);
    }
}
