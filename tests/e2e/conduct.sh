#!/usr/bin/env bash
# A conductor on each of two members drives an anvil: identical blocks, garbage skipped identically, and kill -9 of everything.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
source "$(dirname "${BASH_SOURCE[0]}")/conductor.bash"

# Epochs end while it runs: who takes no member's word follows the hand-overs.
init_network 4 --epoch-blocks 200
for member in 0 1 2 3; do start_member $member; done
for member in 0 1 2 3; do wait_until 60 "member-$member to answer" answers "$(url $member)"; done
read -r PORT_A PORT_B < <(free_ports 2)
anvil_at anvil-a "$PORT_A"
anvil_at anvil-b "$PORT_B"

# conduct_at NAME PORT MEMBER OTHER: b takes no member's word.
conduct_at() {
    local committee=()
    [[ $1 == b ]] && committee=(--committee "$NET/committee.json")
    run_as "conductor-$1" "$OUTRIDER" conduct --rollup $CHAIN --member "$(url "$3")" --member "$(url "$4")" --driver anvil \
        --execution "http://127.0.0.1:$2" --data "$WORK/data-$1" --json "${committee[@]}"
}
conduct_at a "$PORT_A" 0 2
conduct_at b "$PORT_B" 1 3

both_have() {
    sink_has "$PORT_A" "$1" && sink_has "$PORT_B" "$1"
}

heads_are_same() {
    same_blocks "$PORT_A" "$PORT_B" >/dev/null
}

send_transfers 0 20
wait_until 60 "$SENT transfers to be executed on both" both_have "$SENT"
wait_until 30 "the same head" heads_are_same
ok "$SENT transfers executed by two anvils, $(same_blocks "$PORT_A" "$PORT_B") blocks with the same hashes"

# One piece of garbage of each kind, around a good transfer; each in the order of its list, so nonces are as written.
key=${KEYS[0]} n=${NONCE[0]}
{
    echo 0x6e6f6e73656e7365
    echo 0x03c0
    sign <<LINES
{"key":"$key","chain":1,"nonce":$n,"to":"$SINK"}
{"key":"$key","chain":$CHAIN,"nonce":0,"to":"$SINK","value":2}
{"key":"$key","chain":$CHAIN,"nonce":$((n + 7)),"to":"$SINK","value":3}
{"key":"$POOR","chain":$CHAIN,"nonce":0,"to":"$SINK","value":4}
{"key":"$key","chain":$CHAIN,"nonce":$n,"to":"$SINK","value":5,"gas":20999}
{"key":"$key","chain":$CHAIN,"nonce":$n,"to":"$SINK","value":6,"gas":30000001}
{"key":"$key","chain":$CHAIN,"nonce":$n,"to":"$SINK","value":7,"fee":7,"tip":7}
{"key":"$key","chain":$CHAIN,"nonce":$n,"value":8,"gas":9000000,"data":"0x$(printf '00%.0s' {1..49153})"}
{"key":"$key","chain":$CHAIN,"nonce":$n,"to":"$SINK","value":1}
LINES
} | submit_all "$(url 2)" $CHAIN
NONCE[0]=$((n + 1)) SENT=$((SENT + 1))
wait_until 60 "the good one among garbage" both_have "$SENT"

skipped() {
    python3 -c 'import json, sys; print(sorted(one["reason"] for line in open(sys.argv[1]) for one in json.loads(line)["skipped"]))' "$1"
}
all_skipped() {
    [[ $(skipped "$WORK/conductor-a.out") == "['balance', 'block-gas', 'fee-too-low', 'init-code', 'intrinsic-gas', 'nonce-too-high', 'nonce-too-low', 'undecodable', 'undecodable', 'wrong-chain']" ]] &&
        [[ $(skipped "$WORK/conductor-a.out") == "$(skipped "$WORK/conductor-b.out")" ]]
}
wait_until 30 "ten skipped with their reasons on both" all_skipped
check_lines "$WORK"/conductor-[ab].out
ok "garbage is skipped with the same reasons on both"

executed() {
    wc -l <"$WORK/conductor-$1.out"
}
# more_than NAME LINES
more_than() {
    (($(executed "$1") > $2))
}

for round in 1 2 3; do
    send_transfers 2 5
    before=$(executed a)
    wait_until 30 "conductor-a to execute something" more_than a $((before - 1))
    kill_9 conductor-a
    send_transfers 3 5
    conduct_at a "$PORT_A" 0 2
done
wait_until 60 "$SENT transfers after kill -9 of a conductor" both_have "$SENT"
wait_until 30 "the same head" heads_are_same
ok "kill -9 of a conductor, three times: each of $SENT transfers is executed once"

rpc "http://127.0.0.1:$PORT_A" evm_mine >/dev/null
send_transfers 0 1
wait_until 60 "$SENT transfers with a block of somebody else in between" both_have "$SENT"
wait_until 30 "the same head" heads_are_same
ok "a block that somebody else made on top is taken back"

kill_9 anvil-b
send_transfers 0 5
anvil_at anvil-b "$PORT_B"
wait_until 60 "an anvil that lost its state to have $SENT transfers" both_have "$SENT"
wait_until 30 "the same head" heads_are_same
ok "kill -9 of an anvil: driven again from genesis to block $(same_blocks "$PORT_A" "$PORT_B"), with the same hashes"

send_transfers 1 5
kill_member 0 KILL
send_transfers 1 5
kill_9 conductor-b
kill_9 anvil-b
start_member 0
anvil_at anvil-b "$PORT_B"
conduct_at b "$PORT_B" 1 3
wait_until 90 "all after kill -9 of member, conductor and anvil" both_have "$SENT"
wait_until 30 "the same head" heads_are_same
for key in 0 1 2; do
    address=$("$ROOT"/target/tools/node_modules/.bin/cast wallet address "${KEYS[key]}")
    (($(quantity "http://127.0.0.1:$PORT_A" eth_getTransactionCount "[\"$address\",\"latest\"]") == NONCE[$key])) || fail "nonce of key $key"
done
ok "kill -9 of a member, a conductor and an anvil together: each of $SENT transfers is executed once"

(($(rpc "$(url 1)" outrider_head '[]' | field height) > 200)) || fail "no epoch ended"
check_lines "$WORK"/conductor-[ab].out
ok "no gap and no block that came out twice in different ways, on $(same_blocks "$PORT_A" "$PORT_B") blocks"

expect_failure 1 'another conductor holds' "$OUTRIDER" conduct --rollup $CHAIN --member "$(url 0)" --driver anvil \
    --execution "http://127.0.0.1:$PORT_A" --data "$WORK/data-a"
expect_failure 1 'is of chain 42069, the rollup is 7' "$OUTRIDER" conduct --rollup 7 --member "$(url 0)" --driver anvil \
    --execution "http://127.0.0.1:$PORT_A" --data "$WORK/other"
kill_9 conductor-a
rpc "http://127.0.0.1:$PORT_A" anvil_rollback '[3]' >/dev/null
rpc "http://127.0.0.1:$PORT_A" evm_mine >/dev/null
expect_failure 1 'of the execution node is .*, but .* was executed' "$OUTRIDER" conduct --rollup $CHAIN --member "$(url 0)" --driver anvil \
    --execution "http://127.0.0.1:$PORT_A" --data "$WORK/data-a"
ok "a second conductor, another chain and a node with other blocks are refused"
no_panics
