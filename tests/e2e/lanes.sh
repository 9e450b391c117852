#!/usr/bin/env bash
# Lanes as a rollup reads them: followed through kill -9 of reader and member without a gap, proven by two verifiers, streamed to curl,
# and their ordering policies checked again.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"

init_network 4
COMMITTEE=$NET/committee.json
for member in 0 1 2 3; do start_member $member; done
for member in 0 1 2 3; do wait_until 60 "member-$member to answer" answers "$(url $member)"; done

# Rollup 2 is registered for the policy `shuffled` (3), which lasts (ttl 0): docs/wire-format.md, section 6.
submit_soft "$(url 0)" 0 "$(python3 -c 'import struct; print((b"OUTRREGI\1" + struct.pack(">QBB32sQ", 2, 0, 3, bytes(32), 0)).hex())')" >/dev/null

"$OUTRIDER" load --rate 60 --size 64 --duration 18s --rollups 4 --rpc "$(url 0),$(url 2)" >"$WORK/load.out" 2>&1 </dev/null &
LOAD=$!
PIDS+=($LOAD)

FOLLOWED=$WORK/followed.out
# follow MEMBER...: rollup 3 from where it was; only whole lines count.
follow() {
    local from=1 member rpc=()
    for member in "$@"; do rpc+=(--rpc "$(url "$member")"); done
    if [[ -s $FOLLOWED ]]; then
        from=$(awk 'END { print $1 }' "$FOLLOWED")
    fi
    : >"$WORK/part.out"
    "$OUTRIDER" lane follow "${rpc[@]}" --rollup 3 --committee "$COMMITTEE" --from "$from" >"$WORK/part.out" 2>>"$WORK/follow.log" </dev/null &
    FOLLOWER=$!
    PIDS+=($FOLLOWER)
    disown $FOLLOWER
}

# part_has LINES: of the follower that runs.
part_has() {
    (($(wc -l <"$WORK/part.out") >= $1))
}

# kill_follower: with -9; its whole lines are kept, as somebody does who writes each line down.
kill_follower() {
    kill -KILL "$FOLLOWER"
    wait_until 15 "the follower to end" gone "$FOLLOWER"
    python3 -c 'import sys; sys.stdout.write("".join(line for line in open(sys.argv[1]) if line.endswith("\n")))' "$WORK/part.out" >>"$FOLLOWED"
}

lane_height() {
    rpc "$(url "$1")" outrider_lane "[$2]" | field height
}

follow 0
wait_until 30 "five lane blocks" part_has 5
kill_follower
follow 1 2
wait_until 30 "three more" part_has 3
before=$(lane_height 0 3)
kill_member 1 KILL
lane_grew() {
    (($(wc -l <"$FOLLOWED") + $(wc -l <"$WORK/part.out") > before + 5))
}
wait_until 30 "the follower to go on at another member" lane_grew
grep -q 'waiting' "$WORK/follow.log" || fail "nothing was said about the member that died"
kill_follower
start_member 1
wait_until 60 "member-1 to answer" answers "$(url 1)"

STREAMED=$WORK/streamed.out
# stream MEMBER LANE_HEIGHT [CURL OPTION...]: rollup 3 with curl, until that lane block came.
stream() {
    local url last=$2
    url=$(url "$1")
    shift 2
    : >"$WORK/curl.out"
    curl --silent --no-buffer "$@" "$url/rollup/3/stream" >"$WORK/curl.out" 2>>"$WORK/curl.log" </dev/null &
    CURL=$!
    PIDS+=($CURL)
    disown $CURL
    wait_until 30 "lane block $last to be streamed" grep -q "^id: $last-" "$WORK/curl.out"
    kill -KILL $CURL
    wait_until 15 "curl to end" gone $CURL
    # Up to this one: the reader wrote nothing else down.
    python3 - "$WORK/curl.out" "$last" >>"$STREAMED" <<'PYTHON'
import sys
for event in open(sys.argv[1]).read().split("\n\n")[:-1]:
    print(event, end="\n\n")
    if event.startswith(f"id: {sys.argv[2]}-"):
        break
PYTHON
}
stream 2 5
stream 3 9 -H "Last-Event-ID: $(grep '^id: ' "$STREAMED" | tail -n 1 | cut -d ' ' -f 2)"

wait "$LOAD" || { cat "$WORK/load.out"; fail "load"; }
end=$(lane_height 0 3)
same_end() {
    (($(lane_height 1 3) == end))
}
wait_until 30 "member-1, killed before, to have the whole lane" same_end
"$OUTRIDER" lane follow --rpc "$(url 1)" --rollup 3 --committee "$COMMITTEE" --from "$(awk 'END { print $1 }' "$FOLLOWED")" --to "$end" >>"$FOLLOWED"
stream 1 "$end" -H "Last-Event-ID: $(grep '^id: ' "$STREAMED" | tail -n 1 | cut -d ' ' -f 2)"

"$OUTRIDER" lane range --rpc "$(url 3)" --rollup 3 --out "$WORK/lane-range.json" >/dev/null
python3 - "$FOLLOWED" "$STREAMED" "$WORK/lane-range.json" "$end" <<'PYTHON'
import json, sys
followed = [line.split()[0] for line in open(sys.argv[1])]
events = [event for event in open(sys.argv[2]).read().split("\n\n") if event.startswith("id: ")]
streamed = [event.split("\n")[0].removeprefix("id: ") for event in events]
proof, end = json.load(open(sys.argv[3])), int(sys.argv[4])
heights = [int(cursor.split("-")[0]) for cursor in followed]
assert heights == list(range(1, end + 1)), heights
assert streamed == followed, "curl got other lane blocks"
lanes = proof["earlier"] + [proof["last"]["claim"]["holds"]["lane"]]
assert [lane["height"] for lane in lanes] == heights
# The parent of each is the hash in the cursor of the one before.
assert [lane["parent"] for lane in lanes[1:]] == [cursor.split("-")[1] for cursor in followed[:-1]]
data = [json.loads(event.split("\ndata: ")[1]) for event in events]
assert sum(lane["count"] for lane in lanes) == sum(len(one["transactions"]) for one in data), "transactions"
PYTHON
ok "$end lane blocks, each once and in order, through kill -9 of the reader and of the member, with the CLI and with curl"

# Proofs, checked by the CLI and by Python; and each with one digit of a hash or signature changed.
at=$(awk 'NR == 1 { print $3 }' "$FOLLOWED")
"$OUTRIDER" lane prove --rpc "$(url 2)" --rollup 3 --height "$at" --out "$WORK/lane.json" >/dev/null
"$OUTRIDER" lane prove --rpc "$(url 2)" --rollup 77 --height "$at" --out "$WORK/absent.json" >/dev/null
"$OUTRIDER" lane skip --rpc "$(url 2)" --from 1 --out "$WORK/skip.json" >/dev/null
for proof in lane absent lane-range skip; do
    kind=${proof/absent/lane}
    "$OUTRIDER" verify "$WORK/$proof.json" --kind "$kind" --committee "$COMMITTEE" >"$WORK/said.out"
    grep -q '^valid' "$WORK/said.out" || fail "$proof: not valid"
    python3 "$ROOT/client/python/verify.py" "$kind" "$COMMITTEE" "$WORK/$proof.json" >/dev/null || fail "$proof: Python"
    for part in 1 3 5; do
        python3 - "$WORK/$proof.json" "$part" >"$WORK/changed.json" <<'PYTHON'
import re, sys
text = open(sys.argv[1]).read()
hashes = [found.start() for found in re.finditer(r"[0-9a-f]{64}", text)]
at = hashes[len(hashes) * int(sys.argv[2]) // 6] + 9
sys.stdout.write(text[:at] + ("1" if text[at] == "0" else "0") + text[at + 1 :])
PYTHON
        expect_failure 1 'proves nothing' "$OUTRIDER" verify "$WORK/changed.json" --kind "$kind" --committee "$COMMITTEE"
        status=0
        python3 "$ROOT/client/python/verify.py" "$kind" "$COMMITTEE" "$WORK/changed.json" >"$WORK/said.out" || status=$?
        ((status == 1)) && grep -q '"error"' "$WORK/said.out" || fail "$proof: Python takes a changed one"
    done
done
"$OUTRIDER" verify "$WORK/absent.json" --kind lane --committee "$COMMITTEE" | grep -q 'holds nothing' || fail "absence"
ok "presence, absence, range and skip are proven to the CLI and to Python, and no byte of them can be changed"

# Policies: the registered rollup, one that nobody registered, and a bundle over two others.
rpc "$(url 0)" outrider_submitBundle '{"parts":[{"rollup":1,"payload":"0x0a"},{"rollup":4,"payload":"0x0b"}]}' >"$WORK/bundle.json"
for id in $(python3 -c 'import json, sys; print(*json.load(open(sys.argv[1]))["ids"])' "$WORK/bundle.json"); do
    wait_until 30 "a part of the bundle" is_soft "$(url 3)" "$id"
done
order() {
    "$OUTRIDER" verify-order --rpc "$(url 3)" --committee "$COMMITTEE" "$@"
}
order --rollup 2 >"$WORK/order.out"
grep -qE ' shuffled: ([2-9]|[1-9][0-9]+) transactions in order' "$WORK/order.out" || fail "no lane block of two in shuffled order"
grep -q '^valid' "$WORK/order.out" || fail "shuffled"
order --rollup 4 --from "$(lane_height 3 4)" | grep -q '1 of them parts of whole bundles' || fail "bundle"
order --rollup 3 --from 2 --to 4 | grep -q '^valid: 3 lane blocks' || fail "fcfs"
"$OUTRIDER" init --members 4 --dir "$WORK/other" --base-port "$BASE" >/dev/null
expect_failure 1 'committee' "$OUTRIDER" verify-order --rpc "$(url 3)" --committee "$WORK/other/committee.json" --rollup 2
expect_failure 1 'ends at lane height' "$OUTRIDER" verify-order --rpc "$(url 3)" --committee "$COMMITTEE" --rollup 2 --to 1000000
ok "ordering policies and a bundle are checked again from proofs"
no_panics
