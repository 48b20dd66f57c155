// Draws the networks (CPPNs) of a store as `islands.encodings.rendering_torch` does: in float32, of any part, at any size.
"use strict";

const INPUTS = 4, TILE = 512, SLICE_MS = 24;

// Networks, each as functions, sources, targets and genes, unpacked once; null where pictures are in their place.
const unpacked = new WeakMap();

function networksOf({ networks }) {
  if (networks && !unpacked.has(networks)) unpacked.set(networks, unpack(networks));
  return networks && unpacked.get(networks);
}

async function unpack({ sizes, bytes }) {
  const packed = Uint8Array.from(atob(bytes), (letter) => letter.charCodeAt(0));
  const content = await new Response(new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"))).arrayBuffer(), found = [];
  for (let each = 0, start = 0; each < sizes.length; each += 2) {
    const [nodes, connections] = [sizes[each], sizes[each + 1]];
    const column = (Kind, length) => new Kind(content.slice(start, (start += length * Kind.BYTES_PER_ELEMENT)));
    found.push(nodes ? [column(Uint8Array, nodes), column(Uint16Array, connections), column(Uint16Array, connections), column(Float32Array, connections)] : null);
  }
  return found;
}

// The nodes that an output needs, sources first, each with its connections in the order of the genome, which is that of its sum.
function programOf(networks, [kinds, from, to, weights]) {
  const twice = Math.fround(2 * networks.weight_limit), limit = Math.fround(networks.weight_limit);
  const incoming = new Map();
  for (let at = 0; at < to.length; at += 1) {
    if (!incoming.has(to[at])) incoming.set(to[at], []);
    incoming.get(to[at]).push([from[at], Math.fround(Math.fround(weights[at] * twice) - limit)]);
  }
  const steps = [], seen = new Set();
  const visit = (node) => {
    if (node < INPUTS || seen.has(node)) return;
    seen.add(node);
    for (const [source] of incoming.get(node) ?? []) visit(source);
    steps.push({ node, kind: kinds[node], edges: incoming.get(node) ?? [] });
  };
  for (let output = 0; output < networks.channels; output += 1) visit(INPUTS + output);
  return { steps, width: kinds.length };
}

// A loop of its own for each function: engines make these fast, and not one that calls what it is given.
const ACTIVATIONS = [
  null,
  (p, count) => { for (let at = 0; at < count; at += 1) p[at] = Math.sin(p[at]); },
  (p, count) => { for (let at = 0; at < count; at += 1) { const decay = Math.fround(Math.exp(-Math.abs(p[at]))), size = Math.fround(1 - decay) / Math.fround(1 + decay); p[at] = p[at] < 0 ? -size : size; } },
  (p, count) => { for (let at = 0; at < count; at += 1) p[at] = Math.exp(Math.fround(-p[at] * p[at])); },
  (p, count) => { for (let at = 0; at < count; at += 1) p[at] = Math.min(3, Math.max(-3, p[at])) / 3; },
];

function add(total, value, weight, count) {
  const factor = Math.fround(weight);
  for (let at = 0; at < count; at += 1) total[at] = Math.fround(total[at] + Math.fround(factor * value[at]));
}

function evaluate(values, { node, kind, edges }, count) {
  const total = values[node].fill(0);
  for (const [source, weight] of edges) add(total, values[source], weight, count);
  ACTIVATIONS[kind](total, count);
}

const unit = (value) => Math.min(1, Math.max(0, value));

const SECTORS = { hsv: Math.fround(6 / 255), hls: Math.fround(2 / 60) };

// Turns three bytes of a pixel, at `at`, into red, green and blue, in float32: see `islands.encodings.colour`.
function convert(pixels, at, colour) {
  const round = Math.fround, second = round(pixels[at + 1] / 255), third = round(pixels[at + 2] / 255), isHls = colour === "hls";
  const turned = round(pixels[at] * SECTORS[colour]), sector = isHls && turned >= 6 ? round(turned - 6) : turned;
  const chroma = round(round(1 - Math.abs(round(round(2 * second) - 1))) * third);
  const wheels = [round(Math.abs(round(sector - 3)) - 1), round(2 - Math.abs(round(sector - 2))), round(2 - Math.abs(round(sector - 4)))];
  for (let plane = 0; plane < 3; plane += 1) {
    const wheel = unit(wheels[plane]);
    const share = isHls ? round(second + round(chroma * round(wheel - 0.5))) : round(third * round(1 - round(second * round(1 - wheel))));
    pixels[at + plane] = Math.trunc(round(round(share * 255) + 0.5));
  }
}

function fill(pixels, start, count, outputs, colour) {
  for (let at = 0; at < count; at += 1) {
    const place = 4 * (start + at);
    for (let output = 0; output < 3; output += 1) pixels[place + output] = Math.trunc(Math.fround(Math.min(1, Math.abs(outputs[output][at])) * 255));
    pixels[place + 3] = 255;
    if (outputs[1] !== outputs[0]) convert(pixels, place, colour);
  }
}

// Where pixels are whose view begins at `start` and has `span` of the `native` pixels, `size` on the screen: see `Canvas.of`.
function axisOf(networks, native, start, span, size) {
  const positions = Float64Array.from({ length: size }, (_, at) => start + (at + 0.5) * span / size - 0.5);
  const around = Float32Array.from(positions, (each) => 2 * each / Math.max(native - 1, 1) - 1);
  return { around, axis: networks.coordinates === "pixels" ? Float32Array.from(positions) : around };
}

// Draws into the pixels of an ImageData, a tile at a time: gives the share that is done.
function* painted(networks, genome, native, view, image) {
  const { steps, width } = programOf(networks, genome), { width: across, height: down, data: pixels } = image;
  const values = Array.from({ length: width }, () => new Float32Array(TILE));
  const x = axisOf(networks, native, view.left, view.span, across), y = axisOf(networks, native, view.top, view.span * down / across, down);
  const outputs = [0, 1, 2].map((output) => values[INPUTS + (networks.channels === 3 ? output : 0)]);
  values[3].fill(1);
  for (let start = 0; start < across * down; start += TILE) {
    const count = Math.min(TILE, across * down - start);
    for (let at = 0; at < count; at += 1) {
      const column = (start + at) % across, row = Math.floor((start + at) / across);
      values[0][at] = x.axis[column];
      values[1][at] = y.axis[row];
      values[2][at] = Math.sqrt(Math.fround(Math.fround(x.around[column] * x.around[column]) + Math.fround(y.around[row] * y.around[row])));
    }
    for (const step of steps) evaluate(values, step, count);
    fill(pixels, start, count, outputs, networks.colour);
    yield (start + count) / (across * down);
  }
}

// Draws without holding up the page; stops where `goesOn()` is false, and tells `told` of the share that is done.
async function paint(networks, genome, native, view, image, goesOn = () => true, told = () => {}) {
  let since = performance.now();
  for (const done of painted(networks, genome, native, view, image)) {
    if (performance.now() - since < SLICE_MS) continue;
    told(done);
    await new Promise((resolve) => setTimeout(resolve));
    if (!goesOn()) return false;
    since = performance.now();
  }
  return goesOn();
}

// The whole image on a canvas of `size` pixels; null where `goesOn()` was false.
async function paintWhole(data, genome, size, goesOn, told) {
  const image = new ImageData(size, size), canvas = make("canvas", { width: size, height: size });
  if (!(await paint(data.networks, genome, data.image_size, { left: 0, top: 0, span: data.image_size }, image, goesOn, told))) return null;
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}
