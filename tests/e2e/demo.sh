#!/usr/bin/env bash
# devnet --demo ends in verified proofs; changed proofs are refused; a restart keeps the chain; nothing is left running.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
NET=$WORK/devnet

"$OUTRIDER" devnet --demo --duration 2s --dir "$NET" >"$WORK/first.log" 2>&1 || { cat "$WORK/first.log"; fail "devnet --demo"; }
grep -q 'demo: 6 of 6 proofs verified' "$WORK/first.log" || fail "no verified proofs"
for rollup in 31337 31338; do
    grep -q "rollup $rollup  tx 0x.*: verified" "$WORK/first.log" || fail "rollup $rollup is not in the demo"
done
grep -q '^height [0-9]* .*members 4/4' "$WORK/first.log" || fail "no live line"
ok "the demo verified 6 proofs of two rollups"

proofs=("$NET"/proofs/*.json)
((${#proofs[@]} == 6)) || fail "${#proofs[@]} proof files"
for proof in "${proofs[@]}"; do
    "$OUTRIDER" verify "$proof" --committee "$NET/committee.json" >"$WORK/verify.out"
    grep -q '^valid: soft-final' "$WORK/verify.out" || fail "verify says nothing"
done
ok "every proof file verifies offline"

python3 - "$OUTRIDER" "${proofs[0]}" "$NET/committee.json" "$WORK/changed.json" <<'PYTHON'
import os, random, subprocess, sys
outrider, proof, committee, changed = sys.argv[1:]
seed = int.from_bytes(os.urandom(4), "big")
rng = random.Random(seed)
data = open(proof, "rb").read()
# The first and last bytes, and a sample of the others.
for at in sorted({0, 1, len(data) - 2, len(data) - 1} | set(rng.sample(range(len(data)), 80))):
    flipped = bytearray(data)
    flipped[at] ^= 1 << rng.randrange(8)
    open(changed, "wb").write(flipped)
    run = subprocess.run([outrider, "verify", changed, "--committee", committee], capture_output=True, text=True, errors="replace")
    if run.returncode != 1 or len(run.stderr.strip()) < 20 or "panicked" in run.stderr:
        sys.exit(f"seed {seed}, byte {at}: exit code {run.returncode}, {run.stderr!r}")
PYTHON
ok "a flipped byte makes verify fail with a reason"

expect_failure 2 'Usage' "$OUTRIDER" verify "${proofs[0]}"
expect_failure 1 'cannot read' "$OUTRIDER" verify "$WORK/none.json" --committee "$NET/committee.json"
"$OUTRIDER" init --members 4 --dir "$WORK/other" >/dev/null
expect_failure 1 'committee' "$OUTRIDER" verify "${proofs[0]}" --committee "$WORK/other/committee.json"
expect_failure 1 'exists already' "$OUTRIDER" init --members 4 --dir "$WORK/other"
expect_failure 2 'holds 4 members' "$OUTRIDER" devnet --members 5 --duration 1s --dir "$NET"
ok "wrong arguments, files and committees are refused"

before=$(grep '^height' "$WORK/first.log" | tail -n 1 | awk '{print $2}')
id=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["inclusion"]["transaction"])' "${proofs[0]}")
"$OUTRIDER" devnet --dir "$NET" >"$WORK/second.log" 2>&1 </dev/null &
devnet=$!
PIDS+=("$devnet")
wait_until 60 "the restarted devnet" grep -q '^height .*members 4/4' "$WORK/second.log"
after=$(grep '^height' "$WORK/second.log" | head -n 1 | awk '{print $2}')
((after >= before)) || fail "height $after after the restart, $before before"
for member in 0 1 2 3; do
    is_soft "$(url $member)" "$id" || fail "member-$member forgot $id"
    "$OUTRIDER" proof --rpc "$(url $member)" "$id" --out "$WORK/again.json" >/dev/null
    "$OUTRIDER" verify "$WORK/again.json" --committee "$NET/committee.json" >/dev/null
done
ok "a restart keeps the chain (height $before, then $after) and the proofs"

for member in 0 1 2 3; do members[member]=$(pid_of $member); done
kill -9 "${members[3]}"
wait_until 15 "the report of the dead member" grep -q 'member-3 ended by itself (signal: 9' "$WORK/second.log"
wait_until 15 "the live line without it" grep -q 'members 3/4' "$WORK/second.log"
kill -INT "$devnet"
status=0
wait "$devnet" || status=$?
((status == 1)) || fail "exit code $status after a member died"
for pid in "${members[@]}"; do gone "$pid" || fail "member $pid is still running"; done
ok "ctrl-c stops every member, and a dead one is reported"

"$OUTRIDER" devnet --dir "$NET" >"$WORK/third.log" 2>&1 </dev/null &
devnet=$!
PIDS+=("$devnet")
disown "$devnet"
wait_until 60 "the third run" grep -q '^height' "$WORK/third.log"
for member in 0 1 2 3; do members[member]=$(pid_of $member); done
kill -9 "$devnet"
for pid in "${members[@]}"; do wait_until 15 "member $pid to follow its devnet" gone "$pid"; done
ok "members do not outlive a devnet that is killed"
no_panics
