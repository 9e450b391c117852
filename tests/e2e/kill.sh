#!/usr/bin/env bash
# kill -9 of one member under load, and of all four: nothing accepted is lost, heights never go back, votes resume.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"

init_network 4
for member in 0 1 2 3; do start_member $member; done
for member in 0 1 2 3; do wait_until 60 "member-$member to answer" answers "$(url $member)"; done
wait_until 60 "the first blocks" height_at_least "$(url 0)" 3

urls=$(url 0),$(url 1),$(url 2),$(url 3)
"$OUTRIDER" load --rate 200 --size 512 --duration 20s --rollups 3 --rpc "$urls" --json >"$WORK/load.json" 2>"$WORK/load.log" </dev/null &
load=$!
PIDS+=("$load")

transactions_at_least() {
    (($(rpc "$1" outrider_head | field transactions) >= $2))
}
wait_until 30 "the load to arrive" transactions_at_least "$(url 0)" 400
kill_member 3 KILL
at=$(height "$(url 0)")
wait_until 60 "the others to go on" height_at_least "$(url 0)" $((at + 20))
ok "three members go on under load (from height $at)"

start_member 3
wait_until 60 "member-3 to answer" answers "$(url 3)"
target=$(height "$(url 0)")
wait_until 90 "member-3 to catch up with height $target" height_at_least "$(url 3)" "$target"
ok "the restarted member caught up with height $target"

wait_until 60 "member-3 to vote" votes_from 3 "$target"
ok "the restarted member votes again"

status=0
wait "$load" || status=$?
cat "$WORK/load.json"
((status == 0)) || fail "load: exit code $status"
python3 - "$WORK/load.json" <<'PYTHON'
import json, sys
report = json.load(open(sys.argv[1]))
assert report["lost"] == 0, "lost"
assert report["sent"] == 4000, "sent"
assert report["accepted"] == report["soft_final"], "accepted, not soft-final"
assert report["accepted"] == report["sent"], "not accepted"
PYTHON
ok "0 of 4000 accepted transactions lost"

ids=()
for n in 1 2 3 4 5; do ids+=("$(submit_soft "$(url $((n % 4)))" 7 "0x0$n")"); done
declare -a before
for member in 0 1 2 3; do before[member]=$(height "$(url $member)"); done
for member in 0 1 2 3; do kill -KILL "$(pid_of $member)"; done
for member in 0 1 2 3; do wait_until 15 "member-$member to end" gone "$(pid_of $member)"; done
for member in 0 1 2 3; do start_member $member; done
restarted=$(date +%s%N)
for member in 0 1 2 3; do
    wait_until 60 "member-$member to answer" answers "$(url $member)"
    now=$(height "$(url $member)")
    ((now >= before[member])) || fail "member-$member went back from height ${before[member]} to $now"
done
ok "after kill -9 of all four no height went back (${before[*]})"

highest=$(printf '%s\n' "${before[@]}" | sort -n | tail -n 1)
wait_until 30 "a new commit" height_at_least "$(url 0)" $((highest + 1))
echo "first new commit at the latest $((($(date +%s%N) - restarted) / 1000000)) ms after the restart"
wait_until 30 "new commits everywhere" height_at_least "$(url 3)" $((highest + 3))
ok "the chain goes on"

for member in 0 1 2 3; do
    for id in "${ids[@]}"; do
        is_soft "$(url $member)" "$id" || fail "member-$member forgot $id"
        "$OUTRIDER" proof --rpc "$(url $member)" "$id" --out "$WORK/proof.json" >/dev/null
        "$OUTRIDER" verify "$WORK/proof.json" --committee "$NET/committee.json" >/dev/null || fail "proof of $id by member-$member"
    done
done
ok "what was soft-final still is, with proofs from every member"

submit_soft "$(url 2)" 7 0xabcdef >/dev/null
ok "new transactions are ordered"
no_panics
