#!/usr/bin/env bash
# Bad input everywhere: a clear error that says what to do, nothing lost, no panic.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"

init_network 4
for member in 0 1 2 3; do start_member $member; done
for member in 0 1 2 3; do wait_until 60 "member-$member to answer" answers "$(url $member)"; done
id=$(submit_soft "$(url 0)" 7 0x0102)

# --- at the RPC port
python3 - "$(url 0)" <<'PYTHON'
import http.client, json, sys, urllib.error, urllib.request
url = sys.argv[1]

def announce(length):
    """What the server says to a request that announces so many bytes, before any of them is sent."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    connection.putrequest("POST", "/")
    connection.putheader("content-type", "application/json")
    connection.putheader("content-length", str(length))
    connection.endheaders()
    answer = connection.getresponse()
    return answer.status, answer.read().decode()

def post(body, path="", kind="application/json"):
    request = urllib.request.Request(url + path, body, {"content-type": kind})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()

def call(method, params, path=""):
    status, text = post(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode(), path)
    return json.loads(text).get("error") or {"code": 0, "message": "no error"}

def check(what, condition, answer):
    if not condition:
        sys.exit(f"not ok - {what}: {answer}")
    print(f"ok - {what}")

def has(error, code, words):
    return error["code"] == code and words in error["message"]

answer = post(b'{"jsonrpc": "2.0", ')
check("malformed JSON is a parse error", "-32700" in answer[1], answer)
answer = post(b"\xff\xfe\x00garbage")
check("garbage is a parse error", "-32700" in answer[1], answer)
answer = announce(3 << 20)
check("an oversized request is refused", answer[0] == 413, answer)
answer = post(b"[" * 100000)
check("deep nesting is refused", "-32700" in answer[1], answer)
batch = json.dumps([{"jsonrpc": "2.0", "id": n, "method": "outrider_head"} for n in range(1000)]).encode()
answer = post(batch)
check("a batch that is too long is refused", "batch" in answer[1].lower() and "result" not in answer[1], answer[1][:200])
error = call("outrider_submit", {"rollup": 7, "payload": "0x" + "00" * (128 * 1024 + 1)})
check("an oversized transaction is refused", has(error, -32052, "at most 131072"), error)
error = call("outrider_submit", {"rollup": 7, "payload": "0x"})
check("an empty transaction is refused", has(error, -32052, "empty"), error)
error = call("outrider_submit", {"rollup": 7, "payload": "0xzz"})
check("a transaction that is not hex is refused", has(error, -32602, "hex"), error)
error = call("outrider_submit", {"rollup": 7, "payload": "0x00", "fee": 1})
check("unknown parameters are refused", error["code"] == -32602, error)
error = call("outrider_transactionStatus", ["0x12"])
check("an id that is too short is refused", error["code"] == -32602 and "64" in error["message"], error)
error = call("outrider_block", [-1])
check("a negative height is refused", error["code"] == -32602, error)
error = call("outrider_nothing", [])
check("an unknown method is refused", error["code"] == -32601, error)
error = call("eth_chainId", [])
check("an Ethereum method without a rollup says where it is", has(error, -32050, "/rollup/"), error)
error = call("eth_sendRawTransaction", ["0x02f8"], "/rollup/31337")
check("a truncated Ethereum transaction is refused", has(error, -32000, "not a signed Ethereum transaction"), error)
raw = ("02f86c827a6980843b9aca0084773594008252089442424242424242424242424242424242424242420180c080a0c752d375bbd4ccc8c017f38c484b"
       "6dd9e3138692c19a1b0318486d9b745e73bca00507260777949b175cea2097ee79c6d9fd0c669805819704465c698907743cee")
error = call("eth_sendRawTransaction", ["0x" + raw], "/rollup/1")
check("a wrong chain id is refused with both ids", has(error, -32000, "is for chain 31337, this rollup is chain 1"), error)
PYTHON

# --- at the p2p port
python3 - "$BASE" <<'PYTHON'
import os, socket, sys
port = int(sys.argv[1])
held = []
for n in range(40):
    one = socket.create_connection(("127.0.0.1", port), timeout=5)
    try:
        one.sendall(os.urandom(1 + 997 * n))
    except OSError:
        pass
    held.append(one)
for one in held:
    one.close()
PYTHON
at=$(height "$(url 0)")
wait_until 30 "blocks after the garbage" height_at_least "$(url 0)" $((at + 3))
submit_soft "$(url 0)" 7 0x0304 >/dev/null
ok "garbage on the p2p port changes nothing"

# --- two processes
expect_failure 1 'in use by another process.*vote twice' "$OUTRIDER" start --config "$NET/member-0/outrider.toml"
ok "a second process on the same data folder refuses to start"

for port in p2p rpc metrics; do
    others=()
    for other in p2p rpc metrics; do [[ $other == "$port" ]] || others+=(--set "$other.listen=127.0.0.1:0"); done
    case $port in p2p) number=$BASE ;; rpc) number=$((BASE + 1)) ;; metrics) number=$((BASE + 2)) ;; esac
    expect_failure 1 "$port|127.0.0.1:$number" "$OUTRIDER" start --config "$NET/member-1/outrider.toml" \
        --set "node.data_dir=$WORK/data-$port" --set "$port.listen=127.0.0.1:$number" "${others[@]}"
    grep -qE "$number" "$WORK/expected.err" || fail "the $port port is not named: $(cat "$WORK/expected.err")"
done
ok "a port in use is named"

# --- files
kill_member 3 TERM
config=$NET/member-3/outrider.toml
start3=("$OUTRIDER" start --config "$config")
chmod 644 "$NET/member-3/member.key"
expect_failure 1 'open to others.*chmod 600' "${start3[@]}"
chmod 600 "$NET/member-3/member.key"
expect_failure 1 'cannot read the key file' "${start3[@]}" --set node.key=none.key
"$OUTRIDER" keys new --out "$WORK/stranger.key" >/dev/null
expect_failure 1 'exists; a key is never overwritten' "$OUTRIDER" keys new --out "$WORK/stranger.key"
expect_failure 1 'node.key|committee' "${start3[@]}" --set "node.key=$WORK/stranger.key"
ok "a key file that is open to others, missing or a stranger's is refused"

echo 'not a committee' >"$WORK/committee.json"
expect_failure 1 'is not a committee file' "${start3[@]}" --set "node.committee=$WORK/committee.json"
printf '[rpc]\nlistn = "127.0.0.1:1"\n[node]\nverify_workers = 0\n' >"$WORK/wrong.toml"
expect_failure 2 'did you mean rpc.listen' "$OUTRIDER" start --config "$WORK/wrong.toml"
grep -q 'node.verify_workers' "$WORK/expected.err" || fail "only one fault is reported"
printf '[rpc\n' >"$WORK/wrong.toml"
expect_failure 2 'is not TOML' "$OUTRIDER" start --config "$WORK/wrong.toml"
expect_failure 2 'cannot read' "$OUTRIDER" start --config "$WORK/none.toml"
expect_failure 2 'there is no such option' "${start3[@]}" --set rpc.nonsense=1
expect_failure 2 'OUTRIDER_RPC_LISTEN' env OUTRIDER_RPC_LISTEN=nowhere "${start3[@]}"
ok "unknown keys and wrong values of a configuration are listed, all at once"

# --- the disk
# save; then, after something was broken while the member was down, restore.
save() {
    rm -rf "$WORK/saved"
    cp -a "$NET/member-3/data" "$WORK/saved"
}
restore() {
    rm -rf "$NET/member-3/data"
    cp -a "$WORK/saved" "$NET/member-3/data"
}
# The member starts on what it has, catches up, votes, and knows what was final before.
comes_back() {
    local target
    start_member 3
    wait_until 60 "member-3 to answer" answers "$(url 3)"
    target=$(height "$(url 0)")
    wait_until 60 "member-3 to catch up" height_at_least "$(url 3)" "$target"
    wait_until 60 "member-3 to vote" votes_from 3 "$target"
    is_soft "$(url 3)" "$id" || fail "member-3 forgot $id"
    "$OUTRIDER" proof --rpc "$(url 3)" "$id" --out "$WORK/proof.json" >/dev/null
    "$OUTRIDER" verify "$WORK/proof.json" --committee "$NET/committee.json" >/dev/null
    kill_member 3 TERM
}
# mute_on FOLDER: member 3 on a data folder without a vote journal follows, and signs nothing.
mute_on() {
    local from
    start_member 3 --set "node.data_dir=$1"
    wait_until 60 "member-3 to answer" answers "$(url 3)"
    from=$(height "$(url 0)")
    wait_until 60 "member-3 to follow" height_at_least "$(url 3)" $((from + 8))
    # Blocks that were under way when it was stopped may hold a vote that it sent before.
    ! votes_from 3 $((from + 4)) || fail "member-3 votes without its journal"
    grep -q 'signs nothing in this epoch' "$NET/member-3/outrider.log" || fail "nothing in the log about the missing journal"
    kill_member 3 TERM
}
save
# journal middle|end: damages the journal of member 3. Records begin at byte 4096: length u32, crc u32, sequence u64,
# payload, 0xA5, zeros to a multiple of 16.
journal() {
    python3 - "$NET/member-3/data/journal" "$1" <<'PYTHON'
import pathlib, struct, sys
folder, where = sys.argv[1:]

def records(data):
    at = 4096
    while (length := struct.unpack_from("<I", data, at)[0]) > 0:
        yield at, length
        at = (at + 16 + length + 1 + 15) // 16 * 16

files = {path: bytearray(path.read_bytes()) for path in pathlib.Path(folder).glob("*.journal")}
path, data = max(files.items(), key=lambda item: len(list(records(item[1]))))
found = list(records(data))
assert len(found) > 4, "the member has voted"
if where == "middle":
    at, length = found[len(found) // 2]
    data[at + 16 + length // 2] ^= 0x40
else:
    # What a crash in the middle of a write leaves: a record that ends early.
    at, length = found[-1]
    end = (at + 16 + length + 1 + 15) // 16 * 16
    (sequence,) = struct.unpack_from("<Q", data, at + 8)
    struct.pack_into("<IIQ", data, end, length, 0x12345678, sequence + 1)
    data[end + 16:end + 16 + length // 2] = data[at + 16:at + 16 + length // 2]
path.write_bytes(data)
PYTHON
}
journal middle
expect_failure 1 'journal is damaged at byte' "${start3[@]}"
ok "a vote journal damaged in the middle is refused, and the message says so"

restore
rm "$NET/member-3/data/journal/"*.journal
mute_on "$NET/member-3/data"
ok "a member without its vote journal follows and signs nothing, with a warning"

restore
journal end
comes_back
grep -q 'torn last journal record' "$NET/member-3/outrider.log" || fail "nothing in the log about the torn record"
ok "a torn tail of the vote journal is tolerated, with a warning"

python3 - "$NET/member-3/data/store/index" <<'PYTHON'
import os, pathlib, sys
# sled's files, whatever they are called.
for path in pathlib.Path(sys.argv[1]).rglob("*"):
    if path.is_file():
        path.write_bytes(os.urandom(max(path.stat().st_size, 64)))
PYTHON
comes_back
grep -q 'building the index again' "$NET/member-3/outrider.log" || fail "nothing in the log about the index"
ok "a corrupt sled folder is put aside and rebuilt, with a warning"

save
python3 - "$NET/member-3/data/store/segments" <<'PYTHON'
import pathlib, sys
path = sorted(pathlib.Path(sys.argv[1]).iterdir())[0]
data = bytearray(path.read_bytes())
used = len(data.rstrip(b"\0"))
data[used // 2] ^= 0xff
path.write_bytes(data)
PYTHON
rm -rf "$NET/member-3/data/store/index"
expect_failure 1 'damaged at byte' "${start3[@]}"
ok "a damaged segment is refused when the index has to be rebuilt from it, and the message says what to do"

restore
comes_back
at=$(height "$(url 0)")
wait_until 30 "the others to go on" height_at_least "$(url 0)" $((at + 1))
is_soft "$(url 0)" "$id" || fail "member-0 forgot $id"
ok "through all of this, nothing was lost"
# A folder that does not know what the key has signed is what a second node with the key has: it may not vote.
mute_on "$WORK/second"
ok "a second folder with a key that has signed before follows and signs nothing"
comes_back
ok "and the real one votes as before"
no_panics
