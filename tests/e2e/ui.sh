#!/usr/bin/env bash
# The page at /ui in a real browser: live numbers, a transaction followed to a proof that the page itself verifies.
# To keep screenshots: OUTRIDER_SCREENSHOTS=FOLDER tests/e2e/ui.sh
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
BROWSER=$(command -v chromium || command -v chromium-browser) || fail "there is no chromium: run .ci/run setup"

# Epochs of a few seconds, so that the page has hand-overs to follow from the committee file.
init_network 4 --epoch-blocks 100
"$OUTRIDER" init --members 4 --dir "$WORK/others" >/dev/null
for member in 0 1 2 3; do start_member "$member"; done
wait_until 60 "a block" height_at_least "$(url 0)" 1

# Lanes to show, beside the one of the page: a little work while the page is looked at.
python3 - "$(url 1)" <<'PYTHON' >"$WORK/work.log" 2>&1 &
import json, os, random, sys, time, urllib.request
url = sys.argv[1]
for n in range(3_000):
    for rollup, share in ((31337, 1.0), (31338, 0.5), (42, 0.2)):
        if random.random() > share: continue
        payloads = ["0x" + os.urandom(40).hex() for _ in range(random.randrange(1, 30))]
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "outrider_submitMany", "params": [rollup, payloads]}).encode()
        urllib.request.urlopen(urllib.request.Request(url, body, {"content-type": "application/json"}), timeout=10).read()
    time.sleep(0.05)
PYTHON
PIDS+=($!)
disown $!

headers=$(python3 - "$(url 0)" <<'PYTHON'
import sys, urllib.request
answer = urllib.request.urlopen(sys.argv[1] + "/ui", timeout=5)
print(answer.headers["content-type"], "|", answer.headers["content-security-policy"])
PYTHON
)
[[ $headers == "text/html"*"default-src 'none'"*"'wasm-unsafe-eval'"* && $headers != *unsafe-inline* ]] || fail "headers of /ui: $headers"
ok "the page comes with a strict policy"

timeout --kill-after=5 240 node "$ROOT/tests/e2e/ui.mjs" "$BROWSER" "$(url 0)" "$NET/committee.json" "$WORK/others/committee.json" "$(pid_of 3)" ||
    fail "the page in $BROWSER"
