#!/usr/bin/env bash
# A machine that is no EVM: the key-value store over HTTP, with five blocks a second, and kill -9 of machine and conductor.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
source "$(dirname "${BASH_SOURCE[0]}")/conductor.bash"
ROLLUP=77

init_network 4
for member in 0 1 2 3; do start_member $member; done
for member in 0 1 2 3; do wait_until 60 "member-$member to answer" answers "$(url $member)"; done
read -r PORT < <(free_ports 1)

get() {
    python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=5).read().decode())' "http://127.0.0.1:$PORT$1"
}
value_is() {
    [[ $(get "/value/$1" 2>/dev/null) == "{\"value\":\"$2\"}" ]]
}
vm() {
    run_as vm "$OUTRIDER" vm kv --listen "127.0.0.1:$PORT"
}
drive() {
    run_as conductor-kv "$OUTRIDER" conduct --rollup $ROLLUP --member "$(url 0)" --driver http --execution "http://127.0.0.1:$PORT" \
        --block-time 200ms --data "$WORK/data-kv" --json
}
operations() {
    local line
    while read -r line; do printf '0x%s\n' "$(printf %s "$line" | od -An -tx1 | tr -d ' \n')"; done
}

vm
drive
operations <<'LINES' | submit_all "$(url 1)" $ROLLUP
{"op":"put","key":"bank","value":"1000"}
{"op":"put","key":"shop","value":"0"}
{"op":"transfer","from":"bank","to":"shop","amount":7}
{"op":"transfer","from":"bank","to":"shop","amount":5000}
{"op":"delete","key":"nobody"}
nonsense
LINES
wait_until 60 "the first operations" value_is shop 7
three_skipped() {
    [[ $(python3 -c 'import json, sys; print(sorted(one["text"] for line in open(sys.argv[1]) for one in json.loads(line)["skipped"]))' "$WORK/conductor-kv.out") == "['no such key', 'not an operation', 'not enough to transfer']" ]]
}
wait_until 30 "three skipped with their reasons" three_skipped
ok "operations are executed in order, and what cannot be is skipped with the machine's reason"

in_hex() {
    printf '0x%s' "$(printf %s "$1" | od -An -tx1 | tr -d ' \n')"
}
transfer=$(in_hex '{"op":"transfer","from":"shop","to":"bank","amount":7}')
rpc "$(url 1)" outrider_submitBundle '{"parts":[{"rollup":'$ROLLUP',"payload":"'"$transfer"'"},{"rollup":78,"payload":"0x00"}]}' >/dev/null
wait_until 60 "the part of a bundle to be executed" value_is shop 0
ok "a part of a bundle is executed without its head"

for amount in 1 2 3; do
    echo "{\"op\":\"transfer\",\"from\":\"bank\",\"to\":\"shop\",\"amount\":$((amount * 10))}" | operations | submit_all "$(url 2)" $ROLLUP
    kill_9 conductor-kv
    drive
done
wait_until 60 "60 in the shop after kill -9 of the conductor" value_is shop 60
kill_9 vm
echo '{"op":"transfer","from":"bank","to":"shop","amount":33}' | operations | submit_all "$(url 3)" $ROLLUP
vm
wait_until 60 "93 in the shop after kill -9 of the machine" value_is shop 93
value_is bank 907 || fail "the bank has $(get /value/bank)"
check_lines "$WORK/conductor-kv.out"
ok "kill -9 of conductor and machine: each operation is executed once, $(get /head)"
no_panics
