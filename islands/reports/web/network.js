// The network that draws an elite, as a drawing of its own: inputs on the left, outputs on the right.
"use strict";

const INPUT_NAMES = ["x", "y", "distance", "1"], FUNCTION_NAMES = ["", "sine", "sigmoid", "Gaussian", "linear"];
const outputNames = (channels) => (channels === 1 ? ["grey"] : ["hue", "saturation", "value"]);

// Label, layer and place of each node, and connections between them with weights from -1 to 1: as `network_drawing.lay_out` has them.
function layOut(channels, [functions, sources, targets, genes]) {
  const firstHidden = INPUTS + channels, layers = new Map(), incoming = new Map();
  sources.forEach((source, edge) => incoming.set(targets[edge], [...(incoming.get(targets[edge]) ?? []), source]));
  const layerOf = (node) => {
    if (node < INPUTS) return 0;
    if (!layers.has(node)) layers.set(node, 1 + Math.max(0, ...(incoming.get(node) ?? []).map(layerOf)));
    return layers.get(node);
  };
  const hidden = Array.from(functions.keys()).filter((node) => node >= firstHidden && functions[node]);
  const last = Math.max(0, ...hidden.map(layerOf)) + 1;
  for (let node = 0; node < firstHidden; node += 1) layers.set(node, node < INPUTS ? 0 : last);
  const order = [...layers.keys()].sort((a, b) => a - b), places = placesIn(order, layers, incoming, last);
  const label = (node) => (node < INPUTS ? INPUT_NAMES[node] : `${node < firstHidden ? `${outputNames(channels)[node - INPUTS]}: ` : ""}${FUNCTION_NAMES[functions[node]]}`);
  const position = new Map(order.map((node, number) => [node, number]));
  return {
    nodes: order.map((node) => ({ label: label(node), layer: layers.get(node), place: places.get(node) })),
    connections: Array.from(sources, (source, edge) => [position.get(source), position.get(targets[edge]), 2 * genes[edge] - 1]),
  };
}

// Spreads each layer evenly, in the order of the mean place of what its nodes are fed by.
function placesIn(order, layers, incoming, last) {
  const places = new Map(), middle = (values) => (values.length ? values.reduce((sum, each) => sum + each, 0) / values.length : 0.5);
  for (let layer = 0; layer <= last; layer += 1) {
    const members = order.filter((node) => layers.get(node) === layer);
    if (layer > 0 && layer < last) {
      const key = new Map(members.map((node) => [node, middle((incoming.get(node) ?? []).filter((source) => places.has(source)).map((source) => places.get(source)))]));
      members.sort((a, b) => key.get(a) - key.get(b));
    }
    members.forEach((node, at) => places.set(node, (at + 0.5) / members.length));
  }
  return places;
}

function networkDrawing({ nodes, connections }) {
  const depth = Math.max(...nodes.map((node) => node.layer));
  const crowd = Math.max(...Array.from({ length: depth + 1 }, (_, layer) => nodes.filter((node) => node.layer === layer).length));
  const width = 130 * depth + 170, height = Math.max(150, 34 * crowd);
  const x = (node) => 85 + 130 * node.layer, y = (node) => height * node.place;
  const drawing = svg("svg", { class: "drawing", style: `max-width:${1.15 * width}px;min-width:${Math.min(width, 2400) / 2}px`, viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `The network that draws the image: ${nodes.length} nodes, ${connections.length} connections` });
  for (const [source, target, weight] of connections) {
    const a = nodes[source], b = nodes[target], middle = (x(a) + x(b)) / 2;
    drawing.append(svg("path", { d: `M${x(a)} ${y(a)}C${middle} ${y(a)} ${middle} ${y(b)} ${x(b)} ${y(b)}`, fill: "none",
      stroke: `var(--${weight >= 0 ? "accent" : "warm"})`, "stroke-width": 0.6 + 2.6 * Math.abs(weight), opacity: 0.7 }));
  }
  for (const node of nodes) {
    const half = Math.max(16, 3.4 * node.label.length + 7);
    drawing.append(svg("rect", { x: x(node) - half, y: y(node) - 10, width: 2 * half, height: 20, rx: 10 }),
      svg("text", { x: x(node), y: y(node) + 4, "text-anchor": "middle" }, node.label));
  }
  return drawing;
}

// A place for it, filled when the networks are unpacked.
function networkView(data, at) {
  if (!data.networks) return [];
  const place = make("div", { class: "scroll wide-drawing", tabindex: "0", role: "region", "aria-label": "The network" });
  genomeAt(data, at).then((genome) => { place.append(networkDrawing(layOut(data.networks.channels, genome))); });
  return [make("h3", {}, "The network that draws it"), place];
}
