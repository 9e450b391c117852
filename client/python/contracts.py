#!/usr/bin/env python3
"""Judges what the contracts are tested with (contracts/test/vectors): keys, signatures, committees, headers, and evidence."""
import json, sys
import offences
from verify import COMMITTEE, HEADER, block_id, decompress, encode, fit, sha, trusted, verifies

FOLDER = offences.VECTORS.parent


def data(text):
    return bytes.fromhex(text.removeprefix("0x"))


def key(case):
    return dict(strict=decompress(data(case["key"])) is not None)


def signature(case):
    """Strictly, as members do. Contracts take more, so that whatever a member takes, they take."""
    known = decompress(data(case["key"])) is not None
    strict = known and verifies(data(case["key"]), data(case["message"]), data(case["r"]) + data(case["s"]))
    return dict(strict=strict, zip215=case["zip215"] or strict)


def committee(case):
    keys, stakes = data(case["keys"]), data(case["stakes"])
    members = [
        dict(public_key=keys[32 * at : 32 * at + 32].hex(), stake=int.from_bytes(stakes[8 * at : 8 * at + 8], "big"))
        for at in range(len(keys) // 32)
    ]
    total = sum(member["stake"] for member in members)
    known = dict(chain=case["chain"], epoch=case["epoch"], epoch_blocks=case["epoch_blocks"], crashed=0, ring=[])
    made = trusted(json.dumps(dict(known, byzantine=(total - 1) // 3, members=members)).encode())
    empty = json.loads(json.dumps(fit(HEADER, blank(HEADER), "form"), default=bytes.hex))
    genesis = dict(empty, version=4, chain=case["chain"], epoch=case["epoch"], payload=made["id"].hex())
    genesis = encode(HEADER, fit(HEADER, genesis, "form"))
    return dict(id=made["id"], quorum=made["slow"], fast=made["fast"], total=total, genesis=genesis)


def blank(form):
    if isinstance(form, dict):
        return {name: blank(part) for name, part in form.items()}
    return 0 if form[0] == "u" else "00" * int(form[1:])


def header(case):
    rest = data(case["header"])

    def take(form):
        nonlocal rest
        if isinstance(form, dict):
            return {name: take(part) for name, part in form.items()}
        size = int(form[1:]) // 8 if form[0] == "u" else int(form[1:])
        part, rest = rest[:size], rest[size:]
        return int.from_bytes(part, "big") if form[0] == "u" else part

    block = take(HEADER)
    found = dict(block, id=block_id(block), inbox=block["origin"]["inbox"])
    return {name: value for name, value in found.items() if name in case}


def run(name, judge):
    cases = json.load(open(FOLDER / f"{name}.json"))["cases"]
    for case in cases:
        for part, found in judge(case).items():
            expected = data(case[part]) if isinstance(found, bytes) else case[part]
            if found != expected:
                sys.exit(f"{name}.json: {case.get('name', case)}: {part} is {expected}, found {found}")
    print(f"{name}.json: {len(cases)} cases judged as they say")


if __name__ == "__main__":
    offences.run(offences.VECTORS)
    for name, judge in dict(keys=key, signatures=signature, committees=committee, headers=header).items():
        run(name, judge)
