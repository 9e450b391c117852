#!/usr/bin/env bash
# A short storm over real processes by `outrider sim processes`: promises are kept, nothing is left behind; and a promise that
# cannot be kept is reported with its exit code.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"

members_of() {
    pgrep -f -- "--until-stdin-ends --config $1/" || true
}

status=0
timeout 200 "$OUTRIDER" sim processes --seed 39 --time 14s --rate 40 --dir "$WORK/storm" >"$WORK/storm.out" 2>"$WORK/storm.err" </dev/null || status=$?
tail -n 6 "$WORK/storm.out"
((status == 0)) || { cat "$WORK/storm.err" >&2; fail "exit code $status"; }
grep -qE '^violations +0$' "$WORK/storm.out" || fail "no word that there are no violations"
for kind in kill kill-all pause stop cut isolate one-way slow-all; do
    grep -qE "^faults .* $kind [1-9]" "$WORK/storm.out" || fail "seed 39 has no fault $kind any more: choose another one"
done
python3 - "$WORK/storm.out" <<'PYTHON'
import re, sys
text = open(sys.argv[1]).read()
accepted, ordered = map(int, re.search(r"^transactions +(\d+) accepted, (\d+) ordered", text, re.M).groups())
assert accepted == ordered and accepted > 100, (accepted, ordered)
assert int(re.search(r"^restarts +(\d+)", text, re.M)[1]) >= 5, "restarts"
blocks, receipts, proofs = map(int, re.search(r"^looked again +(\d+) blocks, (\d+) receipts, (\d+) proofs", text, re.M).groups())
assert blocks and receipts and proofs, (blocks, receipts, proofs)
PYTHON
ok "four processes keep their promises through kill -9, stops, pauses and cuts"
[[ ! -e $WORK/storm && -z $(members_of "$WORK/storm") ]] || fail "something is left behind"
ok "no folder and no process is left behind"

# Nobody makes three blocks in one turn of 20 ms.
expect_failure 11 'promises were broken.* --seed 1' "$OUTRIDER" sim processes --seed 1 --time 1s --settle-within 1ms --dir "$WORK/hasty"
grep -q '^L4 at' "$WORK/expected.err" || fail "no violation of L4"
[[ -s $WORK/hasty/plan.txt && -s $WORK/hasty/member-3/outrider.log ]] || fail "plan and logs are not kept"
[[ -z $(members_of "$WORK/hasty") ]] || fail "processes are left behind"
ok "what is broken has an exit code, and plan and logs are kept"

# Members end with the program that started them, also when it is killed.
"$OUTRIDER" sim processes --seed 39 --time 60s --dir "$WORK/killed" >"$WORK/killed.out" 2>&1 </dev/null &
parent=$!
PIDS+=("$parent")
disown "$parent"
wait_until 60 "the storm to begin" grep -qs height "$WORK/killed.out"
(($(members_of "$WORK/killed" | wc -l) == 4)) || fail "not four members at the beginning"
kill -KILL "$parent"
nobody() {
    [[ -z $(members_of "$WORK/killed") ]]
}
wait_until 30 "the members to end" nobody
ok "members do not outlive the one who started them"
no_panics
