#!/usr/bin/env bash
# The committee follows L1: an operator rotates its keys, another one leaves, and later epochs have those who are left. Settlement goes on
# with the new keys, and without any attester that can pay. (A deposit: l1.sh. A slash: slash.sh.)
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"

readonly TOOLS=$ROOT/target/tools/node_modules/.bin
readonly ANVIL=$TOOLS/anvil CAST=$TOOLS/cast
[[ -x $ANVIL && -x $CAST ]] || fail "anvil and cast are missing: .ci/run setup"

NET=$WORK/net
"$OUTRIDER" devnet --l1 --anvil "$ANVIL" --dir "$NET" --epoch-blocks 150 >"$WORK/devnet.log" 2>&1 &
DEVNET=$!
PIDS+=("$DEVNET")
disown "$DEVNET"
answers_l1() { [[ -f $NET/l1.json ]] && answers "$(url 0)"; }
wait_until 120 "the devnet to answer" answers_l1

of_l1() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$NET/l1.json" "$1"; }
L1=$(sed -n 's/^endpoints = "\(.*\)"/\1/p' "$NET/member-0/outrider.toml")
ask() { "$CAST" call --rpc-url "$L1" "$(of_l1 "$1")" "${@:2}" | cut -d ' ' -f 1; }
private() { (umask 077 && cat >"$1"); }
# Accounts of anvil's: 2 operates member-1, 4 operates member-3, 9 is anybody.
private "$WORK/second" <<<0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a
private "$WORK/fourth" <<<0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a
private "$WORK/anybody" <<<0x2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6
SECOND=$("$CAST" wallet address "$(<"$WORK/second")")
FOURTH=$("$CAST" wallet address "$(<"$WORK/fourth")")
# as ACCOUNT VERB...: a verb that sends.
as() { "$OUTRIDER" "${@:2}" --network "$NET/l1.json" --l1 "$L1" --account "$WORK/$1"; }
status() { "$OUTRIDER" operator status "$1" --network "$NET/l1.json" --l1 "$L1" --json | field "$2"; }
# The committee of a member's epoch: its epoch, how many members, or the key of one.
committee() { rpc "$(url 0)" outrider_committee | python3 -c "import json, sys; one = json.load(sys.stdin)['committee']; print($1)"; }
settled() { rpc "$(url 0)" outrider_settlement | field settled; }

# Rotation: the new key has a folder and a process of its own, beside the old one.
OLD=$(committee "one['members'][1]['public_key']")
P2P=$(free_base 3)
"$OUTRIDER" init --join --committee "$NET/committee.json" --name member-1-new --base-port "$P2P" --dir "$NET/member-new" \
    --network "$NET/l1.json" --l1 "$L1" >"$WORK/join.out"
NEW=$(field public_key <"$NET/member-new/candidate.json")
ROTATE=(operator rotate --key "$NET/member-new/member.key" --contact "$NET/member-new/candidate.json")
as second "${ROTATE[@]}" --dry-run >"$WORK/dry.out"
[[ $(grep -c '^function   rotate(\|^function   rotateAttester(\|^function   update(' "$WORK/dry.out") == 3 ]] || fail "the dry run names other functions"
as second "${ROTATE[@]}" >"$WORK/rotate.out"
as second "${ROTATE[@]}" | grep -q 'nothing was sent' || fail "what is so already is sent again"
[[ $(ask operator_registry 'operatorOf(bytes32)(address)' "0x$NEW") == "$SECOND" ]] || fail "the new key is not registered"
[[ $(ask operator_registry 'operatorOf(bytes32)(address)' "0x$OLD") == "$SECOND" ]] || fail "the old key is forgotten"
ok "one verb rotates member key, attester and contact; the old key still is the operator's"

start_member new --set l1.poll_ms=500 --set l1.lag_ms=1500 --set l1.settle_s=4 --set l1.fallback_s=4
has_new() { [[ $(committee "one['members'][1]['public_key']") == "$NEW" ]]; }
wait_until 120 "an epoch with the new key" has_new
FIRST=$(committee "one['epoch'] * 150 + 1")
has_old_key() { "$OUTRIDER" keys show "$NET/member-1/member.key" | grep -q "$OLD"; }
has_old_key || fail "the old process has another key"
wait_until 60 "a certificate with its signature" votes_from 1 "$FIRST"
kill_member 1 TERM
height=$(height "$(url 0)")
wait_until 60 "certificates without the old process" votes_from 1 "$((height + 1))"
ok "from the epoch that has it on, the process with the new key votes; the old one is not needed any more"

# settled_with_new: whether the bitmap of a settlement from this epoch on has member 1 in it, whose attester is the new one.
settled_with_new() {
    "$CAST" logs --rpc-url "$L1" --address "$(of_l1 finality_anchor)" --from-block 0 \
        'Settled(uint64 indexed,bytes32 indexed,uint64,uint64,address,bool)' --json >"$WORK/settled.json"
    python3 - "$WORK/settled.json" "$FIRST" "$L1" "$CAST" <<'PYTHON'
import json, subprocess, sys
logs, first, l1, cast = json.load(open(sys.argv[1])), int(sys.argv[2]), sys.argv[3], sys.argv[4]
for log in logs:
    if int(log["topics"][1], 16) < first:
        continue
    data = subprocess.run([cast, "tx", "--rpc-url", l1, log["transactionHash"], "input"], capture_output=True, text=True, check=True).stdout
    # settle(bytes header, uint256 bitmap, bytes signatures): the second word.
    if int(data.strip()[10 + 64 : 10 + 128], 16) >> 1 & 1:
        sys.exit(0)
sys.exit(1)
PYTHON
}
wait_until 90 "a settlement with the new attester" settled_with_new
ok "its attestations count on L1"

# Exit.
[[ $(status "$FOURTH" weight_now) == 1 ]] || fail "the next snapshot would not have the fourth"
as fourth operator exit >"$WORK/exit.out"
[[ $(status "$FOURTH" weight_now) == None ]] || fail "the next snapshot would have who left"
[[ $(status "$FOURTH" in_committee) == True ]] || fail "who left is not in the running committee any more"

# Anybody forces a transaction in.
ENQUEUE=(l1 enqueue --rollup 77 --data 0xfeed)
as anybody "${ENQUEUE[@]}" --dry-run | grep -q '^function   enqueue(uint64,bytes)$' || fail "the dry run names no function"
as anybody "${ENQUEUE[@]}" --wait "$(url 2)" >"$WORK/enqueue.out"
read -r at hash < <("$CAST" call --rpc-url "$L1" "$(of_l1 forced_inbox)" 'entry(uint64)(uint64,bytes32)' 0 | cut -d ' ' -f 1 | xargs)
grep -q '^entry        0$' "$WORK/enqueue.out" || fail "the place is not said: $(<"$WORK/enqueue.out")"
grep -q "^deadline     $((at + 60)) " "$WORK/enqueue.out" || fail "the deadline is not said: $(<"$WORK/enqueue.out")"
grep -q "^id           ${hash#0x}$" "$WORK/enqueue.out" || fail "the id is not said: $(<"$WORK/enqueue.out")"
grep -q '^soft-final' "$WORK/enqueue.out" || fail "it was not waited for: $(<"$WORK/enqueue.out")"
[[ $(rpc "$(url 0)" outrider_lane '[77]' | field transactions) == 1 ]] || fail "it is not in the lane"
ok "a transaction is forced in, and its place, deadline and end are said"

has_three() { (($(committee "len(one['members'])") == 3)); }
wait_until 120 "an epoch without who left" has_three
anchor_follows() { (($(ask finality_anchor 'epoch()(uint64)') >= $(committee "one['epoch']"))); }
wait_until 60 "L1 to enter that epoch" anchor_follows
[[ $(status "$FOURTH" in_committee) == False ]] || fail "who left is in the committee on L1"
has_new || fail "the new key is not in the committee any more"
ok "who left is in no later committee"

# Nobody can pay for a settlement: the certificate of consensus settles.
for member in 0 1 2; do
    attester=$(rpc "$(url 0)" outrider_committee | python3 -c 'import json, sys; print(json.load(sys.stdin)["contacts"][int(sys.argv[1])]["attester"])' $member)
    rpc "$L1" anvil_setBalance "[\"$attester\", \"0x0\"]" >/dev/null
done
id=$(submit_soft "$(url 0)" 7 c0ffee)
"$OUTRIDER" proof --rpc "$(url 2)" "$id" --out "$WORK/proof.json" >/dev/null
wanted=$("$OUTRIDER" status --rpc "$(url 2)" "$id" | sed -n 's/^soft-final at height \([0-9]*\),.*/\1/p')
as anybody l1 settle-native --proof "$WORK/proof.json" --dry-run | grep -q '^function   settleNative(bytes\[\],uint8,uint256,bytes)$' ||
    fail "the dry run names no function"
as anybody l1 settle-native --proof "$WORK/proof.json" >"$WORK/native.out"
block=$(ask finality_anchor 'blockAt(uint64)(bytes32)' "$wanted")
[[ $block == "0x$(rpc "$(url 2)" outrider_block "[$wanted]" | field id)" ]] || fail "L1 settled $block at height $wanted: $(<"$WORK/native.out")"
expect_failure 1 'has settled height' "$OUTRIDER" l1 settle-native --proof "$WORK/proof.json" --network "$NET/l1.json" --l1 "$L1" --account "$WORK/anybody"
here=$(height "$(url 0)")
# The end of an epoch settles first.
natively() { as anybody l1 settle-native --rpc "$(url 2)" >>"$WORK/native.out" && (($(settled) >= here)); }
wait_until 60 "L1 to be where the members are" natively
"$CAST" logs --rpc-url "$L1" --address "$(of_l1 finality_anchor)" --from-block 0 \
    'Settled(uint64 indexed,bytes32 indexed,uint64,uint64,address,bool)' --json >"$WORK/settled.json"
python3 - "$WORK/settled.json" "$("$CAST" wallet address "$(<"$WORK/anybody")")" <<'PYTHON'
import json, sys
last = json.load(open(sys.argv[1]))[-1]["data"][2:]
words = [last[at : at + 64] for at in range(0, len(last), 64)]
if "0x" + words[2][24:] != sys.argv[2].lower() or int(words[3], 16) != 1:
    sys.exit(f"the last settlement is that of 0x{words[2][24:]}, native: {int(words[3], 16)}")
PYTHON
"$OUTRIDER" l1 status --network "$NET/l1.json" --l1 "$L1" >"$WORK/status.out"
grep -q '^settlement   goes on$' "$WORK/status.out" && grep -q '^list         4 of at most 64$' "$WORK/status.out" || fail "l1 status: $(<"$WORK/status.out")"
ok "without attesters that can pay, anybody settles by the certificate of consensus"

kill_member new TERM
kill -KILL "$DEVNET"
nobody_is_left() { ! pgrep -f "$NET" >/dev/null; }
wait_until 30 "members and anvil to end" nobody_is_left
ok "a devnet that is killed leaves no process behind"
no_panics
