// Loads the light client and checks proofs with it. For browsers and Node, without a package or a build step:
//
//   const check = await loadLightClient(bytesOfTheModule);
//   check('finality', committeeJson, proofJson)        // {ok: {...}} or {error: {code, message}}
//   check.text('finality', committeeJson, proofJson)   // the same as JSON text
//
// Pass texts as they came: JSON.parse followed by JSON.stringify rounds integers above 2^53.
export async function loadLightClient(bytes) {
  const { instance } = await WebAssembly.instantiate(bytes, {});
  const { buffer, check, answer, memory } = instance.exports;
  const encoder = new TextEncoder();
  const decoder = new TextDecoder();
  const text = (kind, trust, proof) => {
    for (const [input, one] of [kind, trust, proof].entries()) {
      const bytes = encoder.encode(one);
      const at = buffer(input, bytes.length);
      if (at === 0) return '{"error":{"code":"too-large","message":"larger than anything that is checked"}}';
      // A view made only now: growing the memory makes older ones useless.
      new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
    }
    const length = check();
    return decoder.decode(new Uint8Array(memory.buffer, answer(), length));
  };
  const parsed = (kind, trust, proof) => JSON.parse(text(kind, trust, proof));
  parsed.text = text;
  return parsed;
}
