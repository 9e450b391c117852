#!/usr/bin/env bash
# What a wallet, a bridge and a reader of the page see of settlement: latest, safe and finalized of a rollup whose network settles on L1,
# also when L1 reorganises. anvil is L1, and another one executes the rollup.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
source "$(dirname "${BASH_SOURCE[0]}")/conductor.bash"
CAST=${CAST:-$TOOLS/node_modules/.bin/cast}
[[ -x $CAST ]] || fail "no cast at $CAST: run .ci/run setup, or set CAST"
BROWSER=$(command -v chromium || command -v chromium-browser) || fail "there is no chromium: run .ci/run setup"

NET=$WORK/net
read -r PORT < <(free_ports 1)
OUTRIDER_RPC_EXECUTION="$CHAIN=http://127.0.0.1:$PORT" "$OUTRIDER" devnet --l1 --anvil "$ANVIL" --dir "$NET" >"$WORK/devnet.log" 2>&1 &
PIDS+=($!)
anvil_at anvil "$PORT"
answers_l1() { [[ -f $NET/l1.json ]] && answers "$(url 0)"; }
wait_until 120 "the devnet to answer" answers_l1
L1=$(sed -n 's/^endpoints = "\(.*\)"/\1/p' "$NET/member-0/outrider.toml")
RPC=$(url 1)/rollup/$CHAIN
run_as conductor "$OUTRIDER" conduct --rollup $CHAIN --member "$(url 0)" --driver anvil --execution "http://127.0.0.1:$PORT" --data "$WORK/data"

# A transaction for about each block of a second, as long as this lasts.
send_on() {
    transfers 0 600 | sign | while read -r raw; do
        rpc "$RPC" eth_sendRawTransaction "[\"$raw\"]" >/dev/null || true
        read -r -t 1 <> <(:) || true
    done
}
send_on >"$WORK/send.log" 2>&1 &
PIDS+=($!)
disown $!

number() { "$CAST" block "$1" --rpc-url "$RPC" --field number 2>/dev/null; }
# FINAL, SAFE and LATEST, asked for in this order; each must hold that FINAL <= SAFE <= LATEST and that FINAL does not go back.
LAST=0
look() {
    FINAL=$(number finalized) && SAFE=$(number safe) && LATEST=$(number latest) || return 1
    ((FINAL <= SAFE && SAFE <= LATEST)) || fail "finalized $FINAL, safe $SAFE, latest $LATEST"
    ((FINAL >= LAST)) || fail "finalized went back from $LAST to $FINAL"
    LAST=$FINAL
}
final_at_least() { look && ((FINAL >= $1)); }
wait_until 90 "a rollup block that is final on L1" final_at_least 1
first=$FINAL
wait_until 60 "finalized to rise" final_at_least $((first + 3))
((FINAL < LATEST)) || fail "all is final at once: finalized $FINAL, latest $LATEST"
ok "finalized $FINAL <= safe $SAFE <= latest $LATEST, and finalized rises"

# finality HASH: of a transaction that this member took.
finality() { rpc "$(url 1)" outrider_transactionStatus "[\"$1\"]" | field finality; }
last_of() { rpc "$RPC" eth_getBlockByNumber "[\"$1\", false]" | python3 -c 'import json, sys; print(json.load(sys.stdin)["transactions"][-1])'; }
hash=$(last_of finalized)
[[ $(finality "$hash") == final ]] || fail "the last transaction of the finalized block is $(finality "$hash")"
hash=$(last_of safe)
[[ $(finality "$hash") =~ ^(settled|final)$ ]] || fail "the last transaction of the safe block is $(finality "$hash")"
hash=$(last_of latest)
is_final() { [[ $(finality "$1") == final ]]; }
wait_until 60 "the last transaction to be final on L1" is_final "$hash"
"$OUTRIDER" status --rpc "$(url 1)" "${hash#0x}" | grep -q '^soft-final .*, final on L1$' || fail "outrider status"
"$OUTRIDER" submit --rpc "$(url 1)" --rollup 7 --hex beef --wait final --timeout-s 60 | grep -q '^soft-final .*, final on L1$' || fail "outrider submit --wait"
ok "transactions of the finalized block are final, those of the safe one settled, and the last one becomes final"

(($(quantity "$RPC" eth_getBalance "[\"$SINK\",\"finalized\"]") <= $(quantity "$RPC" eth_getBalance "[\"$SINK\",\"latest\"]"))) || fail "balances"
rpc "$RPC" eth_getLogs '[{"fromBlock":"finalized","toBlock":"safe"}]' >/dev/null
(($("$CAST" nonce --rpc-url "$RPC" --block finalized 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266) > 0)) || fail "the nonce at finalized"
ok "balances, logs and nonces are asked for at these blocks"

rpc "$L1" anvil_reorg '[2, []]' >"$WORK/reorg.out"
before=$LATEST
reorganised() { look && grep -q 'L1 reorganised' "$NET/member-1/outrider.log"; }
wait_until 30 "members to see the reorganisation" reorganised
wait_until 60 "what came before it to be final" final_at_least "$before"
ok "a reorganisation of L1 takes nothing back that was finalized"

# A member that is killed and started again: what it says is final does not go back, and it knows so before L1 settles again.
pid=$(pgrep -f -- "--config $NET/member-1/outrider.toml" | head -n 1)
kill -KILL "$pid"
wait_until 15 "member-1 to end" gone "$pid"
OUTRIDER_RPC_EXECUTION="$CHAIN=http://127.0.0.1:$PORT" start_member 1
knows() { [[ $(rpc "$(url 1)" outrider_settlement 2>/dev/null | field known) == True ]]; }
wait_until 60 "member-1 to know what is settled" knows
wait_until 30 "member-1 to name the finalized block" look
ok "a member that is started again goes on where finalized was"

value() { python3 -c 'import sys, urllib.request; print(next(line.split()[1] for line in urllib.request.urlopen(sys.argv[1], timeout=5).read().decode().splitlines() if line.startswith(sys.argv[2] + " ")))' "$(metrics_url 1)" "$1"; }
metrics_url() { python3 -c 'import sys, tomllib; print("http://" + tomllib.load(open(sys.argv[1], "rb"))["metrics"]["listen"] + "/metrics")' "$NET/member-$1/outrider.toml"; }
(($(value outrider_final_height) > 0 && $(value outrider_settled_height) >= $(value outrider_final_height))) || fail "metrics of heights"
(($(value outrider_l1_origin) > 0 && $(date +%s) - $(value outrider_settled_timestamp_seconds) < 120)) || fail "metrics of L1"
ok "metrics follow settlement"

timeout --kill-after=5 90 node "$ROOT/tests/e2e/settled.mjs" "$BROWSER" "$(url 1)" || fail "the page in $BROWSER"
no_panics
