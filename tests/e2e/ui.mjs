// Uses the page of a member as a reader would. Called by ui.sh: node ui.mjs BROWSER URL COMMITTEE OTHER-COMMITTEE PID-OF-MEMBER-3
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { Browser } from './browser.mjs';

const [program, url, committee, others, member] = process.argv.slice(2);
const shots = process.env.OUTRIDER_SCREENSHOTS;
const browser = await Browser.start(program);
const text = (id) => browser.evaluate(`document.getElementById('${id}').textContent`);
const ok = (what) => console.log(`ok - ${what}`);

async function shot(name, width, height, scheme) {
  await browser.window(width, height, scheme);
  // Drawn anew for the width.
  await browser.evaluate('new Promise((done) => setTimeout(done, 1200))');
  const wide = await browser.evaluate('document.documentElement.scrollWidth');
  assert.ok(wide <= width, `${name}: the page is ${wide} wide, the window ${width}`);
  if (shots) await writeFile(`${shots}/${name}.png`, await browser.screenshot());
}

async function choose(file) {
  const { root } = await browser.call('DOM.getDocument');
  const { nodeId } = await browser.call('DOM.querySelector', { nodeId: root.nodeId, selector: '#trust-file' });
  await browser.call('DOM.setFileInputFiles', { nodeId, files: [file] });
}

try {
  await browser.window(1200, 900, 'light');
  await browser.open(`${url}/ui`);
  await browser.until('a connection', `document.getElementById('link').dataset.link === 'live'`);
  await browser.until('the height', `Number(document.getElementById('height').textContent.replace(/,/g, '')) > 0`);
  await browser.until('the committee', `document.querySelectorAll('#members tr').length === 4`);
  await browser.until('signatures', `/[1-9][0-9]* %/.test(document.querySelector('#members td:nth-child(4)').textContent)`);
  await browser.until('latency', `document.querySelectorAll('#latency rect').length > 0 && /s$/.test(document.getElementById('p50').textContent)`);
  assert.match(await text('who'), /member-0, chain 7777, 4 members/);
  assert.ok(await browser.evaluate(`[...document.querySelectorAll('[data-l1]')].every((place) => place.hidden)`), 'nothing of an L1 that there is not');
  ok('the page shows height, committee, signatures and latency');

  // From the keyboard alone: to the payload, type, Enter.
  await browser.evaluate(`document.getElementById('send-rollup').focus()`);
  await browser.press('Tab');
  await browser.evaluate(`document.activeElement.select()`);
  await browser.type('from the page');
  await browser.press('Enter');
  await browser.until('the proof', `document.querySelectorAll('#path li.done').length === 5`);
  assert.match(await text('verdict'), /^Verified here: [34] signatures with stake [34] make it final\.$/);
  const id = await browser.evaluate(`document.getElementById('look-id').value`);
  assert.match(id, /^[0-9a-f]{64}$/);
  assert.ok((await text('facts')).includes(id), 'the facts name the transaction');
  ok('a transaction sent from the keyboard is followed to a proof that is verified in the page');

  for (let at = 0; at < 20; at += 1) {
    await browser.evaluate(`document.getElementById('tamper').click()`);
    assert.match(await text('tampered'), /^Byte [0-9]+ changed: refused \([a-z-]+\)\.$/);
  }
  ok('changed proofs are refused');

  await browser.until('the lane', `[...document.querySelectorAll('#lanes tr')].some((row) => row.firstChild.textContent === '1')`);
  await browser.evaluate(`document.getElementById('look').requestSubmit()`);
  await browser.until('the proof again', `document.querySelectorAll('#path li.done').length === 5`);
  ok('a transaction is looked up by its id');

  const look = (value) => browser.evaluate(`(() => { document.getElementById('look-id').value = '${value}'; document.getElementById('look').requestSubmit(); })()`);
  await look('0'.repeat(64));
  await browser.until('a refusal', `document.getElementById('verdict').textContent.includes('has not seen')`);
  ok('an unknown transaction is said to be unknown');

  await choose(others);
  await browser.until('the other committee', `document.getElementById('trust-source').textContent.includes('your file')`);
  await look(id);
  await browser.until('a rejection', `document.querySelector('[data-step=verified]').className === 'bad'`);
  assert.match(await text('verdict'), /^Not proven: proof for committee/);
  await choose(committee);
  await browser.until('the right committee', `document.getElementById('trust-source').textContent.includes('committee.json')`);
  await look(id);
  await browser.until('the proof once more', `document.querySelectorAll('#path li.done').length === 5`);
  const epoch = (place) => `Number(/poch ([0-9]+)/.exec(document.getElementById('${place}').textContent)?.[1])`;
  await browser.until('the third epoch', `${epoch('committee-note')} >= 2`);
  await browser.evaluate(`document.getElementById('send-text').value = 'later'; document.getElementById('send').requestSubmit()`);
  await browser.until('the proof of a later epoch', `document.querySelectorAll('#path li.done').length === 5 && ${epoch('facts')} >= 2`);
  assert.match(await text('trust-source'), /of epoch 0/);
  await look(id);
  await browser.until('the early proof again', `document.querySelectorAll('#path li.done').length === 5 && ${epoch('facts')} < 2`);
  ok('hand-overs are followed from the committee file to later epochs, and begun again for an earlier one');
  await choose(process.argv[1]);
  await browser.until('a fault', `document.getElementById('trust-fault').textContent.includes('Not a committee file')`);
  ok('proofs are checked with the committee that the reader gives, and with no other');

  const changes = `Number(/, ([0-9]+) since/.exec(document.getElementById('views-note').textContent)?.[1])`;
  const before = await browser.evaluate(changes);
  process.kill(Number(member), 'SIGKILL');
  await browser.until('a view change', `${changes} > ${before} && document.querySelector('#views rect.bad')`);
  const height = await browser.evaluate(`Number(document.getElementById('height').textContent.replace(/,/g, ''))`);
  await browser.until('blocks without the member', `Number(document.getElementById('height').textContent.replace(/,/g, '')) > ${height + 100}`);
  ok('a member that is killed shows as view changes');

  await browser.evaluate(`document.getElementById('send-text').value = 'hello, world'; document.getElementById('send').requestSubmit()`);
  await browser.until('the proof of another', `document.querySelectorAll('#path li.done').length === 5`);
  await browser.evaluate(`document.getElementById('tamper').click(); document.activeElement.blur()`);
  ok('without that member transactions are final and proven as well');

  await shot('ui-dark', 1080, 900, 'dark');
  await shot('ui-phone', 375, 800, 'light');
  await shot('ui', 1080, 900, 'light');
  ok('it fits a phone and a screen, light and dark');

  const own = new URL(url).host;
  assert.deepEqual(browser.requests.filter((one) => new URL(one).host !== own && !one.startsWith('data:')), [], 'asks nobody else');
  assert.deepEqual(browser.faults, [], 'no faults');
  ok(`${browser.requests.length} requests, all to this node, and no fault`);
} finally {
  await browser.stop();
}
