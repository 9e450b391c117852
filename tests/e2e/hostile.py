"""Bad input everywhere: a clear error that says what to do, nothing lost, no panic."""

import json
import os
import shutil
import socket
import subprocess

from committee import OUTRIDER, Committee, check, fail, ok, post, rpc, run


def refuses(committee, member, text, *expected, code=1, arguments=()):
    """`outrider start` ends with an error that holds all these words."""
    done = subprocess.run(
        [OUTRIDER, "start", "--config", committee.config(member), *arguments],
        capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL,
    )
    output = done.stdout + done.stderr
    missing = [word for word in expected if word not in output]
    if done.returncode != code or missing or "panicked" in output:
        fail(f"{text}: exit code {done.returncode} (expected {code}), without {missing}: {output}")
    ok(f"{text}: {output.strip().splitlines()[-1][:160]}")


def bad_requests(committee):
    url = committee.url(0)
    status, body = post(url, b"{ this is not JSON")
    check("-32700" in body, f"malformed JSON is answered by a parse error (HTTP {status})")
    status, body = post(url, b" " * (3 << 20))
    check(status == 413 or "error" in body, f"an oversized request is refused (HTTP {status})")
    answer = rpc(url, "outrider_submit", 1, "0x" + "00" * (128 * 1024 + 1))
    check("at most" in answer["error"]["message"], f"an oversized transaction: {answer['error']['message']}")
    answer = rpc(url, "outrider_submit", 1, "0xzz")
    check("error" in answer, f"bytes that are no hex: {answer['error']['message']}")
    answer = rpc(url + "/rollup/31337", "eth_sendRawTransaction", "0x1234")
    check("error" in answer, f"bytes that are no transaction: {answer['error']['message']}")
    answer = rpc(url + "/rollup/banana", "eth_chainId")
    check("error" in answer, f"a path that is no rollup: {answer['error']['message']}")
    answer = rpc(url, "no_such_method")
    check(answer["error"]["code"] == -32601, "an unknown method is method not found")


def garbage_on_the_p2p_port(committee):
    for size in (1, 100, 100_000):
        with socket.create_connection(("127.0.0.1", committee.p2p(0)), timeout=10) as stranger:
            try:
                stranger.sendall(os.urandom(size))
            except OSError:
                pass  # Cut off already.
    height = committee.height(0)
    committee.until_height(height + 5)
    ok("garbage on the p2p port disturbs nobody")


def second_processes(committee):
    refuses(committee, 0, "a second process on one data folder", "in use")
    moved = ["--set", f"node.data_dir={committee.dir / 'elsewhere'}"]
    for port, key in ((2, "metrics.listen"), (1, "rpc.listen"), (0, "listen")):
        address = str(committee.p2p(0) + port)
        refuses(committee, 0, f"a port in use ({key})", key, address, arguments=moved)
        moved += ["--set", f"{key}=127.0.0.1:0"]


def one_key_twice(committee):
    """Another process with the key of member 3 and an empty data folder: it must stop before it does harm."""
    # So many blocks that some of their certificates hold signatures of member 3, which an empty folder knows nothing of.
    committee.until_height(40)
    committee.kill(3)
    twin = subprocess.Popen(
        [OUTRIDER, "start", "--config", committee.config(3),
         "--set", f"node.data_dir={committee.dir / 'twin'}"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, text=True,
    )
    try:
        output = twin.communicate(timeout=60)[0]
    except subprocess.TimeoutExpired:
        twin.kill()
        fail(f"a second node with one key goes on: {twin.communicate()[0]}")
    check("another process runs with its key" in output and twin.returncode == 1, "a second node with one key stops")
    check("panicked" not in output, "and does not panic")
    committee.start(3)
    committee.until_height(committee.height(0), 3)


def bad_files(committee):
    committee.stop(1)
    key = committee.folder(1) / "member.key"
    key.chmod(0o644)
    refuses(committee, 1, "a key file that others can read", "chmod 600")
    key.chmod(0o600)
    refuses(committee, 1, "an unknown option", "rpc.colour", code=2, arguments=["--set", "rpc.colour=red"])
    refuses(
        committee, 1, "two faults at once", "rpc.listen", "consensus.base_timeout_ms", code=2,
        arguments=["--set", "rpc.listen=nowhere", "--set", "consensus.base_timeout_ms=never"],
    )
    other = committee.folder(2) / "member.key"
    wrong = json.loads(committee.file.read_text())
    wrong["committee"]["members"][0], wrong["committee"]["members"][1] = (
        wrong["committee"]["members"][1], wrong["committee"]["members"][0])
    path = committee.dir / "wrong.json"
    path.write_text(json.dumps(wrong))
    refuses(committee, 1, "a committee file of another network", "node.committee",
            arguments=["--set", f"node.committee={path}"])
    check(other.exists(), "no other member was touched")


def bad_disks(committee):
    """Member 1 is stopped. Its journal is damaged in the middle, cut at the end, and its index destroyed."""
    data = committee.folder(1) / "data"
    keep = committee.dir / "keep"
    shutil.copytree(data, keep)

    for journal in (data / "journal").glob("*.journal"):
        content = bytearray(journal.read_bytes())
        middle = len(content.rstrip(b"\0")) // 2
        content[middle : middle + 20] = bytes(byte ^ 0xFF for byte in content[middle : middle + 20])
        journal.write_bytes(content)
    refuses(committee, 1, "a journal damaged in the middle", "journal")

    shutil.rmtree(data)
    shutil.copytree(keep, data)
    shutil.rmtree(data / "journal")
    refuses(committee, 1, "a journal that is gone", "journal is gone", "unsafe_accept_lost_journal")

    shutil.rmtree(data)
    shutil.copytree(keep, data)
    index = [path for path in (data / "store").rglob("*") if path.is_file() and path.stat().st_size > 0
             and "segment" not in path.name and "LOCK" not in path.name and "index" in str(path)]
    check(len(index) > 0, f"the index has files: {[path.name for path in index][:3]}")
    for path in index:
        path.write_bytes(os.urandom(path.stat().st_size))
    committee.start(1)
    committee.until_height(committee.height(0), 1)
    ok("a corrupt sled folder is rebuilt from the segments")
    committee.stop(1)

    shutil.rmtree(data / "store")
    committee.start(1)
    committee.until_height(committee.height(0), 1)
    ok("a lost block store is fetched again from the others, the journal still guards the votes")


with Committee() as committee:
    committee.start(*committee.members)
    committee.until_height(5)
    accepted = [rpc(committee.url(m), "outrider_submit", 7, "0x" + os.urandom(64).hex())["result"]["id"]
                for m in committee.members]
    bad_requests(committee)
    garbage_on_the_p2p_port(committee)
    second_processes(committee)
    one_key_twice(committee)
    bad_files(committee)
    bad_disks(committee)
    for transaction in accepted:
        committee.until_soft(0, transaction)
    ok("nothing accepted was lost")
    path = committee.verify_proof(0, accepted[0])
    proof = path.read_bytes()
    for at in range(0, len(proof), max(1, len(proof) // 40)):
        flipped = bytearray(proof)
        flipped[at] ^= 0x20
        path.write_bytes(flipped)
        output = run("verify", path, "--committee", committee.file, code=1)
        if "proves nothing" not in output:
            fail(f"byte {at} flipped, and no reason: {output}")
    ok(f"a proof with a flipped byte is refused, at each byte tried: {output.strip().splitlines()[-1][-120:]}")
    committee.no_panics()
