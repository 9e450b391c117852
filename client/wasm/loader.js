// Loads the light client and checks proofs with it. For browsers and Node, without a package or a build step:
//
//   const check = await loadLightClient(bytesOfTheModule);
//   check('finality', committeeJson, proofJson)   // {ok: {...}} or {error: {code, message}}
//
// Pass the texts as they came: JSON.parse and JSON.stringify would round integers above 2^53.
export async function loadLightClient(bytes) {
  const { instance } = await WebAssembly.instantiate(bytes, {});
  const { buffer, check, answer, memory } = instance.exports;
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const tooLarge = { error: { code: 'too-large', message: 'larger than anything that is checked' } };
  return (kind, trust, proof) => {
    for (const [input, text] of [kind, trust, proof].entries()) {
      const bytes = encoder.encode(text);
      const at = buffer(input, bytes.length);
      if (at === 0) return tooLarge;
      new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
    }
    const length = check();
    // A view made only now: growing the memory makes older ones useless.
    return JSON.parse(decoder.decode(new Uint8Array(memory.buffer, answer(), length)));
  };
}
