// Words beside the drawing: headline, verdict, legend, what was chosen, the list of key moments, the note below.

const PANEL = document.getElementById('panel');

// An element with attributes and children; text is always text.
function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key === 'colour') node.style.setProperty('--colour', 'var(--' + value + ')');
    else if (key === 'press') node.addEventListener('click', value);
    else node.setAttribute(key, value);
  }
  for (const child of children) if (child !== null && child !== undefined) node.append(child);
  return node;
}

function head1() {
  document.querySelector('h1').append(DATA.name, el('small', {}, 'seed ' + DATA.seed));
  document.getElementById('about').append(DATA.about);
  document.getElementById('about').title = DATA.about;
  document.getElementById('token').append('Replay: ', el('code', {}, 'outrider sim repro ' + DATA.token));
  const numbers = document.getElementById('numbers');
  for (const [name, value, note] of DATA.headline) numbers.append(el('div', {}, el('dt', {}, name), el('dd', {}, value), el('dd', { class: 'note' }, note)));
  const verdict = document.getElementById('verdict');
  if (DATA.violation) {
    const { checker, what, at } = DATA.violation;
    verdict.className = 'broken';
    verdict.append(el('strong', {}, DATA.violation.class + ' violated (' + checker + ')'), el('span', {}, 'at ' + time(at) + ': ' + what), el('button', { type: 'button', press: () => choose({ type: 'violation' }, true) }, 'Show'));
  }
}

function legend() {
  const root = document.getElementById('legend');
  const toggle = (one, mark) => {
    const button = el('button', { type: 'button', class: 'kind' + (mark ? ' mark' : ''), 'aria-pressed': String(one.shown), colour: one.colour, title: (one.kinds || []).join(', ') + '. Click: show or hide. With Shift: only this.' }, el('i', {}, mark || ''), one.name, el('b', {}, one.count.toLocaleString('en').replaceAll(',', '\u2009')));
    button.addEventListener('click', (event) => {
      if (event.shiftKey && !mark) { const alone = GROUPS.every((group) => group.shown === (group === one)); GROUPS.forEach((group) => { group.shown = alone || group === one; }); } else one.shown = !one.shown;
      refresh();
    });
    one.button = button;
    root.append(button);
  };
  for (const group of LEGEND) if (group.count) toggle(group, null);
  for (const mark of MARKS) if (mark.count) toggle(mark, mark.sign);
}

function refresh() {
  for (const one of [...GROUPS, ...MARKS]) if (one.button) one.button.setAttribute('aria-pressed', String(one.shown));
  redraw();
}

function hosts(list) { return list.map((one) => laneName(one)).join(' '); }

function blockLink(id) {
  const follow = el('button', { type: 'button', class: 'link mono', title: 'Show only what is about this block', press: () => followBlock(id) }, id);
  return follow;
}

function certificate(value) {
  const kinds = { quorum: 'votes', commit: 'commit votes', adopting: 'timeouts', timeout: 'timeouts' };
  const words = el('span', {}, (kinds[value.kind] || value.kind) + ' of view ' + value.view);
  if (value.block) words.append(value.kind === 'adopting' ? ', adopting ' : ' for ', blockLink(value.block));
  words.append(', signed by ' + hosts(value.signers) + (value.stake === null ? '' : ' (stake ' + value.stake + ')'));
  if (value.high) words.append(el('div', { class: 'nest' }, 'with ', certificate(value.high)));
  return words;
}

const BLOCKS = ['block', 'parent', 'voted'];
const HOSTS = ['signer', 'proposer', 'accused', 'leader', 'member'];
function shown(label, value) {
  if (value === null) return null;
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (BLOCKS.includes(label)) return blockLink(value);
  if (HOSTS.includes(label)) return laneName(value);
  if (label === 'approvals') return hosts(value);
  if (Array.isArray(value)) return value.length ? value.map((one) => Array.isArray(one) ? one.join(': ') : one).join(', ') : 'none';
  if (typeof value === 'object' && value.signers) return certificate(value);
  if (typeof value === 'object') return el('span', {}, Object.entries(value).filter(([, one]) => one !== null).map(([key, one]) => key + ' ' + one).join(', '));
  return typeof value === 'string' && /^[0-9a-f]{8}$/.test(value) ? el('code', {}, value) : String(value);
}

function table(rows) {
  const list = el('dl', {});
  for (const [label, value] of rows) {
    const words = shown(label, value);
    if (words !== null) list.append(el('dt', {}, label.replaceAll('_', ' ')), el('dd', {}, words));
  }
  return list;
}

function title(words, colour, lead) {
  return [el('h2', { colour }, el('i', {}), words), el('p', { class: 'lead' }, lead)];
}

function steps() {
  const row = el('div', { class: 'steps' },
    el('button', { type: 'button', press: () => step(-1) }, '\u2190 Previous'),
    el('button', { type: 'button', press: () => step(1) }, 'Next \u2192'),
    el('button', { type: 'button', press: () => choose(null) }, 'Close'));
  return row;
}

function aboutArrow(index) {
  const body = ARROWS.body[index], kind = KINDS[ARROWS.kind[index]], end = ARROWS.end[index];
  const ends = [`arrived ${time(ARROWS.ends[index])}, after ${span(ARROWS.ends[index] - ARROWS.sent[index])}`, 'lost by chance', 'lost: the two were cut off from each other', 'lost: the receiver was down', 'still under way at the end'];
  const others = [];
  for (let i = lower(ARROWS.sent, BODIES.at[body]); i < ARROWS.size && ARROWS.sent[i] === BODIES.at[body]; i += 1) if (ARROWS.body[i] === body && i !== index) others.push(i);
  const out = [
    ...title(kind.name, kind.colour, `${laneName(ARROWS.from[index])} \u2192 ${laneName(ARROWS.to[index])}, sent ${time(ARROWS.sent[index])}`),
    el('p', { class: end > 0 && end < UNDER_WAY ? 'lost' : '' }, ends[end]),
    steps(),
    el('h3', {}, 'Message ' + BODIES.number[body] + ', ' + BODIES.bytes[body] + ' bytes'),
    table(kind.labels.map((label, i) => [label, BODIES.values[body][i]])),
  ];
  if (others.length) {
    const list = el('ol', {});
    for (const i of others) list.append(el('li', { class: ARROWS.end[i] && ARROWS.end[i] < UNDER_WAY ? 'bad' : '' }, el('button', { type: 'button', press: () => choose({ type: 'arrow', index: i }) }, el('time', {}, laneName(ARROWS.to[i])), el('span', {}, ARROWS.end[i] ? DATA.ends[ARROWS.end[i]] : span(ARROWS.ends[i] - ARROWS.sent[i])))));
    out.push(el('h3', {}, BODIES.to[body] === null ? 'The same to all others' : 'The same once more'), list);
  }
  return out;
}

function aboutCommit(commit) {
  const how = { fast: 'fast path: votes of stake F (R6)', slow: 'slow path: commit votes of stake Q (R7)', range: 'learned of in a range of final blocks' };
  return [...title('Block ' + commit.height + ' is final', 'final', laneName(commit.lane) + ' at ' + time(commit.at)), steps(),
    table([['path', how[commit.path]], ['epoch', commit.epoch], ['view', commit.view], ['block', commit.block], ['transactions', commit.transactions], ['certificate', commit.certificate]])];
}

function aboutStay(stay) {
  const words = stay.byTimeout ? 'View ' + (stay.view - 1) + ' before it timed out.' : 'Entered by a certificate of the view before.';
  return [...title('View ' + stay.view, stay.byTimeout ? 'timeout' : 'soft', `${laneName(stay.lane)} from ${time(stay.from)} to ${time(stay.until)}, ${span(stay.until - stay.from)}`),
    el('p', {}, words), steps(), table([['epoch', stay.epoch], ['leader', stay.leader], ['entry', stay.entry]])];
}

function aboutOther(chosen) {
  if (chosen.type === 'outage') {
    const { lane, from, until, open, wiped, mute } = chosen.outage;
    const rows = [['disk', wiped ? 'lost' : 'kept'], ['after it', open ? 'stays down' : mute ? 'may sign nothing (mute)' : 'takes part again']];
    return [...title(laneName(lane) + ' is down', 'down', `from ${time(from)} ${open ? 'on' : 'to ' + time(until) + ', ' + span(until - from)}`), steps(), table(rows)];
  }
  if (chosen.type === 'fault') {
    const { from, until, what } = chosen.fault;
    return [...title('Fault', 'fault', `from ${time(from)} to ${time(until)}, ${span(until - from)}`), el('p', {}, what), steps()];
  }
  if (chosen.type === 'moment') {
    const { at, lane, kind, words } = chosen.moment;
    return [...title(kind, kind === 'panicked' ? 'red' : 'soft', (lane === null ? '' : laneName(lane) + ' ') + 'at ' + time(at)), el('p', {}, words), steps()];
  }
  const { checker, at, what } = DATA.violation;
  return [...title(checker + ' violated', 'red', 'at ' + time(at)), el('p', {}, what), steps()];
}

function aboutNothing() {
  const near = KEY_MOMENTS.filter((one) => one.bad).length;
  const cut = Math.max(0, KEY_MOMENTS.length - LIST_MAX);
  const list = el('ol', {});
  for (const one of KEY_MOMENTS.slice(cut)) list.append(el('li', { class: one.bad ? 'bad' : '' }, el('button', { type: 'button', press: () => { if (one.what) choose(one.what, true); else goTo(one.at); } }, el('time', {}, time(one.at, 1000)), el('span', {}, one.words))));
  const keys = el('p', { class: 'lead' });
  for (const [key, words] of [['\u2190 \u2192', ' move  '], ['+ \u2212', ' zoom  '], ['n p', ' next, previous  '], ['0', ' whole run']]) keys.append(el('kbd', {}, key), words + ' ');
  const about = DATA.about.length > 150 ? [el('h2', {}, DATA.name), el('p', { class: 'lead' }, DATA.about)] : [];
  return [...about, el('h2', {}, 'Key moments'), el('p', { class: 'lead' }, KEY_MOMENTS.length ? `${KEY_MOMENTS.length}${near ? ', ' + near + ' bad' : ''}${cut ? ', the last ' + LIST_MAX + ' listed' : ''}. Click an arrow, a band or a mark for what is in it.` : 'None: no fault, no timeout, no violation. Click an arrow, a band or a mark for what is in it.'), list, el('h3', {}, 'Reading it'),
    el('p', { class: 'lead' }, 'A lane is a host, an arrow a message. A band is a view; framed and bold: the host leads it; flag: the view before it timed out. Diamond: a block is final there, filled on the fast path, hollow on the slow one. Dashed with a cross: lost.'), el('h3', {}, 'Keys'), keys];
}

function fillPanel() {
  const chosen = STATE.chosen;
  const parts = !chosen ? aboutNothing() : chosen.type === 'arrow' ? aboutArrow(chosen.index) : chosen.type === 'commit' ? aboutCommit(chosen.commit) : chosen.type === 'stay' ? aboutStay(chosen.stay) : aboutOther(chosen);
  if (STATE.block !== null) parts.unshift(el('div', { class: 'steps' }, el('button', { type: 'button', press: () => followBlock(null) }, 'Following ', el('code', {}, STATE.block), ' \u2715')));
  PANEL.replaceChildren(...parts);
  PANEL.scrollTop = 0;
}

// The line below: what is shown, what is not, what was cut.
function say() {
  const note = document.getElementById('note');
  const parts = [`${time(Math.max(0, STATE.from), 1000)} to ${time(Math.min(END, STATE.until), 1000)} (${span(STATE.until - STATE.from)}), ${STATE.inWindow} messages. `];
  if (STATE.counted) parts.push(el('b', {}, 'Too many to draw: counted by sender; zoom in for arrows. '));
  else if (STATE.stride > 1) parts.push(el('b', {}, `1 in ${STATE.stride} messages drawn; zoom in for all. `));
  if (DATA.cut && STATE.from < DATA.cut.from) parts.push(el('b', {}, `The first ${DATA.cut.facts} facts were not recorded: all is there from ${time(DATA.cut.from)} on. `));
  if (STATE.block !== null) parts.push('Only what is about block ', el('code', {}, STATE.block), ' is bright. ');
  note.replaceChildren(...parts);
}
