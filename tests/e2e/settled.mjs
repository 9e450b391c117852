// What the page of a member shows of L1. Called by tags.sh: node settled.mjs BROWSER URL
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { Browser } from './browser.mjs';

const [program, url] = process.argv.slice(2);
const shots = process.env.OUTRIDER_SCREENSHOTS;
const browser = await Browser.start(program);
const number = (id) => `Number(document.getElementById('${id}').textContent.replace(/,/g, ''))`;
const ok = (what) => console.log(`ok - ${what}`);

try {
  await browser.window(1200, 900, 'light');
  await browser.open(`${url}/ui`);
  await browser.until('what is final', `${number('final')} > 0 && ${number('final')} <= ${number('settled')} && ${number('settled')} <= ${number('height')}`);
  const before = await browser.evaluate(number('final'));
  await browser.until('it to rise', `${number('final')} > ${before}`);
  assert.match(await browser.evaluate(`document.getElementById('l1-note').textContent`), /^L1 block [0-9,]+\.$/);
  ok('the page shows soft, settled and final heights live');

  await browser.evaluate(`document.getElementById('send').requestSubmit()`);
  await browser.until('the proof', `document.querySelectorAll('#path li.done').length === 5`);
  await browser.until('L1 to settle it', `['settled', 'final there'].includes(document.getElementById('fact-l1')?.textContent)`);
  ok('a transaction is followed until L1 has settled it');

  for (const [name, width, height] of [['settled', 1080, 900], ['settled-phone', 375, 800]]) {
    await browser.window(width, height, 'light');
    await browser.evaluate('new Promise((done) => setTimeout(done, 1200))');
    const wide = await browser.evaluate('document.documentElement.scrollWidth');
    assert.ok(wide <= width, `the page is ${wide} wide, the window ${width}`);
    if (shots) await writeFile(`${shots}/${name}.png`, await browser.screenshot());
  }
  assert.deepEqual(browser.faults, [], 'no faults');
} finally {
  await browser.stop();
}
