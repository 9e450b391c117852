// Drives a headless Chromium over a pipe (the DevTools protocol), without a package: open, evaluate, wait, screenshot.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CALL_MS = 30_000;

export class Browser {
  static async start(program) {
    const folder = await mkdtemp(join(tmpdir(), 'outrider-browser-'));
    const root = process.getuid() === 0 ? ['--no-sandbox'] : [];
    const browser = new Browser();
    browser.folder = folder;
    browser.process = spawn(program, ['--headless', ...root, '--disable-gpu', '--disable-dev-shm-usage', '--hide-scrollbars', '--disable-lcd-text', `--user-data-dir=${folder}`, '--remote-debugging-pipe', 'about:blank'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
    });
    browser.next = 1;
    browser.pending = new Map();
    // What the page did that it should not, and whom it asked.
    browser.faults = [];
    browser.requests = [];
    let text = '';
    const [, , , write, read] = browser.process.stdio;
    browser.pipe = write;
    read.setEncoding('utf8');
    read.on('data', (data) => {
      text += data;
      for (let end = text.indexOf('\0'); end >= 0; end = text.indexOf('\0')) {
        browser.message(JSON.parse(text.slice(0, end)));
        text = text.slice(end + 1);
      }
    });
    const { targetId } = await browser.call('Target.createTarget', { url: 'about:blank' });
    ({ sessionId: browser.session } = await browser.call('Target.attachToTarget', { targetId, flatten: true }));
    for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await browser.call(`${domain}.enable`);
    return browser;
  }

  message({ id, result, error, method, params }) {
    if (id !== undefined) {
      const { done, fail } = this.pending.get(id);
      this.pending.delete(id);
      if (error) fail(new Error(error.message));
      else done(result);
    } else if (method === 'Runtime.exceptionThrown') {
      const { text, exception } = params.exceptionDetails;
      this.faults.push(`${text} ${exception?.description ?? ''}`);
    } else if (method === 'Log.entryAdded' && params.entry.level === 'error') {
      this.faults.push(`${params.entry.text} ${params.entry.url ?? ''}`);
    } else if (method === 'Runtime.consoleAPICalled' && params.type === 'error') {
      this.faults.push(JSON.stringify(params.args));
    } else if (method === 'Network.requestWillBeSent') {
      this.requests.push(params.request.url);
    } else if (method === 'Network.webSocketCreated') {
      this.requests.push(params.url);
    }
  }

  call(method, params = {}) {
    const id = this.next++;
    return new Promise((done, fail) => {
      const timer = setTimeout(() => fail(new Error(`${method}: no answer in ${CALL_MS} ms`)), CALL_MS);
      const settle = (then) => (value) => { clearTimeout(timer); then(value); };
      this.pending.set(id, { done: settle(done), fail: settle(fail) });
      this.pipe.write(`${JSON.stringify({ id, method, params, ...(this.session && { sessionId: this.session }) })}\0`);
    });
  }

  async open(url) {
    const { errorText } = await this.call('Page.navigate', { url });
    if (errorText) throw new Error(`${url}: ${errorText}`);
  }

  // The value of an expression in the page.
  async evaluate(expression) {
    const { result, exceptionDetails } = await this.call('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true });
    if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
    return result.value;
  }

  // Until an expression is true in the page.
  async until(what, expression, milliseconds = 60_000) {
    const end = performance.now() + milliseconds;
    while (!(await this.evaluate(`Boolean(${expression})`).catch(() => false))) {
      if (performance.now() > end) throw new Error(`waited for ${what}: ${expression}; the page says: ${await this.evaluate('document.body.innerText')}`);
      await new Promise((done) => { setTimeout(done, 50); });
    }
  }

  async window(width, height, scheme) {
    await this.call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: width < 600 });
    await this.call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] });
  }

  // As from a keyboard: text, or the name of a key.
  async type(text) {
    await this.call('Input.insertText', { text });
  }

  async press(key) {
    const codes = { Tab: 9, Enter: 13 };
    const event = { key, code: key, windowsVirtualKeyCode: codes[key], ...(key === 'Enter' && { text: '\r' }) };
    await this.call('Input.dispatchKeyEvent', { type: 'keyDown', ...event });
    await this.call('Input.dispatchKeyEvent', { type: 'keyUp', ...event });
  }

  // The whole page as PNG.
  async screenshot() {
    const { data } = await this.call('Page.captureScreenshot', { format: 'png', captureBeyondViewport: true });
    return Buffer.from(data, 'base64');
  }

  async stop() {
    const ended = new Promise((done) => { this.process.once('exit', done); });
    this.process.kill('SIGKILL');
    await ended;
    // Its own processes may still write for a moment.
    await rm(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}
