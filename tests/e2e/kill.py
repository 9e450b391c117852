"""kill -9 of one of four members under load, then of all four: nothing accepted or soft-final is lost."""

import os
import threading

from committee import Committee, check, ok, rpc, until


class Clients:
    """Threads that submit to every member until told to stop, and remember what was accepted."""

    def __init__(self, committee):
        self.committee, self.accepted, self.ended = committee, [], threading.Event()
        self.threads = [threading.Thread(target=self.submit, args=(member,)) for member in committee.members]
        for thread in self.threads:
            thread.start()

    def submit(self, member):
        while not self.ended.is_set():
            try:
                answer = rpc(self.committee.url(member), "outrider_submit", 1 + member % 2, "0x" + os.urandom(512).hex())
            except (OSError, ValueError):
                self.ended.wait(0.1)
                continue
            if "result" in answer:
                self.accepted.append(answer["result"]["id"])

    def stop(self):
        self.ended.set()
        for thread in self.threads:
            thread.join()
        return list(self.accepted)


def all_soft(committee, member, accepted, text):
    for transaction in accepted:
        committee.until_soft(member, transaction)
    ok(f"{text}: all {len(accepted)} accepted transactions are soft-final")


with Committee() as committee:
    committee.start(*committee.members)
    committee.until_height(5)
    clients = Clients(committee)
    until(lambda: len(clients.accepted) > 200, "200 accepted transactions")

    committee.kill(1)
    height = committee.height(0)
    committee.until_height(height + 10, 0, 2, 3)
    ok("three of four go on after kill -9 of one")

    committee.start(1)
    until(lambda: committee.height(1) >= committee.height(0) - 5 > height, "member 1 caught up")
    ok("the killed member catches up")


    def votes_again():
        block = rpc(committee.url(0), "outrider_block", committee.height(0))["result"]
        certificate = next(iter(block["certificate"].values()))
        return any(signer == 1 for signer, _ in certificate["signatures"])

    until(votes_again, "a certificate signed by member 1")
    ok("the killed member votes again")
    accepted = clients.stop()
    all_soft(committee, 0, accepted, "kill -9 of one under load")
    all_soft(committee, 1, accepted, "at the member that was killed")

    before = [committee.height(member) for member in committee.members]
    committee.kill(*committee.members)
    committee.start(*committee.members)
    for member in committee.members:
        head = until(lambda: committee.head(member), f"member {member} answers")
        # What a member has told anyone is final, it may have to commit again from durable votes; never another block.
        committee.until_height(before[member], member)
    committee.until_height(max(before) + 1)
    ok("after kill -9 of all four the chain goes on")
    all_soft(committee, 2, accepted, "after kill -9 of all four")
    for transaction in accepted[:: max(1, len(accepted) // 5)]:
        committee.verify_proof(3, transaction)
    ok("their proofs verify offline")
    check(all(committee.height(m) > before[m] for m in committee.members), "every member is above its old height")
    committee.no_panics()
    committee.stop(*committee.members)
