"""The first thing a stranger runs: `devnet --demo` ends in verified proofs, `load` loses nothing, a restart keeps the chain."""

import json
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

from committee import OUTRIDER, PATIENCE_S, build, check, fail, ok, rpc, run, until

build()
folder = pathlib.Path(tempfile.mkdtemp(prefix="outrider-e2e-"))
network = folder / "net"


def devnet(*arguments):
    done = subprocess.run(
        [OUTRIDER, "devnet", "--dir", network, *arguments],
        capture_output=True, text=True, timeout=3 * PATIENCE_S, stdin=subprocess.DEVNULL,
    )
    if done.returncode != 0:
        fail(f"devnet {arguments} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


output = devnet("--demo", "--duration", "2s")
count = re.search(r"(\d+) of (\d+) proofs verified", output)
check(count and count[1] == count[2] and int(count[1]) >= 2, f"the demo ends in verified proofs: {count and count[0]}")
proofs = list((network / "proofs").glob("*.json"))
check(len({path.name.split("-")[0] for path in proofs}) >= 2, "of at least two rollups")
for path in proofs:
    run("verify", path, "--committee", network / "committee.json")
ok("which `outrider verify` accepts")
height = max(map(int, re.findall(r"^height (\d+)", output, re.M)))

again = subprocess.Popen(
    [OUTRIDER, "devnet", "--dir", network], stdout=subprocess.PIPE, text=True, stdin=subprocess.DEVNULL,
)
try:
    text = ""
    while "height" not in text:
        line = again.stdout.readline()
        if not line:
            fail(f"devnet ended: {text}")
        text += line
    url = re.search(r"http://127\.0\.0\.1:\d+", text)[0]
    until(lambda: rpc(url, "outrider_head")["result"]["height"] > height, "the chain goes on")
    ok(f"a second start on the same folder goes on after height {height}")
    report = json.loads(run("load", "--dir", network, "--rate", 200, "--size", 512, "--duration", "5s",
                            "--rollups", 3, "--json", timeout=3 * PATIENCE_S))
    print(report)
    check(report["lost"] == 0 and report["soft_final"] == report["accepted"] > 0, "load loses nothing")
finally:
    again.send_signal(signal.SIGINT)
    code = again.wait(timeout=PATIENCE_S)
check(code == 0, "ctrl-c stops the devnet cleanly")
for log in network.glob("member-*/outrider.log"):
    check("panicked" not in log.read_text(errors="replace"), f"no panic in the log of {log.parent.name}")
shutil.rmtree(folder)
