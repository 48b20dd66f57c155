// Islands and the mail between them: a map of the topology, who sent how much to whom, tables behind buttons.
"use strict";

const SIDE = 64;

// A colour for an island: neighbours in number are far apart in hue.
function islandColour(island) {
  const dark = document.documentElement.dataset.theme === "dark";
  return `hsl(${(island * 137.508 + 170) % 360} ${dark ? "55% 68%" : "60% 38%"})`;
}

// A dot in the colour of the island that made an elite; none where there is one island.
function islandMark(data, at) {
  if (data.topology.count < 2) return null;
  const island = data.elites.island[at];
  return make("span", { class: "island", style: `--hue:${(island * 137.508 + 170) % 360}`, title: `made by island ${island}` });
}

const sumOf = (rows, of) => rows.reduce((sum, row) => sum + of(row), 0);

function drawExchange(data) {
  const place = document.getElementById("exchange-body"), { count: islands, name } = data.topology, rows = data.migrations;
  if (islands < 2) {
    place.replaceChildren(make("p", { class: "prose" }, "There is one island a run: all classes evolve together, and nothing is mailed."));
    return;
  }
  const claims = rows.filter((row) => row.kind === "claim"), migrants = rows.filter((row) => row.kind === "migrant"), part = (some) => percent(sumOf(some, (row) => row.accepted) / Math.max(1, sumOf(some, (row) => row.sent)));
  const choice = make("select", { id: "mail-kind", "aria-label": "Kind of mail" }, ...[["claim", "claims: they take cells"], ["migrant", "migrants: they become parents"]].map(([value, text]) => make("option", { value }, text)));
  const measure = make("select", { id: "mail-measure", "aria-label": "What is counted" }, ...[["accepted", "accepted"], ["sent", "received"]].map(([value, text]) => make("option", { value }, text)));
  for (const each of [choice, measure]) each.addEventListener("input", () => drawMail(data));
  const per = Array.from({ length: islands }, (_, island) => {
    const [first, last] = data.topology.classes[island], to = rows.filter((row) => row.receiver === island), from = rows.filter((row) => row.sender === island);
    const owned = first > last ? "none" : first === last ? String(first) : `${first} to ${last}`;
    return [make("td", {}, make("span", { class: "island", style: `--hue:${(island * 137.508 + 170) % 360}` }), ` ${island}`), owned, ...Array.from({ length: data.runs }, (_, run) => count(data.islands.find((each) => each.run === run && each.island === island)?.elites ?? 0)),
      count(sumOf(from, (row) => row.sent)), count(sumOf(to, (row) => row.sent)), count(sumOf(to, (row) => row.accepted))];
  });
  const made = data.runs > 1 ? Array.from({ length: data.runs }, (_, run) => `elites made, run ${run}`) : ["elites made"];
  place.replaceChildren(
    make("p", { class: "prose" }, make("b", {}, count(islands)), ` islands a run, joined as ${name.replaceAll("_", " ")}. Of `, make("b", {}, count(sumOf(claims, (row) => row.sent))), " claims ", make("b", {}, part(claims)), " took a cell",
      ...(migrants.length ? ["; of ", make("b", {}, count(sumOf(migrants, (row) => row.sent))), " migrants ", make("b", {}, part(migrants)), " were taken in as parents."] : ["; no migrant has been received yet."])),
    make("div", { class: "charts" },
      make("figure", {}, make("figcaption", {}, "The topology: a line is a way for migrants, thicker the more were accepted; a circle is an island, larger the more elites it made"), make("div", { id: "topology" })),
      chartFigure("chart-mail", "Mail from the island of the row to the island of the column, all runs", make("div", { class: "choices" }, choice, measure))),
    make("div", { class: "behinds" },
      behindButton("Islands as a table", boxed("Islands, all runs of mail together", ["island", "owns classes", ...made, "sent", "received", "accepted"], per)),
      behindButton("Mail as a table", rows.length ? boxed("Mail between islands, all runs: claims take cells, migrants become parents", ["", "received", "accepted", "share"],
        rows.map((row) => [`${row.kind === "claim" ? "claims" : "migrants"} from ${row.sender} to ${row.receiver}`, count(row.sent), count(row.accepted), percent(row.accepted / row.sent)])) : make("p", { class: "note" }, "No mail has been received: too few epochs were done."))));
  drawMail(data);
}

function drawMail(data) {
  const body = document.getElementById("exchange-body");
  if (!body.querySelector("#chart-mail")) return;
  document.getElementById("topology").replaceChildren(topologyMap(data));
  const kind = document.getElementById("mail-kind").value, measure = document.getElementById("mail-measure").value, size = Math.ceil(data.topology.count / SIDE), sums = new Map();
  const label = (group) => (size === 1 ? String(group) : `${group * size}–${Math.min(data.topology.count, (group + 1) * size) - 1}`);
  for (const row of data.migrations.filter((each) => each.kind === kind)) {
    const key = `${Math.floor(row.sender / size)},${Math.floor(row.receiver / size)}`, sum = sums.get(key) ?? { sent: 0, accepted: 0 };
    sums.set(key, { sent: sum.sent + row.sent, accepted: sum.accepted + row.accepted });
  }
  const values = Array.from(sums, ([key, sum]) => { const [from, to] = key.split(","); return { from: label(+from), to: label(+to), ...sum, weight: sum[measure] }; });
  const labels = Array.from({ length: Math.ceil(data.topology.count / size) }, (_, group) => label(group));
  const spec = matrixSpec(values, labels, ["sender", "receiver"], [{ field: "from", type: "nominal" }, { field: "to", type: "nominal" }, { field: "sent", type: "quantitative", title: "received" }, { field: "accepted", type: "quantitative" }]);
  for (const axis of [spec.encoding.x.axis, spec.encoding.y.axis]) Object.assign(axis, { labelOverlap: "greedy", labelSeparation: 4, labelAngle: 0 });
  drawChart("chart-mail", { ...spec, height: 380 });
}

// A torus is drawn as the grid that it is, all else on a circle.
function placesOf({ name, count: islands }) {
  let rows = name === "torus" ? Math.floor(Math.sqrt(islands)) : 0;
  while (rows > 1 && islands % rows) rows -= 1;
  if (rows > 1) { const columns = islands / rows; return Array.from({ length: islands }, (_, at) => [25 + 450 * ((at % columns) + 0.5) / columns, 25 + 450 * (Math.floor(at / columns) + 0.5) / rows]); }
  return Array.from({ length: islands }, (_, at) => { const turn = 2 * Math.PI * at / islands - Math.PI / 2; return [250 + 205 * Math.cos(turn), 250 + 205 * Math.sin(turn)]; });
}

function topologyMap(data) {
  const { count: islands, edges, name } = data.topology, places = placesOf(data.topology);
  if (!edges) return make("p", { class: "note" }, `The lines of the topology ${name} are not drawn: they are too many, or known only to code that this store does not hold.`);
  const drawing = svg("svg", { viewBox: "0 0 500 500", class: "topology", role: "img", "aria-label": `${islands} islands, ${edges.length} connections, as ${name}` });
  const taken = new Map(data.migrations.filter((row) => row.kind === "migrant").map((row) => [`${row.sender},${row.receiver}`, row.accepted])), most = Math.max(1, ...taken.values());
  const made = Array.from({ length: islands }, (_, island) => sumOf(data.islands.filter((each) => each.island === island), (each) => each.elites)), largest = Math.max(1, ...made);
  for (const [sender, receiver] of edges) {
    const [[x, y], [u, v]] = [places[sender], places[receiver]], share = (taken.get(`${sender},${receiver}`) ?? 0) / most;
    // Bent to one side, so that there and back are two lines; over the rim of a grid, more.
    const bend = 0.08 + (Math.hypot(u - x, v - y) > 200 && name === "torus" ? 0.06 : 0), middle = [(x + u) / 2 + bend * (v - y), (y + v) / 2 - bend * (u - x)];
    const line = svg("path", { d: `M${x} ${y}Q${middle[0]} ${middle[1]} ${u} ${v}`, fill: "none", stroke: islandColour(sender), "stroke-width": 0.5 + 3 * share, opacity: edges.length > 500 ? 0.25 : 0.6 });
    line.append(svg("title", {}, `${count(taken.get(`${sender},${receiver}`) ?? 0)} migrants of island ${sender} accepted by ${receiver}`));
    drawing.append(line);
  }
  // Circles do not touch, and the smallest has room for its number.
  const nearest = Math.min(...places.slice(1).map(([x, y]) => Math.hypot(x - places[0][0], y - places[0][1]))), room = Math.min(26, 0.42 * nearest);
  const radius = (island) => room * Math.sqrt(0.4 + 0.6 * made[island] / largest);
  places.forEach(([x, y], island) => {
    const node = svg("circle", { cx: x, cy: y, r: radius(island), fill: islandColour(island) });
    node.append(svg("title", {}, `island ${island}: made ${count(made[island])} of today's elites`));
    drawing.append(node);
    if (room > 8) drawing.append(svg("text", { x, y: y + 0.3 * Math.min(15, 0.8 * room), "text-anchor": "middle", "font-size": Math.min(15, 0.8 * room) }, String(island)));
  });
  return drawing;
}
