#!/usr/bin/env bash
# The Engine API with JWT: what anvil builds is VALID for @ethereumjs/client with the same state roots; a stand-in for an OP-style
# engine, which refuses a payload for one bad transaction, ends with the same transactions, reasons and states.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
source "$(dirname "${BASH_SOURCE[0]}")/conductor.bash"
CLIENT=$TOOLS/node_modules/@ethereumjs/client/dist/esm/bin/cli.js
[[ -f $CLIENT ]] || fail "no @ethereumjs/client at $CLIENT: run .ci/run setup"

init_network 4
for member in 0 1 2 3; do start_member $member; done
read -r ANVIL_PORT MIRROR ENGINE OP OP_ENGINE P2P_1 P2P_2 < <(free_ports 7)
od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$WORK/jwt"
od -An -N32 -tx1 /dev/urandom | tr -d ' \n' >"$WORK/other-jwt"

# client_at NAME RPC ENGINE P2P [NODE-OPTIONS...]
client_at() {
    local name=$1 port=$2
    mkdir -p "$WORK/$name"
    TOOLS=$TOOLS run_as "$name" node "${@:5}" "$CLIENT" --gethGenesis "$GENESIS" --dataDir "$WORK/$name" --sync none --port "$4" \
        --rpc --rpcPort "$port" --rpcEngine --rpcEnginePort "$3" --jwtSecret "$WORK/jwt" --logLevel warn --saveReceipts true
    wait_until 60 "$name to answer" rpc_works "http://127.0.0.1:$port" eth_chainId
}
client_at ethereumjs "$MIRROR" "$ENGINE" "$P2P_1"
client_at op-stand-in "$OP" "$OP_ENGINE" "$P2P_2" --import "$ROOT/tests/e2e/op-stand-in.mjs"
anvil_at anvil "$ANVIL_PORT"
for member in 0 1 2 3; do wait_until 60 "member-$member to answer" answers "$(url $member)"; done

mirror_it() {
    run_as conductor-mirror "$OUTRIDER" conduct --rollup $CHAIN --member "$(url 0)" --driver mirror --execution "http://127.0.0.1:$ANVIL_PORT" \
        --engine "http://127.0.0.1:$ENGINE" --mirror "http://127.0.0.1:$MIRROR" --jwt "$WORK/jwt" --data "$WORK/data-mirror" --json
}
drive_op() {
    run_as conductor-op "$OUTRIDER" conduct --rollup $CHAIN --member "$(url 1)" --driver engine --execution "http://127.0.0.1:$OP" \
        --engine "http://127.0.0.1:$OP_ENGINE" --jwt "$WORK/jwt" --data "$WORK/data-op" --json
}
mirror_it
drive_op

all_have() {
    sink_has "$ANVIL_PORT" "$1" && sink_has "$MIRROR" "$1" && sink_has "$OP" "$1"
}
# same_states: the same block number and state root everywhere.
same_states() {
    python3 - "$ANVIL_PORT" "$MIRROR" "$OP" <<'PYTHON'
import json, sys, urllib.request
def head(port):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": ["latest", False]}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}", body, {"content-type": "application/json"})
    block = json.load(urllib.request.urlopen(request, timeout=5))["result"]
    return block["number"], block["stateRoot"]
heads = {head(port) for port in sys.argv[1:]}
sys.exit(0 if len(heads) == 1 else f"heads: {heads}")
PYTHON
}

send_transfers 0 10
wait_until 60 "$SENT transfers on three nodes" all_have "$SENT"
wait_until 30 "the same states" same_states
ok "$SENT transfers: anvil, @ethereumjs/client over the Engine API and the OP stand-in have the same state"

# A contract that burns all gas of a call, at the address of the burner's first one. Each of the six calls burns 12 of the
# block's 30 million gas, so the third one in a second does not fit, nor do those behind it.
FURNACE=0xbdEd0D2bf404bdcBa897a74E6657f1f12e5C6fb6
{
    echo "{\"key\":\"$BURNER\",\"chain\":$CHAIN,\"nonce\":0,\"gas\":100000,\"value\":0,\"data\":\"0x60fe60005360016000f3\"}"
    transfers 0 1
} | sign | submit_all "$(url 3)" $CHAIN
NONCE[0]=$((NONCE[0] + 1)) SENT=$((SENT + 1))
wait_until 60 "the furnace" all_have "$SENT"
{
    for nonce in 1 2 3 4 5 6; do
        echo "{\"key\":\"$BURNER\",\"chain\":$CHAIN,\"nonce\":$nonce,\"gas\":12000000,\"value\":0,\"to\":\"$FURNACE\"}"
    done
    echo "{\"key\":\"$POOR\",\"chain\":$CHAIN,\"nonce\":0,\"to\":\"$SINK\"}"
    transfers 0 3
} | sign | submit_all "$(url 3)" $CHAIN
NONCE[0]=$((NONCE[0] + 3)) SENT=$((SENT + 3))
wait_until 60 "transfers behind what does not fit" all_have "$SENT"
wait_until 30 "the same states" same_states
grep -q '"reason":"block-gas"' "$WORK/conductor-op.out" || fail "nothing was skipped for the gas of the block"
ok "one bad transaction makes the stand-in's payload INVALID: it is found, left out, and the others are executed"

for name in mirror op; do
    send_transfers 2 3
    kill_9 conductor-$name
    send_transfers 2 3
    [[ $name == mirror ]] && mirror_it || drive_op
done
wait_until 60 "$SENT transfers after kill -9 of both conductors" all_have "$SENT"
wait_until 30 "the same states" same_states
ok "kill -9 of the conductors: each transfer is executed once"

kill_9 op-stand-in
kill_9 ethereumjs
send_transfers 1 3
client_at op-stand-in "$OP" "$OP_ENGINE" "$P2P_2" --import "$ROOT/tests/e2e/op-stand-in.mjs"
client_at ethereumjs "$MIRROR" "$ENGINE" "$P2P_1"
wait_until 60 "$SENT transfers after kill -9 of both engines" all_have "$SENT"
wait_until 30 "the same states" same_states
ok "kill -9 of the engines: each transfer is executed once"

kill_9 anvil
send_transfers 3 2
anvil_at anvil "$ANVIL_PORT"
wait_until 60 "$SENT transfers after kill -9 of the anvil behind the mirror" all_have "$SENT"
wait_until 30 "the same states" same_states
ok "kill -9 of the anvil that an engine mirrors: built again, with the states that the engine has"

# Hashes differ between kinds of nodes, all else is the same.
for name in mirror op; do
    check_lines "$WORK/conductor-$name.out"
    sed 's/"hash":"[^"]*",//; s/"again":[a-z]*,//' "$WORK/conductor-$name.out" | sort -u >"$WORK/$name.told"
done
cmp "$WORK/mirror.told" "$WORK/op.told" || { diff "$WORK/mirror.told" "$WORK/op.told" >&2; fail "the two kinds of drivers tell different blocks"; }
ok "both kinds of drivers skip the same for the same reasons, on $(wc -l <"$WORK/op.told") blocks"

kill_9 conductor-op
expect_failure 1 'check the file of --jwt' "$OUTRIDER" conduct --rollup $CHAIN --member "$(url 1)" --driver engine \
    --execution "http://127.0.0.1:$OP" --engine "http://127.0.0.1:$OP_ENGINE" --jwt "$WORK/other-jwt" --data "$WORK/data-jwt"
ok "another secret is refused"
no_panics
