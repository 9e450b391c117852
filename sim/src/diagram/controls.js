// Mouse, touch, keys and buttons: moving in time, choosing, following a block.

const TIP = document.getElementById('tip');

function show(from, until) {
  const length = Math.max(SPAN_MIN, Math.min(END * 1.06, until - from));
  const begin = Math.max(-length * 0.03, Math.min(from, END + length * 0.03 - length));
  STATE.from = begin; STATE.until = begin + length;
  redraw();
}
function zoom(factor, around) {
  const at = around === undefined ? (STATE.from + STATE.until) / 2 : around;
  const length = Math.max(SPAN_MIN, (STATE.until - STATE.from) * factor), part = (at - STATE.from) / (STATE.until - STATE.from);
  show(at - part * length, at + (1 - part) * length);
}
function pan(part) { const by = (STATE.until - STATE.from) * part; show(STATE.from + by, STATE.until + by); }
function goTo(at) { const half = (STATE.until - STATE.from) / 2; show(at - half, at + half); }

// A window with some hundred messages that ends at, or begins with, what matters most.
const ARROWS_AT_FIRST = 500;
function firstWindow() {
  const at = DATA.violation ? DATA.violation.at : DATA.cut ? DATA.cut.from : 0;
  const near = lower(ARROWS.sent, at);
  const other = DATA.violation ? Math.max(0, near - ARROWS_AT_FIRST) : Math.min(ARROWS.size - 1, near + ARROWS_AT_FIRST);
  const length = ARROWS.size ? Math.max(20000, Math.abs(ARROWS.sent[other] - at)) : END;
  if (DATA.violation) show(at - length * 0.85, at + length * 0.15); else show(at - length * 0.02, at + length);
}

function timeOf(chosen) {
  switch (chosen.type) {
    case 'arrow': return ARROWS.sent[chosen.index];
    case 'commit': return chosen.commit.at;
    case 'stay': return chosen.stay.from;
    case 'outage': return chosen.outage.from;
    case 'fault': return chosen.fault.from;
    case 'moment': return chosen.moment.at;
    default: return DATA.violation.at;
  }
}
function laneOf(chosen) {
  switch (chosen.type) {
    case 'arrow': return ARROWS.from[chosen.index];
    case 'commit': return chosen.commit.lane;
    case 'stay': return chosen.stay.lane;
    case 'outage': return chosen.outage.lane;
    case 'moment': return chosen.moment.lane;
    default: return null;
  }
}

function choose(chosen, move) {
  STATE.chosen = chosen;
  fillPanel();
  if (chosen && move) {
    const at = timeOf(chosen), lane = laneOf(chosen);
    if (at < STATE.from || at > STATE.until) goTo(at);
    if (lane !== null && (yOf(lane) < TOP || yOf(lane) > STATE.height)) SCROLL.scrollTop = Math.max(0, lane * STATE.pitch - STATE.height / 2);
  }
  redraw();
}

function followBlock(id) { STATE.block = STATE.block === id ? null : id; fillPanel(); redraw(); }

// The next or the previous thing of the kind that is chosen; arrows if nothing is.
function step(by) {
  const chosen = STATE.chosen;
  if (!chosen || chosen.type === 'arrow') {
    let i = chosen ? chosen.index : by > 0 ? lower(ARROWS.sent, STATE.from) - 1 : lower(ARROWS.sent, STATE.until);
    do i += by; while (i >= 0 && i < ARROWS.size && !(KINDS[ARROWS.kind[i]].group.shown && (STATE.block === null || mentions(ARROWS.body[i], STATE.block))));
    if (i >= 0 && i < ARROWS.size) choose({ type: 'arrow', index: i }, true);
    return;
  }
  if (chosen.type === 'commit' || chosen.type === 'stay') {
    const list = chosen.type === 'commit' ? COMMITS.filter((one) => one.lane === chosen.commit.lane) : STAYS[chosen.stay.lane];
    const next = list[list.indexOf(chosen[chosen.type]) + by];
    if (next) choose({ type: chosen.type, [chosen.type]: next }, true);
    return;
  }
  const list = KEY_MOMENTS.filter((one) => one.what);
  const next = list[list.findIndex((one) => same(one.what, chosen)) + by];
  if (next) choose(next.what, true);
}

function under(x, y) {
  if (x < GUTTER) return null;
  for (const mark of HITS.marks) if (Math.hypot(mark.x - x, mark.y - y) < 8) return mark.what;
  let best = null, least = 6;
  for (const { i, x0, y0, x1, y1 } of HITS.arrows) {
    if (x < Math.min(x0, x1) - 6 || x > Math.max(x0, x1) + 6 || y < Math.min(y0, y1) - 6 || y > Math.max(y0, y1) + 6) continue;
    const dx = x1 - x0, dy = y1 - y0, along = Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy || 1)));
    const far = Math.hypot(x0 + along * dx - x, y0 + along * dy - y);
    if (far < least) { least = far; best = { type: 'arrow', index: i }; }
  }
  if (best && least < 3) return best;
  for (let b = HITS.boxes.length - 1; b >= 0; b -= 1) { const hit = HITS.boxes[b]; if (x >= hit.left && x <= hit.right && y >= hit.top && y <= hit.bottom) return best || hit.what; }
  return best;
}

function inShort(what) {
  switch (what.type) {
    case 'arrow': {
      const i = what.index, view = fieldOf(ARROWS.body[i], 'view');
      return `${KINDS[ARROWS.kind[i]].name}${view === null ? '' : ' v' + view}, ${laneName(ARROWS.from[i])} \u2192 ${laneName(ARROWS.to[i])}, ${ARROWS.end[i] ? (ARROWS.end[i] === UNDER_WAY ? 'under way' : 'lost: ' + DATA.ends[ARROWS.end[i]]) : span(ARROWS.ends[i] - ARROWS.sent[i])}`;
    }
    case 'commit': return `${laneName(what.commit.lane)}: block ${what.commit.height} final, ${what.commit.path}`;
    case 'stay': return `${laneName(what.stay.lane)} in view ${what.stay.view}, leader ${laneName(what.stay.leader)}, ${span(what.stay.until - what.stay.from)}`;
    case 'outage': return laneName(what.outage.lane) + ' is down';
    case 'fault': return what.fault.what;
    case 'moment': return what.moment.words;
    default: return '';
  }
}

// Where a click lands on the drawing.
function spot(canvas, event) { const edge = canvas.getBoundingClientRect(); return [event.clientX - edge.left, event.clientY - edge.top]; }

let held = null;
SCENE.addEventListener('pointerdown', (event) => {
  if (event.button !== 0) return;
  const [x, y] = spot(SCENE, event);
  held = { x, y, from: STATE.from, until: STATE.until, moved: false };
  if (event.isTrusted) SCENE.setPointerCapture(event.pointerId);
  SCENE.focus({ preventScroll: true });
});
SCENE.addEventListener('pointermove', (event) => {
  const [x, y] = spot(SCENE, event);
  if (held) {
    if (Math.abs(x - held.x) > 4 || held.moved) {
      held.moved = true; SCENE.classList.add('held');
      const by = ((held.x - x) / (STATE.width - GUTTER - RIGHT)) * (held.until - held.from);
      show(held.from + by, held.until + by);
    }
    return;
  }
  const what = under(x, y);
  TIP.hidden = !what;
  if (what) { TIP.textContent = inShort(what); TIP.style.left = Math.min(event.clientX + 14, window.innerWidth - 320) + 'px'; TIP.style.top = event.clientY + 16 + 'px'; }
  SCENE.style.cursor = what ? 'pointer' : '';
});
SCENE.addEventListener('pointerup', (event) => {
  const was = held;
  held = null; SCENE.classList.remove('held');
  if (was && !was.moved) choose(under(...spot(SCENE, event)));
});
SCENE.addEventListener('pointercancel', () => { held = null; SCENE.classList.remove('held'); });
SCENE.addEventListener('pointerleave', () => { TIP.hidden = true; });
SCENE.addEventListener('dblclick', (event) => zoom(0.4, atX(spot(SCENE, event)[0])));
SCENE.addEventListener('wheel', (event) => {
  const tall = TOP + LANES.length * STATE.pitch > STATE.height + 12;
  if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) { event.preventDefault(); pan((event.deltaX || event.deltaY) / 900); return; }
  if (tall && !event.ctrlKey && spot(SCENE, event)[0] < GUTTER) return;
  event.preventDefault();
  zoom(Math.exp(Math.max(-1, Math.min(1, event.deltaY / 300))), atX(spot(SCENE, event)[0]));
}, { passive: false });

let grip = null;
OVERVIEW.addEventListener('pointerdown', (event) => {
  const [x] = spot(OVERVIEW, event), left = overX(STATE.from), right = overX(STATE.until);
  const near = (edge) => Math.abs(x - edge) < 6 && right - left > 16;
  grip = near(left) ? 'from' : near(right) ? 'until' : 'middle';
  if (grip === 'middle' && (x < left || x > right)) goTo(overAt(x));
  grip = { part: grip, offset: overAt(x) - STATE.from };
  if (event.isTrusted) OVERVIEW.setPointerCapture(event.pointerId);
});
OVERVIEW.addEventListener('pointermove', (event) => {
  const at = overAt(spot(OVERVIEW, event)[0]);
  if (!grip) { const x = spot(OVERVIEW, event)[0]; OVERVIEW.style.cursor = Math.min(Math.abs(x - overX(STATE.from)), Math.abs(x - overX(STATE.until))) < 6 ? 'ew-resize' : 'pointer'; return; }
  if (grip.part === 'from') show(Math.min(at, STATE.until - SPAN_MIN), STATE.until);
  else if (grip.part === 'until') show(STATE.from, Math.max(at, STATE.from + SPAN_MIN));
  else show(at - grip.offset, at - grip.offset + STATE.until - STATE.from);
});
for (const name of ['pointerup', 'pointercancel']) OVERVIEW.addEventListener(name, () => { grip = null; });

const KEYS = {
  ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), PageUp: () => pan(-1), PageDown: () => pan(1), Home: () => goTo(0), End: () => goTo(END),
  '+': () => zoom(0.6), '=': () => zoom(0.6), '-': () => zoom(1 / 0.6), '0': () => show(-END * 0.01, END * 1.01),
  n: () => step(1), p: () => step(-1), Escape: () => { STATE.block = null; choose(null); },
  ArrowUp: () => { SCROLL.scrollTop -= STATE.pitch; }, ArrowDown: () => { SCROLL.scrollTop += STATE.pitch; },
};
document.addEventListener('keydown', (event) => {
  if (event.target.tagName === 'INPUT' || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.tagName !== 'CANVAS' && event.key.startsWith('Arrow')) return;
  if (KEYS[event.key]) { event.preventDefault(); KEYS[event.key](); }
});

// v12, h30, 1.25s, 800ms, or the beginning of a block's id. Whether there is such a thing.
function goWhere(text) {
  const words = text.trim().toLowerCase();
  const view = words.match(/^v(\d+)$/), height = words.match(/^h(\d+)$/), when = words.match(/^([\d.]+)\s*(ms|s)$/);
  if (view) { const stay = STAYS.flat().filter((one) => one.view === Number(view[1])).sort((a, b) => a.from - b.from)[0]; if (stay) choose({ type: 'stay', stay }, true); return Boolean(stay); }
  if (height) { const commit = COMMITS.find((one) => one.height === Number(height[1])); if (commit) choose({ type: 'commit', commit }, true); return Boolean(commit); }
  if (when) { goTo(Number(when[1]) * (when[2] === 's' ? 1e6 : 1e3)); return true; }
  if (!/^[0-9a-f]{2,}$/.test(words)) return false;
  for (let i = 0; i < ARROWS.size; i += 1) {
    const id = fieldOf(ARROWS.body[i], 'block');
    if (id && (id.startsWith(words) || words.startsWith(id))) { STATE.block = id; choose({ type: 'arrow', index: i }, true); return true; }
  }
  return false;
}
document.getElementById('go').addEventListener('submit', (event) => {
  event.preventDefault();
  const input = document.getElementById('where');
  input.classList.toggle('none', !goWhere(input.value));
});

const BUTTONS = {
  in: () => zoom(0.5), out: () => zoom(2), all: () => KEYS['0'](),
  theme: () => { ROOT.dataset.theme = ROOT.dataset.theme === 'dark' ? 'light' : 'dark'; readColours(); redraw(); },
};
for (const button of document.querySelectorAll('[data-do]')) button.addEventListener('click', BUTTONS[button.dataset.do]);

const DARK = window.matchMedia('(prefers-color-scheme: dark)');
function theme() { ROOT.dataset.theme = DARK.matches ? 'dark' : 'light'; readColours(); redraw(); }
DARK.addEventListener('change', theme);
SCROLL.addEventListener('scroll', redraw);
new ResizeObserver(redraw).observe(SCROLL);

head1();
legend();
theme();
resize();
firstWindow();
fillPanel();
