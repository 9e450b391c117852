"""Unmodified clients: `cast mktx` signs, `cast publish` sends, and the transaction reaches a proof that verifies."""

import os
import shutil
import subprocess

from committee import ROOT, Committee, check, fail, rpc

CAST = os.environ.get("CAST") or shutil.which("cast") or str(ROOT / "target/tools/node_modules/.bin/cast")
KEY = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"  # A test key that everybody knows.
TO = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


def cast(*arguments, may_fail=False):
    done = subprocess.run([CAST, *arguments], capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    # The npm wrapper of cast ends with 0 whatever happens: a refusal is told by its text.
    if done.returncode != 0 and not may_fail:
        fail(f"cast {' '.join(arguments)}: {done.stdout}{done.stderr}")
    return (done.stdout + done.stderr).strip()


def signed(chain, nonce, *kind):
    return cast("mktx", "--private-key", KEY, "--chain", str(chain), "--nonce", str(nonce), "--gas-limit", "21000",
                "--gas-price", "1000000000", *kind, TO, "--value", "1")


with Committee() as committee:
    committee.start(*committee.members)
    committee.until_height(3)
    kinds = [(31337, ["--legacy"]), (31338, ["--priority-gas-price", "1"])]
    for rollup, kind in kinds:
        url = f"{committee.url(0)}/rollup/{rollup}"
        check(cast("chain-id", "--rpc-url", url) == str(rollup), f"cast reads the chain id of rollup {rollup}")
        raw = signed(rollup, 0, *kind)
        hashed = cast("publish", "--async", "--rpc-url", url, raw).strip('"')
        check(hashed.startswith("0x") and len(hashed) == 66, f"cast publish is accepted: {hashed}")
        check(hashed == cast("keccak", raw), "and answered with the hash that wallets expect")
        committee.until_soft(0, hashed)
        identity = rpc(committee.url(0), "outrider_transactionProof", hashed)["result"]["inclusion"]["transaction"]
        # From a member that never saw the client, by the id that anyone can compute.
        committee.until_soft(2, identity)
        committee.verify_proof(2, identity)
        check(True, f"its proof from another member verifies ({identity})")
    refused = cast("publish", "--async", "--rpc-url", f"{committee.url(0)}/rollup/1", signed(31337, 1, "--legacy"), may_fail=True)
    check("is for chain 31337" in refused, f"a transaction of another chain is refused: {refused.splitlines()[-1][:160]}")
    committee.no_panics()
