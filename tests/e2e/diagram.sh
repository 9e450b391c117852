#!/usr/bin/env bash
# The diagram of a run works in a real browser: no error, no request, and what is clicked is shown in words.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
BROWSER=$(command -v chromium || command -v chromium-browser) || fail "there is no chromium: run .ci/run setup"
HERE=$ROOT/tests/e2e

# diagram NAME SEED EXIT-CODES: run a scenario and leave its diagram in NAME.html.
diagram() {
    local name=$1 seed=$2 status=0
    "$OUTRIDER" sim run "$ROOT/scenarios/$name.toml" --seed "$seed" --world kernel \
        --html "$WORK/$name.html" --json "$WORK/$name.json" --events "$WORK/$name.jsonl" >"$WORK/$name.log" 2>&1 || status=$?
    ((status == 0)) || fail "outrider sim run $name --seed $seed: exit code $status"
    python3 - "$WORK/$name.json" "$WORK/$name.jsonl" <<'PYTHON' || fail "$name: the summary and the events do not agree"
import json, sys
summary = json.load(open(sys.argv[1]))
messages, last = 0, None
for line in open(sys.argv[2]):
    last = json.loads(line)
    if last["fact"] == "sent":
        messages += 1 if last["to"] is not None else summary["hosts"] - 1
violated = summary["violation"] is not None
sys.exit(messages != summary["messages"] or violated != (last["fact"] == "violation"))
PYTHON
}

# in_browser NAME: open NAME.html with the checks of diagram.js added; they write their verdict into the title.
in_browser() {
    local name=$1 page=$WORK/$1-checked.html verdict root=()
    python3 - "$WORK/$name.html" "$HERE/diagram.js" "$page" <<'PYTHON'
import sys
html, checks = open(sys.argv[1]).read(), open(sys.argv[2]).read()
# A browser without a screen has frames only now and then: timers do as well.
catch = "<script>window.FAULTS = []; window.onerror = (what, _, line) => { window.FAULTS.push(`${what} in line ${line}`); };" \
    "document.addEventListener('securitypolicyviolation', (event) => window.FAULTS.push(`request for ${event.blockedURI}`));" \
    "window.requestAnimationFrame = (run) => setTimeout(run, 0);</script>"
html = html.replace("<head>", "<head>" + catch, 1)
at = html.rindex("</body>")
open(sys.argv[3], "w").write(html[:at] + "<script>" + checks + "</script>" + html[at:])
PYTHON
    ((EUID == 0)) && root=(--no-sandbox)
    timeout --kill-after=5 120 "$BROWSER" --headless "${root[@]}" --disable-gpu --disable-dev-shm-usage --user-data-dir="$WORK/browser" \
        --window-size=1440,900 --virtual-time-budget=30000 --dump-dom "file://$page" >"$WORK/$name.dom" 2>"$WORK/$name-browser.log" </dev/null ||
        fail "$BROWSER does not open $name.html"
    verdict=$(grep -o '<title>[^<]*</title>' "$WORK/$name.dom" | head -n 1)
    [[ $verdict == "<title>ok"* ]] || fail "$name.html in the browser: $verdict"
    ok "$name.html: ${verdict//<*([^>])>/}"
}
shopt -s extglob

# A storm with every kind of fault, and a fork, for which a checker fires.
diagram everything 7
in_browser everything
diagram over-f 1
in_browser over-f
if [[ -n $(grep -oE "(https?|wss?)://" "$WORK/everything.html" | head -n 1) ]]; then fail "the page names an address"; fi
ok "the pages need no network"
