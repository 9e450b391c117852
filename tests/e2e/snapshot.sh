#!/usr/bin/env bash
# A member that lost its store starts from a snapshot, over several epochs, without the blocks before it, and votes.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"

init_network 4 --epoch-blocks 300
# Many small blocks, so that the chain is soft old enough for a digest.
QUICK=("--set" "consensus.idle_block_ms=5")
for member in 0 1 2 3; do start_member $member "${QUICK[@]}"; done
for member in 0 1 2 3; do wait_until 60 "the first block at member-$member" height_at_least "$(url $member)" 1; done
TRUSTED=("--committee" "$NET/committee.json")
old=$(submit_soft "$(url 0)" 7 0x01)
wait_until 120 "1,010 blocks" height_at_least "$(url 3)" 1010
ok "1,010 blocks in several epochs"

kill_member 3 TERM
expect_failure 2 'required' "$OUTRIDER" snapshot create "${TRUSTED[@]}" --out "$WORK/none"
"$OUTRIDER" snapshot create --data-dir "$NET/member-3/data" "${TRUSTED[@]}" --out "$WORK/offline.snapshot" >/dev/null
"$OUTRIDER" snapshot create --rpc "$(url 0)" "${TRUSTED[@]}" --out "$WORK/chain.snapshot" >"$WORK/create.out"
expect_failure 1 'exists already' "$OUTRIDER" snapshot create --rpc "$(url 0)" "${TRUSTED[@]}" --out "$WORK/chain.snapshot"
at=$(awk '$1 == "height" { print $2 }' "$WORK/create.out")
for file in offline chain; do
    "$OUTRIDER" snapshot verify "$WORK/$file.snapshot" "${TRUSTED[@]}" --against "$(url 1)" --against "$(url 2)" >"$WORK/verify.out"
    (($(grep -c '^agrees' "$WORK/verify.out") == 2)) || { cat "$WORK/verify.out"; fail "members do not agree with $file"; }
done
python3 - "$WORK/chain.snapshot" "$WORK/changed.snapshot" <<'PYTHON'
import sys
data = bytearray(open(sys.argv[1], "rb").read())
data[len(data) // 2] ^= 1
open(sys.argv[2], "wb").write(data)
PYTHON
expect_failure 1 'snapshot|damaged|chain' "$OUTRIDER" snapshot verify "$WORK/changed.snapshot" "${TRUSTED[@]}"
ok "snapshots of a running and of a stopped member verify, and members agree (height $at, $(stat -c %s "$WORK/chain.snapshot") bytes)"

expect_failure 1 'holds a chain already' "$OUTRIDER" snapshot install "$WORK/chain.snapshot" --data-dir "$NET/member-3/data" "${TRUSTED[@]}"
mv "$NET/member-3/data/store" "$WORK/old-store"
"$OUTRIDER" snapshot install "$WORK/chain.snapshot" --data-dir "$NET/member-3/data" "${TRUSTED[@]}" >/dev/null
start_member 3 "${QUICK[@]}"
wait_until 60 "member-3 to answer" answers "$(url 3)"
first=$(height "$(url 3)")
((first >= at)) || fail "member-3 begins at height $first, not $at"
target=$(height "$(url 0)")
wait_until 60 "member-3 to catch up with height $target" height_at_least "$(url 3)" "$target"
wait_until 60 "member-3 to vote" votes_from 3 "$target"
ok "the member started at height $first, caught up with height $target and votes"

is_soft "$(url 3)" "$old" || fail "member-3 does not know a transaction of the window"
expect_failure 1 'pruned' "$OUTRIDER" proof --rpc "$(url 3)" "$old" --out "$WORK/proof.json"
(rpc "$(url 3)" outrider_block "[$at]" 2>&1 || true) | grep -q -- '-32057' || fail "a block below the snapshot is not said to be pruned"
"$OUTRIDER" proof --rpc "$(url 0)" "$old" --out "$WORK/proof.json" >/dev/null
new=$(submit_soft "$(url 3)" 7 0x02)
"$OUTRIDER" proof --rpc "$(url 3)" "$new" --out "$WORK/new.json" >/dev/null
ok "it says what it does not hold, and serves what is new"
no_panics
