#!/usr/bin/env python3
"""The independent verifier judges the shared vectors (client/vectors) as they say, and no changed text breaks it."""
import json, sys
from pathlib import Path
from verify import KINDS, judge


def run(path):
    vectors = json.load(open(path))
    kind, cases = vectors["kind"], vectors["cases"]
    if kind not in KINDS:
        print(f"{path.name}: passed over, {kind} is not checked in Python")
        return False
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
    print(f"{path.name}: {len(cases)} cases judged as they say")
    return True


judged = [path for path in sorted(Path(__file__).parent.parent.glob("vectors/*.json")) if run(path)]
if len(judged) != len(KINDS):
    sys.exit(f"vectors of {len(judged)} kinds, {len(KINDS)} are checked")
