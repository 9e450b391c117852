# What the end-to-end scripts share: a folder of their own, clean-up, waiting for conditions, calls.
# Sourced, not run. Every wait is bounded and looks at a condition; nothing sleeps for a guessed time.
set -euo pipefail

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
OUTRIDER=${OUTRIDER:-$ROOT/target/debug/outrider}
[[ -x $OUTRIDER ]] || { echo "no binary at $OUTRIDER: cargo build -p outrider-cli, or set OUTRIDER" >&2; exit 1; }
WORK=$(mktemp -d "${TMPDIR:-/tmp}/outrider-e2e-XXXXXX")
# Processes to end at exit, whatever happens.
PIDS=()

cleanup() {
    local status=$? pid
    trap - EXIT INT TERM
    for pid in "${PIDS[@]}"; do kill -TERM "$pid" 2>/dev/null || true; done
    for pid in "${PIDS[@]}"; do
        # Bounded: wait until it is gone, then kill.
        timeout 15 tail --pid="$pid" -s 0.1 -f /dev/null || kill -KILL "$pid" 2>/dev/null || true
    done
    if ((status != 0)); then
        echo "FAILED with exit code $status; the ends of the logs:" >&2
        find "$WORK" -name '*.log' ! -path '*/genesis/*' -size +0 -exec sh -c 'echo "--- $1"; tail -n 15 "$1"' sh {} \; >&2
    fi
    rm -rf "$WORK"
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

ok() {
    echo "ok - $*"
}

fail() {
    echo "not ok - $*" >&2
    exit 1
}

# wait_until SECONDS WHAT COMMAND...: until the command succeeds.
wait_until() {
    local seconds=$1 what=$2 deadline
    shift 2
    deadline=$((SECONDS + seconds))
    until "$@"; do
        ((SECONDS < deadline)) || fail "waited $seconds s for: $what"
        read -r -t 0.1 <> <(:) || true
    done
}

# rpc URL METHOD [PARAMS]: the result as JSON on one line; fails on an error or no answer.
rpc() {
    python3 - "$@" <<'PYTHON'
import json, sys, urllib.request
url, method, params = sys.argv[1], sys.argv[2], json.loads(sys.argv[3]) if len(sys.argv) > 3 else []
body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
request = urllib.request.Request(url, body, {"content-type": "application/json"})
try:
    answer = json.load(urllib.request.urlopen(request, timeout=5))
except OSError as error:
    sys.exit(f"{url}: {error}")
if "error" in answer:
    sys.exit(json.dumps(answer["error"]))
print(json.dumps(answer["result"]))
PYTHON
}

# field NAME: of the JSON object on standard input.
field() {
    python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1"
}

height() {
    rpc "$1" outrider_head 2>/dev/null | field height 2>/dev/null || echo -1
}

height_at_least() {
    (($(height "$1") >= $2))
}

# The RPC address of a member of $NET.
url() {
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["members"][int(sys.argv[2])]["rpc"])' "$NET/committee.json" "$1"
}

# free_base COUNT: the first of so many ports in a row that are free.
free_base() {
    python3 - "$1" <<'PYTHON'
import random, socket, sys
for _ in range(200):
    base = random.randrange(10000, 30000)
    held = []
    try:
        for port in range(base, base + int(sys.argv[1])):
            one = socket.socket()
            held.append(one)
            one.bind(("127.0.0.1", port))
        print(base)
        break
    except OSError:
        continue
    finally:
        for one in held:
            one.close()
else:
    sys.exit("no free ports")
PYTHON
}

# init_network MEMBERS [OPTION...]: makes $NET on free ports, and sets BASE. Three more ports are free, for one who joins.
init_network() {
    NET=$WORK/net
    BASE=$(free_base $((3 * $1 + 3)))
    "$OUTRIDER" init --members "$1" --dir "$NET" --base-port "$BASE" "${@:2}" >"$WORK/init.out"
}

# start_member N: in the background; its process id goes to $NET/member-N/pid.
start_member() {
    local folder=$NET/member-$1
    shift
    "$OUTRIDER" start --config "$folder/outrider.toml" "$@" >>"$folder/outrider.log" 2>&1 </dev/null &
    echo $! >"$folder/pid"
    PIDS+=($!)
    # Its death by our own signal is no news for the terminal.
    disown $!
}

pid_of() {
    cat "$NET/member-$1/pid"
}

gone() {
    ! kill -0 "$1" 2>/dev/null
}

# kill_member N SIGNAL: and wait until it is gone.
kill_member() {
    local pid
    pid=$(pid_of "$1")
    kill "-$2" "$pid"
    wait_until 15 "member-$1 to end" gone "$pid"
}

answers() {
    rpc "$1" outrider_head >/dev/null 2>&1
}

# votes_from MEMBER HEIGHT: whether the certificate of a block from this height on holds a signature of the member.
votes_from() {
    python3 - "$(url 0)" "$1" "$2" <<'PYTHON'
import json, sys, urllib.request
url, member, height = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
while True:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "outrider_block", "params": [height]}).encode()
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    block = json.load(urllib.request.urlopen(request, timeout=5))["result"]
    if block is None:
        sys.exit(1)
    (certificate,) = block["certificate"].values()
    if member in [signer for signer, _ in certificate["signatures"]]:
        sys.exit(0)
    height += 1
PYTHON
}
# submit_soft URL ROLLUP HEX: submits, waits for soft-final there, prints the id.
submit_soft() {
    local id
    id=$("$OUTRIDER" submit --rpc "$1" --rollup "$2" --hex "$3")
    wait_until 30 "$id to be soft-final" is_soft "$1" "$id"
    echo "$id"
}

is_soft() {
    "$OUTRIDER" status --rpc "$1" "$2" | grep -q '^soft-final'
}

# expect_failure CODE PATTERN COMMAND...: exits with the code, and says what matches on standard error.
expect_failure() {
    local code=$1 pattern=$2 status=0
    shift 2
    timeout 60 "$@" >"$WORK/expected.out" 2>"$WORK/expected.err" </dev/null || status=$?
    ((status == code)) || { cat "$WORK/expected.err" >&2; fail "exit code $status instead of $code: $*"; }
    grep -qiE -- "$pattern" "$WORK/expected.err" || { cat "$WORK/expected.err" >&2; fail "no /$pattern/ in what it said: $*"; }
    ! grep -q panicked "$WORK/expected.err" || fail "it panicked: $*"
}

no_panics() {
    if grep -rl --include='*.log' --include='*.out' --include='*.err' panicked "$WORK"; then
        fail "panicked, see above"
    fi
    ok "no panic in any log"
}
