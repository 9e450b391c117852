// The page of a member: what it says of the network, and one proof checked without believing it.

import { byId, count } from './charts.js';
import { Follow } from './follow.js';
import { Live } from './live.js';
import { loadLightClient } from './loader.js';
import { Socket } from './socket.js';

const DRAW_MS = 1_000;
const COMMITTEE_MS = 10_000;
const LINK = { live: 'live', lost: 'no connection, trying again' };

const module = await fetch('/ui/light-client.wasm');
const check = await loadLightClient(await module.arrayBuffer());

const call = (method, params) => socket.call(method, params);
const live = new Live(call);
const follow = new Follow(call, check);

async function committee() {
  try {
    const answer = await call('outrider_committee', []);
    live.committee = answer.value;
    follow.learn(answer.text(), answer.value);
    const { value: health } = await call('outrider_health', []);
    const { contacts, committee: { chain } } = answer.value;
    const name = health.member === null ? 'A follower' : contacts[health.member]?.name ?? `Member ${health.member}`;
    byId('who').textContent = `${name}, chain ${chain}, ${count(contacts.length)} members${health.syncing ? ', catching up' : ''}`;
  } catch {
    // Asked again soon.
  }
}

const socket = new Socket(`${location.protocol === 'https:' ? 'wss' : 'ws'}://${location.host}/`, {
  link(state) {
    byId('link').dataset.link = state;
    byId('link-text').textContent = LINK[state];
  },
  open() {
    committee();
    live.poll().then(() => live.draw());
  },
  block(block) {
    live.block(block);
    follow.block(block);
  },
});

setInterval(async () => {
  await live.poll();
  if (document.hidden) return;
  live.draw();
  follow.draw(live.settlement);
}, DRAW_MS);
setInterval(committee, COMMITTEE_MS);
addEventListener('resize', () => live.draw());
