#!/usr/bin/env bash
# Short-lived rollups: opened with one command, used by a wallet, closed by themselves or by their owner, and proven offline.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
source "$(dirname "${BASH_SOURCE[0]}")/conductor.bash"
CAST=${CAST:-$ROOT/target/tools/node_modules/.bin/cast}
[[ -x $CAST ]] || fail "no cast at $CAST: run .ci/run setup, or set CAST"
TO=0x4242424242424242424242424242424242424242

init_network 4
for member in 0 1 2 3; do start_member $member; done
for member in 0 1 2 3; do wait_until 60 "member-$member to answer" answers "$(url $member)"; done

"$OUTRIDER" init --members 4 --dir "$WORK/stranger" --base-port "$BASE" >"$WORK/stranger.out"

# said NAME WORD: what follows the word at the beginning of a line.
said() {
    sed -n "s/^$2 //p" "$WORK/$1.out" | head -n 1
}
says() {
    [[ -n $(said "$1" "$2") ]]
}

open_evm() {
    run_as evm "$OUTRIDER" rollup open --vm evm --ttl 30s --order priority-ethereum --member "$(url 0),$(url 1)" --data "$WORK/evm" \
        --committee "$NET/committee.json" --anvil "$ANVIL" --certify "$NET/member-0/member.key" \
        --fund 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266
}
open_kv() {
    run_as kv "$OUTRIDER" rollup open --vm kv --ttl 10m --member "$(url 2)" --data "$WORK/kv" --block-time 200ms \
        --committee "$NET/committee.json" --certify "$NET/member-0/member.key"
}
open_evm
open_kv
wait_until 30 "a rollup with an EVM" says evm rpc
wait_until 30 "a rollup with the key-value machine" says kv rpc
EVM=$(said evm rollup | cut -d' ' -f1) RPC=$(said evm rpc)
KV=$(said kv rollup | cut -d' ' -f1)
"$OUTRIDER" rollup list --member "$(url 3)" >"$WORK/list.out"
grep -q "^$EVM evm priority-ethereum " "$WORK/list.out" || fail "rollup $EVM is not in the list"
grep -q "^$KV kv fcfs " "$WORK/list.out" || fail "rollup $KV is not in the list"
ok "two rollups are open, $EVM and $KV"

# Other members execute the key-value machine too: 1 and 2 honestly, and 3 with a stand-in of a machine that has a bug.
read -r PORT_1 PORT_2 PORT_3 PORT_BUG < <(free_ports 4)
for member in 1 2 3; do
    port=PORT_$member
    run_as "vm-$member" "$OUTRIDER" vm kv --listen "127.0.0.1:${!port}"
done
cat >"$WORK/bug.py" <<'PYTHON'
import http.server, json, sys, urllib.request
class Bug(http.server.BaseHTTPRequestHandler):
    """Puts 6 where 5 was asked for."""
    def go(self, body):
        request = urllib.request.Request(f"http://127.0.0.1:{sys.argv[2]}{self.path}", body, {"content-type": "application/json"})
        answer = urllib.request.urlopen(request, timeout=20).read()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
    def do_GET(self):
        self.go(None)
    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.go(body.replace(b'"5"'.hex().encode(), b'"6"'.hex().encode()))
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Bug).serve_forever()
PYTHON
run_as bug python3 "$WORK/bug.py" "$PORT_BUG" "$PORT_3"
PORT_3=$PORT_BUG
for member in 1 2 3; do
    port=PORT_$member
    run_as "conduct-$member" "$OUTRIDER" conduct --rollup "$KV" --member "$(url $member)" --driver http --execution "http://127.0.0.1:${!port}" \
        --block-time 200ms --data "$WORK/conduct-$member" --certify "$NET/member-$member/member.key"
done

timeout 30 "$CAST" send --rpc-url "$RPC" --private-key "${KEYS[0]}" --value 7 "$TO" >"$WORK/sent.out"
grep -Eq '^status +1 ' "$WORK/sent.out" || { cat "$WORK/sent.out"; fail "the receipt of cast send"; }
[[ $("$CAST" balance --rpc-url "$RPC" "$TO") == 7 ]] || fail "the balance after cast send"
! rpc "$RPC" evm_mine >/dev/null 2>&1 || fail "evm_mine reaches anvil"
ok "cast sends, waits for the receipt, and sees the balance"

# kill -9 of the command: its anvil is left behind, and the same command goes on with the same rollup.
anvils() {
    pgrep -fc -- "--init $(realpath "$WORK")/evm/genesis.json" || true
}
# again NAME: killed with -9, and run again.
again() {
    kill_9 "$1"
    mv "$WORK/$1.out" "$WORK/$1.before.$SECONDS.out"
    "open_$1"
    wait_until 30 "rollup $1 to be served again" says "$1" rpc
}
balance_is() {
    [[ $("$CAST" balance --rpc-url "$RPC" "$TO" 2>/dev/null) == "$1" ]]
}
HEADER=$("$CAST" block --rpc-url "$RPC" 1 --field hash)
again evm
[[ $(said evm resumed) == "$WORK/evm" && $(said evm rollup | cut -d' ' -f1) == "$EVM" ]] || fail "another rollup than $EVM"
RPC=$(said evm rpc)
wait_until 30 "the balance after kill -9" balance_is 7
[[ $("$CAST" block --rpc-url "$RPC" 1 --field hash) == "$HEADER" ]] || fail "another block 1 after kill -9"
grep -q '^block 1 .* again$' "$WORK/evm.out" || fail "block 1 was not compared with the journal"
[[ $(anvils) == 1 ]] || fail "$(anvils) anvils"
expect_failure 1 'another command runs the rollup' "$OUTRIDER" rollup open --vm kv --ttl 10m --member "$(url 2)" --data "$WORK/kv" --block-time 200ms
timeout 30 "$CAST" send --rpc-url "$RPC" --private-key "${KEYS[0]}" --value 5 "$TO" >"$WORK/sent.out"
wait_until 30 "the balance after a transaction more" balance_is 12
ok "killed with -9, the same command goes on with rollup $EVM, its blocks and its balances"

value_is() {
    [[ $(python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())' \
        "$(said kv rpc)/value/$1" 2>/dev/null) == "{\"value\":\"$2\"}" ]]
}
hex() {
    printf %s "$1" | od -An -tx1 | tr -d ' \n'
}
put() {
    "$OUTRIDER" submit --rpc "$(url 1)" --rollup "$KV" --hex "$(hex "{\"op\":\"put\",\"key\":\"$1\",\"value\":\"$2\"}")"
}
certified() {
    [[ $(rpc "$(url "$1")" outrider_executionCertificate "[$KV, $2]") != null ]]
}
differ() {
    [[ $(rpc "$(url "$1")" outrider_executionConflict "[$KV, $2]") != null ]]
}
put b 1 >/dev/null
wait_until 30 "lane block 1 to be certified" certified 3 1
BAD=$(put a 5)
wait_until 30 "the key-value machine" value_is a 5
for member in 0 3; do wait_until 30 "lane block 2 to be certified" certified "$member" 2; done
wait_until 30 "the conflict to be known" differ 1 2
! differ 1 1 || fail "a conflict about lane block 1"
rpc "$(url 1)" outrider_executionConflict "[$KV, 2]" >"$WORK/conflict.json"
python3 -c 'import json, sys; sides = json.load(open(sys.argv[1])); assert [one["members"] for one in sides] == [[0, 1, 2], [3]], sides' "$WORK/conflict.json"
"$OUTRIDER" rollup compare --a "$WORK/conduct-1" --b "$(said kv rpc)" --lane 2 >/dev/null || fail "two honest conductors differ"
"$OUTRIDER" rollup compare --a "$WORK/conduct-1" --b "$WORK/conduct-3" --lane 1 >/dev/null || fail "lane block 1 differs"
expect_failure 1 "lane block 2 differ: transaction 0 of the block: $BAD included put" "$OUTRIDER" rollup compare --a "$WORK/conduct-3" --b "$WORK/conduct-2" --lane 2
ok "three members certify what they executed; the fourth is named, and so is the transaction"

again kv
[[ $(said kv rollup | cut -d' ' -f1) == "$KV" ]] || fail "another rollup than $KV"
wait_until 30 "the key-value machine after kill -9" value_is a 5
kill_9 kv
expect_failure 1 'opened with another --ttl' "$OUTRIDER" rollup open --vm kv --ttl 11m --member "$(url 2)" --data "$WORK/kv" --block-time 200ms
expect_failure 1 'committee|epoch|network|chain' "$OUTRIDER" rollup open --vm kv --ttl 10m --member "$(url 2)" --data "$WORK/other" \
    --committee "$WORK/stranger/committee.json"
open_kv
wait_until 30 "rollup kv to be served again" says kv rpc
ok "so does the one of the key-value machine; other options, and members of another committee, are refused"

"$OUTRIDER" rollup close --member "$(url 3)" --owner-key "$WORK/kv/owner.key" "$KV" >"$WORK/close.out"
grep -q '^closed after 2 lane blocks, 2 transactions$' "$WORK/close.out" || { cat "$WORK/close.out"; fail "close"; }
wait_until 30 "kv to be written down" says kv wrote
ok "its owner closes a rollup"

wait_until 60 "evm to be written down" says evm wrote
"$OUTRIDER" rollup show --member "$(url 1)" "$EVM" | grep -q '^closed; ' || fail "rollup $EVM is not closed"
ok "a rollup closes by itself when its time is over"

# verify FOLDER: what the file proves.
verify() {
    "$OUTRIDER" rollup verify "$WORK/$1/final.json" --committee "$NET/committee.json"
}
verify evm | grep -q '^claims  *3 ' || { verify evm; fail "what the EVM leaves"; }
verify kv | grep -q '^claims  *2 ' || { verify kv; fail "what the key-value machine leaves"; }
verify kv | grep -q 'a quorum says that the state follows' || { verify kv; fail "the certificate"; }
verify evm | grep -q 'nobody says that the state follows' || { verify evm; fail "no certificate"; }
python3 - "$WORK/evm/final.json" $TO <<'PYTHON'
import json, sys
accounts = json.load(open(sys.argv[1]))["claims"]["accounts"]
assert [int(one["balance"], 16) for one in accounts if one["address"] == sys.argv[2]] == [12], accounts
PYTHON
ok "what they leave is checked offline: lane proof and every account against the state root"

python3 - "$WORK" <<'PYTHON'
import os, subprocess, sys
work = sys.argv[1]
for name in ["evm", "kv"]:
    whole = open(f"{work}/{name}/final.json", "rb").read()
    os.makedirs(f"{work}/{name}-changed")
    for at in range(0, len(whole), len(whole) // 12):
        changed = bytearray(whole)
        changed[at] ^= 1
        open(f"{work}/{name}-changed/{at}.json", "wb").write(changed)
PYTHON
for file in "$WORK"/{evm,kv}-changed/*.json; do
    expect_failure 1 'proves nothing' "$OUTRIDER" rollup verify "$file" --committee "$NET/committee.json"
done
ok "a changed byte anywhere proves nothing"

expect_failure 1 'is not open' "$OUTRIDER" submit --rpc "$(url 2)" --rollup "$EVM" --hex 00
expect_failure 1 'is not open' "$OUTRIDER" submit --rpc "$(url 2)" --rollup "$KV" --hex 00
ok "nothing is taken for a closed rollup"
no_panics
