// Draws the page of several stores from the data inside it.
"use strict";

const $ = (id) => document.getElementById(id), fileStem = () => "stores", FIRST = 60;
const COLOURS = { light: ["#0f6b6b", "#b4532a", "#5b4fa3", "#8a6a00", "#8f2d8a", "#3d3d3d"], dark: ["#6cc5bd", "#e59a6f", "#a99be8", "#d9bd55", "#e58fe0", "#d0d0d0"] };
const DASHES = [[1, 0], [7, 3], [2, 2], [9, 3, 2, 3], [12, 4], [4, 2, 1, 2]], STROKES = ["solid", "dashed", "dotted"];
const data = JSON.parse($("data").textContent), names = data.stores.map((store) => store.name);
const colours = () => names.map((_, at) => { const all = COLOURS[document.documentElement.dataset.theme ?? "light"]; return all[at % all.length]; });
let order = [], shown = 0;

function rowsOf(element, head, rows) {
  element.querySelectorAll("thead, tbody").forEach((part) => part.remove());
  element.append(make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell))))));
  return element;
}

function drawStores() {
  $("kicker").textContent = `${names.length} stores, ${count(data.classes.length)} ${data.classes.length === 1 ? "class" : "classes"} in common`;
  $("title").textContent = data.finding;
  const swatch = (at) => make("span", { class: "swatch", style: `border-top-color:${colours()[at]};border-top-style:${STROKES[at % STROKES.length]}` });
  rowsOf($("stores"), ["store", "network", "encoding", "runs", "generations", "images", "median", "at 90 %"], data.stores.map((store, at) =>
    [make("span", { title: store.path }, swatch(at), store.name), store.network, store.encoding, count(store.runs), `${count(store.generation)} of ${count(store.generations)}`,
      count(store.evaluations), percent(store.median), `${count(store.at_90)} of ${count(store.cells)}`]));
}

const styled = () => ({ color: { field: "store", type: "nominal", title: null, sort: names, scale: { domain: names, range: colours() }, legend: { orient: "top", symbolOpacity: 1, symbolType: "stroke", symbolStrokeWidth: 3 } },
  strokeDash: { field: "store", type: "nominal", sort: names, scale: { domain: names, range: names.map((_, at) => DASHES[at % DASHES.length]) } } });

function learningSpec() {
  const rows = data.curves.flatMap((curve, at) => curve.images.map((images, place) => {
    const [lower, median, upper] = [curve.lower[place], curve.median[place], curve.upper[place]];
    return { store: names[at], images, lower, median, upper, low: placed(lower), middle: placed(median), high: placed(upper) };
  }));
  const y = { ...confidenceAxis(rows.flatMap((row) => [row.lower, row.upper])), title: "confidence" };
  const x = { field: "images", type: "quantitative", title: "images scored", axis: { format: "~s" } };
  const { color, strokeDash } = styled();
  return { data: { values: rows }, height: 320, layer: [
    { mark: { type: "area", opacity: 0.12 }, encoding: { x, color, y: { ...y, field: "low" }, y2: { field: "high" } } },
    { mark: { type: "line", strokeWidth: 2.25 }, encoding: { x, color, strokeDash, y: { ...y, field: "middle" }, tooltip: told("store", "images:,", "median:percent", "lower:percent", "upper:percent") } }] };
}

function scatterSpec(across, up) {
  const both = [...data.confidence[across], ...data.confidence[up]], axis = confidenceAxis(both), [first, last] = axis.scale.domain;
  const values = data.classes.map((name, at) => { const [x, y] = [data.confidence[across][at], data.confidence[up][at]]; return { name, across: x, up: y, x: placed(x), y: placed(y) }; });
  return { height: 420, layer: [
    { data: { values: [{ x: first, y: first }, { x: last, y: last }] }, mark: { type: "line", color: colour("soft"), strokeDash: [4, 4], opacity: 0.7 },
      encoding: { x: { ...axis, field: "x" }, y: { ...axis, field: "y" } } },
    { data: { values }, mark: { type: "circle", color: colour("accent"), opacity: 0.6, size: values.length > 100 ? 22 : 70 },
      encoding: { x: { ...axis, field: "x", title: names[across] }, y: { ...axis, field: "y", title: names[up] },
        tooltip: [{ field: "name", type: "nominal", title: "class" }, { field: "across", type: "quantitative", title: names[across], formatType: "percent" }, { field: "up", type: "quantitative", title: names[up], formatType: "percent" }] } }] };
}

function drawCharts() {
  drawChart("chart-learning", learningSpec());
  const across = +$("across").value, up = +$("up").value;
  const ahead = data.classes.filter((_, at) => data.confidence[up][at] > data.confidence[across][at]).length;
  $("scatter-caption").textContent = `A point is a class: ${count(ahead)} above the line, where ${names[up]} is surer than ${names[across]}`;
  if (data.classes.length) drawChart("chart-scatter", scatterSpec(across, up));
}

// How far a class is apart in log-odds: from the surest store to the least sure, or from one to the best of the others.
function lead(at, store) {
  const places = data.confidence.map((row) => logOdds(row[at]));
  if (store === null) return Math.max(...places) - Math.min(...places);
  return places[store] - Math.max(...places.filter((_, other) => other !== store));
}

function arrange() {
  const text = $("search").value.trim().toLowerCase(), by = $("sort").value;
  order = data.classes.map((_, at) => at).filter((at) => data.classes[at].toLowerCase().includes(text));
  if (by === "name") order.sort((a, b) => data.classes[a].localeCompare(data.classes[b]));
  else { const store = by === "apart" ? null : +by, leads = data.classes.map((_, at) => lead(at, store)); order.sort((a, b) => leads[b] - leads[a] || a - b); }
  $("count").textContent = `${count(order.length)} of ${count(data.classes.length)} classes`;
  $("rivals").replaceChildren();
  shown = 0;
  showMore();
}

function showMore() {
  const next = Math.min(order.length, Math.max(FIRST, 2 * shown));
  $("rivals").append(...order.slice(shown, next).map(rivals));
  shown = next;
  $("more").hidden = shown >= order.length;
}

function rivals(at) {
  const best = Math.max(...data.confidence.map((row) => row[at])), size = data.image_size < 100 ? "pixels" : "";
  return make("li", {}, make("h3", { title: data.classes[at] }, data.classes[at]), make("div", { class: "row" }, ...names.map((name, store) => {
    const value = data.confidence[store][at], source = data.pictures[store][at];
    return make("figure", {}, source ? make("img", { src: source, alt: `evolved in ${name} for ${data.classes[at]}`, loading: "lazy", decoding: "async", class: size, width: 120, height: 120 }) : make("span", { class: "blank" }),
      make("figcaption", { title: name }, make("span", { class: value === best ? "ahead" : "" }, source ? percent(value) : "no elite"), make("br"), name));
  })));
}

function drawDifferences() {
  if (!data.differences.length) { $("differences").replaceChildren(make("p", { class: "prose" }, "Nothing: beside the folder and where the work is done, all settings are the same.")); return; }
  const table = rowsOf(make("table", { id: "settings" }), ["key", ...names], data.differences.map((each) => [make("code", {}, each.key), ...each.values]));
  $("differences").replaceChildren(make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Settings that differ" }, table));
}

function setTheme(name) { document.documentElement.dataset.theme = name; drawStores(); drawCharts(); }

function begin() {
  const shared = data.classes.length > 0;
  for (const id of ["pair", "scatter", "pictures"]) $(id).hidden = !shared;
  $("none-shared").hidden = shared;
  $("rivals").style.setProperty("--stores", names.length);
  for (const id of ["across", "up"]) $(id).replaceChildren(...names.map((name, at) => make("option", { value: at }, name)));
  $("up").value = 1;
  $("pair").hidden ||= names.length < 3;
  $("sort").replaceChildren(make("option", { value: "apart" }, "difference, large first"), ...names.map((name, at) => make("option", { value: at }, `${name} ahead of all others`)), make("option", { value: "name" }, "name"));
  for (const id of ["across", "up"]) $(id).addEventListener("input", drawCharts);
  for (const id of ["search", "sort"]) $(id).addEventListener("input", arrange);
  $("more").addEventListener("click", () => { const first = shown; showMore(); $("rivals").children[first]?.scrollIntoView({ block: "nearest" }); });
  $("linear").addEventListener("input", () => { linear = $("linear").checked; drawCharts(); });
  $("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
  setTheme(dark.matches ? "dark" : "light");
  arrange(); drawDifferences();
}

begin();
