#!/usr/bin/env bash
# An unmodified Ethereum client: cast mktx, cast publish, then status, proof and verify.
source "$(dirname "${BASH_SOURCE[0]}")/common.bash"
CAST=${CAST:-$ROOT/target/tools/node_modules/.bin/cast}
[[ -x $CAST ]] || fail "no cast at $CAST: npm install --prefix target/tools @foundry-rs/cast@1.7.1, or set CAST"
KEY=0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80
TO=0x4242424242424242424242424242424242424242

init_network 4
for member in 0 1 2 3; do start_member $member; done
for member in 0 1 2 3; do wait_until 60 "member-$member to answer" answers "$(url $member)"; done

[[ $("$CAST" chain-id --rpc-url "$(url 0)/rollup/31337") == 31337 ]] || fail "cast chain-id"
ok "cast sees the rollup's chain id"

# mktx CHAIN NONCE [ARGUMENTS...]
mktx() {
    local chain=$1 nonce=$2
    shift 2
    "$CAST" mktx --rpc-url "$(url 0)/rollup/$chain" --chain "$chain" --private-key "$KEY" --nonce "$nonce" \
        --gas-limit 21000 --gas-price 2gwei --value 1 "$@" "$TO"
}

publish_and_prove() {
    local what=$1 chain=$2 raw=$3 hash
    hash=$("$CAST" publish --async --rpc-url "$(url 0)/rollup/$chain" "$raw")
    [[ $hash =~ ^0x[0-9a-f]{64}$ ]] || fail "cast publish says $hash"
    wait_until 30 "$hash to be soft-final" is_soft "$(url 0)" "$hash"
    "$OUTRIDER" proof --rpc "$(url 0)" "$hash" --out "$WORK/proof.json" >/dev/null
    "$OUTRIDER" verify "$WORK/proof.json" --committee "$NET/committee.json" | grep -q "^rollup       $chain\$" || fail "verify"
    python3 -c 'import json, sys; sys.exit(json.load(open(sys.argv[1]))["inclusion"]["data"] != sys.argv[2])' "$WORK/proof.json" "$raw" ||
        fail "the proof is of other bytes"
    ok "$what: published, proved and verified"
}

raw=$(mktx 31337 0 --priority-gas-price 1gwei)
publish_and_prove "EIP-1559" 31337 "$raw"
publish_and_prove "legacy with a chain id" 31338 "$(mktx 31338 0 --legacy)"

again=$("$CAST" publish --async --rpc-url "$(url 1)/rollup/31337" "$raw")
[[ $again =~ ^0x[0-9a-f]{64}$ ]] || fail "publishing again says $again"
ok "publishing the same bytes again gives the same hash"

# The exit code is that of a launcher, which differs between ways to install cast.
"$CAST" publish --async --rpc-url "$(url 0)/rollup/31338" "$raw" >"$WORK/other.out" 2>&1 || true
grep -q 'is for chain 31337, this rollup is chain 31338' "$WORK/other.out" || { cat "$WORK/other.out"; fail "another chain"; }
ok "a transaction for another chain is refused"

python3 - "$OUTRIDER" "$WORK/proof.json" "$NET/committee.json" "$WORK/changed.json" <<'PYTHON'
import os, random, subprocess, sys
outrider, proof, committee, changed = sys.argv[1:]
seed = int.from_bytes(os.urandom(4), "big")
rng = random.Random(seed)
data = open(proof, "rb").read()
for at in rng.sample(range(len(data)), 30):
    flipped = bytearray(data)
    flipped[at] ^= 1 << rng.randrange(8)
    open(changed, "wb").write(flipped)
    run = subprocess.run([outrider, "verify", changed, "--committee", committee], capture_output=True, text=True, errors="replace")
    if run.returncode != 1 or len(run.stderr.strip()) < 20:
        sys.exit(f"seed {seed}, byte {at}: exit code {run.returncode}, {run.stderr!r}")
PYTHON
ok "a flipped byte of the proof is refused with a reason"
no_panics
