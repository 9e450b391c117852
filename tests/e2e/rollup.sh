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

# said NAME WORD: what follows the word at the beginning of a line.
said() {
    sed -n "s/^$2 //p" "$WORK/$1.out" | head -n 1
}
says() {
    [[ -n $(said "$1" "$2") ]]
}

run_as evm "$OUTRIDER" rollup open --vm evm --ttl 15s --order priority-ethereum --member "$(url 0),$(url 1)" --data "$WORK/evm" \
    --anvil "$ANVIL" --fund 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266
run_as kv "$OUTRIDER" rollup open --vm kv --ttl 10m --member "$(url 2)" --data "$WORK/kv" --block-time 200ms
wait_until 30 "a rollup with an EVM" says evm rpc
wait_until 30 "a rollup with the key-value machine" says kv rpc
EVM=$(said evm rollup | cut -d' ' -f1) RPC=$(said evm rpc)
KV=$(said kv rollup | cut -d' ' -f1)
"$OUTRIDER" rollup list --member "$(url 3)" >"$WORK/list.out"
grep -q "^$EVM evm priority-ethereum " "$WORK/list.out" || fail "rollup $EVM is not in the list"
grep -q "^$KV kv fcfs " "$WORK/list.out" || fail "rollup $KV is not in the list"
ok "two rollups are open, $EVM and $KV"

timeout 30 "$CAST" send --rpc-url "$RPC" --private-key "${KEYS[0]}" --value 7 "$TO" >"$WORK/sent.out"
grep -Eq '^status +1 ' "$WORK/sent.out" || { cat "$WORK/sent.out"; fail "the receipt of cast send"; }
[[ $("$CAST" balance --rpc-url "$RPC" "$TO") == 7 ]] || fail "the balance after cast send"
! rpc "$RPC" evm_mine >/dev/null 2>&1 || fail "evm_mine reaches anvil"
ok "cast sends, waits for the receipt, and sees the balance"

value_is() {
    [[ $(python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())' \
        "$(said kv rpc)/value/$1" 2>/dev/null) == "{\"value\":\"$2\"}" ]]
}
hex() {
    printf %s "$1" | od -An -tx1 | tr -d ' \n'
}
"$OUTRIDER" submit --rpc "$(url 1)" --rollup "$KV" --hex "$(hex '{"op":"put","key":"a","value":"5"}')" >/dev/null
wait_until 30 "the key-value machine" value_is a 5
"$OUTRIDER" rollup close --member "$(url 3)" --owner-key "$WORK/kv/owner.key" "$KV" >"$WORK/close.out"
grep -q '^closed after 1 lane blocks, 1 transactions$' "$WORK/close.out" || { cat "$WORK/close.out"; fail "close"; }
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
verify kv | grep -q '^claims  *1 ' || { verify kv; fail "what the key-value machine leaves"; }
python3 - "$WORK/evm/final.json" $TO <<'PYTHON'
import json, sys
accounts = json.load(open(sys.argv[1]))["claims"]["accounts"]
assert [int(one["balance"], 16) for one in accounts if one["address"] == sys.argv[2]] == [7], accounts
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
