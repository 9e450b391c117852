#!/usr/bin/env python3
"""The independent verifier judges the shared vectors as they say, and no changed text breaks it.

    vectors.py FILE      client/vectors/finality.json
"""
import json, sys
from verify import judge

path = sys.argv[1]
vectors = json.load(open(path))
for case in vectors["cases"]:
    expected = {key: case[key] for key in ("ok", "error") if key in case}
    found = judge(vectors["trust"][case["trust"]].encode(), case["proof"].encode())
    if found != expected:
        sys.exit(f"{path}: {case['name']}: expected {expected}, found {found}")

# Any byte changed, and any end cut off: judged without an exception, and nothing else is proven.
case = vectors["cases"][0]
trust, proof = vectors["trust"][case["trust"]].encode(), case["proof"].encode()
for at in range(0, len(proof), 5):
    changed = proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :]
    found = judge(trust, changed)
    if "error" not in found and found["ok"] != case["ok"]:
        sys.exit(f"{path}: byte {at} changed proves something else")
    if "error" not in judge(trust, proof[:at]) or "error" not in judge(trust[:at], proof) and at < len(trust):
        sys.exit(f"{path}: cut at {at}, and accepted")
print(f"{path}: {len(vectors['cases'])} cases judged as they say")
