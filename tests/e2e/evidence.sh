#!/usr/bin/env bash
# Members keep certificates and hand them out; honest ones are accused of nothing; forensics refuses proofs of one chain.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"

init_network 4
for member in 0 1 2 3; do start_member $member; done
wait_until 60 "member-0 to answer" answers "$(url 0)"
wait_until 60 "the first blocks" height_at_least "$(url 0)" 2
first=$(submit_soft "$(url 0)" 7 0x01)
second=$(submit_soft "$(url 1)" 7 0x02)
"$OUTRIDER" proof --rpc "$(url 0)" "$first" --out "$WORK/first.json" >/dev/null
wait_until 30 "member-3 to have the second" is_soft "$(url 3)" "$second"
"$OUTRIDER" proof --rpc "$(url 3)" "$second" --out "$WORK/second.json" >/dev/null

for member in 0 1 2 3; do
    "$OUTRIDER" evidence certificates --rpc "$(url $member)" --out "$WORK/certificates-$member.json" >"$WORK/certificates.out"
    grep -qE 'epoch 0, [1-9][0-9]* certificates, [1-9][0-9]* headers' "$WORK/certificates.out" || fail "member-$member keeps nothing"
    "$OUTRIDER" evidence export --rpc "$(url $member)" --out "$WORK/guilty-$member" >"$WORK/export.out"
    grep -q '^0 pieces of evidence' "$WORK/export.out" || fail "an honest member is accused: $(cat "$WORK/export.out")"
done
ok "every member keeps certificates and accuses nobody"

stores=()
for member in 0 1 2 3; do stores+=(--certificates "$WORK/certificates-$member.json"); done
expect_failure 1 'do not conflict' "$OUTRIDER" forensics "$WORK/first.json" "$WORK/second.json" "${stores[@]}"
expect_failure 1 'do not conflict' "$OUTRIDER" forensics "$WORK/first.json" "$WORK/first.json" --committee "$NET/committee.json"
expect_failure 2 'which committee' "$OUTRIDER" forensics "$WORK/first.json" "$WORK/second.json"
"$OUTRIDER" init --members 4 --dir "$WORK/other" >/dev/null
expect_failure 1 'proves nothing' "$OUTRIDER" forensics "$WORK/first.json" "$WORK/second.json" --committee "$WORK/other/committee.json"
expect_failure 1 'not a certificate store' "$OUTRIDER" forensics "$WORK/first.json" "$WORK/second.json" --certificates "$WORK/first.json"
expect_failure 1 'not the JSON' "$OUTRIDER" evidence verify "$WORK/first.json"
ok "forensics explains no fork where there is none"

kill_member 2 KILL
start_member 2
wait_until 60 "member-2 to answer" answers "$(url 2)"
"$OUTRIDER" evidence certificates --rpc "$(url 2)" --out "$WORK/after.json" >/dev/null
python3 - "$WORK/certificates-2.json" "$WORK/after.json" <<'PYTHON'
import json, sys
before, after = (json.load(open(path)) for path in sys.argv[1:])
if before["committee"] != after["committee"]:
    sys.exit("another committee")
# What was kept before the last votes is on the disk with them.
kept = [json.dumps(one) for one in after["certificates"]]
lost = [one for one in before["certificates"][:-4] if json.dumps(one) not in kept]
if lost:
    sys.exit(f"{len(lost)} certificates are lost")
PYTHON
ok "certificates survive kill -9"
no_panics
