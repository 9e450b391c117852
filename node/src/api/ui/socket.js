// JSON-RPC 2.0 over one WebSocket to the node that served the page. Answers keep their text, because proofs hold integers
// that JavaScript would round.

const PENDING_MAX = 64;
const TIMEOUT_MS = 10_000;
const PAUSE_MS = [500, 1_000, 2_000, 5_000];

// The texts of the items of an array, or of the `"key": value` pairs of an object. The text must be JSON.
export function rawParts(text) {
  const parts = [];
  let depth = 0;
  let start = 0;
  for (let at = 0; at < text.length; at += 1) {
    const char = text[at];
    if (char === '"') {
      for (at += 1; text[at] !== '"'; at += 1) if (text[at] === '\\') at += 1;
    } else if (char === '{' || char === '[') {
      depth += 1;
      if (depth === 1) start = at + 1;
    } else if (depth === 1 && (char === ',' || char === '}' || char === ']')) {
      parts.push(text.slice(start, at).trim());
      start = at + 1;
      if (char !== ',') break;
    } else if (char === '}' || char === ']') depth -= 1;
  }
  return parts.filter((part) => part !== '');
}

// The text of the value of a key of an object; undefined if it has none. Keys here need no escapes.
export function rawMember(text, key) {
  const found = rawParts(text).find((part) => part.startsWith(`"${key}"`));
  return found?.slice(found.indexOf(':') + 1).trim();
}

// A refusal of the node, or no answer.
export class CallError extends Error {
  constructor(message, code) {
    super(message);
    this.code = code;
  }
}

export class Socket {
  // `heard` gets: link(state), block(summary), and open() whenever there is a new connection.
  constructor(url, heard) {
    this.url = url;
    this.heard = heard;
    this.pending = new Map();
    this.next = 1;
    this.tries = 0;
    this.connect();
  }

  connect() {
    this.socket = new WebSocket(this.url);
    this.socket.onopen = () => {
      this.tries = 0;
      this.heard.link('live');
      this.call('outrider_subscribe', ['blocks']).catch(() => this.socket.close());
      this.heard.open();
    };
    this.socket.onmessage = (event) => this.message(event.data);
    this.socket.onclose = () => {
      for (const { fail } of this.pending.values()) fail(new CallError('the connection to the node broke'));
      this.pending.clear();
      this.heard.link('lost');
      setTimeout(() => this.connect(), PAUSE_MS[Math.min(this.tries, PAUSE_MS.length - 1)]);
      this.tries += 1;
    };
  }

  message(text) {
    const message = JSON.parse(text);
    if (message.method !== undefined) {
      const block = message.params?.result;
      // Too slow a reader is told so, and then nothing more: subscribe again.
      if (block?.lagged !== undefined || message.params?.error) this.socket.close();
      else if (block?.height !== undefined) this.heard.block(block);
      return;
    }
    const waiting = this.pending.get(message.id);
    if (!waiting) return;
    this.pending.delete(message.id);
    clearTimeout(waiting.timer);
    if (message.error) waiting.fail(new CallError(message.error.message, message.error.code));
    else waiting.done({ value: message.result, text: () => rawMember(text, 'result') });
  }

  // The answer: `value`, and `text()` as it came.
  call(method, params) {
    return new Promise((done, fail) => {
      if (this.socket.readyState !== WebSocket.OPEN) return fail(new CallError('there is no connection to the node'));
      if (this.pending.size >= PENDING_MAX) return fail(new CallError('too many calls are waiting'));
      const id = this.next++;
      const timer = setTimeout(() => {
        this.pending.delete(id);
        fail(new CallError(`no answer to ${method} in ${TIMEOUT_MS / 1000} s`));
      }, TIMEOUT_MS);
      this.pending.set(id, { done, fail, timer });
      return this.socket.send(JSON.stringify({ jsonrpc: '2.0', id, method, params }));
    });
  }
}
