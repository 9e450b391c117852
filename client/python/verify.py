#!/usr/bin/env python3
"""Checks proofs, written from docs/wire-format.md alone, with nothing but the standard library.

    verify.py COMMITTEE PROOF     what is proven, as JSON; exit code 1 and a code of section 12 if nothing is
"""
import hashlib, json, re, sys

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ROOT = -121665 * pow(121666, -1, P) % P, pow(2, (P - 1) // 4, P)
U16, U32, U64, HASH, SIGNATURE = "u16", "u32", "u64", "h32", "h64"
# The header's fields in order, which is also its JSON.
HEADER = dict(version=U16, chain=U64, epoch=U64, view=U64, height=U64, parent=HASH, justify=U64, payload=HASH,
              timestamp=U64, proposer=U16, next=HASH)
HEADER_VERSION, PROOF_VERSION = 2, 1
COMMITTEE = dict(chain=U64, epoch=U64, byzantine=U64, crashed=U64, epoch_blocks=U64, ring=[U16, 1024],
                 members=[dict(public_key=HASH, stake=U64), 1024])
VOTE = dict(epoch=U64, view=U64, block=HASH)
VOTES = dict(statement=VOTE, signatures=[(U16, SIGNATURE), 2**32])
CERTIFICATE = {"one of": {"fast": VOTES, "slow": VOTES}}
INCLUSION = dict(rollup=U64, data="data", transaction=HASH, lane_index=U32, lane_count=U32, lane_path=[HASH, 32], index=U32,
                 count=U32, path=[HASH, 32])
PROOF = dict(version=U16, committee=HASH, block=HEADER, path=[HEADER, 2**32], certificate=CERTIFICATE, inclusion=INCLUSION)
PREFIX = {"fast": b"OUTRVOTE", "slow": b"OUTRCMIT"}

class Rejected(Exception):
    pass
def need(holds, code):
    if not holds:
        raise Rejected(code)

# Reading: every field there once, none unknown, integers whole and in range.
def parse(text, most, code="form"):
    def once(pairs):
        need(len(dict(pairs)) == len(pairs), code)
        return dict(pairs)
    def whole(digits):
        need(digits[0] != "-", code)
        return int(digits)
    need(len(text) <= most, "too-large" if code == "form" else code)
    try:
        return json.loads(text, object_pairs_hook=once, parse_int=whole, parse_constant=float)
    except (ValueError, RecursionError):
        raise Rejected(code)
def fit(kind, value, code="form"):
    if isinstance(kind, dict):
        need(isinstance(value, dict), code)
        parts = kind.get("one of", kind)
        value = {**({"ring": []} if kind is COMMITTEE else {}), **value}
        need(set(value) == set(parts) if parts is kind else len(value) == 1 and set(value) < set(parts), code)
        return {key: fit(parts[key], item, code) for key, item in value.items()}
    if isinstance(kind, (list, tuple)):
        length = len(value) if isinstance(value, list) else -1
        need(0 <= length <= kind[1] if isinstance(kind, list) else length == len(kind), code)
        return [fit(part, item, code) for part, item in zip([kind[0]] * length if isinstance(kind, list) else kind, value)]
    if kind[0] == "u":
        need(type(value) is int and value < 2 ** int(kind[1:]), code)
        return value
    need(isinstance(value, str) and (kind != "data" or value[:2] == "0x" and len(value) <= 2 + 2 * 131072), code)
    value = value.removeprefix("0x")
    need(re.fullmatch("([0-9a-fA-F]{2})*", value) and kind in ("data", f"h{len(value) // 2}"), code)
    return bytes.fromhex(value)

# Bytes and hashes.
def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()
def u(bits, value):
    return value.to_bytes(bits // 8, "big")
def encode(kind, fields):
    return b"".join(fields[key] if part == HASH else u(int(part[1:]), fields[key]) for key, part in kind.items())
def varint(value):
    return (bytes([value & 127 | 128]) + varint(value >> 7)) if value > 127 else bytes([value])
def block_id(header):
    return sha(encode(HEADER, header))
def committee_id(c):
    head = b"".join(u(64, c[key]) for key in ("chain", "epoch", "byzantine", "crashed", "epoch_blocks"))
    members = b"".join(member["public_key"] + u(64, member["stake"]) for member in c["members"])
    return sha(b"OUTRCOMM", head, varint(len(c["ring"])), *(u(16, at) for at in c["ring"]), varint(len(c["members"])), members)
def merkle(leaf, index, size, path):
    need(index < size and (size > 1 or not path) and (size == 1 or path), "not-included")
    if size == 1:
        return leaf
    half = 1 << (size - 1).bit_length() - 1
    if index < half:
        return sha(b"\x01", merkle(leaf, index, half, path[:-1]), path[-1])
    return sha(b"\x01", path[-1], merkle(leaf, index - half, size - half, path[:-1]))
EMPTY = sha(b"\x02", u(32, 0), sha())

# Ed25519, strictly: points are (x, y, z, x*y/z).
def add(a, b):
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    return (f - e) * (d - c) % P, (d + c) * (f + e) % P, (d - c) * (d + c) % P, (f - e) * (f + e) % P
def times(scalar, point):
    sum = (0, 1, 1, 0)
    for bit in bin(scalar)[2:]:
        sum = add(sum, sum)
        sum = add(sum, point) if bit == "1" else sum
    return sum
def compress(point):
    x, y = (coordinate * pow(point[2], -1, P) % P for coordinate in point[:2])
    return (y | (x & 1) << 255).to_bytes(32, "little")
def decompress(data):
    """A point of large order from its canonical encoding, or none."""
    y = int.from_bytes(data, "little") % 2**255
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    x = x if x * x % P == x2 else x * ROOT % P
    x = P - x if x & 1 != data[31] >> 7 else x
    point = (x, y, 1, x * y % P)
    return point if x * x % P == x2 and compress(point) == data and times(8, point)[0] % P else None
BASE = decompress((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
def verifies(key, message, signature):
    r, s = signature[:32], int.from_bytes(signature[32:], "little")
    if s >= L or decompress(r) is None:
        return False
    k = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L
    x, y, z, t = times(k, decompress(key))
    return compress(add(times(s, BASE), (-x, y, z, -t))) == r

# Committees and certificates.
def check_committee(c, code):
    keys, total = [member["public_key"] for member in c["members"]], sum(member["stake"] for member in c["members"])
    need(keys and len(set(keys)) == len(keys) and all(member["stake"] for member in c["members"]) and total < 2**61, code)
    need(total >= 3 * c["byzantine"] + 2 * c["crashed"] + 1 and sorted(c["ring"]) in ([], list(range(len(keys)))), code)
    need(all(decompress(key) for key in keys), code)
    c["slow"] = (total + c["byzantine"]) // 2 + 1
    c["fast"] = total - (total - 3 * c["byzantine"] - c["crashed"] - 1) // 2
def check_certificate(c, kind, votes):
    statement, stake, last = votes["statement"], 0, -1
    need(statement["epoch"] == c["epoch"], "other-epoch")
    need(statement["view"] < 2**64 - 1, "malformed")
    for member, _ in votes["signatures"]:
        need(member > last, "signer-order")
        need(member < len(c["members"]), "unknown-signer")
        stake, last = stake + c["members"][member]["stake"], member
    need(stake >= c[kind], "stake")
    message = PREFIX[kind] + sha(u(64, c["chain"]), encode(VOTE, statement))
    for member, signature in votes["signatures"]:
        need(verifies(c["members"][member]["public_key"], message, signature), "signature")
    return stake

# Proofs.
def check_headers(c, proof, votes):
    need(len(proof["path"]) <= 1024, "path-too-long")
    last = over = None
    for block in [proof["block"], *proof["path"]]:
        need(block["version"] == HEADER_VERSION, "block-version")
        need(block["chain"] == c["chain"], "other-chain")
        need(block["epoch"] == c["epoch"], "other-epoch")
        need(not last or block["height"] == last["height"] + 1 and block["parent"] == block_id(last), "broken-path")
        need(not over or not any(block["next"]) and block["payload"] == EMPTY, "not-filler")
        last, over = block, over or any(block["next"])
    need(votes["statement"]["block"] == block_id(last), "other-block")
    need(votes["statement"]["view"] == last["view"], "other-view")
def check_inclusion(held, payload):
    need(sha(u(64, held["rollup"]), held["data"]) == held["transaction"], "other-transaction")
    root = merkle(sha(b"\0", held["transaction"]), held["index"], held["count"], held["path"])
    lane = sha(b"\0", u(64, held["rollup"]), u(32, held["count"]), root)
    lanes = merkle(lane, held["lane_index"], held["lane_count"], held["lane_path"])
    need(sha(b"\x02", u(32, held["lane_count"]), lanes) == payload, "not-included")

def finality(trust, text):
    trust = parse(trust, 512 * 1024, "trust")
    alone = not isinstance(trust, dict) or "committee" not in trust
    c = fit(COMMITTEE, trust if alone else trust["committee"], "trust")
    check_committee(c, "trust")
    base = 0 if c["epoch"] == 0 else None
    base = fit(U64, trust["base"], "trust") if not alone and trust.get("base") is not None else base
    proof = fit(PROOF, parse(text, 2 * 1024 * 1024))
    block, held, (kind, votes) = proof["block"], proof["inclusion"], *proof["certificate"].items()
    need(block["epoch"] == c["epoch"], "unknown-epoch")
    ends = c["epoch_blocks"] and base is not None
    need(not ends or base < block["height"] <= base + c["epoch_blocks"], "outside-epoch")
    need(proof["version"] == PROOF_VERSION, "version")
    need(proof["committee"] == committee_id(c), "other-committee")
    check_headers(c, proof, votes)
    check_inclusion(held, block["payload"])
    return dict(transaction=held["transaction"].hex(), rollup=held["rollup"], height=block["height"], epoch=block["epoch"],
                block=block_id(block).hex(), certified_view=votes["statement"]["view"], fast=kind == "fast",
                signed_stake=check_certificate(c, kind, votes), signers=len(votes["signatures"]))
def judge(trust, text):
    try:
        return {"ok": finality(trust, text)}
    except Rejected as rejected:
        return {"error": str(rejected)}

if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    answer = judge(*(open(path, "rb").read() for path in sys.argv[1:]))
    print(json.dumps(answer))
    sys.exit("error" in answer)
