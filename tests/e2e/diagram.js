// Runs inside a diagram's page, after its own scripts: uses it as a reader would and writes the verdict into the title.
(async () => {
  const frame = () => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  let checks = 0;
  const check = (holds, what) => { checks += 1; if (!holds) throw new Error(what); };
  const click = (canvas, x, y) => {
    const edge = canvas.getBoundingClientRect();
    const at = { bubbles: true, button: 0, pointerId: 1, clientX: edge.left + x, clientY: edge.top + y };
    canvas.dispatchEvent(new PointerEvent('pointermove', at));
    canvas.dispatchEvent(new PointerEvent('pointerdown', at));
    canvas.dispatchEvent(new PointerEvent('pointerup', at));
  };
  const key = (name) => SCENE.dispatchEvent(new KeyboardEvent('keydown', { key: name, bubbles: true }));
  const panel = () => PANEL.textContent;
  // Different colours on the drawing: an empty canvas has one.
  const colours = (canvas) => {
    const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    const seen = new Set();
    for (let i = 0; i < pixels.length; i += 4 * 7) seen.add((pixels[i] << 16) | (pixels[i + 1] << 8) | pixels[i + 2]);
    return seen.size;
  };
  // A point of an arrow at which nothing else is chosen, and of a lost one if so asked.
  const arrow = (wanted) => {
    for (const hit of HITS.arrows.filter(wanted)) for (const part of [0.5, 0.35, 0.65, 0.2, 0.8]) {
      const x = hit.x0 + (hit.x1 - hit.x0) * part, y = hit.y0 + (hit.y1 - hit.y0) * part;
      if (x < GUTTER + 2 || x > STATE.width - RIGHT || y < TOP || y > STATE.height) continue;
      const what = under(x, y);
      if (what && what.type === 'arrow' && what.index === hit.i) return { x, y, i: hit.i };
    }
    return null;
  };
  try {
    await frame();
    check(document.querySelector('h1').textContent.startsWith(DATA.name), 'the name of the scenario is the heading');
    check(document.querySelectorAll('#numbers dd').length >= 12, 'the headline has its numbers');
    check(colours(SCENE) > 20 && colours(OVERVIEW) > 3, 'something is drawn');
    check(panel().includes('Key moments'), 'the panel begins with the key moments');
    check(HITS.arrows.length > 20, 'there are arrows in the first window');

    const some = arrow(() => true);
    check(some, 'an arrow can be hit');
    click(SCENE, some.x, some.y);
    await frame();
    const kind = KINDS[ARROWS.kind[some.i]].name;
    check(PANEL.querySelector('h2').textContent === kind, `a click on a ${kind} opens it, not ${PANEL.querySelector('h2').textContent}`);
    check(panel().includes(laneName(ARROWS.from[some.i]) + ' \u2192 ' + laneName(ARROWS.to[some.i])), 'the panel says from whom to whom');
    check(PANEL.querySelectorAll('dl dt').length > 0, 'the panel lists the fields');
    const chosen = STATE.chosen.index;
    key('n');
    check(STATE.chosen.index > chosen, 'n goes on');
    key('p');
    check(STATE.chosen.index === chosen, 'p goes back');
    key('Escape');
    check(STATE.chosen === null && panel().includes('Key moments'), 'Escape closes it');

    for (const wanted of ['proposal', 'vote', 'commit-vote', 'timeout', 'certificate', 'epoch-end', 'block', 'evidence']) {
      const index = [...ARROWS.kind].findIndex((one) => KINDS[one].name === wanted);
      if (index < 0) continue;
      choose({ type: 'arrow', index }, true);
      check(PANEL.querySelector('h2').textContent === wanted && PANEL.querySelectorAll('dl dt').length > 1, 'the panel can show a ' + wanted);
    }
    const lost = [...ARROWS.end].findIndex((end, i) => end > 0 && end < UNDER_WAY && KINDS[ARROWS.kind[i]].group.shown);
    if (lost >= 0) { choose({ type: 'arrow', index: lost }, true); check(PANEL.querySelector('.lost'), 'a lost message says so'); }
    choose({ type: 'arrow', index: [...ARROWS.kind].findIndex((one) => KINDS[one].name === 'vote') }, true);
    PANEL.querySelector('dd .link').click();
    await frame();
    check(STATE.block !== null && panel().includes('Following'), 'a block can be followed');
    key('Escape');
    choose({ type: 'commit', commit: COMMITS[0] }, true);
    check(panel().includes('is final'), 'the panel can show a final block');

    for (const button of document.querySelectorAll('#legend button')) {
      const before = button.getAttribute('aria-pressed');
      button.click();
      await frame();
      check(button.getAttribute('aria-pressed') !== before, 'a kind can be switched');
      button.click();
    }
    const proposals = [...document.querySelectorAll('#legend button')].find((one) => one.textContent.startsWith('proposal'));
    proposals.click();
    await frame();
    check(HITS.arrows.every((hit) => KINDS[ARROWS.kind[hit.i]].name !== 'proposal'), 'hidden proposals are not drawn');
    proposals.click();

    const length = () => STATE.until - STATE.from;
    const before = length();
    document.querySelector('[data-do="in"]').click();
    check(length() < before, 'the button zooms in');
    SCENE.dispatchEvent(new WheelEvent('wheel', { deltaY: 200, clientX: 600, clientY: 400, bubbles: true, cancelable: true }));
    check(length() > before / 2, 'the wheel zooms out');
    const from = STATE.from;
    key('ArrowRight');
    check(STATE.from > from, 'the arrow key moves on');
    click(OVERVIEW, overX(END * 0.5), 20);
    await frame();
    check(STATE.from < END * 0.55 && STATE.until > END * 0.45, 'a click on the overview goes there');
    key('0');
    await frame();
    check(STATE.from <= 0 && STATE.until >= END, '0 shows the whole run');
    check(colours(SCENE) > 20, 'the whole run is drawn');

    check(goWhere('v2') && STATE.chosen.type === 'stay', 'go to a view');
    check(goWhere('h1') && STATE.chosen.type === 'commit', 'go to a height');
    check(goWhere('0.5s') && !goWhere('v999999999') && !goWhere('nonsense'), 'go to a time, and nowhere');
    check(goWhere(COMMITS[0].block.slice(0, 6)) && STATE.block === COMMITS[0].block, 'go to a block');
    key('Escape');
    for (const one of PANEL.querySelectorAll('li button')) one.click();
    document.querySelector('[data-do="theme"]').click();
    await frame();
    if (DATA.violation) {
      document.querySelector('#verdict button').click();
      await frame();
      check(panel().includes(DATA.violation.checker + ' violated'), 'the violation can be shown');
      check(STATE.from <= DATA.violation.at && DATA.violation.at <= STATE.until, 'the window is where it happened');
    } else check(!document.querySelector('#verdict').textContent, 'nothing was violated');
    check(!document.querySelector('#about script, #about b'), 'words of the scenario are words');
    check(window.FAULTS.length === 0, window.FAULTS.join('; '));
    document.title = `ok, ${checks} checks, ${ARROWS.size} messages, ${KEY_MOMENTS.length} key moments`;
  } catch (error) {
    document.title = 'failed: ' + error.message + ' ' + window.FAULTS.join('; ');
  }
})();
