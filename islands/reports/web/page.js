// Draws the page from its data: those inside it, or those of the server that it comes from, asked again and again.
"use strict";

const FIRST = 120, BEST = 8;
const POLL_MS = 2000;
const $ = (id) => document.getElementById(id), fileStem = () => data.store;
let data = null, order = [], shown = 0, current = -1, opened = -1, opener = null, between = null;

function drawAll() {
  $("main").hidden = false;
  drawOverview(); fillFilters(); filter(); drawCharts(); drawThresholds(); drawStatistics(); drawTakeovers(data); drawTransfer(); drawExchange(data); drawProvenance();
  if ($("wall").open) renewWall(data);
  document.querySelectorAll("nav, .scroll").forEach(cue);
}

function drawOverview() {
  const summary = data.summary, cells = data.classes.length * data.runs;
  document.title = `${data.finding} · ${data.network}`;
  $("kicker").textContent = `${data.store} · ${data.complete ? "complete" : "not complete"} at generation ${count(data.generation)} of ${count(data.generations)}`;
  $("title").textContent = data.finding;
  $("lead").replaceChildren(make("b", {}, count(summary.cells)), ` images (${count(summary.genomes)} distinct) evolved against ${data.network}${data.runs > 1 ? ` in ${data.runs} runs` : ""}: half of them reach `,
    make("b", {}, percent(summary.median)), " or more, where random images began at ", make("b", {}, percent(summary.median_at_start)), ".");
  $("best").replaceChildren(...bestOf().map(thumbnail));
  const at = (name) => data.thresholds.reduce((sum, run) => sum + run[name], 0);
  const tiles = [["median confidence", percent(summary.median)], [`of ${count(cells)} at ${level(0.99)} or more`, count(at("cells_99"))],
    ["images scored", count(summary.evaluations)], ["of takeovers came from another class (goal switches)", percent(summary.goal_switches)]];
  $("tiles").replaceChildren(...tiles.map(([term, value]) => make("div", {}, make("dt", {}, term), make("dd", {}, value))));
}

// The elites of highest confidence, no genome twice.
function bestOf() {
  const elites = data.elites, seen = new Set();
  return elites.class.map((_, at) => at).sort((a, b) => elites.confidence[b] - elites.confidence[a])
    .filter((at) => !seen.has(elites.genome[at]) && seen.add(elites.genome[at])).slice(0, BEST);
}

function thumbnail(at) {
  const elites = data.elites, name = data.classes[elites.class[at]];
  const button = make("button", { type: "button", "aria-label": `${name}, ${percent(elites.confidence[at])}` },
    make("img", { src: data.pictures[elites.genome[at]], alt: "", class: crisp(data), width: 132, height: 132 }),
    make("span", { class: "name", title: name }, name), make("span", { class: "value" }, percent(elites.confidence[at])));
  button.addEventListener("click", () => { opener = button; open(at); });
  return make("li", {}, button);
}

function fillFilters() {
  const options = (select, rows) => { const kept = select.value; select.replaceChildren(...rows.map(([value, text]) => make("option", { value }, text))); if (rows.some(([value]) => value === kept)) select.value = kept; };
  options($("run"), [["", "all"], ...Array.from({ length: data.runs }, (_, run) => [String(run), String(run)])]);
  $("run-filter").hidden = data.runs < 2;
  const networks = data.held_out.length;
  options($("agreement"), [["", "any or none"], ...Array.from({ length: networks }, (_, at) => [String(at + 1), `${at + 1} or more held-out networks`]), ["0", "no held-out network"]]);
  $("agreement-filter").hidden = !networks;
  $("class-names").replaceChildren(...data.classes.map((name) => make("option", { value: name })));
}

// Where the slider of confidences may stand.
const STOPS = [0, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995, 0.9998, 0.9999, 0.99999, 0.999999];
const PERCENTS = Array.from({ length: 101 }, (_, each) => each / 100);
const stops = () => (linear ? PERCENTS : STOPS);

// Places the slider at the last stop that is not above a confidence.
function placeSlider(least) {
  $("least").max = stops().length - 1;
  $("least").value = stops().findLastIndex((each) => each <= least + 1e-9);
}

// How many held-out networks see the target first; null where none was asked.
function agreement(at) {
  const asked = data.held_out.filter((each) => each.scores[at]);
  return asked.length ? asked.filter((each) => each.scores[at][2] === data.elites.class[at]).length : null;
}

// 2: the name, or one of those that commas part; 1: it begins so; 0: it is somewhere in it.
function exactness(name, text) {
  if (name.split(", ").includes(text)) return 2;
  return name.startsWith(text) ? 1 : 0;
}

// Whether a confidence is in the bar of the histogram that was chosen; the last one has its end.
const isBetween = (confidence) => !between || (confidence >= between[0] && (confidence < between[1] || between[1] === 1));

function filter() {
  const elites = data.elites, text = $("search").value.trim().toLowerCase(), run = $("run").value, wanted = $("agreement").value;
  const least = stops()[$("least").value];
  $("least-shown").textContent = level(least);
  $("least").setAttribute("aria-valuetext", level(least));
  const names = data.classes.map((name) => name.toLowerCase());
  const agrees = (at) => { if (!wanted) return true; const found = agreement(at); return found !== null && (wanted === "0" ? found === 0 : found >= +wanted); };
  order = elites.class.map((_, at) => at).filter((at) => elites.confidence[at] >= least && isBetween(elites.confidence[at]) && (!run || elites.run[at] === +run)
    && (!text || (/^\d+$/.test(text) ? elites.class[at] === +text : names[elites.class[at]].includes(text))) && agrees(at));
  const keys = { confidence: (a, b) => elites.confidence[b] - elites.confidence[a], "-confidence": (a, b) => elites.confidence[a] - elites.confidence[b],
    class: (a, b) => elites.class[a] - elites.class[b], name: (a, b) => data.classes[elites.class[a]].localeCompare(data.classes[elites.class[b]]),
    generation: (a, b) => elites.generation[b] - elites.generation[a] };
  order.sort((a, b) => keys[$("sort").value](a, b) || elites.class[a] - elites.class[b] || elites.run[a] - elites.run[b]);
  const exact = (at) => exactness(names[elites.class[at]], text);
  if (text) order.sort((a, b) => exact(b) - exact(a));
  $("between").hidden = !between;
  if (between) $("between").textContent = `Only ${percent(between[0])} to ${percent(between[1])} \u2715`;
  $("count").textContent = `${count(order.length)} of ${count(elites.class.length)} images`;
  $("wall-open").disabled = !order.length;
  $("cards").replaceChildren();
  shown = 0;
  showMore();
  remember();
}

function showMore() {
  const next = Math.min(order.length, Math.max(FIRST, 2 * shown));
  $("cards").append(...order.slice(shown, next).map(card));
  shown = next;
  $("more").hidden = shown >= order.length;
}

function card(at) {
  const elites = data.elites, name = data.classes[elites.class[at]];
  const button = make("button", { type: "button", class: "card", "aria-label": `${name}, ${percent(elites.confidence[at])}${data.runs > 1 ? `, run ${elites.run[at]}` : ""}` },
    make("img", { src: data.pictures[elites.genome[at]], alt: "", loading: "lazy", decoding: "async", class: crisp(data), width: 132, height: 132 }),
    make("span", { class: "name", title: name }, name),
    make("span", { class: "value" }, islandMark(data, at), `${percent(elites.confidence[at])}${data.runs > 1 ? ` · run ${elites.run[at]}` : ""}`), meter(elites.confidence[at]));
  button.addEventListener("click", () => { opener = button; open(at); });
  return make("li", {}, button);
}

function open(at) {
  current = order.indexOf(at);
  opened = at;
  $("elite-body").replaceChildren(...eliteView(data, at));
  $("previous").disabled = current <= 0;
  $("next").disabled = current < 0 || current >= order.length - 1;
  if (!$("elite").open) $("elite").showModal();
  $("elite").scrollTop = 0;
  document.querySelectorAll("#elite .scroll").forEach(cue);
  tellLineage(data, at);
  remember();
}

function step(by) { if (current >= 0 && order[current + by] !== undefined) open(order[current + by]); }

function chosenClass() {
  const text = $("one-class").value.trim().toLowerCase();
  if (!text) return null;
  const found = /^\d+$/.test(text) ? +text : data.classes.findIndex((name) => name.toLowerCase() === text);
  return found >= 0 && found < data.classes.length ? found : null;
}

// A point opens its elite.
const drawOpening = async (id, spec) => (await drawChart(id, spec)).view.addEventListener("click", (_, item) => { if (item?.datum?.at >= 0) open(item.datum.at); });

const drawCurves = () => drawOpening("chart-curves", curvesSpec(data, chosenClass()));

// A bar leaves its images in the gallery alone.
async function drawHistogram() {
  const { view } = await drawChart("chart-histogram", histogramSpec(data));
  view.addEventListener("click", (_, item) => { if (item?.datum?.elites) showBetween([item.datum.least, item.datum.most]); });
}

function showBetween(ends) {
  between = ends;
  filter();
  if (ends) $("gallery").scrollIntoView();
}

function drawCharts() {
  drawCurves();
  drawHistogram();
  drawChart("chart-statistics", statisticsSpec(data));
  drawOpening("chart-classes", classesSpec(data));
  $("band").hidden = !data.band;
  if (data.band) $("band").replaceChildren("Dogs and cats, classes ", `${data.band.first} to ${data.band.last}, are hard to fool: their median is `, make("b", {}, percent(data.band.inside)), ", that of all others ", make("b", {}, percent(data.band.outside)), ".");
}

function table(element, head, rows) {
  element.querySelectorAll("thead, tbody").forEach((part) => part.remove());
  element.append(make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))), make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell) => (cell instanceof Node ? cell : make("td", {}, String(cell))))))));
  return element;
}

function drawThresholds() {
  table($("thresholds"), ["run", "median", ...[0.5, 0.9, 0.99, 0.9999].map(level), "images scored"], data.thresholds.map((run) =>
    [run.run, percent(run.median), count(run.cells_50), count(run.cells_90), count(run.cells_99), count(run.cells_9999), count(run.evaluations)]));
}

function drawStatistics() {
  const known = (value) => (value === null ? "–" : percent(value)), cells = data.classes.length;
  table($("statistics"), ["run", "coverage", "QD score", "normalized", "best", "mean of filled cells"], data.statistics.ends.map((run, number) =>
    [number, percent(run.coverage), `${run.qd_score.toFixed(3)} of ${count(cells)}`, percent(run.normalized_qd_score), known(run.best), known(run.mean)]));
}

const shaded = (value) => make("td", { class: "shade", style: `--share:${value}` }, percent(value));

function drawTransfer() {
  if (!data.held_out.length) {
    $("transfer-body").replaceChildren(make("p", { class: "prose" }, "No other network has been asked yet. ", make("code", {}, `islands score ${data.store} --network NAME`), " asks one."));
    return;
  }
  const target = data.elites.class, median = (values) => { values.sort((a, b) => a - b); return (values[(values.length - 1) >> 1] + values[values.length >> 1]) / 2; };
  const asked = data.held_out.map(({ network, scores }) => ({ network, scores, rows: scores.flatMap((score, at) => (score ? [at] : [])) })).filter((each) => each.rows.length);
  const part = (each, holds) => each.rows.filter((at) => holds(each.scores[at], at)).length / each.rows.length;
  const first = table(make("table", {}, make("caption", {}, `What held-out networks make of images that fool ${data.network}`)),
    ["network", "images", "same class first", "in its top 5", "median of target"], asked.map((each) => [each.network, count(each.rows.length),
      shaded(part(each, (score, at) => score[2] === target[at])), shaded(part(each, (score) => score[1] <= 5)), percent(median(each.rows.map((at) => each.scores[at][0])))]));
  const both = (one, other) => { const rows = one.rows.filter((at) => other.scores[at]); return rows.length ? rows.filter((at) => one.scores[at][2] >= 0 && one.scores[at][2] === other.scores[at][2]).length / rows.length : 0; };
  const second = table(make("table", {}, make("caption", {}, "How often two networks see the same class first")), ["", ...asked.map((each) => each.network)],
    asked.map((one) => [one.network, ...asked.map((other) => shaded(both(one, other)))]));
  $("transfer-body").replaceChildren(...[first, ...(asked.length > 1 ? [second] : [])].map((each) => make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": each.caption.textContent, style: "margin-bottom:2rem" }, each)));
}

function drawProvenance() {
  const origin = data.provenance, lines = (value, indent) => Object.entries(value).flatMap(([key, each]) => (each !== null && typeof each === "object" && !Array.isArray(each)
    ? [`${indent}${key}:`, ...lines(each, `${indent}  `)] : [`${indent}${key}: ${JSON.stringify(each)}`]));
  $("provenance-body").replaceChildren(
    make("div", {}, pairs([["started", origin.created], ["checkpoint", origin.checkpoint], ["seed", String(origin.seed)], ["network", origin.fingerprint], ["code", origin.git_commit ?? "not from a checkout"],
      ...origin.conditions.map(({ epoch, ...each }) => [`from epoch ${epoch}`, Object.entries(each).map(([name, value]) => `${name} ${value}`).join(", ")]),
      ...Object.entries(origin.versions).map(([name, version]) => [name, version ?? "not installed"])]),
      make("p", { class: "note" }, "The same seed and configuration give the same images, bit for bit, on the same kind of hardware.")),
    make("pre", { tabindex: "0", "aria-label": "Configuration" }, lines(data.config, "").join("\n")));
}

function setTheme(name) {
  document.documentElement.dataset.theme = name;
  if (data) { drawCharts(); drawTakeoverCharts(data); drawMail(data); }
}

function listen() {
  for (const id of ["search", "run", "least", "agreement", "sort"]) $(id).addEventListener("input", filter);
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("more").addEventListener("click", () => { const first = shown; showMore(); $("cards").children[first]?.firstChild.focus({ preventScroll: true }); });
  $("one-class").addEventListener("input", () => { drawCurves(); remember(); });
  $("between").addEventListener("click", () => { showBetween(null); $("search").focus(); });
  $("csv").addEventListener("click", () => saveFile(`${data.store}-images.csv`, new Blob([csvOf(data, order)], { type: "text/csv" })));
  listenAddress();
  placeSlider(0);
  $("linear").addEventListener("input", () => { const least = stops()[$("least").value]; linear = $("linear").checked; placeSlider(least); filter(); drawCharts(); });
  $("theme").addEventListener("click", () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
  $("previous").addEventListener("click", () => step(-1));
  $("next").addEventListener("click", () => step(1));
  $("close").addEventListener("click", () => $("elite").close());
  $("elite").addEventListener("keydown", (event) => { if (event.target.matches("input, .strip, .strip *, .scroll")) return; if (event.key === "ArrowLeft") step(-1); if (event.key === "ArrowRight") step(1); });
  $("elite").addEventListener("click", (event) => { if (event.target === $("elite")) $("elite").close(); });
  $("elite").addEventListener("close", () => { opener?.focus(); remember(); });
  listenCloser(() => data);
  listenWall(() => data);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", () => setTheme(dark.matches ? "dark" : "light"));
  setTheme(dark.matches ? "dark" : "light");
}

// What the address asks for, once there is something to show.
function begin() {
  if (location.hash.length < 2) return;
  showAddress();
  if (address.view.section) scrollToSection(address.view.section);
}

// The server says which checkpoint is the latest; the data of a new one replace those on the page.
async function follow() {
  const ask = async (name) => { const answer = await fetch(`${name}${location.search}`); if (!answer.ok) throw new Error(answer.statusText); return answer.json(); };
  for (let seen = null; ; await new Promise((resolve) => setTimeout(resolve, POLL_MS))) {
    try {
      const state = await ask("state.json");
      $("live").classList.remove("lost");
      $("live").textContent = state.text;
      $("pace").hidden = !state.pace;
      $("pace").textContent = state.pace;
      $("workers").hidden = !state.health;
      $("health").textContent = state.health;
      table($("workers-table"), ["worker", "islands", "rate", "lost", "last epoch"], state.workers);
      if (state.checkpoint !== null && state.checkpoint !== seen) {
        const first = data === null;
        data = await ask("data.json");
        seen = state.checkpoint;
        drawAll();
        if (first) begin();
      }
    } catch {
      $("live").classList.add("lost");
      $("live").textContent = "the server does not answer";
    }
  }
}

data = JSON.parse($("data").textContent);
listen();
if (data) { drawAll(); begin(); }
else { $("live").hidden = false; follow(); }
