#!/usr/bin/env bash
# The simulator as a researcher uses it: a scenario, a swarm, twins and a sweep; one seed is one run in two processes.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"

# hash WORLD SCENARIO: the hash of everything that happened, from a process of its own.
hash() {
    "$OUTRIDER" sim run "$ROOT/scenarios/$2.toml" --seed 1 --world "$1" --json "$WORK/run.json" >"$WORK/run.log" 2>&1 ||
        fail "outrider sim run $2 in $1: $(tail -n 3 "$WORK/run.log")"
    python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["hash"])' "$WORK/run.json"
}

for world in kernel turmoil; do
    first=$(hash "$world" partition)
    [[ -n $first && $first != None ]] || fail "no hash of a run in $world"
    [[ $first == "$(hash "$world" partition)" ]] || fail "one seed, two runs in $world"
    ok "partition in $world: twice the same run, $first"
done

"$OUTRIDER" sim swarm --seeds 8 --from 4000 --jobs 2 >"$WORK/swarm.log" 2>&1 || fail "swarm: $(cat "$WORK/swarm.log")"
grep -q "violations   none" "$WORK/swarm.log" || fail "swarm: $(cat "$WORK/swarm.log")"
ok "$(grep seeds "$WORK/swarm.log" | head -n 1)"

"$OUTRIDER" sim repro swarm:4001@unknown >"$WORK/repro.log" 2>&1 || fail "repro: $(tail -n 3 "$WORK/repro.log")"
ok "a token leads to its run"

"$OUTRIDER" sim twins --members 4 --views 3 --sample 60 --seed 1 --jobs 2 >"$WORK/twins.log" 2>&1 || fail "twins: $(tail -n 3 "$WORK/twins.log")"
ok "twins: 60 scenarios"

"$OUTRIDER" sim sweep --members 4 --delta-ms 50 --silent 0,0.25 --seeds 2 --jobs 2 --out "$WORK/sweep" >"$WORK/sweep.log" 2>&1 ||
    fail "sweep: $(tail -n 3 "$WORK/sweep.log")"
[[ -s $WORK/sweep/runs.csv ]] && compgen -G "$WORK/sweep/*.svg" >/dev/null || fail "the sweep wrote no table or no chart"
ok "sweep: $(($(wc -l <"$WORK/sweep/runs.csv") - 1)) runs in runs.csv"

status=0
"$OUTRIDER" sim zoo >"$WORK/zoo.log" 2>&1 || status=$?
((status == 2)) && grep -q "no mutants" "$WORK/zoo.log" || fail "the binary that ships has mutants: $(head -n 3 "$WORK/zoo.log")"
ok "the binary that ships has no mutants"
