#!/usr/bin/env python3
"""Checks proofs, from docs/wire-format.md and the standard library alone: verify.py KIND COMMITTEE PROOF (the last two are files).
KIND is finality, lane, lane-range or skip. Prints what is proven, or a code of section 12 with exit code 1."""
import hashlib, json, re, sys
# The JSON of everything, in the order of its bytes: u16 is an integer of 16 bits, h32 are 32 bytes in hex.
def fields(words, **more):
    return {**dict(word.split(":") for word in words.split()), **more}
VOTES, PATH = dict(statement=fields("epoch:u64 view:u64 block:h32"), signatures=[("u16", "h64")]), ["h32"]
CERTIFICATE = {"one of": dict(fast=VOTES, slow=VOTES)}
HEADER_VERSION, HEADER = 4, fields("version:u16 chain:u64 epoch:u64 view:u64 height:u64 parent:h32 justify:u64 payload:h32 timestamp:u64 "
    "proposer:u16 next:h32", roots=fields("lanes:h32 history:h32 registry:h32"), origin=fields("number:u64 hash:h32 inbox:u64"))
COMMITTEE = fields("chain:u64 epoch:u64 byzantine:u64 crashed:u64 epoch_blocks:u64", ring=["u16"],
                   members=[fields("public_key:h32 stake:u64")])
INCLUSION = fields("rollup:u64 data:data transaction:h32 lane_index:u32 lane_count:u32 index:u32 count:u32", lane_path=PATH, path=PATH)
FINALITY = fields("version:u16 committee:h32", block=HEADER, path=[HEADER], certificate=CERTIFICATE, inclusion=INCLUSION)
FINAL = dict(committee="h32", block=HEADER, skip={"option": dict(to=HEADER, path=PATH)}, path=[HEADER], certificate=CERTIFICATE)
LANE = fields("rollup:u64 height:u64 parent:h32 first:u64 count:u32 transactions:h32")
GAP = dict.fromkeys(("before", "after"), {"option": fields("rollup:u64 hash:h32 index:u32", path=PATH)})
CLAIM = {"one of": dict(holds=dict(lane=LANE, index="u32", path=PATH), absent=GAP)}
LANE_PROOF = dict(version="u16", header=FINAL, rollup="u64", lanes="u32", claim=CLAIM)

class Rejected(Exception): pass
def need(holds, code):
    if not holds: raise Rejected(code)
# Reading.
def parse(text, most, code):
    once = lambda pairs: need(len(dict(pairs)) == len(pairs), code) or dict(pairs)
    whole = lambda digits: int(digits) if digits[0] != "-" else None
    need(len(text) <= most, "too-large" if code == "form" else code)
    try:
        return json.loads(text, object_pairs_hook=once, parse_int=whole)
    except (ValueError, RecursionError): raise Rejected(code)
def fit(kind, value, code):
    if isinstance(kind, dict) and "option" in kind:
        return None if value is None else fit(kind["option"], value, code)
    if isinstance(kind, dict):
        need(isinstance(value, dict), code)
        parts, may_miss = kind.get("one of", kind), dict(ring=[], skip=None, before=None, after=None)
        value = {**{key: may_miss[key] for key in kind.keys() & may_miss}, **value}
        need(value.keys() == parts.keys() if parts is kind else len(value) == 1 and value.keys() <= parts.keys(), code)
        return {key: fit(parts[key], item, code) for key, item in value.items()}
    if isinstance(kind, (list, tuple)):
        most = 64 if kind is PATH else 2**32 if isinstance(kind, list) else len(kind)
        need(isinstance(value, list) and len(value) <= most and (isinstance(kind, list) or len(value) == most), code)
        return [fit(kind[at % len(kind)], item, code) for at, item in enumerate(value)]
    if kind[0] == "u":
        need(type(value) is int and value < 2 ** int(kind[1:]), code)
        return value
    form = "0x([0-9a-fA-F]{2}){0,131072}" if kind == "data" else "(0x)?([0-9a-fA-F]{2}){%s}" % kind[1:]
    need(isinstance(value, str) and re.fullmatch(form, value), code)
    return bytes.fromhex(value.removeprefix("0x"))
# Bytes and hashes.
def sha(*parts): return hashlib.sha256(b"".join(parts)).digest()
def u(bits, value): return value.to_bytes(bits // 8, "big")
def varint(value): return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])
def encode(kind, value):
    if isinstance(kind, dict): return b"".join(encode(part, value[key]) for key, part in kind.items())
    if isinstance(kind, list): return varint(len(value)) + b"".join(encode(kind[0], item) for item in value)
    return u(int(kind[1:]), value) if kind[0] == "u" else value
def block_id(header): return sha(encode(HEADER, header))
def lane_hash(lane): return sha(b"OUTRLANE", encode(LANE, lane))
def merkle(leaf, index, size, path, code):
    need(index < size and (size == 1) == (not path), code)
    if size == 1: return leaf
    half = 1 << (size - 1).bit_length() - 1
    if index < half: return sha(b"\1", merkle(leaf, index, half, path[:-1], code), path[-1])
    return sha(b"\1", path[-1], merkle(leaf, index - half, size - half, path[:-1], code))
EMPTY, NO_LANES = (sha(tag, u(32, 0), sha()) for tag in (b"\2", b"\3"))
# Ed25519, strictly (section 4). A point is (x, y, z, x*y/z).
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D, ROOT, ZERO = -121665 * pow(121666, -1, P) % P, pow(2, (P - 1) // 4, P), (0, 1, 1, 0)
def add(a, b):
    e, f = (a[1] - a[0]) * (b[1] - b[0]) % P, (a[1] + a[0]) * (b[1] + b[0]) % P
    c, d = 2 * a[3] * b[3] * D % P, 2 * a[2] * b[2] % P
    return (f - e) * (d - c) % P, (d + c) * (f + e) % P, (d - c) * (d + c) % P, (f - e) * (f + e) % P
def times(scalar, point):
    return add(times(scalar >> 1, add(point, point)), point if scalar & 1 else ZERO) if scalar else ZERO
def compress(point):
    x, y = (coordinate * pow(point[2], -1, P) % P for coordinate in point[:2])
    return (y | (x & 1) << 255).to_bytes(32, "little")
def decompress(data):  # None if it is not canonical or of small order
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
    k = int.from_bytes(hashlib.sha512(r + key + message).digest(), "little") % L
    x, y, z, t = times(k, decompress(key))
    return s < L and decompress(r) is not None and compress(add(times(s, BASE), (-x, y, z, -t))) == r
# Committees and certificates (sections 3 and 5).
def trusted(text):
    trust = parse(text, 512 * 1024, "trust")
    given = trust if isinstance(trust, dict) and "committee" in trust else dict(committee=trust)
    c = fit(COMMITTEE, given["committee"], "trust")
    keys, stakes, f, crashed = *([m[key] for m in c["members"]] for key in ("public_key", "stake")), c["byzantine"], c["crashed"]
    total = sum(stakes)
    need(0 < len(keys) == len(set(keys)) <= 1024 and all(stakes) and all(map(decompress, keys)), "trust")
    need(3 * f + 2 * crashed < total < 2**61 and sorted(c["ring"]) in ([], list(range(len(keys)))), "trust")
    base = None if given.get("base") is None else fit("u64", given["base"], "trust")
    return dict(c, id=sha(b"OUTRCOMM", encode(COMMITTEE, c)), base=0 if base is None and c["epoch"] == 0 else base,
                slow=(total + f) // 2 + 1, fast=total - (total - 3 * f - crashed - 1) // 2)
def check_certificate(c, certificate):
    ((kind, votes),) = certificate.items()
    statement, stake, last = votes["statement"], 0, -1
    need(statement["epoch"] == c["epoch"], "other-epoch")
    need(statement["view"] < 2**64 - 1, "malformed")
    for member, _ in votes["signatures"]:
        need(member > last, "signer-order")
        need(member < len(c["members"]), "unknown-signer")
        stake, last = stake + c["members"][member]["stake"], member
    need(stake >= c[kind], "stake")
    message = dict(fast=b"OUTRVOTE", slow=b"OUTRCMIT")[kind] + sha(u(64, c["chain"]), encode(VOTES["statement"], statement))
    need(all(verifies(c["members"][at]["public_key"], message, signature) for at, signature in votes["signatures"]), "signature")
    return dict(certified_view=statement["view"], fast=kind == "fast", signed_stake=stake, signers=len(votes["signatures"]))
# Proofs (section 12).
def check_headers(c, proof, first):
    need(proof["committee"] == c["id"], "other-committee")
    need(len(proof["path"]) <= 1024, "path-too-long")
    last = over = None
    for block in [first, *proof["path"]]:
        need(block["version"] == HEADER_VERSION, "block-version")
        need(block["chain"] == c["chain"], "other-chain")
        need(block["epoch"] == c["epoch"], "other-epoch")
        need(not last or (block["height"], block["parent"]) == (last["height"] + 1, block_id(last)), "broken-path")
        need(not over or block["payload"] == EMPTY and not any(encode(HEADER, block)[116:]), "not-filler")
        last, over = block, over or any(block["next"])
    (votes,) = proof["certificate"].values()
    need(votes["statement"]["block"] == block_id(last), "other-block")
    need(votes["statement"]["view"] == last["view"], "other-view")
def anchor(proof):  # the block whose epoch's committee signed
    header = proof.get("last", proof).get("header", proof)
    return header["skip"]["to"] if header.get("skip") else header["block"]
def final(c, header):
    block, to = header["block"], anchor(header)
    check_headers(c, header, to)
    if header["skip"]:
        need(block["version"] == HEADER_VERSION, "block-version")
        root = merkle(sha(b"\0", block_id(block)), block["height"], to["height"], header["skip"]["path"], "not-in-history")
        need(root == to["roots"]["history"], "not-in-history")
    return dict(height=block["height"], block=block_id(block), epoch=to["epoch"], to=to["height"],
                signed=check_certificate(c, header["certificate"]))
def claimed(proof):
    rollup, lanes, root = proof["rollup"], proof["lanes"], proof["header"]["block"]["roots"]["lanes"]
    def covered(rollup, hash, at):
        found = merkle(sha(b"\0", u(64, rollup), hash), at["index"], lanes, at["path"], "lane")
        need(sha(b"\3", u(32, lanes), found) == root, "lane")
    ((kind, claim),) = proof["claim"].items()
    if kind == "holds":
        need(claim["lane"]["rollup"] == rollup, "lane")
        covered(rollup, lane_hash(claim["lane"]), claim)
        return claim["lane"]
    before, after = claim["before"], claim["after"]
    for one in filter(None, (before, after)): covered(one["rollup"], one["hash"], one)
    need((not before or before["rollup"] < rollup) and (not after or rollup < after["rollup"]), "lane")
    need((before["index"] + 1 if before else 0) == (after["index"] if after else lanes) and (before or after or root == NO_LANES), "lane")
def lane(c, proof):
    need(proof["version"] == 1, "version")
    return dict(lane=claimed(proof), header=final(c, proof["header"]), rollup=proof["rollup"])
def lane_range(c, proof):
    need(len(proof["earlier"]) <= 4096, "too-large")
    lanes = [*proof["earlier"], claimed(proof["last"])]
    need(lanes[-1], "lane")
    for one, after in zip(lanes, lanes[1:]):
        tip = one["rollup"], one["height"] + 1, lane_hash(one), one["first"] + one["count"]
        need(tip == tuple(after[key] for key in ("rollup", "height", "parent", "first")), "broken-lane")
    return dict(header=lane(c, proof["last"])["header"], lanes=lanes)
def finality(c, proof):
    block, held = proof["block"], proof["inclusion"]
    check_headers(c, proof, block)
    need(sha(u(64, held["rollup"]), held["data"]) == held["transaction"], "other-transaction")
    root = merkle(sha(b"\0", held["transaction"]), held["index"], held["count"], held["path"], "not-included")
    leaf = sha(b"\0", u(64, held["rollup"]), u(32, held["count"]), root)
    root = merkle(leaf, held["lane_index"], held["lane_count"], held["lane_path"], "not-included")
    need(sha(b"\2", u(32, held["lane_count"]), root) == block["payload"], "not-included")
    return dict(transaction=held["transaction"], rollup=held["rollup"], height=block["height"], epoch=block["epoch"],
                block=block_id(block), **check_certificate(c, proof["certificate"]))
# The form, the most bytes, the version, and the checks behind those that all have in common.
KINDS = {"finality": (FINALITY, 2**21, 2, finality), "lane": (LANE_PROOF, 2**23, 1, lane),
         "lane-range": (dict(version="u16", earlier=[LANE], last=LANE_PROOF), 2**23, 1, lane_range),
         "skip": (dict(version="u16", header=FINAL), 2**23, 1, lambda c, proof: final(c, proof["header"]))}
def judge(kind, trust, text):
    try:
        (form, most, version, check), c = KINDS[kind], trusted(trust)
        proof = fit(form, parse(text, most, "form"), "form")
        block, base = anchor(proof), c["base"]
        need(block["epoch"] == c["epoch"], "unknown-epoch")
        need(not c["epoch_blocks"] or base is None or base < block["height"] <= base + c["epoch_blocks"], "outside-epoch")
        need(proof["version"] == version, "version")
        return {"ok": json.loads(json.dumps(check(c, proof), default=bytes.hex))}
    except Rejected as rejected: return {"error": str(rejected)}
if __name__ == "__main__":
    answer = judge(sys.argv[1], *(open(path, "rb").read() for path in sys.argv[2:4]))
    print(json.dumps(answer))
    sys.exit("error" in answer)
