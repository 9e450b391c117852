#!/usr/bin/env bash
# Server-Sent Events of a lane while the member that serves them is killed with -9 again and again: no gap, nothing twice.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
ROLLUP=31337 KILLS=4

init_network 4
for member in 0 1 2 3; do start_member $member; done
for member in 0 1 2 3; do wait_until 60 "member-$member to answer" answers "$(url $member)"; done

# Reads until STOP is there and the lane's end is reached; goes on with the last cursor whenever the stream breaks.
cat >"$WORK/read.py" <<'PYTHON'
import json, os, sys, time, urllib.request
url, rollup, stop = sys.argv[1:]
cursor, height, parent, breaks, begun = None, 0, "00" * 32, 0, time.monotonic()
while True:
    assert time.monotonic() - begun < 240, f"still at lane block {height}"
    request = urllib.request.Request(f"{url}/rollup/{rollup}/stream")
    if cursor:
        request.add_header("Last-Event-ID", cursor)
    try:
        with urllib.request.urlopen(request, timeout=10) as stream:
            event = {}
            for line in stream:
                name, _, text = line.decode().rstrip("\n").partition(": ")
                event[name] = text
                if line != b"\n":
                    continue
                said, kind, event_id = json.loads(event["data"]), event["event"], event.get("id")
                event = {}
                if kind == "heartbeat":
                    if said["lag"] == 0 and os.path.exists(stop):
                        assert said["tip"] == height, (said, height)
                        print(height, breaks)
                        sys.exit()
                    continue
                assert kind == "lane", (kind, said)
                lane = said["lane"]
                assert lane["height"] == height + 1 and lane["parent"] == parent, (lane, height, parent)
                height, cursor = lane["height"], event_id
                parent = cursor.split("-")[1]
    except (OSError, KeyError, ValueError):
        breaks += 1
        time.sleep(0.05)
PYTHON
python3 "$WORK/read.py" "$(url 0)" $ROLLUP "$WORK/stop" >"$WORK/read.out" 2>"$WORK/read.log" &
READER=$!
PIDS+=($READER)

sent=0
send_some() {
    local until=$((sent + 5))
    while ((sent < until)); do
        "$OUTRIDER" submit --rpc "$(url 1)" --rollup $ROLLUP --hex "$(printf '%08x' $sent)" >/dev/null
        sent=$((sent + 1))
    done
}
for ((kill = 0; kill < KILLS; kill++)); do
    send_some
    kill_member 0 KILL
    send_some
    start_member 0
    wait_until 60 "member-0 to answer" answers "$(url 0)"
done
send_some
last=$(submit_soft "$(url 0)" $ROLLUP ffffffff)
touch "$WORK/stop"
wait_until 120 "the reader to come to the end" gone $READER
read -r height breaks <"$WORK/read.out" || { cat "$WORK/read.log" >&2; fail "the reader"; }
((breaks >= KILLS)) || fail "only $breaks breaks"
lane=$(rpc "$(url 2)" outrider_lane "[$ROLLUP]")
[[ $(field height <<<"$lane") == "$height" && $(field transactions <<<"$lane") == $((sent + 1)) ]] || fail "$lane, read $height"
ok "$((sent + 1)) transactions in $height lane blocks, $KILLS kills of the member, $breaks breaks: no gap, nothing twice, up to $last"
no_panics
