"""A committee of real `outrider start` processes in a folder of its own, for the end-to-end scripts. Standard library only."""

import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
OUTRIDER = os.environ.get("OUTRIDER", str(ROOT / "target/debug/outrider"))
# How long a condition may take on a slow machine before it counts as never.
PATIENCE_S = 90


def build():
    if "OUTRIDER" not in os.environ:
        subprocess.run(["cargo", "build", "--quiet", "--locked", "-p", "outrider-cli"], cwd=ROOT, check=True)


def ok(text):
    print(f"ok - {text}", flush=True)


def fail(text):
    print(f"not ok - {text}", flush=True)
    sys.exit(1)


def check(condition, text):
    ok(text) if condition else fail(text)


def until(condition, text, patience=PATIENCE_S):
    """Wait for a condition to give something true, and return it."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            fail(f"never came: {text}")
        time.sleep(0.05)


def run(*arguments, code=0, timeout=PATIENCE_S, env=None):
    """Run `outrider` to its end and return what it printed; its exit code must be as given."""
    done = subprocess.run(
        [OUTRIDER, *map(str, arguments)],
        capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, env=env,
    )
    output = done.stdout + done.stderr
    if "panicked" in output:
        fail(f"outrider {arguments} panicked: {output}")
    if done.returncode != code:
        fail(f"outrider {' '.join(map(str, arguments))} ended with {done.returncode}, expected {code}: {output}")
    return output


def post(url, body, timeout=10):
    """POST bytes; returns (HTTP status, body as text)."""
    request = urllib.request.Request(url, body, {"content-type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=timeout) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def rpc(url, method, *parameters, timeout=10):
    """A JSON-RPC call; returns the whole answer."""
    call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(parameters)}
    return json.loads(post(url, json.dumps(call).encode(), timeout)[1])


def free_ports(count):
    """A first port such that it and the next ones are free now."""
    for _ in range(100):
        base = random.randrange(20_000, 30_000)
        try:
            for port in range(base, base + count):
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
    fail("no free ports")


class Committee:
    """Member folders made by `outrider init`, and the processes running on them."""

    def __init__(self, members=4):
        build()
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="outrider-e2e-"))
        self.base = free_ports(3 * members)
        self.members = range(members)
        self.processes = {}
        run("init", "--members", members, "--dir", self.dir / "net", "--base-port", self.base)
        self.file = self.dir / "net/committee.json"

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        for process in self.processes.values():
            process.kill()
            process.wait()
        if kind is None:
            shutil.rmtree(self.dir)
        else:
            for member in self.members:
                print(f"--- log of member {member}:\n{self.log(member)[-2000:]}", file=sys.stderr)

    def folder(self, member):
        return self.dir / f"net/member-{member}"

    def config(self, member):
        return self.folder(member) / "outrider.toml"

    def p2p(self, member):
        return self.base + 3 * member

    def url(self, member):
        return f"http://127.0.0.1:{self.base + 3 * member + 1}"

    def metrics(self, member):
        return f"http://127.0.0.1:{self.base + 3 * member + 2}/metrics"

    def log(self, member):
        path = self.folder(member) / "log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self, *members):
        for member in members:
            log = open(self.folder(member) / "log", "a")
            self.processes[member] = subprocess.Popen(
                [OUTRIDER, "start", "--config", self.config(member)],
                stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            )

    def kill(self, *members):
        for member in members:
            self.processes[member].kill()
        for member in members:
            self.processes.pop(member).wait()

    def stop(self, *members):
        """SIGTERM; must end cleanly."""
        for member in members:
            self.processes[member].terminate()
        for member in members:
            code = self.processes.pop(member).wait(timeout=PATIENCE_S)
            check(code == 0, f"member {member} stops cleanly on SIGTERM")

    def head(self, member):
        """The member's head, or None while it does not answer."""
        try:
            return rpc(self.url(member), "outrider_head")["result"]
        except (OSError, KeyError, ValueError):
            return None

    def height(self, member):
        head = self.head(member)
        return head["height"] if head else -1

    def until_height(self, height, *members):
        for member in members or self.members:
            until(lambda: self.height(member) >= height, f"height {height} at member {member}")

    def status(self, member, transaction):
        return rpc(self.url(member), "outrider_transactionStatus", transaction)["result"]

    def until_soft(self, member, transaction):
        until(lambda: self.status(member, transaction)["stage"] == "soft", f"{transaction} soft-final at {member}")

    def verify_proof(self, member, transaction):
        """Fetch a proof with the command line and verify it; returns its path."""
        path = self.dir / f"{transaction}.json"
        run("proof", "--rpc", self.url(member), "--out", path, transaction)
        run("verify", path, "--committee", self.file)
        return path

    def no_panics(self):
        for member in self.members:
            check("panicked" not in self.log(member), f"no panic in the log of member {member}")
