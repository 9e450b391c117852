#!/usr/bin/env python3
"""The independent verifier judges the shared vectors as they say, and no changed text breaks it.

    vectors.py FILE...      of client/vectors; kinds that it does not know are passed over, and named
"""
import json, sys
from verify import KINDS, judge


def run(path):
    vectors = json.load(open(path))
    kind, cases = vectors["kind"], vectors["cases"]
    if kind not in KINDS:
        return print(f"{path}: passed over, {kind} is not checked in Python")
    for case in cases:
        expected = {key: case[key] for key in ("ok", "error") if key in case}
        found = judge(kind, vectors["trust"][case["trust"]].encode(), case["proof"].encode())
        if found != expected:
            sys.exit(f"{path}: {case['name']}: expected {expected}, found {found}")

    # Any byte changed, and any end cut off: judged without an exception, and nothing else is proven.
    trust, proof = vectors["trust"][cases[0]["trust"]].encode(), cases[0]["proof"].encode()
    for at in range(0, len(proof), 7):
        found = judge(kind, trust, proof[:at] + bytes([proof[at] ^ 1]) + proof[at + 1 :])
        if "error" not in found and found["ok"] != cases[0]["ok"]:
            sys.exit(f"{path}: byte {at} changed proves something else")
        if "error" not in judge(kind, trust, proof[:at]) or at < len(trust) and "error" not in judge(kind, trust[:at], proof):
            sys.exit(f"{path}: cut at {at}, and accepted")
    print(f"{path}: {len(cases)} cases judged as they say")


for path in sys.argv[1:]:
    run(path)
