// Prints what onnxruntime-web says of graphs and waveforms, under Node.
import fs from "node:fs";
import path from "node:path";
import * as ort from "onnxruntime-web";

ort.env.wasm.numThreads = 1;
const folder = process.argv[2];
const answers = JSON.parse(fs.readFileSync(path.join(folder, "answers.json")));
for (const [name, said] of Object.entries(answers)) {
  const session = await ort.InferenceSession.create(fs.readFileSync(path.join(folder, `${name}.onnx`)));
  for (const samples of Object.keys(said)) {
    const bytes = fs.readFileSync(path.join(folder, `${samples}.f32`));
    const waveform = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
    const outputs = await session.run({ waveform: new ort.Tensor("float32", waveform, [waveform.length]) });
    said[samples] = Array.from(outputs.probabilities.data);
  }
}
console.log(JSON.stringify(answers));
