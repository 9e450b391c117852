#!/usr/bin/env bash
# `outrider-bench e2e` in small: the block that it prints and its JSON have their shape, and nothing is lost. No figure is judged.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"

BENCH=${OUTRIDER_BENCH:-$(dirname "$OUTRIDER")/outrider-bench}
[[ -x $BENCH ]] || { echo "no binary at $BENCH: cargo build -p outrider-bench, or set OUTRIDER_BENCH" >&2; exit 1; }

members_of() {
    pgrep -f -- "--until-stdin-ends --config $1/" || true
}

status=0
timeout 120 "$BENCH" e2e --outrider "$OUTRIDER" --members 4 --rate 200 --duration 5s --dir "$WORK/bench" --json "$WORK/bench.json" \
    >"$WORK/bench.out" 2>"$WORK/bench.err" </dev/null || status=$?
cat "$WORK/bench.out"
((status == 0)) || { cat "$WORK/bench.err" >&2; fail "exit code $status"; }
for line in machine program members load durable consensus 'consensus latency' announced 'block interval' 'disk sync' end-to-end \
    'end-to-end latency' sustained "members' CPU" "load's CPU" wire memory waiting checked; do
    (($(grep -cE "^$line  *[^ ]" "$WORK/bench.out") >= 1)) || fail "no line $line"
done
ok "the summary block is complete"

python3 - "$WORK/bench.json" <<'PYTHON'
import json, shutil, sys
report = json.load(open(sys.argv[1]))
assert report["machine"]["cores"] >= 1 and report["machine"]["outrider"].startswith("outrider "), report["machine"]
(cell,) = report["cells"]
assert (cell["members"], cell["size"], cell["rate"], cell["durable"]) == (4, 512, 200, True), cell
load, audit = cell["load"], cell["audit"]
assert load["sent"] == load["accepted"] == audit["ordered"] == 1000, (load, audit)
assert load["lost"] == audit["lost"] == audit["twice"] == 0 and audit["agree"] == [4, 4] and not audit["broken"], audit
for figure in ("consensus_tx_per_s", "cpu_seconds_of_members", "cpu_seconds_per_100k"):
    assert cell[figure] > 0, figure
assert cell["wire_bytes_per_byte"] > 1 if shutil.which("ss") else cell["wire_unknown"], cell["wire_unknown"]
for latency in (cell["consensus_latency_us"], cell["proposed_to_announced_us"], cell["block_interval_us"], load["latency_us"]):
    assert 0 < latency["p50"] <= latency["p99"], latency
assert 0 < cell["memory"]["idle"] <= cell["memory"]["most"], cell["memory"]
PYTHON
ok "1000 transactions were ordered, each once, on four chains that are the same"

# Many in a request, one member followed, a way between members, and a dead one.
timeout 120 "$BENCH" e2e --outrider "$OUTRIDER" --rate 200 --duration 2s --load-option=--per-request=8 --load-option=--follow-one --delay 5ms --dead 1 --dead-at 0s --durable false \
    --dir "$WORK/bench" --json "$WORK/bench.json" >"$WORK/bench2.out" 2>"$WORK/bench.err" </dev/null ||
    { cat "$WORK/bench.err" "$WORK/bench2.out" >&2; fail "exit code $?"; }
grep -qE '^delay +d = 5.00 ms' "$WORK/bench2.out" || fail "the delay is not said"
grep -qE '^announced .* d\)' "$WORK/bench2.out" || fail "no time in delays"
python3 - "$WORK/bench.json" <<'PYTHON'
import json, sys
(cell,) = json.load(open(sys.argv[1]))["cells"]
load, audit = cell["load"], cell["audit"]
assert load["sent"] == load["accepted"] == audit["ordered"] == 400, (load, audit)
assert load["lost"] == audit["twice"] == 0 and audit["agree"] == [3, 3] and not audit["broken"], audit
# A proposal and a vote each take a delay.
assert cell["proposed_to_announced_us"]["p50"] >= 10_000 and not cell["durable"], cell
PYTHON
ok "with a delay and a dead member 400 transactions in batches were ordered, each once"

[[ -z $(find "$WORK/bench" -mindepth 1 -print -quit) && -z $(members_of "$WORK/bench") ]] || fail "something is left behind"
ok "no folder and no process is left behind"

expect_failure 1 'fewer than a third' "$BENCH" e2e --outrider "$OUTRIDER" --members 4 --dead 2
expect_failure 1 'cargo build' "$BENCH" e2e --outrider "$WORK/nowhere"
ok "options that make no sense are refused with a reason"
no_panics
