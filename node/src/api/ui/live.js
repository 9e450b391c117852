// What the page knows of the network: fed by the socket, drawn once a second. Everything kept has a limit.

import { byId, columns, count, element, milliseconds, quantile, share } from './charts.js';

const BLOCKS_KEPT = 400;
const BLOCKS_SHOWN = 80;
const SECONDS_SHOWN = 60;
const SAMPLES_KEPT = 200;
const LANES_KEPT = 1_000;
const LANES_SHOWN = 12;
const COLOURS = 6;
// Of these milliseconds a rate is the mean.
const RATE_MS = 10_000;
// Blocks with more transactions than this are not fetched: their shares would cost megabytes.
const FETCHED_MAX = 4_000;
const BUCKETS = 40;

export class Live {
  constructor(call) {
    this.call = call;
    this.blocks = [];
    this.samples = [];
    this.lanes = new Map();
    this.views = [];
    this.committee = null;
    this.head = null;
    // What L1 says; null if this node knows of none.
    this.settlement = null;
    this.wanted = null;
    this.fetching = false;
  }

  block(block) {
    const now = performance.now();
    const took = Date.now() - block.timestamp / 1000;
    this.blocks.push({ height: block.height, count: block.transactions.length, at: now, took });
    if (this.blocks.length > BLOCKS_KEPT) this.blocks.shift();
    if (block.transactions.length <= FETCHED_MAX) this.wanted = block.height;
    this.sample();
  }

  // Fetches the newest block, one at a time: whose transactions, and who signed. Blocks that come meanwhile are passed over.
  async sample() {
    if (this.fetching || this.wanted === null) return;
    this.fetching = true;
    const height = this.wanted;
    this.wanted = null;
    try {
      const { value: block } = await this.call('outrider_block', [height]);
      if (block) this.took(block);
    } catch {
      // Another block comes.
    }
    this.fetching = false;
    this.sample();
  }

  took(block) {
    const [certificate] = Object.values(block.certificate);
    const lanes = new Map();
    for (const { rollup } of block.transactions) lanes.set(rollup, (lanes.get(rollup) ?? 0) + 1);
    this.samples.push({
      at: performance.now(),
      epoch: block.header.epoch,
      proposer: block.header.proposer,
      signers: certificate.signatures.map(([member]) => member),
      lanes,
    });
    if (this.samples.length > SAMPLES_KEPT) this.samples.shift();
    for (const rollup of lanes.keys()) {
      const lane = this.lanes.get(rollup) ?? { colour: this.lanes.size % COLOURS };
      lane.last = block.header.height;
      // The one seen last is the last of the map.
      this.lanes.delete(rollup);
      this.lanes.set(rollup, lane);
    }
    while (this.lanes.size > LANES_KEPT) this.lanes.delete(this.lanes.keys().next().value);
  }

  async poll() {
    try {
      const { value: head } = await this.call('outrider_head', []);
      if (this.head) this.views.push(Math.max(0, head.timeouts - this.head.timeouts));
      if (this.views.length > SECONDS_SHOWN) this.views.shift();
      this.head = head;
      this.settlement = (await this.call('outrider_settlement', [])).value;
    } catch {
      // The dot says that there is no connection.
    }
  }

  rate(now) {
    const since = now - RATE_MS;
    const recent = this.blocks.filter(({ at }) => at >= since);
    const length = Math.min(RATE_MS, now - (this.blocks[0]?.at ?? now));
    return length < 1_000 ? 0 : recent.reduce((sum, block) => sum + block.count, 0) / (length / 1000);
  }

  draw() {
    const now = performance.now();
    const rate = this.rate(now);
    if (this.head) {
      byId('height').textContent = count(this.head.height);
      byId('view').textContent = count(this.head.view);
      byId('waiting').textContent = count(this.head.pending);
      byId('rate').textContent = rate < 10 && rate > 0 ? rate.toFixed(1) : count(rate);
    }
    this.drawSettlement();
    this.drawLanes(now, rate);
    this.drawBlocks();
    this.drawLatency();
    this.drawViews();
    this.drawMembers();
  }

  drawSettlement() {
    for (const place of document.querySelectorAll('[data-l1]')) place.hidden = !this.settlement;
    if (!this.settlement) return;
    const { settled, final, l1_block: block, outage, frozen, diverged, known } = this.settlement;
    byId('settled').textContent = known ? count(settled) : '\u2013';
    byId('final').textContent = known ? count(final) : '\u2013';
    const bad = diverged !== null ? `L1 has settled another block of height ${count(diverged)} than this member has final.`
      : frozen ? 'Frozen: two certified blocks of one height are on L1, nothing settles any more.' : outage && `L1 cannot be followed: ${outage}`;
    byId('l1-note').className = bad ? 'note bad-text' : 'note';
    byId('l1-note').textContent = bad || `L1 block ${count(block)}.`;
  }

  drawLanes(now, rate) {
    const sums = new Map();
    let all = 0;
    for (const sample of this.samples) {
      if (sample.at < now - RATE_MS) continue;
      for (const [rollup, number] of sample.lanes) {
        sums.set(rollup, (sums.get(rollup) ?? 0) + number);
        all += number;
      }
    }
    const rows = [...this.lanes]
      .map(([rollup, lane]) => ({ rollup, ...lane, part: all ? (sums.get(rollup) ?? 0) / all : 0 }))
      .sort((a, b) => b.part - a.part || b.last - a.last)
      .slice(0, LANES_SHOWN);
    byId('lanes').replaceChildren(
      ...rows.map(({ rollup, part, last, colour }) =>
        element('tr', {},
          element('td', { text: rollup }),
          element('td', { kind: 'number', text: (rate * part).toFixed(1) }),
          element('td', {}, ...share(part, `var(--lane-${colour})`)),
          element('td', { kind: 'number', text: count(last) }))),
    );
    const more = this.lanes.size - rows.length;
    byId('lanes-note').textContent = !this.lanes.size ? 'No transactions yet.'
      : `Of the last ${RATE_MS / 1000} seconds, from blocks sampled as they come${more > 0 ? `; ${count(more)} more lanes` : ''}.`;
  }

  drawBlocks() {
    const shown = this.blocks.slice(-BLOCKS_SHOWN);
    const list = shown.map((block) => ({ value: block.count, title: `height ${block.height}: ${block.count} transactions` }));
    columns(byId('blocks'), list, {
      places: BLOCKS_SHOWN,
      left: shown.length ? `height ${count(shown[0].height)}` : 'none yet',
      right: shown.length ? count(shown.at(-1).height) : '',
      words: `Transactions in each of the last ${shown.length} blocks`,
    });
  }

  drawLatency() {
    const sorted = this.blocks.map(({ took }) => Math.max(0, took)).sort((a, b) => a - b);
    if (!sorted.length) {
      columns(byId('latency'), [], { places: BUCKETS, left: 'none yet', words: 'No blocks yet' });
      return;
    }
    const [p50, p99] = [quantile(sorted, 0.5), quantile(sorted, 0.99)];
    byId('p50').textContent = milliseconds(p50);
    byId('p99').textContent = milliseconds(p99);
    // What is slower than twice p99 would press all others together: it stands in the last column.
    const end = Math.max(1, Math.min(sorted.at(-1) * 1.05, p99 * 2, p50 * 6));
    const list = Array.from({ length: BUCKETS }, () => ({ value: 0 }));
    for (const took of sorted) list[Math.min(BUCKETS - 1, Math.floor((took / end) * BUCKETS))].value += 1;
    list.forEach((bucket, index) => { bucket.title = `${bucket.value} blocks from ${milliseconds((index * end) / BUCKETS)}`; });
    const marks = [{ part: p50 / end, text: 'p50' }];
    if (p99 / end - p50 / end > 0.12 && p99 <= end) marks.push({ part: p99 / end, text: 'p99' });
    columns(byId('latency'), list, {
      places: BUCKETS,
      top: '',
      left: '0',
      right: `${milliseconds(end)}${sorted.at(-1) > end ? ' and more' : ''}`,
      marks,
      words: `Time to soft-final of ${sorted.length} blocks: half within ${milliseconds(p50)}, 99 % within ${milliseconds(p99)}`,
    });
  }

  drawViews() {
    const list = this.views.map((value) => ({ value, kind: 'bad', title: `${value} views left` }));
    const sum = this.views.reduce((all, value) => all + value, 0);
    columns(byId('views'), list, {
      places: SECONDS_SHOWN,
      left: `${SECONDS_SHOWN} s ago`,
      right: 'now',
      words: `${sum} views left by timeout in the last ${this.views.length} seconds`,
    });
    if (this.head) byId('views-note').textContent = `Views left by timeout, each second: ${count(sum)} in the last minute, ${count(this.head.timeouts)} since the node started.`;
  }

  drawMembers() {
    if (!this.committee) return;
    const { committee, contacts, thresholds } = this.committee;
    const samples = this.samples.filter(({ epoch }) => epoch === committee.epoch);
    const total = thresholds.total;
    const rows = committee.members.map((member, index) => {
      const signed = samples.filter(({ signers }) => signers.includes(index)).length;
      const proposed = samples.filter(({ proposer }) => proposer === index).length;
      const percent = samples.length ? `${Math.round((100 * signed) / samples.length)} %` : '\u2013';
      return element('tr', {},
        element('td', { text: contacts[index]?.name ?? `m${index}`, title: contacts[index]?.address }),
        element('td', { kind: 'number', text: count(member.stake) }),
        element('td', {}, ...share(member.stake / total)),
        element('td', { kind: 'number', text: percent }),
        element('td', { kind: 'number', text: count(proposed) }),
        element('td', {}, element('code', { text: `${member.public_key.slice(0, 16)}\u2026`, title: member.public_key })));
    });
    byId('members').replaceChildren(...rows);
    const { quorum, fast, byzantine } = thresholds;
    byId('committee-note').textContent = `Epoch ${committee.epoch}${this.committee.last_height ? `, to height ${count(this.committee.last_height)}` : ''}. `
      + `Of stake ${count(total)}, a certificate needs ${count(quorum)}, a fast one ${count(fast)}; ${count(byzantine)} may be Byzantine. `
      + `Signed and proposed: of the last ${samples.length} blocks sampled.`;
  }
}
