#!/usr/bin/env bash
# A wallet at /rollup/{id}: cast sends, waits for the receipt and reads balances, with anvil as execution node.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
source "$(dirname "${BASH_SOURCE[0]}")/conductor.bash"
CAST=${CAST:-$ROOT/target/tools/node_modules/.bin/cast}
[[ -x $CAST ]] || fail "no cast at $CAST: run .ci/run setup, or set CAST"
TO=0x4242424242424242424242424242424242424242

init_network 4
read -r PORT < <(free_ports 1)
for member in 0 1 2 3; do start_member $member --set "rpc.execution=$CHAIN=http://127.0.0.1:$PORT"; done
for member in 0 1 2 3; do wait_until 60 "member-$member to answer" answers "$(url $member)"; done
RPC=$(url 1)/rollup/$CHAIN

expect_refusal() {
    local pattern=$1
    shift
    ! rpc "$@" >"$WORK/refused.out" 2>"$WORK/refused.err" || fail "not refused: $*"
    grep -q -- "$pattern" "$WORK/refused.err" || { cat "$WORK/refused.err" >&2; fail "no /$pattern/: $*"; }
}

expect_refusal '"code": -32058' "$RPC" eth_blockNumber
expect_refusal 'rpc.execution' "$(url 1)/rollup/31337" eth_blockNumber
ok "without an execution node, and with a dead one, the error says so"

anvil_at anvil "$PORT"
run_as conductor "$OUTRIDER" conduct --rollup $CHAIN --member "$(url 0)" --member "$(url 2)" --driver anvil \
    --execution "http://127.0.0.1:$PORT" --data "$WORK/data" --json

# send VALUE KEY: nothing is given that a wallet would ask for itself.
send() {
    timeout 90 "$CAST" send --rpc-url "$RPC" --private-key "$2" --value "$1" "${@:3}" "$TO"
}

send 7 "${KEYS[0]}" >"$WORK/sent.out"
grep -Eq '^status +1 ' "$WORK/sent.out" || { cat "$WORK/sent.out"; fail "the receipt of cast send"; }
[[ $("$CAST" balance --rpc-url "$RPC" "$TO") == 7 ]] || fail "the balance after cast send"
ok "cast send waits for the receipt, cast balance sees it"

send 8 "${KEYS[0]}" --legacy >/dev/null
hash=$(send 9 "${KEYS[1]}" --async)
status=$(timeout 90 "$CAST" receipt --rpc-url "$RPC" "$hash" status)
[[ $status =~ ^(1|true|0x1) ]] || fail "cast receipt says $status"
[[ $("$CAST" nonce --rpc-url "$RPC" 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266) == 2 ]] || fail "cast nonce"
ok "legacy, asynchronous, receipt and nonce"

for tag in soft latest pending safe finalized; do
    (($(quantity "$RPC" eth_getBalance "[\"$TO\",\"$tag\"]") == 24)) || fail "the balance at $tag"
done
(($(quantity "$RPC" eth_getBalance "[\"$TO\",\"earliest\"]") == 0)) || fail "the balance at earliest"
ok "soft, latest, pending, safe and finalized are the last executed block"

raw=$("$CAST" mktx --rpc-url "$RPC" --private-key "${KEYS[0]}" --value 1 "$TO")
receipt=$(rpc "$RPC" eth_sendRawTransactionSync "[\"$raw\", 15000]" | field status)
[[ $receipt == 0x1 ]] || fail "eth_sendRawTransactionSync says $receipt"
raw=$("$CAST" mktx --rpc-url "$RPC" --private-key "${KEYS[0]}" --nonce 9 --gas-limit 21000 --value 1 "$TO")
expect_refusal '"code": 6, .*"data": "0x3"' "$RPC" eth_sendRawTransactionSync "[\"$raw\", 1500]"
ok "eth_sendRawTransactionSync answers with the receipt, or names the nonce that is missing"

for method in anvil_setBalance evm_mine eth_sendTransaction eth_sign debug_traceTransaction admin_nodeInfo; do
    expect_refusal '"code": -32601' "$RPC" "$method" '["'$TO'", "0xff"]'
done
ok "nothing else reaches the execution node"
no_panics
