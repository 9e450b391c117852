#!/usr/bin/env bash
# A committee that settles on L1: settlement, forced inclusion, a committee that changes with the stake there, a reorganisation
# of L1, and L1 away. anvil is L1.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"

readonly TOOLS=$ROOT/target/tools/node_modules/.bin
readonly ANVIL=$TOOLS/anvil CAST=$TOOLS/cast
[[ -x $ANVIL && -x $CAST ]] || fail "anvil and cast are missing: .ci/run setup"
# The first of anvil's accounts: it deployed the contracts.
readonly KEY=0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80

NET=$WORK/net
"$OUTRIDER" devnet --l1 --anvil "$ANVIL" --dir "$NET" --epoch-blocks 150 >"$WORK/devnet.log" 2>&1 &
PIDS+=($!)
answers_l1() { [[ -f $NET/l1.json ]] && answers "$(url 0)"; }
wait_until 120 "the devnet to answer" answers_l1

of_l1() { python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))[sys.argv[2]])' "$NET/l1.json" "$1"; }
L1=$(sed -n 's/^endpoints = "\(.*\)"/\1/p' "$NET/member-0/outrider.toml")
ANCHOR=$(of_l1 finality_anchor)
INBOX=$(of_l1 forced_inbox)
settlement() { rpc "$(url "$1")" outrider_settlement | field "$2"; }
settled_at_least() { (($(settlement "$1" settled) >= $2)); }
final_at_least() { (($(settlement "$1" final) >= $2)); }
settlements() { "$CAST" logs --rpc-url "$L1" --address "$ANCHOR" --from-block 0 'Settled(uint64 indexed,bytes32 indexed,uint64,uint64,address,bool)' --json | python3 -c 'import json, sys; print(len(json.load(sys.stdin)))'; }
three_settled() { (($(settlements) >= 3)); }

# Settlement.
wait_until 90 "three settlements" three_settled
first=$(settlement 3 settled)
wait_until 60 "the first of them to be final on L1" final_at_least 3 "$first"
block=$("$CAST" call --rpc-url "$L1" "$ANCHOR" 'blockAt(uint64)(bytes32)' "$first")
ours=$(rpc "$(url 2)" outrider_block "[$first]" | field id)
[[ $block == "0x$ours" ]] || fail "L1 settled $block at height $first, the members have $ours"
ok "blocks settle on L1, and are those of the members"

# Forced inclusion.
lane() { rpc "$(url 1)" outrider_lane '[77]' | field transactions; }
forced() { (($(lane) == 1)); }
"$CAST" send --rpc-url "$L1" --private-key "$KEY" "$INBOX" 'enqueue(uint64,bytes)' 77 0xfeed >"$WORK/enqueue.out"
enqueued=$("$CAST" call --rpc-url "$L1" "$INBOX" 'entry(uint64)(uint64,bytes32)' 0 | head -n 1 | cut -d ' ' -f 1)
wait_until 60 "the forced transaction to be soft-final" forced
rpc "$(url 1)" outrider_laneRange '[77, 1]' >"$WORK/lane.json"
python3 - "$WORK/lane.json" "$enqueued" <<'PYTHON'
import json, sys
lane, enqueued = json.load(open(sys.argv[1]))["lanes"][0], int(sys.argv[2])
if lane["transactions"] != ["0xfeed"]:
    sys.exit(f"the lane has {lane['transactions']}")
header = lane["header"]["block"] if "block" in lane["header"] else lane["header"]
if header["origin"]["inbox"] != 1:
    sys.exit(f"the block says that {header['origin']['inbox']} entries are consumed")
late = header["timestamp"] / 1e6 - (enqueued + 60)
if late >= 0:
    sys.exit(f"the block came {late} s after the deadline")
PYTHON
ok "a transaction that was put into the inbox on L1 is in a block before its deadline"

# The committee is that of the stake on L1.
operator=$("$CAST" wallet address 0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d)
"$CAST" send --rpc-url "$L1" --private-key "$KEY" --value 1ether "$(of_l1 bonded_stake)" 'deposit(address)' "$operator" >"$WORK/deposit.out"
stake() { rpc "$(url 2)" outrider_committee | python3 -c 'import json, sys; now = json.load(sys.stdin); print(sum(m["stake"] for m in now["committee"]["members"]))'; }
more_stake() { (($(stake) == 5)); }
wait_until 150 "the committee to have the new stake" more_stake
epoch() { rpc "$(url 2)" outrider_committee | python3 -c 'import json, sys; print(json.load(sys.stdin)["committee"]["epoch"])'; }
anchor_epoch() { "$CAST" call --rpc-url "$L1" "$ANCHOR" 'epoch()(uint64)' | cut -d ' ' -f 1; }
anchor_follows() { (($(anchor_epoch) >= $(epoch))); }
wait_until 60 "the anchor to enter the epoch" anchor_follows
ok "a deposit on L1 changes the committee of a later epoch, and L1 hands over to it"

# L1 reorganises just after the end of an epoch was settled there: that must be settled once more before anything else is. What was
# settled is undone, soft-final blocks are not.
ended=$(anchor_epoch)
enters() { (($(anchor_epoch) > ended)); }
# In one process: two blocks later, the reorganisation would not reach what it is to undo.
python3 - "$L1" "$ANCHOR" "$("$CAST" calldata 'epoch()')" "$ended" "$(url 0)" >"$WORK/reorg.out" <<'PYTHON'
import json, sys, time, urllib.request
l1, anchor, data, ended, member = sys.argv[1:]
def rpc(url, method, params):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=5))["result"]
deadline = time.monotonic() + 120
while int(rpc(l1, "eth_call", [{"to": anchor, "data": data}, "latest"]), 16) == int(ended):
    if time.monotonic() > deadline:
        sys.exit("waited 120 s for: the anchor to enter another epoch")
    time.sleep(0.05)
soft = rpc(member, "outrider_head", [])["height"]
block = rpc(member, "outrider_block", [soft])
rpc(l1, "anvil_reorg", [2, []])
print(soft, block["id"])
PYTHON
read -r soft id <"$WORK/reorg.out"
[[ $(anchor_epoch) == "$ended" ]] || fail "the reorganisation left the anchor in epoch $(anchor_epoch)"
reorganised() { grep -q 'L1 reorganised' "$NET/member-0/outrider.log"; }
wait_until 30 "members to see the reorganisation" reorganised
wait_until 60 "the anchor to enter the epoch again" enters
wait_until 60 "settlement to go on" settled_at_least 0 $((soft + 1))
wait_until 60 "it to be final on L1" final_at_least 0 $((soft + 1))
[[ $(rpc "$(url 0)" outrider_block "[$soft]" | field id) == "$id" ]] || fail "a soft-final block was undone"
ok "a reorganisation of L1 undoes no soft-final block, and settlement goes on, also over the end of an epoch"

# L1 is away: nothing is lost.
pid=$(pgrep -f "anvil.*--port ${L1##*:} " | tail -n 1)
kill -STOP "$pid"
away() { [[ $(settlement "$1" outage) == "0 of 1 L1 endpoints answer "* ]]; }
for member in 0 1 2 3; do wait_until 60 "member $member to say that L1 is away" away "$member"; done
here=$(height "$(url 1)")
wait_until 60 "blocks to go on without L1" height_at_least "$(url 1)" $((here + 20))
kill -CONT "$pid"
followed() { [[ $(settlement "$1" outage) == None ]]; }
for member in 0 1 2 3; do wait_until 90 "member $member to follow L1 again" followed "$member"; done
wait_until 90 "settlement to go on" settled_at_least 1 $((here + 1))
ok "without L1 each member says so, blocks go on, and are settled when it is back"

# The attester keys of all members are stolen, and settle a block that no member has: each member says so, believes nothing of L1 any more,
# and goes on.
begins() { rpc "$(url 0)" outrider_committee | python3 -c 'import json, sys; print(json.load(sys.stdin)["base"]["height"])'; }
early() { (($(anchor_epoch) == $(epoch) && $(height "$(url 0)") < $(begins) + 75)); }
wait_until 120 "the first half of an epoch that L1 has entered" early
rpc "$(url 0)" outrider_block "[$(height "$(url 0)")]" >"$WORK/true.json"
rpc "$(url 0)" outrider_committee >"$WORK/members.json"
python3 - "$ROOT" "$NET" "$CAST" "$L1" "$ANCHOR" "$WORK" >"$WORK/settle.args" <<'PYTHON'
import hashlib, json, pathlib, subprocess, sys
root, net, cast, l1, anchor, work = sys.argv[1:]
sys.path.insert(0, f"{root}/client/python")
from verify import HEADER, block_id, encode, fit
found = json.load(open(f"{work}/true.json"))
header = fit(HEADER, found["header"], "header")
if block_id(header).hex() != found["id"]:
    sys.exit("the header of the block is read wrongly")
header["timestamp"] += 1
header = encode(HEADER, header)
run = lambda *words: subprocess.run([cast, *words], check=True, capture_output=True, text=True).stdout.strip()
chain = int(run("chain-id", "--rpc-url", l1))
said = b"OUTRCKPT" + chain.to_bytes(8, "big") + bytes.fromhex(anchor[2:]) + hashlib.sha256(header).digest()
digest = run("keccak", "0x" + said.hex())
seeds = [json.load(open(path))["seed"] for path in pathlib.Path(net).glob("member-*/member.key")]
keys = {}
for seed in seeds:
    secret = hashlib.sha256(b"outrider/attester" + bytes.fromhex(seed)).hexdigest()
    keys[run("wallet", "address", secret).lower()[2:]] = secret
signatures = b""
for contact in json.load(open(f"{work}/members.json"))["contacts"]:
    signature = bytes.fromhex(run("wallet", "sign", "--no-hash", "--private-key", keys[contact["attester"]], digest)[2:])
    r, s, v = signature[:32], bytearray(signature[32:64]), signature[64]
    s[0] |= (v - 27) << 7
    signatures += r + s
print("0x" + header.hex(), 15, "0x" + signatures.hex())
PYTHON
read -r header members signatures <"$WORK/settle.args"
"$CAST" send --rpc-url "$L1" --private-key "$KEY" "$ANCHOR" 'settle(bytes,uint256,bytes)' "$header" "$members" "$signatures" >"$WORK/stolen.out"
stolen=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["header"]["height"])' "$WORK/true.json")
diverged() { [[ $(settlement "$1" diverged) == "$stolen" ]]; }
for member in 0 1 2 3; do wait_until 60 "member $member to say that L1 has another block" diverged "$member"; done
(($(settlement 0 settled) < stolen)) || fail "a block that no member has counts as settled"
wait_until 30 "blocks to go on" height_at_least "$(url 0)" $((stolen + 20))
ok "a block that no member has, settled with stolen keys, is seen by each of them; nothing of theirs is undone"
no_panics
