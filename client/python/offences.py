#!/usr/bin/env python3
"""Judges evidence of E1 to E5, from docs/wire-format.md (sections 4, 5 and 8) and verify.py's hashes and signatures alone.
offences.py [FILE]: judges every case of the vectors that Rust and Solidity judge, too. Exit code 1 if one is judged otherwise."""
import json, sys
from pathlib import Path
from verify import decompress, sha, u, verifies

VECTORS = Path(__file__).parent.parent.parent / "contracts/test/vectors/offences.json"
# What is signed: a tag, and the hash of chain, epoch, view and the fields between them and the signer.
PROPOSE, VOTE, COMMIT, TIMEOUT = b"OUTRPROP", b"OUTRVOTE", b"OUTRCMIT", b"OUTRTIME"
HALVES = {1: (PROPOSE, PROPOSE), 2: (VOTE, VOTE), 3: (COMMIT, COMMIT), 4: (VOTE, TIMEOUT), 5: (COMMIT, TIMEOUT)}
LAST_VIEW = 2**64 - 1


class Refused(Exception):
    pass


def need(holds, why):
    if not holds:
        raise Refused(why)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, count):
        need(self.at + count <= len(self.data), "WrongLength")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, count):
        return int.from_bytes(self.take(count), "big")


def read_half(reader, tag):
    """A signed statement. In `preimage`, the chain is still missing."""
    half = dict(tag=tag, epoch=reader.number(8), view=reader.number(8), kind=None, high=None)
    fields = b""
    if tag is PROPOSE:
        half["kind"] = reader.number(1)
        need(half["kind"] <= 1, "UnknownKind")
        fields = u(8, half["kind"])
    if tag is TIMEOUT:
        half["high"], flag = reader.number(8), reader.number(1)
        need(flag <= 1, "UnknownFlag")
        half["block"] = reader.take(32) if flag else None
        fields = u(64, half["high"]) + u(8, flag) + (half["block"] or bytes(32))
    else:
        half["block"] = reader.take(32)
        fields += half["block"]
    half.update(fields=fields, signer=reader.number(2), signature=reader.take(64))
    need(tag is not TIMEOUT or half["high"] < half["view"], "HighView")
    return half


def conflict(offence, a, b):
    if offence == 5:
        return b["view"] >= a["view"] > b["high"]
    return a["view"] == b["view"] and a["block"] != b["block"] and (offence != 1 or a["kind"] == b["kind"])


def read(evidence):
    """Two statements that no honest member signs together."""
    reader = Reader(evidence)
    offence = reader.number(1)
    need(offence in HALVES, "UnknownOffence")
    a, b = (read_half(reader, tag) for tag in HALVES[offence])
    need(reader.at == len(evidence), "WrongLength")
    need(a["signer"] == b["signer"], "TwoSigners")
    need(a["epoch"] == b["epoch"], "TwoEpochs")
    need(LAST_VIEW not in (a["view"], b["view"]), "LastView")
    need(conflict(offence, a, b), "Legal")
    return offence, a, b


def judge(chain, key, evidence):
    """What the vectors say of a case."""
    try:
        offence, *halves = read(evidence)
    except Refused as refused:
        return dict(error=str(refused), offence=0, epoch=0, view=0, preimages=[b"", b""], proven=False)
    preimages = [half["tag"] + sha(u(64, chain), u(64, half["epoch"]), u(64, half["view"]), half["fields"]) for half in halves]
    signed = zip(preimages, (half["signature"] for half in halves))
    proven = decompress(key) is not None and all(verifies(key, preimage, signature) for preimage, signature in signed)
    first = halves[0]
    return dict(error="", offence=offence, epoch=first["epoch"], view=first["view"], preimages=preimages, proven=proven)


def run(path):
    def data(text):
        return bytes.fromhex(text.removeprefix("0x"))

    cases = json.load(open(path))["cases"]
    true = {}
    for case in cases:
        expected = {part: case[part] for part in ("offence", "epoch", "view", "proven")}
        expected["error"] = case["error"].split("(")[0]
        expected["preimages"] = [data(case["preimage_a"]), data(case["preimage_b"])]
        evidence = data(case["evidence"])
        found = judge(case["chain"], data(case["key"]), evidence)
        if found != expected:
            sys.exit(f"{path}: {case['name']}: expected {expected}, found {found}")
        if case["proven"]:
            true.setdefault(case["offence"], (case["chain"], data(case["key"]), evidence))

    # A bit changed, in every byte in turn, or an end cut off: it proves nothing.
    for chain, key, evidence in true.values():
        for at in range(len(evidence)):
            changed = evidence[:at] + bytes([evidence[at] ^ 1 << at % 8]) + evidence[at + 1 :]
            if judge(chain, key, changed)["proven"] or judge(chain, key, evidence[:at])["error"] == "":
                sys.exit(f"{path}: offence {evidence[0]}: byte {at} changed, or all from there cut off, and still taken")
    if len(cases) < 120 or sorted(true) != sorted(HALVES):
        sys.exit(f"{path}: {len(cases)} cases that prove {sorted(true)}: too few")
    print(f"{Path(path).name}: {len(cases)} cases judged as they say")


if __name__ == "__main__":
    run(*sys.argv[1:2] or [VECTORS])
