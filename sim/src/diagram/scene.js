// What is drawn: lanes, view bands, arrows, marks, the axis above and the overview below. Only what the window holds.

const SCENE = document.getElementById('scene');
const OVERVIEW = document.getElementById('overview');
const SCROLL = document.getElementById('scroll');
const GUTTER = 118, RIGHT = 14, AXIS = 26, FAULT_ROW = 16;
const TOP = AXIS + FAULT_ROWS * FAULT_ROW + 6;
const LABELS = DATA.gst > 0 || DATA.violation || MOMENTS.some((moment) => moment.lane === null) ? 30 : 4;
const LABEL_ROWS = 2;
const PITCH_MIN = 26, PITCH_MAX = 130;
const ARROWS_DRAWN_MAX = 5000, HEADS_MAX = 1600;
// Arrows that would be fewer pixels wide than this are counted instead, when there are too many to draw.
const SLANT_MIN = 5;
const SPAN_MIN = 200;

const STATE = { from: 0, until: END, chosen: null, block: null, hover: null, width: 0, height: 0, pitch: PITCH_MAX, stride: 1, counted: false, inWindow: 0 };
// What was drawn and where, for finding what is under the pointer.
const HITS = { arrows: [], marks: [], boxes: [] };
let INK = {};

function readColours() {
  const style = getComputedStyle(ROOT);
  INK = {};
  for (const name of ['paper', 'card', 'ink', 'soft', 'faint', 'rule', 'hair', 'band-a', 'band-b', 'leader', 'down', 'fault', 'red', 'final', 'focus', 'halo', 'timeout', ...KINDS.map((kind) => kind.colour)]) INK[name] = style.getPropertyValue('--' + name).trim();
  INK.font = getComputedStyle(document.body).fontFamily;
}

function fit(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2);
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
    canvas.style.height = height + 'px';
  }
  const pen = canvas.getContext('2d');
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return pen;
}

function resize() {
  STATE.width = SCROLL.clientWidth;
  STATE.height = SCROLL.clientHeight;
  STATE.pitch = Math.max(PITCH_MIN, Math.min(PITCH_MAX, (STATE.height - TOP - LABELS - 4) / Math.max(LANES.length, 1)));
  document.getElementById('tall').style.height = Math.ceil(TOP + LABELS + LANES.length * STATE.pitch + 4) + 'px';
}

function xOf(at) { return GUTTER + ((at - STATE.from) / (STATE.until - STATE.from)) * (STATE.width - GUTTER - RIGHT); }
function atX(x) { return STATE.from + ((x - GUTTER) / (STATE.width - GUTTER - RIGHT)) * (STATE.until - STATE.from); }
function yOf(lane) { return TOP + LABELS + (lane + 0.5) * STATE.pitch - SCROLL.scrollTop; }
function bandHeight() { return Math.max(7, Math.min(20, STATE.pitch * 0.3)); }

let waiting = false;
function redraw() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; drawScene(); drawOverview(); });
}

function drawScene() {
  if (SCROLL.clientHeight !== STATE.height || SCROLL.clientWidth !== STATE.width) resize();
  const pen = fit(SCENE, STATE.width, STATE.height);
  HITS.arrows.length = 0; HITS.marks.length = 0; HITS.boxes.length = 0;
  pen.lineJoin = 'round';
  drawGround(pen);
  drawOutages(pen);
  drawBands(pen);
  drawFaultLines(pen);
  thinned();
  if (STATE.counted) drawCounts(pen); else drawArrows(pen);
  drawOutageNames(pen);
  drawMarks(pen);
  drawChosen(pen);
  drawVerticals(pen);
  drawAxis(pen);
  drawNames(pen);
  say();
}

function visible(lane) { const y = yOf(lane); return y > TOP - STATE.pitch && y < STATE.height + STATE.pitch; }
function font(pen, size, weight) { pen.font = (weight || 400) + ' ' + size + 'px ' + INK.font; }

function tickStep(pixels) {
  const raw = (STATE.until - STATE.from) / Math.max(pixels, 1);
  const power = Math.pow(10, Math.floor(Math.log10(Math.max(raw, 1))));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= raw) || power * 10;
}

function ticks() {
  const step = tickStep((STATE.width - GUTTER - RIGHT) / 104);
  const out = [];
  for (let at = Math.ceil(STATE.from / step) * step; at <= STATE.until && out.length < 100; at += step) out.push(at);
  return { step, out };
}

function drawGround(pen) {
  pen.strokeStyle = INK.hair; pen.lineWidth = 1;
  pen.beginPath();
  for (const at of ticks().out) { const x = Math.round(xOf(at)) + 0.5; pen.moveTo(x, TOP); pen.lineTo(x, STATE.height); }
  pen.stroke();
  pen.strokeStyle = INK.rule;
  pen.beginPath();
  for (let lane = 0; lane < LANES.length; lane += 1) if (visible(lane)) { const y = Math.round(yOf(lane)) + 0.5; pen.moveTo(GUTTER, y); pen.lineTo(STATE.width - RIGHT, y); }
  pen.stroke();
}

function box(from, until) {
  const left = Math.max(xOf(from), GUTTER), right = Math.min(xOf(until), STATE.width - RIGHT);
  return right < GUTTER || left > STATE.width - RIGHT ? null : { left, right: Math.max(right, left + 1), width: Math.max(right - left, 1) };
}

function hatch(pen, colour) {
  const tile = document.createElement('canvas');
  tile.width = tile.height = 7;
  const brush = tile.getContext('2d');
  brush.strokeStyle = colour; brush.lineWidth = 1.3;
  brush.beginPath(); brush.moveTo(-1, 8); brush.lineTo(8, -1); brush.moveTo(-4.5, 4.5); brush.lineTo(4.5, -4.5); brush.moveTo(2.5, 11.5); brush.lineTo(11.5, 2.5); brush.stroke();
  return pen.createPattern(tile, 'repeat');
}

function drawOutages(pen) {
  const pattern = hatch(pen, INK.down);
  for (const outage of OUTAGES) {
    const at = visible(outage.lane) && box(outage.from, outage.until);
    if (!at) continue;
    const y = yOf(outage.lane) - STATE.pitch * 0.4, height = STATE.pitch * 0.8;
    pen.fillStyle = pattern; pen.fillRect(at.left, y, at.width, height);
    pen.strokeStyle = INK.down; pen.lineWidth = 1; pen.strokeRect(at.left + 0.5, y + 0.5, Math.max(at.width - 1, 1), height - 1);
    HITS.boxes.push({ left: at.left, right: Math.max(at.right, at.left + 5), top: y, bottom: y + height, what: { type: 'outage', outage } });
  }
}

// Words come after the arrows, so that these do not strike them out.
function drawOutageNames(pen) {
  for (const hit of HITS.boxes) {
    if (hit.what.type !== 'outage' || hit.right - hit.left < 40) continue;
    const { wiped, mute } = hit.what.outage;
    label(pen, (wiped ? 'down, disk lost' : 'down') + (mute ? ', back mute' : ''), hit.left + 6, hit.top + 12, hit.right - hit.left - 8, INK.soft);
  }
}

function label(pen, words, x, y, width, colour, weight) {
  font(pen, 11, weight);
  let text = words;
  while (text.length > 2 && pen.measureText(text).width > width) text = text.slice(0, -2) + '\u2026';
  if (pen.measureText(text).width > width) return;
  const size = pen.measureText(text).width;
  pen.fillStyle = INK.halo; pen.fillRect(x - 2, y - 9, size + 4, 12);
  pen.fillStyle = colour; pen.fillText(text, x, y);
}

function drawBands(pen) {
  const height = bandHeight();
  for (let lane = 0; lane < LANES.length; lane += 1) {
    if (!visible(lane)) continue;
    const top = yOf(lane) - height / 2, stays = STAYS[lane];
    const first = Math.max(0, lower(STAY_STARTS[lane], STATE.from) - 1);
    for (let i = first; i < stays.length && stays[i].from <= STATE.until; i += 1) {
      const stay = stays[i], at = box(stay.from, stay.until);
      if (at) drawStay(pen, stay, at, top, height);
    }
  }
}

function drawStay(pen, stay, at, top, height) {
  pen.fillStyle = stay.view % 2 || at.width < 3 ? INK['band-a'] : INK['band-b'];
  pen.fillRect(at.left, top, at.width, height);
  const leads = stay.leader === stay.lane;
  if (leads && at.width > 4) { pen.fillStyle = INK.leader; pen.fillRect(at.left, top, at.width, 2); pen.fillRect(at.left, top + height - 2, at.width, 2); }
  if (stay.byTimeout && xOf(stay.from) >= GUTTER - 1) {
    pen.fillStyle = INK.timeout;
    pen.fillRect(at.left, top - 5, 2, height + 10);
    pen.beginPath(); pen.moveTo(at.left, top - 9); pen.lineTo(at.left + 8, top - 5.5); pen.lineTo(at.left, top - 2); pen.fill();
  }
  HITS.boxes.push({ left: at.left, right: at.right, top: top - 5, bottom: top + height + 5, what: { type: 'stay', stay } });
}

function drawViewNames(pen) {
  const height = bandHeight();
  if (height < 11) return;
  for (const hit of HITS.boxes) {
    if (hit.what.type !== 'stay') continue;
    const stay = hit.what.stay, width = hit.right - hit.left;
    const words = 'v' + stay.view, leads = stay.leader === stay.lane;
    font(pen, 11, leads ? 700 : 400);
    const size = pen.measureText(words).width;
    if (width < size + 12) continue;
    const y = (hit.top + hit.bottom) / 2 + 4;
    pen.fillStyle = stay.view % 2 ? INK['band-a'] : INK['band-b'];
    pen.fillRect(hit.left + 4, y - 9, size + 4, 11);
    pen.fillStyle = leads ? INK.ink : INK.soft;
    pen.fillText(words, hit.left + 6, y);
  }
}

function drawFaultLines(pen) {
  const offset = STATE.pitch * 0.42;
  for (const fault of FAULTS) {
    const at = box(fault.from, fault.until);
    if (!at) continue;
    for (const [lane, group] of fault.lanes) {
      if (!visible(lane)) continue;
      const y = yOf(lane) + offset - fault.row * 3;
      pen.fillStyle = INK.fault; pen.fillRect(at.left, y, at.width, 2.5);
      if (group && at.width > 46 && STATE.pitch > 34) label(pen, group, at.left + 4, y - 3, at.width - 6, INK.fault, 600);
    }
  }
}

function mentions(body, block) {
  const holds = (value) => value !== null && typeof value === 'object' && (value.block === block || (value.high && holds(value.high)));
  const labels = KINDS[BODIES.kind[body]].labels;
  return BODIES.values[body].some((value, i) => (['block', 'voted'].includes(labels[i]) && value === block) || holds(value));
}

// How many arrows the window holds, and what to do about it: draw all, draw some, or count them by lane.
function thinned() {
  let count = 0;
  eachArrow(STATE.from, STATE.until, () => { count += 1; });
  STATE.inWindow = count;
  STATE.stride = Math.max(1, Math.ceil(count / ARROWS_DRAWN_MAX));
  STATE.counted = STATE.stride > 1 && xOf(STATE.from + USUAL) - GUTTER < SLANT_MIN;
}

// Messages sent in each few pixels, stacked by kind, over the lane of their sender.
function drawCounts(pen) {
  const bin = 3, bins = Math.ceil((STATE.width - GUTTER - RIGHT) / bin) + 1, ranks = GROUPS.length;
  const sums = LANES.map((_, lane) => visible(lane) ? new Uint32Array(bins * ranks) : null);
  eachArrow(STATE.from, STATE.until, (i) => {
    const row = sums[ARROWS.from[i]], at = Math.floor((xOf(ARROWS.sent[i]) - GUTTER) / bin);
    if (row && at >= 0 && at < bins && (STATE.block === null || mentions(ARROWS.body[i], STATE.block))) row[at * ranks + KINDS[ARROWS.kind[i]].rank] += 1;
  });
  let most = 1;
  for (const row of sums) for (let at = 0; row && at < bins; at += 1) { let sum = 0; for (let rank = 0; rank < ranks; rank += 1) sum += row[at * ranks + rank]; most = Math.max(most, sum); }
  const tall = Math.max(4, STATE.pitch / 2 - bandHeight() / 2 - 4);
  sums.forEach((row, lane) => {
    if (!row) return;
    for (let at = 0; at < bins; at += 1) {
      let y = yOf(lane) - bandHeight() / 2 - 1;
      for (let rank = ranks - 1; rank >= 0; rank -= 1) {
        const height = (row[at * ranks + rank] / most) * tall;
        if (!height) continue;
        pen.fillStyle = INK[GROUPS[rank].colour]; pen.fillRect(GUTTER + at * bin, y - height, bin - 0.6, height);
        y -= height;
      }
    }
  });
}

function place(i) {
  const x0 = xOf(ARROWS.sent[i]), x1 = xOf(ARROWS.ends[i]), y0 = yOf(ARROWS.from[i]), y1 = yOf(ARROWS.to[i]);
  const end = ARROWS.end[i];
  if (end === 0) return { i, x0, y0, x1, y1 };
  // Lost or under way: it stops short of its receiver.
  const part = end === UNDER_WAY ? Math.min(1, 60 / Math.max(Math.abs(x1 - x0), 1)) * 0.5 : 0.72;
  const far = end === UNDER_WAY ? Math.max(x1 - x0, 8) : xOf(ARROWS.sent[i] + Math.max(USUAL, ARROWS.ends[i] - ARROWS.sent[i])) - x0;
  return { i, x0, y0, x1: x0 + far * part, y1: y0 + (y1 - y0) * part };
}

function drawArrows(pen) {
  const wanted = Math.min(STATE.inWindow, ARROWS_DRAWN_MAX);
  const paths = KINDS.map(() => ({ bright: new Path2D(), dim: new Path2D(), lost: new Path2D(), heads: new Path2D(), used: false }));
  const heads = wanted < HEADS_MAX;
  const stride = STATE.stride;
  eachArrow(STATE.from, STATE.until, (i) => {
    const body = ARROWS.body[i];
    if (stride > 1 && (Math.imul(body, 2654435761) >>> 8) % stride) return;
    const at = place(i);
    if (Math.max(at.y0, at.y1) < TOP || Math.min(at.y0, at.y1) > STATE.height) return;
    HITS.arrows.push(at);
    const path = paths[ARROWS.kind[i]];
    path.used = true;
    const dim = STATE.block !== null && !mentions(body, STATE.block);
    const line = dim ? path.dim : ARROWS.end[i] === 0 ? path.bright : path.lost;
    line.moveTo(at.x0, at.y0); line.lineTo(at.x1, at.y1);
    if (!dim && heads) head(path.heads, at);
    if (!dim && ARROWS.end[i] > 0 && ARROWS.end[i] < UNDER_WAY) cross(path.bright, at.x1, at.y1, heads ? 4 : 2.5);
  });
  pen.save();
  pen.beginPath(); pen.rect(GUTTER, TOP, STATE.width - GUTTER - RIGHT + 8, STATE.height - TOP); pen.clip();
  const alpha = wanted < 300 ? 0.92 : wanted < HEADS_MAX ? 0.7 : 0.38;
  [...KINDS].sort((a, b) => a.rank - b.rank).forEach((kind) => {
    const path = paths[kind.index];
    if (!path.used) return;
    pen.strokeStyle = pen.fillStyle = INK[kind.colour];
    pen.globalAlpha = 0.1; pen.lineWidth = 1; pen.stroke(path.dim);
    pen.globalAlpha = alpha; pen.lineWidth = kind.name === 'proposal' ? 2 : wanted < HEADS_MAX ? 1.25 : 1;
    pen.stroke(path.bright); pen.fill(path.heads);
    pen.setLineDash([4, 3]); pen.stroke(path.lost); pen.setLineDash([]);
  });
  pen.globalAlpha = 1;
  drawViewNames(pen);
  pen.restore();
}

function head(path, { i, x0, y0, x1, y1 }) {
  if (ARROWS.end[i] !== 0) return;
  const length = Math.hypot(x1 - x0, y1 - y0);
  if (length < 12) return;
  const ux = (x1 - x0) / length, uy = (y1 - y0) / length, size = 6;
  path.moveTo(x1, y1);
  path.lineTo(x1 - ux * size - uy * 2.6, y1 - uy * size + ux * 2.6);
  path.lineTo(x1 - ux * size + uy * 2.6, y1 - uy * size - ux * 2.6);
  path.closePath();
}

function cross(path, x, y, size) {
  path.moveTo(x - size, y - size); path.lineTo(x + size, y + size);
  path.moveTo(x - size, y + size); path.lineTo(x + size, y - size);
}

function drawMarks(pen) {
  if (MARKS[0].shown) drawCommits(pen);
  for (const moment of MOMENTS) {
    const client = moment.kind === 'accepted' || moment.kind === 'receipt';
    if (moment.at < STATE.from || moment.at > STATE.until || moment.lane === null || !visible(moment.lane) || (client ? !MARKS[1].shown : STATE.counted && moment.kind !== 'panicked')) continue;
    const x = xOf(moment.at), y = yOf(moment.lane) - bandHeight() / 2 - (client ? 6 : 9);
    pen.fillStyle = moment.kind === 'panicked' ? INK.red : moment.kind === 'blamed' ? INK.timeout : INK.soft;
    pen.beginPath();
    if (client) { if (moment.kind === 'accepted') pen.arc(x, y, 2.5, 0, 7); else pen.rect(x - 2.5, y - 2.5, 5, 5); } else { pen.moveTo(x, y + 6); pen.lineTo(x - 5, y - 3); pen.lineTo(x + 5, y - 3); }
    pen.fill();
    HITS.marks.push({ x, y, what: { type: 'moment', moment } });
  }
}

// A diamond for each block final at a lane with its height; ticks where there are too many.
function drawCommits(pen) {
  const below = bandHeight() / 2 + 8, lanes = new Map();
  for (let i = lower(COMMIT_TIMES, STATE.from); i < COMMITS.length && COMMIT_TIMES[i] <= STATE.until; i += 1) {
    const lane = COMMITS[i].lane;
    if (!lanes.has(lane)) lanes.set(lane, []);
    if (visible(lane)) lanes.get(lane).push(COMMITS[i]);
  }
  for (const [lane, commits] of lanes) {
    const y = yOf(lane) + below, dense = commits.length > (STATE.width - GUTTER) / 9;
    let last = -9;
    commits.forEach((commit, i) => {
      const x = xOf(commit.at);
      if (dense) { if (x < last + 1.5) return; last = x; pen.fillStyle = INK.final; pen.fillRect(x - 0.5, y - 5, 1, 7); } else diamond(pen, x, y, commit.path);
      HITS.marks.push({ x, y, what: { type: 'commit', commit } });
      if (dense || STATE.pitch < 44) return;
      font(pen, 10.5);
      const words = 'h' + commit.height, size = pen.measureText(words).width;
      if (commits[i + 1] && xOf(commits[i + 1].at) < x + size + 14) return;
      pen.fillStyle = INK.halo; pen.fillRect(x + 6, y - 5, size + 2, 10);
      pen.fillStyle = INK.soft; pen.fillText(words, x + 7, y + 3.5);
    });
  }
}

// Filled: fast, hollow: slow, hollow and small: learned of in a range.
function diamond(pen, x, y, path) {
  const size = path === 'range' ? 3.5 : 5;
  pen.beginPath(); pen.moveTo(x, y - size); pen.lineTo(x + size, y); pen.lineTo(x, y + size); pen.lineTo(x - size, y); pen.closePath();
  pen.fillStyle = path === 'fast' ? INK.final : INK.paper; pen.fill();
  pen.strokeStyle = INK.final; pen.lineWidth = 1.5; pen.stroke();
}

function drawChosen(pen) {
  const chosen = STATE.chosen;
  if (!chosen) return;
  pen.save();
  pen.beginPath(); pen.rect(GUTTER, TOP, STATE.width - GUTTER, STATE.height - TOP); pen.clip();
  if (chosen.type === 'arrow') {
    const body = ARROWS.body[chosen.index], colour = INK[KINDS[ARROWS.kind[chosen.index]].colour];
    pen.strokeStyle = pen.fillStyle = colour;
    for (let i = lower(ARROWS.sent, BODIES.at[body]); i < ARROWS.size && ARROWS.sent[i] === BODIES.at[body]; i += 1) {
      if (ARROWS.body[i] !== body) continue;
      const at = place(i), own = i === chosen.index, path = new Path2D();
      if (own) { pen.strokeStyle = INK.halo; pen.lineWidth = 8; pen.beginPath(); pen.moveTo(at.x0, at.y0); pen.lineTo(at.x1, at.y1); pen.stroke(); pen.strokeStyle = colour; }
      pen.lineWidth = own ? 3.5 : 1.8;
      if (ARROWS.end[i]) pen.setLineDash([5, 3]);
      pen.beginPath(); pen.moveTo(at.x0, at.y0); pen.lineTo(at.x1, at.y1); pen.stroke(); pen.setLineDash([]);
      head(path, at); pen.fill(path);
    }
  } else {
    const hit = HITS.marks.concat(HITS.boxes).find((one) => same(one.what, chosen));
    if (hit) {
      pen.strokeStyle = INK.focus; pen.lineWidth = 2;
      if (hit.x !== undefined) { pen.beginPath(); pen.arc(hit.x, hit.y, 9, 0, 7); pen.stroke(); } else pen.strokeRect(hit.left, hit.top, hit.right - hit.left, hit.bottom - hit.top);
    }
  }
  pen.restore();
}

function same(a, b) { return a && b && a.type === b.type && a[a.type] === b[b.type] && a.index === b.index; }

function drawVerticals(pen) {
  const ends = [];
  const line = (at, colour, words, width, dash) => {
    const x = xOf(at);
    if (x < GUTTER || x > STATE.width - RIGHT + 1) return;
    pen.strokeStyle = colour; pen.lineWidth = width; pen.setLineDash(dash);
    pen.beginPath(); pen.moveTo(x, AXIS - 2); pen.lineTo(x, STATE.height); pen.stroke(); pen.setLineDash([]);
    font(pen, 11, 600);
    const size = pen.measureText(words).width, left = x + size + 12 > STATE.width ? x - size - 6 : x + 5;
    const row = ends.findIndex(([from, until]) => left > until || left + size + 8 < from), level = row < 0 ? ends.length : row;
    if (level >= LABEL_ROWS) return;
    ends[level] = row < 0 ? [left, left + size + 8] : [Math.min(left, ends[level][0]), Math.max(left + size + 8, ends[level][1])];
    pen.fillStyle = INK.halo; pen.fillRect(left - 2, TOP + 1 + level * 14, size + 4, 14);
    pen.fillStyle = colour; pen.fillText(words, left, TOP + 12 + level * 14);
  };
  if (DATA.violation) line(DATA.violation.at, INK.red, DATA.violation.checker + ' violated', 2.5, []);
  if (DATA.gst > 0) line(DATA.gst, INK.soft, 'gst', 1.5, [2, 3]);
  for (const moment of MOMENTS) if (moment.lane === null) line(moment.at, INK.soft, moment.kind === 'epoch' ? moment.words.split(' ').slice(0, 2).join(' ') : moment.kind, 1.5, [6, 3]);
}

function drawAxis(pen) {
  pen.fillStyle = INK.paper; pen.fillRect(0, 0, STATE.width, AXIS);
  const { step, out } = ticks();
  font(pen, 11); pen.fillStyle = INK.soft; pen.textAlign = 'center';
  for (const at of out) { const x = xOf(at); if (x > GUTTER + 20 && x < STATE.width - 34) pen.fillText(time(at, step), x, 16); }
  pen.textAlign = 'left';
  pen.strokeStyle = INK.rule; pen.lineWidth = 1;
  pen.beginPath(); pen.moveTo(GUTTER, AXIS - 3.5); pen.lineTo(STATE.width, AXIS - 3.5);
  for (const at of out) { const x = Math.round(xOf(at)) + 0.5; pen.moveTo(x, AXIS - 8); pen.lineTo(x, AXIS - 3); }
  pen.stroke();
  for (const fault of FAULTS) {
    const at = box(fault.from, fault.until);
    if (!at) continue;
    const y = AXIS + fault.row * FAULT_ROW;
    pen.fillStyle = INK.fault; pen.globalAlpha = 0.2; pen.fillRect(at.left, y, at.width, FAULT_ROW - 3); pen.globalAlpha = 1;
    pen.fillRect(at.left, y, 2, FAULT_ROW - 3);
    if (at.width > 30 && !fault.crowded) { font(pen, 11); pen.fillStyle = INK.ink; clipped(pen, fault.what, at.left + 6, y + 10, at.width - 10); }
    HITS.boxes.push({ left: at.left, right: Math.max(at.right, at.left + 4), top: y, bottom: y + FAULT_ROW - 3, what: { type: 'fault', fault } });
  }
}

function clipped(pen, words, x, y, width) {
  pen.save(); pen.beginPath(); pen.rect(x, y - 12, width, 16); pen.clip(); pen.fillText(words, x, y); pen.restore();
}

function drawNames(pen) {
  pen.fillStyle = INK.paper; pen.fillRect(0, 0, GUTTER - 1, STATE.height);
  font(pen, 11); pen.fillStyle = INK.faint; pen.fillText('simulated time', 20, 16);
  if (FAULT_ROWS) pen.fillText('faults', 20, AXIS + 10);
  pen.save(); pen.beginPath(); pen.rect(0, TOP, GUTTER, STATE.height - TOP); pen.clip();
  LANES.forEach((lane, index) => {
    if (!visible(index)) return;
    const y = yOf(index), small = STATE.pitch < 36;
    const down = OUTAGES.some((one) => one.lane === index && one.from <= STATE.from && one.until >= STATE.until);
    if (lane.byzantine) { pen.fillStyle = INK.red; pen.fillRect(0, y - STATE.pitch * 0.4, 4, STATE.pitch * 0.8); }
    font(pen, 13, 650); pen.fillStyle = down ? INK.faint : INK.ink;
    pen.fillText(lane.name, 20, small ? y + 4 : y + 1);
    const width = pen.measureText(lane.name).width;
    font(pen, 11); pen.fillStyle = lane.byzantine ? INK.red : INK.soft;
    const note = lane.byzantine || (lane.stake === null ? 'not at first' : 'stake ' + lane.stake);
    if (small) clipped(pen, note, 26 + width, y + 4, GUTTER - 32 - width); else clipped(pen, note, 20, y + 15, GUTTER - 24);
    if (lane.byzantine && !small) { pen.fillStyle = INK.soft; pen.fillText('stake ' + lane.stake, 26 + width, y + 1); }
  });
  pen.restore();
  pen.strokeStyle = INK.rule; pen.lineWidth = 1; pen.beginPath(); pen.moveTo(GUTTER - 0.5, 0); pen.lineTo(GUTTER - 0.5, STATE.height); pen.stroke();
}

// The whole run: how many messages were sent when, what was final when, and the window.
const OVER = { top: 8, bottom: 52, height: 64 };
function overX(at) { return GUTTER + (at / END) * (STATE.width - GUTTER - RIGHT); }
function overAt(x) { return Math.max(0, Math.min(END, ((x - GUTTER) / (STATE.width - GUTTER - RIGHT)) * END)); }

function drawOverview() {
  const pen = fit(OVERVIEW, STATE.width, OVER.height);
  const width = Math.max(1, STATE.width - GUTTER - RIGHT), bins = Math.ceil(width / 2);
  const sums = new Float64Array(bins), lost = new Float64Array(bins);
  for (let i = 0; i < ARROWS.size; i += 1) {
    if (!KINDS[ARROWS.kind[i]].group.shown) continue;
    const bin = Math.min(bins - 1, Math.floor((ARROWS.sent[i] / END) * bins));
    sums[bin] += 1;
    if (ARROWS.end[i] && ARROWS.end[i] < UNDER_WAY) lost[bin] += 1;
  }
  const most = sums.reduce((a, b) => Math.max(a, b), 1), tall = OVER.bottom - OVER.top - 10;
  if (DATA.cut) { pen.fillStyle = INK.hair; pen.fillRect(GUTTER, OVER.top, overX(DATA.cut.from) - GUTTER, OVER.bottom - OVER.top); }
  for (const fault of FAULTS) { pen.fillStyle = INK.fault; pen.globalAlpha = 0.55; pen.fillRect(overX(fault.from), OVER.top - 3, Math.max(1.5, overX(fault.until) - overX(fault.from)), 3); pen.globalAlpha = 1; }
  for (let bin = 0; bin < bins; bin += 1) {
    const x = GUTTER + bin * 2, up = (sums[bin] / most) * tall, down = (lost[bin] / most) * tall;
    pen.fillStyle = INK.faint; pen.fillRect(x, OVER.top + tall - up, 1.6, up);
    pen.fillStyle = INK.timeout; pen.fillRect(x, OVER.top + tall - down, 1.6, down);
  }
  pen.fillStyle = INK.final;
  let last = -9;
  for (const commit of COMMITS) { const x = Math.floor(overX(commit.at)); if (x > last + 1) { pen.fillRect(x, OVER.bottom - 7, 1.4, 6); last = x; } }
  if (DATA.violation) { pen.fillStyle = INK.red; pen.fillRect(overX(DATA.violation.at) - 1, OVER.top - 4, 2.5, OVER.bottom - OVER.top + 4); }
  const left = overX(STATE.from), right = Math.max(overX(STATE.until), left + 3);
  pen.fillStyle = INK.focus; pen.globalAlpha = 0.13; pen.fillRect(left, OVER.top - 4, right - left, OVER.bottom - OVER.top + 4); pen.globalAlpha = 1;
  pen.strokeStyle = INK.focus; pen.lineWidth = 1.5; pen.strokeRect(left, OVER.top - 4, right - left, OVER.bottom - OVER.top + 4);
  font(pen, 11); pen.fillStyle = INK.faint;
  pen.fillText('messages sent', 20, 24); pen.fillText('final blocks', 20, OVER.bottom);
  pen.textAlign = 'left'; pen.fillText('0', GUTTER, 62); pen.textAlign = 'right'; pen.fillText(time(END, 1000), STATE.width - RIGHT, 62); pen.textAlign = 'left';
  OVERVIEW.setAttribute('aria-valuemax', String(Math.round(END / 1000)));
  OVERVIEW.setAttribute('aria-valuenow', String(Math.round(STATE.from / 1000)));
  OVERVIEW.setAttribute('aria-valuetext', time(STATE.from, 1000) + ' to ' + time(STATE.until, 1000));
}
