// What there is to see: the embedded data in typed columns, sorted by time, with an index to find what a window holds.

const DATA = JSON.parse(document.getElementById('data').textContent);
const LANES = DATA.lanes;
const END = Math.max(DATA.end, DATA.violation ? DATA.violation.at : 0, 1);
const UNDER_WAY = 4;
const ROOT = document.documentElement;

// Kinds that are shown and hidden together, in the order in which they are drawn: the last on top.
const GROUPS = [
  { name: 'gossip', colour: 'transactions', kinds: ['transactions', 'received', 'batch-request'], shown: false },
  { name: 'sync', colour: 'sync', kinds: ['block-request', 'block', 'range-request', 'range', 'change-request', 'change'], shown: true },
  { name: 'payload', colour: 'payload', kinds: ['payload', 'references'], shown: true },
  ...['vote', 'commit-vote', 'certificate', 'epoch-end', 'timeout', 'evidence', 'proposal'].map((name) => ({ name, colour: name, kinds: [name], shown: true })),
];
const KINDS = DATA.kinds.map((kind, index) => {
  const rank = GROUPS.findIndex((group) => group.kinds.includes(kind.name));
  return { index, name: kind.name, labels: kind.labels, rank, group: GROUPS[rank], colour: GROUPS[rank].colour, count: 0 };
});
const LEGEND = ['proposal', 'payload', 'vote', 'commit-vote', 'timeout', 'certificate', 'epoch-end', 'sync', 'gossip', 'evidence'].map((name) => GROUPS.find((group) => group.name === name));
const MARKS = [
  { name: 'final', sign: '\u25c6', colour: 'final', shown: true, count: DATA.commits.length },
  { name: 'clients', sign: '\u2022', colour: 'soft', shown: false, count: DATA.moments.filter((m) => m[2] === 'accepted' || m[2] === 'receipt').length },
];

function running(steps) {
  const out = new Float64Array(steps.length);
  let sum = 0;
  for (let i = 0; i < steps.length; i += 1) { sum += steps[i]; out[i] = sum; }
  return out;
}

const BODIES = { at: running(DATA.bodies.at), from: DATA.bodies.from, to: DATA.bodies.to, kind: DATA.bodies.kind, bytes: DATA.bodies.bytes, number: DATA.bodies.number, values: DATA.bodies.values };

// Arrows in the order in which they were sent.
const ARROWS = (() => {
  const { body, to, took, end } = DATA.arrows;
  const order = Uint32Array.from(body.keys());
  order.sort((a, b) => body[a] - body[b] || took[a] - took[b] || to[a] - to[b]);
  const size = order.length;
  const out = { size, body: new Uint32Array(size), to: new Uint16Array(size), sent: new Float64Array(size), ends: new Float64Array(size), end: new Uint8Array(size), from: new Uint16Array(size), kind: new Uint8Array(size) };
  for (let i = 0; i < size; i += 1) {
    const source = order[i];
    const b = body[source];
    out.body[i] = b; out.to[i] = to[source]; out.end[i] = end[source];
    out.from[i] = BODIES.from[b]; out.kind[i] = BODIES.kind[b]; out.sent[i] = BODIES.at[b];
    out.ends[i] = end[source] === UNDER_WAY ? END : BODIES.at[b] + took[source];
    KINDS[out.kind[i]].count += 1;
    KINDS[out.kind[i]].group.count = (KINDS[out.kind[i]].group.count || 0) + 1;
  }
  return out;
})();

// The latest end in each run of 256 arrows, so that whole runs can be passed over.
const CHUNK = 256;
const CHUNK_ENDS = (() => {
  const ends = new Float64Array(Math.ceil(ARROWS.size / CHUNK));
  for (let i = 0; i < ARROWS.size; i += 1) { const c = Math.floor(i / CHUNK); ends[c] = Math.max(ends[c], ARROWS.ends[i]); }
  return ends;
})();

// First place in an ascending column that is not below a value.
function lower(column, value) {
  let low = 0, high = column.length;
  while (low < high) { const mid = (low + high) >>> 1; if (column[mid] < value) low = mid + 1; else high = mid; }
  return low;
}

function eachArrow(from, until, visit) {
  const last = lower(ARROWS.sent, until);
  for (let chunk = 0; chunk * CHUNK < last; chunk += 1) {
    if (CHUNK_ENDS[chunk] < from) continue;
    const stop = Math.min(last, (chunk + 1) * CHUNK);
    for (let i = chunk * CHUNK; i < stop; i += 1) if (ARROWS.ends[i] >= from && KINDS[ARROWS.kind[i]].group.shown) visit(i);
  }
}

function fieldOf(body, label) {
  const at = KINDS[BODIES.kind[body]].labels.indexOf(label);
  return at < 0 ? null : BODIES.values[body][at];
}

// Each lane's stays in views, until the next one or the end; a crash ends a stay.
const OUTAGES = DATA.outages.map(([from, until, lane, wiped, mute]) => ({ from, until: until === null ? END : until, open: until === null, lane, wiped, mute }));
const STAYS = (() => {
  const lanes = LANES.map(() => []);
  for (const [at, lane, epoch, view, leader, byTimeout, entry] of DATA.views) {
    const stays = lanes[lane];
    if (!stays) continue;
    if (stays.length) stays[stays.length - 1].until = at;
    stays.push({ lane, from: at, until: END, epoch, view, leader, byTimeout, entry });
  }
  for (const outage of OUTAGES) for (const stay of lanes[outage.lane] || []) if (stay.from <= outage.from && stay.until > outage.from) stay.until = outage.from;
  return lanes;
})();
const STAY_STARTS = STAYS.map((stays) => Float64Array.from(stays, (stay) => stay.from));

const COMMITS = DATA.commits.map(([at, lane, epoch, height, view, block, path, transactions, certificate]) => ({ at, lane, epoch, height, view, block, path, transactions, certificate }));
const COMMIT_TIMES = Float64Array.from(COMMITS, (commit) => commit.at);
const MOMENTS = DATA.moments.map(([at, lane, kind, words]) => ({ at, lane, kind, words }));

// Faults, with the lanes that they name, in the lowest row of the strip that is free.
const FAULT_ROWS_MAX = 6;
const FAULTS = (() => {
  const rows = [];
  return DATA.faults.map(([from, until, what]) => {
    const fault = { from, until: until === null ? END : until, what, lanes: new Map(), row: 0 };
    const [sides, bridge] = what.split(', bridge');
    const groups = sides.split('|');
    for (const name of (bridge || '').match(/\bm\d+\b/g) || []) fault.lanes.set(Number(name.slice(1)), 'bridge');
    groups.forEach((group, index) => { for (const name of group.match(/\bm\d+\b/g) || []) fault.lanes.set(Number(name.slice(1)), groups.length > 1 ? 'side ' + String.fromCharCode(65 + (index % 26)) : ''); });
    let row = rows.findIndex((busy) => busy <= from);
    if (row < 0) row = rows.length < FAULT_ROWS_MAX ? rows.length : FAULT_ROWS_MAX - 1;
    fault.crowded = rows[row] > from;
    rows[row] = Math.max(rows[row] || 0, fault.until, from + END / 400);
    fault.row = row;
    return fault;
  });
})();
const FAULT_ROWS = FAULTS.reduce((most, fault) => Math.max(most, fault.row + 1), 0);

// What is worth a look, in order of time.
const LIST_MAX = 400;
const KEY_MOMENTS = (() => {
  const list = [];
  const lane = (one) => LANES[one] ? LANES[one].name : 'm' + one;
  for (const fault of FAULTS) list.push({ at: fault.from, words: fault.what, what: { type: 'fault', fault } });
  const told = (outage) => FAULTS.some((fault) => fault.from === outage.from && fault.lanes.has(outage.lane));
  for (const outage of OUTAGES) if (!told(outage)) list.push({ at: outage.from, words: lane(outage.lane) + (outage.wiped ? ' crashes, disk lost' : ' crashes'), what: { type: 'outage', outage } });
  const ended = new Set();
  const again = (one) => one.kind === 'epoch-ended' && (ended.has(one.words) || !ended.add(one.words));
  for (const one of MOMENTS) if (!['accepted', 'receipt'].includes(one.kind) && !again(one)) list.push({ at: one.at, words: (one.lane === null ? '' : lane(one.lane) + ' ') + one.words, what: { type: 'moment', moment: one }, bad: one.kind === 'panicked' });
  const seen = new Set();
  STAYS.flat().sort((a, b) => a.from - b.from).forEach((stay) => {
    const key = stay.epoch + '/' + stay.view;
    if (stay.byTimeout && !seen.has(key)) { seen.add(key); list.push({ at: stay.from, words: 'view ' + (stay.view - 1) + ' timed out', what: { type: 'stay', stay } }); }
  });
  if (DATA.gst > 0 && DATA.gst <= END) list.push({ at: DATA.gst, words: 'gst: the network is calm from here on', what: null });
  if (DATA.violation) list.push({ at: DATA.violation.at, words: DATA.violation.checker + ': ' + DATA.violation.what, what: { type: 'violation' }, bad: true });
  list.sort((a, b) => a.at - b.at);
  return list;
})();

// As exact as the step between ticks asks for; without one, to the microsecond.
function time(micros, step) {
  if (!step) return (micros / 1e6).toFixed(6).replace(/0{1,3}$/, '') + ' s';
  return (micros / 1e6).toFixed(step < 100 ? 5 : step < 1000 ? 4 : step < 1e6 ? 3 : 1) + ' s';
}
function span(micros) { return micros >= 1e6 ? (micros / 1e6).toFixed(2) + ' s' : (micros / 1000).toFixed(micros < 10000 ? 2 : 1) + ' ms'; }
// How long a message usually takes: what a lost one would have taken.
const USUAL = (() => {
  const took = [];
  for (let i = 0; i < ARROWS.size && took.length < 999; i += 1 + Math.floor(ARROWS.size / 1000)) if (ARROWS.end[i] === 0) took.push(ARROWS.ends[i] - ARROWS.sent[i]);
  took.sort((a, b) => a - b);
  return took[Math.floor(took.length / 2)] || 0;
})();
function laneName(lane) { return LANES[lane] ? LANES[lane].name : 'm' + lane; }
