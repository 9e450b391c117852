// One transaction's path through the stages, and its proof, checked here.

import { byId, count, element, milliseconds } from './charts.js';
import { CallError, rawMember, rawParts } from './socket.js';

const STEPS = ['sent', 'held', 'soft', 'proof', 'verified'];
const POLL_MS = 500;
const WAIT_MS = 60_000;
// Requests for ends of epochs, each of which brings at least one.
const FOLLOW_REQUESTS_MAX = 256;
// Nothing to follow: says only what the committee is.
const NO_ENDS = '{"version":1,"ends":[]}';
const FILE_BYTES_MAX = 512 * 1024;

const step = (name) => document.querySelector(`#path [data-step="${name}"]`);

function mark(name, state, text) {
  const place = step(name);
  place.className = state;
  place.querySelector('span').textContent = text;
}

export class Follow {
  constructor(call, check) {
    this.call = call;
    this.check = check;
    this.waiting = new Map();
    this.run = 0;
    // The height of what was verified last.
    this.height = null;
    // Texts: what is trusted, which is what the node said first or the user's file, and what was followed from there.
    this.anchor = null;
    this.trust = null;
    byId('send').onsubmit = (event) => { event.preventDefault(); this.start((run) => this.send(run)); };
    byId('look').onsubmit = (event) => { event.preventDefault(); this.start((run) => this.look(run)); };
    byId('tamper').onclick = () => this.tamper();
    byId('trust-file').onchange = (event) => this.load(event.target.files[0]);
  }

  // Takes the committee that the node names first. Later ones must follow from it by hand-overs.
  learn(text, value) {
    if (this.anchor) return;
    this.anchor = `{"committee":${rawMember(text, 'committee')},"base":${value.base.height}}`;
    this.trust = this.anchor;
    byId('trust-id').textContent = value.id;
    byId('trust-source').textContent = `of epoch ${value.committee.epoch}: this node's word when the page was opened`;
  }

  async load(file) {
    byId('trust-fault').textContent = '';
    if (!file) return;
    const text = file.size <= FILE_BYTES_MAX ? await file.text() : '';
    const { ok, error } = this.check('epochs', text, NO_ENDS);
    if (error) {
      byId('trust-fault').textContent = `Not a committee file: ${error.message}`;
      return;
    }
    this.anchor = text;
    this.trust = text;
    byId('trust-id').textContent = ok.id;
    byId('trust-source').textContent = `of epoch ${ok.epoch}: your file ${file.name}`;
  }

  // A block has come: perhaps the one waited for.
  block(block) {
    if (!this.waiting.size) return;
    for (const id of block.transactions) {
      this.waiting.get(id)?.();
      this.waiting.delete(id);
    }
  }

  async start(work) {
    this.run += 1;
    const run = { number: this.run, begin: performance.now() };
    for (const name of STEPS) mark(name, '', '');
    byId('verdict').replaceChildren();
    byId('facts').hidden = true;
    byId('tamper-row').hidden = true;
    byId('tampered').textContent = '';
    try {
      await work(run);
    } catch (error) {
      if (run.number !== this.run) return;
      const open = STEPS.find((name) => step(name).className !== 'done');
      if (open) mark(open, 'bad', 'failed');
      this.say('bad-text', error instanceof CallError ? error.message : `This page failed: ${error.message}`);
    }
  }

  say(kind, text) {
    byId('verdict').replaceChildren(element('span', { kind, text }));
  }

  since(run) {
    return milliseconds(performance.now() - run.begin);
  }

  async send(run) {
    const bytes = new TextEncoder().encode(byId('send-text').value);
    const payload = `0x${[...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
    // Not through Number, which rounds; the node takes an integer.
    const rollup = BigInt(byId('send-rollup').value);
    if (rollup > BigInt(Number.MAX_SAFE_INTEGER)) throw new CallError('this page sends only to rollups below 2^53');
    mark('sent', 'done', `${count(bytes.length)} bytes`);
    mark('held', 'now', 'asking the members');
    let id;
    try {
      ({ value: { id } } = await this.call('outrider_submit', [Number(rollup), payload]));
    } catch (error) {
      if (error.code === -32053) throw new CallError('The same bytes were sent before: change the payload, or look it up.');
      throw error;
    }
    if (run.number !== this.run) return;
    byId('look-id').value = id;
    mark('held', 'done', `${this.since(run)}, by f+1 members`);
    await this.finish(run, id);
  }

  async look(run) {
    const id = byId('look-id').value.replace(/^0x/, '').toLowerCase();
    const { value: status } = await this.call('outrider_transactionStatus', [id]);
    if (run.number !== this.run) return;
    if (status.stage === 'unknown') throw new CallError('This node has not seen that transaction.');
    mark('sent', 'done', '');
    mark('held', 'done', '');
    await this.finish(run, id);
  }

  async finish(run, id) {
    mark('soft', 'now', 'waiting for a block');
    const status = await this.soft(run, id);
    if (run.number !== this.run) return;
    mark('soft', 'done', `${this.since(run)}, height ${count(status.height)}`);
    mark('proof', 'now', 'fetching');
    const answer = await this.call('outrider_transactionProof', [id]);
    if (run.number !== this.run) return;
    if (!answer.value) throw new CallError('The node has no proof of it.');
    // The Ethereum hash of a transaction is no id of ours; the proof says which it is.
    this.proof = answer.text();
    mark('proof', 'done', `${this.since(run)}, ${count(this.proof.length)} bytes`);
    mark('verified', 'now', 'checking');
    await this.verify(run, answer.value);
  }

  // Until the node says that it is final. Blocks announce it; asking now and then finds what was announced before.
  async soft(run, id) {
    while (run.number === this.run && performance.now() - run.begin < WAIT_MS) {
      const announced = new Promise((done) => { this.waiting.set(id, done); });
      const { value: status } = await this.call('outrider_transactionStatus', [id]);
      if (status.stage === 'soft') {
        this.waiting.delete(id);
        return status;
      }
      await Promise.race([announced, new Promise((done) => { setTimeout(done, POLL_MS); })]);
    }
    this.waiting.delete(id);
    throw new CallError(`Not in a block after ${WAIT_MS / 1000} s.`);
  }

  async verify(run, proof) {
    if (!this.trust) throw new CallError('There is no committee to check it with yet.');
    await this.reach(proof.block.epoch);
    const begin = performance.now();
    const { ok, error } = this.check('finality', this.trust, this.proof);
    const took = performance.now() - begin;
    if (run.number !== this.run) return;
    if (error) {
      mark('verified', 'bad', error.code);
      this.say('bad-text', `Not proven: ${error.message}`);
      return;
    }
    mark('verified', 'done', `${this.since(run)}, checked in ${milliseconds(took)}`);
    this.say('good', `Verified here: ${ok.signers} signatures with stake ${count(ok.signed_stake)} make it final.`);
    const { lane_index, lane_count, index, count: number } = proof.inclusion;
    const facts = [
      ['Transaction', ok.transaction],
      ['Rollup', String(ok.rollup)],
      ['Block', `${ok.block}, height ${count(ok.height)}`],
      ['Place', `${index + 1} of ${count(number)} in lane ${lane_index + 1} of ${lane_count}`],
      ['Certificate', `${ok.fast ? 'fast, by votes' : 'by commit votes'}, view ${count(ok.certified_view)}, epoch ${ok.epoch}`],
    ];
    this.height = ok.height;
    byId('facts').replaceChildren(...facts.flatMap(([name, text]) => [element('dt', { text: name }), element('dd', { kind: 'mono', text })]));
    byId('facts').hidden = false;
    byId('tamper-row').hidden = false;
  }

  // What L1 adds to what was verified: this node's word, so it stands beside the proof.
  draw(settlement) {
    if (!settlement || this.height === null || byId('facts').hidden) return;
    const { settled, final } = settlement;
    const text = this.height <= final ? 'final there' : this.height <= settled ? 'settled' : 'not settled yet';
    let place = byId('fact-l1');
    if (!place) {
      place = element('dd', { kind: 'mono' });
      place.id = 'fact-l1';
      byId('facts').append(element('dt', { text: 'On L1, says this node' }), place);
    }
    place.textContent = text;
  }

  // Follows hand-overs up to an epoch, from the last one known, or from the first if the epoch is before that. Each is
  // checked.
  async reach(epoch) {
    let known = this.check('epochs', this.trust, NO_ENDS);
    if (known.ok?.epoch > epoch) {
      this.trust = this.anchor;
      known = this.check('epochs', this.trust, NO_ENDS);
      if (known.ok?.epoch > epoch) {
        throw new CallError(`It is of epoch ${epoch}, before the committee that this page trusts: give it an earlier committee file below.`);
      }
    }
    for (let asked = 0; known.ok?.epoch < epoch && asked < FOLLOW_REQUESTS_MAX; asked += 1) {
      const ends = rawParts((await this.call('outrider_epochEnds', [known.ok.epoch])).text());
      if (!ends.length) return;
      const wanted = ends.slice(0, epoch - known.ok.epoch).join(',');
      const text = this.check.text('epochs', this.trust, `{"version":1,"ends":[${wanted}]}`);
      known = JSON.parse(text);
      if (known.ok) this.trust = rawMember(rawMember(text, 'ok'), 'trust');
    }
    if (known.error) throw new CallError(`The hand-over to a later committee is not proven: ${known.error.message}`);
  }

  // Shows that a changed proof is refused.
  tamper() {
    const digits = [...this.proof.matchAll(/[0-9a-f]{64,}/g)];
    const run = digits[Math.floor(Math.random() * digits.length)];
    const at = run.index + Math.floor(Math.random() * run[0].length);
    const digit = ((parseInt(this.proof[at], 16) + 1) % 16).toString(16);
    const { ok, error } = this.check('finality', this.trust, this.proof.slice(0, at) + digit + this.proof.slice(at + 1));
    byId('tampered').className = ok ? 'bad-text' : 'good';
    byId('tampered').textContent = ok ? `Byte ${at} changed, and it was accepted: that is a bug.` : `Byte ${at} changed: refused (${error.code}).`;
  }
}
