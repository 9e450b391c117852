#!/usr/bin/env bash
# docs/rollups.md: what it says to type is taken from the page and run as it stands there, on other ports: the guide, the
# streams, registering, bundles, the configuration, and the address that op-node is given. No op-node is run.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
source "$(dirname "${BASH_SOURCE[0]}")/conductor.bash"
PAGE=$ROOT/docs/rollups.md
CAST=${CAST:-$TOOLS/node_modules/.bin/cast}
[[ -x $CAST ]] || fail "no cast at $CAST: run .ci/run setup, or set CAST"

init_network 4
read -r PORT < <(free_ports 1)
MEMBERS=$NET
mkdir "$WORK/bin" "$WORK/guide"
ln -s "$(realpath "$OUTRIDER")" "$WORK/bin/outrider"
ln -s "$(realpath "$ANVIL")" "$WORK/bin/anvil"
ln -s "$(realpath "$CAST")" "$WORK/bin/cast"
ln -s "$ROOT/tests" "$WORK/guide/tests"
export PATH=$WORK/bin:$PATH
cd "$WORK/guide"

# The ports of the page are those of four members from 9600 on, and anvil's.
HERE=(-e "s/--base-port 9600/--base-port $BASE/g" -e "s/127\.0\.0\.1:8545/127.0.0.1:$PORT/g" -e "s/--port 8545/--port $PORT/g")
for offset in {0..11}; do
    HERE+=(-e "s/127\.0\.0\.1:$((9600 + offset))\b/127.0.0.1:$((BASE + offset))/g")
done

# block LANGUAGE WORD: the only fenced block in this language with the word in it.
block() {
    awk -v fence="\`\`\`$1" -v word="$2" '
        $0 == fence { inside = 1; text = ""; next }
        inside && /^```$/ { inside = 0; if (index(text, word)) { held = text; found++ }; next }
        inside { text = text $0 "\n" }
        END { if (found != 1) exit 1; printf "%s", held }
    ' "$PAGE" | sed "${HERE[@]}" || fail "$PAGE: not one block of $1 with $2"
}
# left_running NAME WORD: a block whose last command the page says to leave running.
left_running() {
    block sh "$2" | sed -E 's/^([A-Z_]+=|anvil |outrider (conduct|devnet) )/exec env \1/' >"$WORK/$1.sh"
    run_as "$1" bash -e "$WORK/$1.sh"
}

left_running devnet 'outrider devnet --dir'
NET=$WORK/guide/demo
demo_answers() {
    [[ -e $NET/committee.json ]] && answers "$(url 2)"
}
wait_until 60 "the devnet to answer" demo_answers
left_running anvil 'anvil --port'
wait_until 30 "anvil to answer" rpc_works "http://127.0.0.1:$PORT" eth_chainId
left_running conductor 'outrider conduct --rollup'
block sh 'cast send' >"$WORK/wallet.sh"
source "$WORK/wallet.sh" >"$WORK/wallet.out"
grep -Eq '^status +1 ' "$WORK/wallet.out" && [[ $(tail -n 1 "$WORK/wallet.out") == 7 ]] || { cat "$WORK/wallet.out"; fail "the wallet"; }
block sh 'outrider lane follow' >"$WORK/believe.sh"
source "$WORK/believe.sh" >"$WORK/believe.out"
grep -q '^valid' "$WORK/believe.out" || { cat "$WORK/believe.out"; fail "nothing is proven"; }
ok "the guide ends with a balance, and with proofs"

block js WebSocket >"$WORK/socket.js"
# Node has it from version 22 on; the library of the same name does what browsers do.
cat >"$WORK/library.cjs" <<JAVASCRIPT
globalThis.WebSocket ??= require('$(realpath "$TOOLS")/node_modules/ws')
JAVASCRIPT
run_as socket node --require "$WORK/library.cjs" "$WORK/socket.js"
# The other kind, from the table: its first event is lane block 1.
stream=$(grep -o 'curl -N "[^"]*"' "$PAGE" | sed "s/ID/42069/")
[[ $stream == curl* ]] || fail "no curl -N on the page"
run_as stream bash -c "RPC=$RPC; exec $stream"
said() {
    grep -q -- "$2" "$WORK/$1.out"
}
wait_until 30 "the socket to be subscribed" said socket '"id":1,"result"'
cast send --rpc-url "$RPC/rollup/42069" --private-key "$KEY" --value 1 $SINK >"$WORK/sent.out"
wait_until 30 "lane block 2 over the WebSocket" said socket '"rollup":42069,"height":2,'
! said socket '"rollup":42069,"height":1,' || fail "from head began before it"
for height in 1 2; do wait_until 30 "lane block $height as an event" said stream "\"rollup\":42069,\"height\":$height,"; done
kill "${PROCESS[socket]}" "${PROCESS[stream]}"
ok "both kinds of stream tell of lane blocks"

block sh OUTRREGI >"$WORK/register.sh"
source "$WORK/register.sh" >"$WORK/register.out"
is_shuffled() {
    rpc "$RPC" outrider_rollup '[8453]' | grep -q '"policy": "shuffled"'
}
wait_until 30 "rollup 8453 to be registered" is_shuffled
block sh outrider_submitBundle >"$WORK/bundle.sh"
source "$WORK/bundle.sh" >"$WORK/bundle.out"
python3 -c 'import json, sys; assert len(json.load(open(sys.argv[1]))["result"]["ids"]) == 2' "$WORK/bundle.out" || { cat "$WORK/bundle.out"; fail "the bundle"; }
has_both() {
    [[ $(rpc "$RPC" outrider_lane '[8453]' | field height) == 1 && $(rpc "$RPC" outrider_lane '[42069]' | field transactions) == 3 ]]
}
wait_until 30 "the bundle on both lanes" has_both
ok "a rollup is registered for a policy, a bundle stands on two lanes"

kill "${PROCESS[devnet]}" "${PROCESS[conductor]}"
wait_until 30 "the devnet to end" gone "${PROCESS[devnet]}"
NET=$MEMBERS
blocks=0
for word in rpc.execution rpc.conductor; do
    for member in 0 1 2 3; do block toml "[$word]" >>"$NET/member-$member/outrider.toml"; done
    blocks=$((blocks + 1))
done
[[ $(grep -c '^```toml$' "$PAGE") == "$blocks" ]] || fail "$PAGE has a block of TOML that is not tried"
for member in 0 1 2 3; do start_member $member; done
for member in 0 1 2 3; do wait_until 60 "member-$member to answer" answers "$(url $member)"; done
(($(quantity "$(url 3)/rollup/42069" eth_chainId) == 42069)) && (($(quantity "$(url 3)/rollup/42069" eth_blockNumber) > 0)) ||
    fail "the execution client of the configuration is not asked"
ok "members take the configuration of the page, and ask the execution client that it names"

# What op-node does with --conductor.rpc: Go takes name and password from the address.
password=$(block toml '[rpc.conductor]' | sed -n 's/^901 = "\(.*\)"$/\1/p')
line=$(grep -o -- '--conductor\.enabled[^`]*' "$PAGE")
python3 - "$line" "$password" "$BASE" "$ROOT/node/tests/op_conductor_calls.json" <<'PYTHON'
import base64, json, sys, time, urllib.parse, urllib.request
line, password, base, calls = sys.argv[1], sys.argv[2], int(sys.argv[3]), json.load(open(sys.argv[4]))["calls"]
options = dict(word.partition("=")[::2] for word in line.split())
# The names that op-node's flags.go has.
assert set(options) <= {"--conductor.enabled", "--conductor.rpc", "--conductor.rpc-timeout"}, options
address = options["--conductor.rpc"]
assert address.count("PASSWORD") == 1 and urllib.parse.urlsplit(address).port == 9601, address

def ask(member, password, call):
    parts = urllib.parse.urlsplit(address.replace("PASSWORD", urllib.parse.quote(password)))
    credentials = f"{urllib.parse.unquote(parts.username)}:{urllib.parse.unquote(parts.password)}"
    headers = {
        "authorization": "Basic " + base64.b64encode(credentials.encode()).decode(),
        "content-type": "application/json",
        "accept": "application/json",
    }
    url = f"http://{parts.hostname}:{base + 1 + 3 * member}{parts.path}"
    request = urllib.request.Request(url, json.dumps(call, separators=(",", ":")).encode(), headers)
    return json.load(urllib.request.urlopen(request, timeout=20))

leader = {"jsonrpc": "2.0", "id": 1, "method": "conductor_leader"}
assert ask(0, "wrong-horse-battery", leader)["error"]["code"] == -32059
(payload, again, following) = [one["call"] for one in calls if one["call"]["method"] == "conductor_commitUnsafePayload"][:3]
# Turns end every 10 s, so who leads may change between two calls: asked until one says that it leads, and until one takes the payload.
deadline = time.monotonic() + 60
while [ask(member, password, leader)["result"] for member in range(4)].count(True) != 1:
    assert time.monotonic() < deadline, "no leader"
taken = None
while taken is None:
    assert time.monotonic() < deadline, "nobody takes the payload"
    for member in range(4):
        answer = ask(member, password, payload)
        if "result" in answer:
            taken = member
            break
        assert answer["error"]["code"] == -32060, answer
for call in (again, following):
    answer = ask(taken, password, call)
    assert "result" in answer, answer
PYTHON
ok "the address that op-node is given leads to one member that may sequence, and its payloads become final"
no_panics
