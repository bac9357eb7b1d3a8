// An adapted model in the browser: audio in, probabilities out, nothing sent anywhere.
import * as ort from "./ort.wasm.min.mjs";

const EVERY = 500; // milliseconds from one look at the microphone to the next
const at = (id) => document.getElementById(id);
const percent = new Intl.NumberFormat(undefined, { style: "percent" });
let model, facts, recording = null;

function tell(text, wrong = false) {
  at("status").textContent = text;
  at("status").classList.toggle("wrong", wrong);
}

async function load() {
  ort.env.wasm.numThreads = 1;
  ort.env.wasm.wasmPaths = new URL("./", import.meta.url).href;
  facts = await (await fetch("model.json")).json();
  model = await ort.InferenceSession.create("model.onnx", { executionProviders: ["wasm"] });
  at("about").textContent = facts.about;
  at("terms").querySelector("ul").append(...facts.terms.map((line) => element("li", line)));
  at("bars").append(...facts.labels.map(bar));
  at("record").disabled = at("file").disabled = false;
  document.body.dataset.ready = "yes";
}

function element(name, text = "") {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function bar(label) {
  const row = element("li"), value = element("progress");
  value.max = 1;
  value.value = 0;
  value.setAttribute("aria-label", label);
  row.append(element("span", label), value, element("span", "–"));
  return row;
}

// Any number of channels at any rate to one at the model's; the browser averages two channels.
async function resample(buffer) {
  const samples = Math.ceil(buffer.duration * facts.sample_rate);
  const offline = new OfflineAudioContext(1, Math.max(1, samples), facts.sample_rate);
  const source = new AudioBufferSourceNode(offline, { buffer });
  source.connect(offline.destination);
  source.start();
  return (await offline.startRendering()).getChannelData(0);
}

async function classify(waveform) {
  if (waveform.length < facts.min_samples) throw new Error("That is too short: a word at least is needed.");
  const heard = waveform.slice(0, Math.floor(facts.max_seconds * facts.sample_rate));
  const found = await model.run({ waveform: new ort.Tensor("float32", heard, [heard.length]) });
  return Array.from(found.probabilities.data);
}

function show(probabilities) {
  const rows = at("bars").children;
  probabilities.forEach((probability, index) => {
    rows[index].querySelector("progress").value = probability;
    rows[index].lastChild.textContent = percent.format(probability);
  });
  at("answer").textContent = facts.labels[probabilities.indexOf(Math.max(...probabilities))];
  document.body.dataset.probabilities = JSON.stringify(probabilities);
}

async function hearFile(file) {
  tell(`Listening to ${file.name} …`);
  let buffer;
  try {
    buffer = await new OfflineAudioContext(1, 1, facts.sample_rate).decodeAudioData(await file.arrayBuffer());
  } catch {
    return tell(`${file.name} is no recording that this browser can read.`, true);
  }
  try {
    show(await classify(await resample(buffer)));
    const more = buffer.duration > facts.max_seconds ? `; it hears the first ${facts.max_seconds} seconds` : "";
    tell(`${file.name}, ${buffer.duration.toFixed(1)} s${more}`);
  } catch (error) {
    tell(error.message, true);
  }
}

async function start() {
  const context = new AudioContext(), blocks = [];
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
    await context.audioWorklet.addModule("recorder.js");
  } catch {
    stream?.getTracks().forEach((track) => track.stop());
    await context.close();
    return tell("There is no microphone, or this page may not use it.", true);
  }
  const most = Math.ceil((facts.max_seconds * context.sampleRate) / 128); // blocks of 128 samples
  const node = new AudioWorkletNode(context, "recorder");
  node.port.onmessage = ({ data }) => {
    blocks.push(data);
    if (blocks.length > most) blocks.shift();
  };
  new MediaStreamAudioSourceNode(context, { mediaStream: stream }).connect(node);
  const now = { stream, context, blocks, busy: false };
  now.timer = setInterval(() => look(now), EVERY);
  recording = now;
  press("Stop", true);
  tell("Listening …");
}

function press(text, pressed) {
  at("record").textContent = text;
  at("record").setAttribute("aria-pressed", String(pressed));
}

// What the last seconds sound like; a look is left out while another is still at work.
async function look(now) {
  const length = now.blocks.reduce((sum, block) => sum + block.length, 0);
  if (now.busy || length * facts.sample_rate < facts.min_samples * now.context.sampleRate) return;
  now.busy = true;
  try {
    const buffer = new AudioBuffer({ length, sampleRate: now.context.sampleRate, numberOfChannels: 1 });
    let filled = 0;
    for (const block of now.blocks) {
      buffer.copyToChannel(block, 0, filled);
      filled += block.length;
    }
    show(await classify(await resample(buffer)));
  } catch (error) {
    tell(error.message, true);
  } finally {
    now.busy = false;
  }
}

async function stop() {
  const now = recording;
  recording = null;
  clearInterval(now.timer);
  now.stream.getTracks().forEach((track) => track.stop());
  tell(now.blocks.length ? "" : "Nothing was heard.", !now.blocks.length);
  await look(now);
  await now.context.close();
  press("Record", false);
}

// One at a time: a second click while the microphone opens or closes does nothing.
async function toggle() {
  at("record").disabled = true;
  try {
    await (recording ? stop() : start());
  } finally {
    at("record").disabled = false;
  }
}

at("record").addEventListener("click", toggle);
at("file").addEventListener("change", ({ target }) => target.files.length && hearFile(target.files[0]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  at("hear").addEventListener(kind, (event) => {
    event.preventDefault();
    at("hear").classList.toggle("over", kind === "dragover");
    if (kind === "drop" && model && event.dataTransfer.files.length) hearFile(event.dataTransfer.files[0]);
  });
}
load().catch((error) => tell(`The model could not be loaded: ${error.message}`, true));
