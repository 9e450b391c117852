#!/usr/bin/env bash
# What becomes of those who break the protocol: a member that votes twice loses its stake on L1 and its place; leaders that leave out
# forced transactions get no votes for that. The build is one whose members do such things when they are told to.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"

readonly BYZANTINE_OUTRIDER=${OUTRIDER_BYZANTINE_BINARY:-$ROOT/target/debug/outrider-byzantine}
[[ -x $BYZANTINE_OUTRIDER ]] || fail "no binary at $BYZANTINE_OUTRIDER: cargo xtask ci --only e2e makes it"
readonly TOOLS=$ROOT/target/tools/node_modules/.bin
readonly ANVIL=$TOOLS/anvil CAST=$TOOLS/cast
[[ -x $ANVIL && -x $CAST ]] || fail "anvil and cast are missing: .ci/run setup"
# Accounts of anvil's own: the deployer, and a reporter.
readonly KEY=0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80
readonly REPORTER=0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6

# devnet NAME DEED: a new network whose members do the deed.
devnet() {
    NET=$WORK/$1
    BYZANTINE=$2 "$BYZANTINE_OUTRIDER" devnet --l1 --anvil "$ANVIL" --dir "$NET" --epoch-blocks 150 >"$WORK/$1.log" 2>&1 &
    DEVNET=$!
    PIDS+=("$DEVNET")
    wait_until 120 "the devnet to answer" answers_l1
    L1=$(sed -n 's/^endpoints = "\(.*\)"/\1/p' "$NET/member-0/outrider.toml")
}
answers_l1() { [[ -f $NET/l1.json ]] && answers "$(url 0)"; }
of_l1() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$NET/l1.json" "$1"; }
ask() { "$CAST" call --rpc-url "$L1" "$@" | cut -d ' ' -f 1; }

# Every leader leaves out forced transactions for as long as it can.
devnet censors censor
INBOX=$(of_l1 forced_inbox)
"$CAST" send --rpc-url "$L1" --private-key "$KEY" "$INBOX" 'enqueue(uint64,bytes)' 77 0xfeed >"$WORK/enqueue.out"
enqueued=$(ask "$INBOX" 'entry(uint64)(uint64,bytes32)' 0 | head -n 1)
forced() { (($(rpc "$(url 1)" outrider_lane '[77]' | field transactions) == 1)); }
wait_until 90 "the forced transaction to be soft-final" forced
rpc "$(url 1)" outrider_laneRange '[77, 1]' >"$WORK/lane.json"
python3 - "$WORK/lane.json" "$enqueued" <<'PYTHON'
import json, sys
lane, enqueued = json.load(open(sys.argv[1]))["lanes"][0], int(sys.argv[2])
header = lane["header"]["block"] if "block" in lane["header"] else lane["header"]
after = header["timestamp"] / 1e6 - enqueued
if not 28 <= after < 60:
    sys.exit(f"it came {after} s after it was put into the inbox: due after 30 s, with a deadline of 60 s")
PYTHON
ok "leaders that leave out a forced transaction include it once it is due, and before its deadline"
kill -TERM "$DEVNET"
timeout 30 tail --pid="$DEVNET" -s 0.1 -f /dev/null

# A member votes for two blocks.
devnet equivocates equivocate@2
guilty=$("$CAST" wallet address 0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6)
evidence() {
    rm -rf "$WORK/evidence"
    "$OUTRIDER" evidence export --rpc "$(url 0)" --out "$WORK/evidence" >"$WORK/export.out" 2>&1 && ls "$WORK"/evidence/*.json >/dev/null 2>&1
}
wait_until 60 "a member to have evidence" evidence
piece=$(ls "$WORK"/evidence/*.json | head -n 1)
"$OUTRIDER" evidence verify "$piece" --committee "$NET/committee.json" >"$WORK/verify.out"
grep -q 'm2 of E2' "$WORK/verify.out" || fail "the evidence is against: $(cat "$WORK/verify.out")"
printf '%s\n' "$REPORTER" >"$WORK/reporter.key"
chmod 600 "$WORK/reporter.key"
SUBMIT=("$OUTRIDER" evidence submit "$piece" --network "$NET/l1.json" --l1 "$L1" --account "$WORK/reporter.key")
"${SUBMIT[@]}" --dry-run >"$WORK/dry.out"
[[ $(ask "$(of_l1 slashing_court)" 'caseCount()(uint256)') == 0 ]] || fail "a dry run opened a case"
"${SUBMIT[@]}" >"$WORK/submit.out"
[[ $(ask "$(of_l1 slashing_court)" 'openCaseOf(address)(bool)' "$guilty") == true ]] || fail "there is no case against $guilty"
expect_failure 1 'AlreadyReported' "${SUBMIT[@]}"
ok "evidence of a double vote opens a case on L1, once"
TO=(--network "$NET/l1.json" --l1 "$L1")
"$OUTRIDER" evidence cases "${TO[@]}" >"$WORK/cases.out"
grep -q "^case 0  $guilty  E2, epoch [0-9]*, reported by $("$CAST" wallet address "$REPORTER"): open, can be executed" "$WORK/cases.out" ||
    fail "the cases are: $(<"$WORK/cases.out")"
expect_failure 1 OnlyBy "$OUTRIDER" evidence veto 0 "${TO[@]}" --account "$WORK/reporter.key"
expect_failure 1 NoCase "$OUTRIDER" evidence veto 1 "${TO[@]}" --from "$("$CAST" wallet address "$KEY")" --dry-run
ok "the case is listed, and only the vetoer could stop it"

members() { rpc "$(url 0)" outrider_committee | python3 -c 'import json, sys; print(len(json.load(sys.stdin)["committee"]["members"]))'; }
three_members() { (($(members) == 3)); }
wait_until 150 "the committee to go on without it" three_members
ok "it is in no later committee"

printf '%s\n' "$KEY" >"$WORK/anyone.key"
chmod 600 "$WORK/anyone.key"
executable() { "$OUTRIDER" evidence execute 0 --network "$NET/l1.json" --l1 "$L1" --account "$WORK/anyone.key" >"$WORK/execute.out" 2>&1; }
before=$("$CAST" balance --rpc-url "$L1" "$("$CAST" wallet address "$REPORTER")")
wait_until 60 "the veto window to pass" executable
left=$(ask "$(of_l1 bonded_stake)" 'slashable(address)(uint256)' "$guilty")
[[ $left == 0 ]] || fail "$left wei of its stake are left"
after=$("$CAST" balance --rpc-url "$L1" "$("$CAST" wallet address "$REPORTER")")
python3 -c 'import sys; sys.exit(int(sys.argv[2]) <= int(sys.argv[1]))' "$before" "$after" || fail "the reporter got no reward"
"$OUTRIDER" evidence cases "${TO[@]}" | grep -q "^case 0  $guilty  E2, .*: executed$" || fail "the case is not listed as executed"
ok "its stake is taken after the veto window, and the reporter is rewarded"
