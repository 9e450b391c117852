# What the scripts of the conductor share, beside common.bash: execution nodes, conductors, transactions.
# Sourced, not run.
TOOLS=${TOOLS:-$ROOT/target/tools}
ANVIL=$TOOLS/node_modules/.bin/anvil
[[ -x $ANVIL ]] || fail "no anvil at $ANVIL: run .ci/run setup"
# The launcher of npm would outlive a signal: the program itself is started.
ANVIL=$(find "$TOOLS"/node_modules/@foundry-rs/anvil-*/bin -name 'anvil*' -type f | head -n 1)
GENESIS=$ROOT/tests/e2e/genesis.json
CHAIN=42069
# The keys that every development tool knows: three that send, one that burns gas, and one that has nothing.
KEYS=(0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80
    0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d
    0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a)
BURNER=0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a
POOR=0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6
SINK=0x000000000000000000000000000000000000dEaD
declare -A PROCESS NONCE

# free_ports COUNT: on one line. Above those of init_network, and below those that the kernel gives to connections (from 32768 on), one of which
# could have the port before it is listened on.
free_ports() {
    python3 - "$1" <<'PYTHON'
import random, socket, sys
held = []
for port in random.sample(range(30100, 32700), 2600):
    if len(held) == int(sys.argv[1]):
        break
    one = socket.socket()
    try:
        one.bind(("127.0.0.1", port))
        held.append(one)
    except OSError:
        one.close()
else:
    sys.exit("no free ports")
print(*(one.getsockname()[1] for one in held))
PYTHON
}

# run_as NAME COMMAND...: in the background, under a name.
run_as() {
    local name=$1
    shift
    "$@" >>"$WORK/$name.out" 2>>"$WORK/$name.log" </dev/null &
    PROCESS[$name]=$!
    PIDS+=($!)
    disown $!
}

# kill_9 NAME: and wait until it is gone.
kill_9() {
    kill -KILL "${PROCESS[$1]}"
    wait_until 15 "$1 to end" gone "${PROCESS[$1]}"
}

anvil_at() {
    run_as "$1" "$ANVIL" --port "$2" --no-mining --order fifo --disable-pool-balance-checks --accounts 0 \
        --disable-default-create2-deployer --init "$GENESIS" --hardfork cancun
    wait_until 30 "$1 to answer" rpc_works "http://127.0.0.1:$2" eth_chainId
}

rpc_works() {
    rpc "$@" >/dev/null 2>&1
}

# quantity URL METHOD PARAMS: a result in hex, in decimal.
quantity() {
    python3 -c 'import json, sys; print(int(json.load(sys.stdin), 16))' < <(rpc "$@")
}

sink_has() {
    (($(quantity "http://127.0.0.1:$1" eth_getBalance "[\"$SINK\",\"latest\"]") == $2))
}

# transfers KEY COUNT: fields of the next transfers of a key to the sink, as JSON objects, one a line.
transfers() {
    local key=$1 count=$2 first=${NONCE[$1]:-0} nonce
    for ((nonce = first; nonce < first + count; nonce++)); do
        echo "{\"key\":\"${KEYS[key]}\",\"chain\":$CHAIN,\"nonce\":$nonce,\"to\":\"$SINK\"}"
    done
}

# sign: JSON objects, one a line, to transactions in hex, one a line.
sign() {
    python3 -c 'import json, sys; print(json.dumps([json.loads(line) for line in sys.stdin]))' |
        TOOLS=$TOOLS node "$ROOT/tests/e2e/transactions.mjs" | python3 -c 'import json, sys; print(*json.load(sys.stdin), sep="\n")'
}

# submit_all URL ROLLUP: transactions in hex on standard input, one a line; all must be taken.
submit_all() {
    python3 /dev/fd/3 "$1" "$2" 3<<'PYTHON'
import json, sys, urllib.request
url, rollup = sys.argv[1], int(sys.argv[2])
calls = [{"jsonrpc": "2.0", "id": n, "method": "outrider_submit", "params": {"rollup": rollup, "payload": line.strip()}}
         for n, line in enumerate(sys.stdin)]
for call in calls:
    request = urllib.request.Request(url, json.dumps(call).encode(), {"content-type": "application/json"})
    answer = json.load(urllib.request.urlopen(request, timeout=10))
    if "error" in answer:
        sys.exit(f"{call['params']['payload'][:20]}: {answer['error']}")
PYTHON
}

# send_transfers MEMBER COUNT: of each key, in turns; counts them in SENT.
SENT=0
send_transfers() {
    local key lines
    for key in 0 1 2; do transfers $key "$2"; done >"$WORK/fields.jsonl"
    lines=$(wc -l <"$WORK/fields.jsonl")
    sign <"$WORK/fields.jsonl" | submit_all "$(url "$1")" $CHAIN
    for key in 0 1 2; do NONCE[$key]=$((${NONCE[$key]:-0} + $2)); done
    SENT=$((SENT + lines))
}

# same_blocks PORT PORT: every block of one execution node is that of the other.
same_blocks() {
    python3 - "$@" <<'PYTHON'
import json, sys, urllib.request
def block(port, at):
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_getBlockByNumber", "params": [at, False]}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}", body, {"content-type": "application/json"})
    return json.load(urllib.request.urlopen(request, timeout=5))["result"]
one, other = sys.argv[1:]
heads = [int(block(port, "latest")["number"], 16) for port in (one, other)]
if heads[0] != heads[1]:
    sys.exit(1)
for number in range(heads[0] + 1):
    a, b = block(one, hex(number)), block(other, hex(number))
    if a["hash"] != b["hash"]:
        sys.exit(f"block {number}: {a['hash']} and {b['hash']}")
print(heads[0])
PYTHON
}

# check_lines FILE...: each conductor executed block after block without a gap, lane blocks too, and each block came out the
# same whenever it was executed; all conductors say the same about the blocks that they share.
check_lines() {
    python3 - "$@" <<'PYTHON'
import json, sys
told = {}
for path in sys.argv[1:]:
    number, last = None, {}
    for line in open(path):
        if not line.endswith("\n"):
            continue # torn by kill -9
        said = json.loads(line)
        said.pop("again")
        number = said["number"]
        if number > 1 and number - 1 in last:
            assert said["lane_first"] == last[number - 1] + 1, f"{path}: a gap in the lane before block {number}"
        last[number] = said["lane_last"]
        assert told.setdefault(number, said) == said, f"{path}: block {number} was told otherwise: {told[number]} and {said}"
    assert sorted(last) == list(range(1, max(last) + 1)), f"{path}: blocks {sorted(last)}"
PYTHON
}
