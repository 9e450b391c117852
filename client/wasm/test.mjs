// The light client in WebAssembly judges every shared vector as Rust does, and no input breaks it.
// Usage: node client/wasm/test.mjs MODULE
import { readFile, readdir } from 'node:fs/promises';
import assert from 'node:assert/strict';
import { loadLightClient } from './loader.js';

const [module] = process.argv.slice(2);
if (!module) throw new Error('usage: node client/wasm/test.mjs MODULE (cargo xtask wasm builds it)');
const bytes = await readFile(module);
const compiled = await WebAssembly.compile(bytes);
assert.deepEqual(WebAssembly.Module.imports(compiled), [], 'the module imports nothing');
const exports = WebAssembly.Module.exports(compiled).filter((one) => one.kind === 'function').map((one) => one.name).sort();
assert.deepEqual(exports, ['answer', 'buffer', 'check']);

const check = await loadLightClient(bytes);
const folder = new URL('../vectors/', import.meta.url);
const files = (await readdir(folder)).filter((name) => name.endsWith('.json')).sort();
assert.ok(files.length > 0, 'there are vectors');
let good = 0;
let bad = 0;
for (const name of files) {
  const { kind, trust, cases } = JSON.parse(await readFile(new URL(name, folder), 'utf8'));
  for (const { name: what, trust: whom, proof, ok, error } of cases) {
    const found = check(kind, trust[whom], proof);
    const said = `${kind}: ${what}: ${JSON.stringify(found)}`;
    if (ok) {
      assert.deepEqual(found.ok, ok, said);
      good += 1;
    } else {
      assert.equal(found.error?.code, error, said);
      assert.ok(found.error.message.length > 0, said);
      bad += 1;
    }
  }

  // Cut anywhere, or with any byte changed, it still answers, and proves nothing else.
  const { trust: whom, proof, ok } = cases.find((one) => one.ok);
  for (let at = 0; at < proof.length; at += 7) {
    assert.ok(check(kind, trust[whom], proof.slice(0, at)).error, `${kind}: cut at ${at}`);
    const changed = proof.slice(0, at) + String.fromCharCode(proof.charCodeAt(at) ^ 1) + proof.slice(at + 1);
    const found = check(kind, trust[whom], changed);
    assert.ok(found.error || JSON.stringify(found.ok) === JSON.stringify(ok), `${kind}: changed at ${at}`);
    assert.ok(check(kind, trust[whom].slice(0, at), proof).error || at >= trust[whom].length, `${kind}: trust cut at ${at}`);
  }
}
assert.equal(check('nonsense', '{}', '{}').error.code, 'kind');
assert.equal(check('finality', ' '.repeat(1 << 20), '{}').error.code, 'too-large');
assert.equal(check('finality', '[', '[').error.code, 'trust');
console.log(`${module}: ${bytes.length} bytes, ${good} good proofs accepted, ${bad} others rejected`);
