#!/usr/bin/env bash
# A committee changes while it runs: a member is replaced by one that joins, and proofs of the new epoch verify from the
# first committee file with the hand-overs alone.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
BLOCKS=100
init_network 4 --epoch-blocks $BLOCKS --ring member-1,member-0,member-3,member-2
for member in 0 1 2 3; do start_member $member; done
for member in 0 1 2 3; do wait_until 60 "the first block at member-$member" height_at_least "$(url $member)" 1; done
TRUSTED=("--committee" "$NET/committee.json")
CHANGE=$WORK/change.json

"$OUTRIDER" init --join "${TRUSTED[@]}" --name eve --base-port $((BASE + 12)) --dir "$NET/member-eve" >"$WORK/join.out"
expect_failure 1 'exists already' "$OUTRIDER" init --join "${TRUSTED[@]}" --name eve --dir "$NET/member-eve"
"$OUTRIDER" keys contact "$NET/member-3/member.key" --name old --address 127.0.0.1:1 | grep -q '"name": "old"' || fail "keys contact"

"$OUTRIDER" committee propose "${TRUSTED[@]}" --rpc "$(url 0)" --replace "member-3=$NET/member-eve/candidate.json" --stake member-0=2 \
    --key "$NET/member-0/member.key" --out "$CHANGE" >"$WORK/propose.out"
grep -q '^  leaves   member-3, stake 1' "$WORK/propose.out" || fail "who leaves is not said"
grep -q '^  joins    eve, stake 1' "$WORK/propose.out" || fail "who joins is not said"
grep -q '^  stake    member-0: 1 -> 2' "$WORK/propose.out" || fail "the new stake is not said"
expect_failure 1 'stake 2 is missing' "$OUTRIDER" committee submit "$CHANGE" --rpc "$(url 0)"
expect_failure 1 'not a terminal' "$OUTRIDER" committee approve "$CHANGE" --rpc "$(url 1)" --key "$NET/member-1/member.key"
expect_failure 1 'not the key of a member' "$OUTRIDER" committee approve "$CHANGE" --rpc "$(url 1)" --key "$NET/member-eve/member.key" --yes
sed 's/"stake": 2/"stake": 3/' "$CHANGE" >"$WORK/altered.json"
expect_failure 1 'of another change' "$OUTRIDER" committee approve "$WORK/altered.json" --rpc "$(url 1)" --key "$NET/member-1/member.key" --yes
for member in 1 2; do
    cp "$CHANGE" "$WORK/copy-$member.json"
    "$OUTRIDER" committee approve "$WORK/copy-$member.json" --rpc "$(url $member)" --key "$NET/member-$member/member.key" --yes >"$WORK/approve.out"
    grep -q "^member-$member approves" "$WORK/approve.out" || fail "member-$member does not approve"
done
"$OUTRIDER" committee submit "$CHANGE" "$WORK/copy-1.json" "$WORK/copy-2.json" --rpc "$(url 1)" >"$WORK/submit.out"
grep -q "^submitted: epoch 1 begins above height $BLOCKS " "$WORK/submit.out" || { cat "$WORK/submit.out"; fail "not submitted"; }
ok "a change is proposed, approved by three and submitted"

first=$(submit_soft "$(url 0)" 7 01)
"$OUTRIDER" proof --rpc "$(url 1)" "$first" --out "$WORK/first.json" >/dev/null
start_member eve
EVE=http://127.0.0.1:$((BASE + 13))

in_epoch() {
    [[ $(rpc "$1" outrider_committee 2>/dev/null | python3 -c 'import json, sys; print(json.load(sys.stdin)["committee"]["epoch"])' 2>/dev/null) -ge $2 ]]
}
for member in 0 1 2; do wait_until 90 "epoch 1 at member-$member" in_epoch "$(url $member)" 1; done
wait_until 60 "epoch 1 at eve" in_epoch "$EVE" 1
wait_until 30 "blocks of epoch 1" height_at_least "$(url 0)" $((BLOCKS + 10))
rpc "$(url 0)" outrider_committee | grep -q '"name": "eve"' || fail "eve is not in the committee"
wait_until 30 "a certificate with eve's signature" votes_from 3 $((BLOCKS + 1))
ok "epoch 1 began with eve in it, and she votes"

second=$(submit_soft "$EVE" 7 02)
"$OUTRIDER" proof --rpc "$EVE" "$second" --out "$WORK/second.json" >/dev/null
expect_failure 1 'proof of epoch [1-9]' "$OUTRIDER" verify "$WORK/second.json" "${TRUSTED[@]}"
"$OUTRIDER" epochs --rpc "$EVE" --out "$WORK/epochs.json" | grep -q 'from epoch 0 to epoch' || fail "no hand-overs"
for proof in first second; do
    "$OUTRIDER" verify "$WORK/$proof.json" "${TRUSTED[@]}" --epochs "$WORK/epochs.json" >"$WORK/verify.out"
    grep -q '^valid: soft-final' "$WORK/verify.out" || fail "verify says nothing of $proof"
done
grep -q '^epoch        [1-9]' "$WORK/verify.out" || fail "the second proof is not of a later epoch"
"$OUTRIDER" verify "$WORK/first.json" "${TRUSTED[@]}" >/dev/null
ok "proofs of both epochs verify from the first committee file"

python3 - "$OUTRIDER" "$WORK/second.json" "$NET/committee.json" "$WORK/epochs.json" "$WORK/changed.json" <<'PYTHON'
import json, os, random, subprocess, sys
outrider, proof, committee, epochs, changed = sys.argv[1:]
seed = int.from_bytes(os.urandom(4), "big")
rng = random.Random(seed)
file = json.load(open(epochs))
# Only those before the proof's epoch are needed: every byte of them counts.
file["ends"] = file["ends"][: json.load(open(proof))["block"]["epoch"]]
data = (json.dumps(file, indent=2) + "\n").encode()
open(changed, "wb").write(data)
def verify():
    command = [outrider, "verify", proof, "--committee", committee, "--epochs", changed]
    return subprocess.run(command, capture_output=True, text=True, errors="replace")
if verify().returncode != 0:
    sys.exit(f"the hand-overs that are needed alone: {verify().stderr}")
for at in sorted({0, len(data) - 1} | set(rng.sample(range(len(data)), 60))):
    flipped = bytearray(data)
    flipped[at] ^= 1 << rng.randrange(8)
    open(changed, "wb").write(flipped)
    run = verify()
    if run.returncode != 1 or len(run.stderr.strip()) < 20 or "panicked" in run.stderr:
        sys.exit(f"seed {seed}, byte {at}: exit code {run.returncode}, {run.stderr!r}")
PYTHON
ok "a flipped byte in the hand-overs makes verify fail with a reason"

expect_failure 1 'propose it again' "$OUTRIDER" committee submit "$CHANGE" "$WORK/copy-1.json" "$WORK/copy-2.json" --rpc "$(url 1)"
kill_member 3 TERM
kill_member 1 TERM
third=$(submit_soft "$(url 0)" 7 03)
"$OUTRIDER" proof --rpc "$(url 0)" "$third" --out "$WORK/third.json" >/dev/null
"$OUTRIDER" epochs --rpc "$(url 0)" --out "$WORK/epochs.json" >/dev/null
"$OUTRIDER" verify "$WORK/third.json" "${TRUSTED[@]}" --epochs "$WORK/epochs.json" >/dev/null
ok "the new committee goes on without the member that left, and without one more"
no_panics
