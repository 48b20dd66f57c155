// The lineage of an elite: all its ancestors drawn, played and scrubbed, with their log-odds and the classes that they had.
"use strict";

const FRAME_MS = 350;

// 112 pixels of a close screen; small images as they were scored, for between their pixels they are other images.
const ancestorSide = (data) => (crisp(data) ? data.image_size : 224);

const lineage = { number: 0, steps: [], canvases: [], drawn: [], at: 0, playing: false, chart: null };

// The ancestors of an elite and itself, the oldest first; `was` is the class before where it changed, else null.
function lineageOf(data, at) {
  const { chains, generations, pictures, networks } = data.lineages, chain = chains[at], elites = data.elites, steps = [];
  const there = (place) => (networks ? networks.sizes[2 * place] > 0 : pictures[place] !== null);
  for (let each = 0; each < chain.length; each += 3) {
    steps.push({ generation: generations[chain[each]], class: chain[each + 1], confidence: fromLogOdds(chain[each + 2] / 100), place: chain[each], there: there(chain[each]) });
  }
  steps.push({ generation: elites.generation[at], class: elites.class[at], confidence: elites.confidence[at], place: null, there: true });
  return steps.map((step, number) => ({ ...step, was: number && steps[number - 1].class !== step.class ? steps[number - 1].class : null }));
}

// "jellyfish → hammerhead → 3 others → coil"
function wayOf(data, steps) {
  const names = steps.filter((step, number) => !number || step.was !== null).map((step) => data.classes[step.class]);
  return (names.length < 7 ? names : [...names.slice(0, 3), `${names.length - 5} others`, ...names.slice(-2)]).join(" \u2192 ");
}

function lineageView(data, at) {
  const steps = lineageOf(data, at), name = data.classes[data.elites.class[at]];
  if (steps.length < 2) return [make("h3", {}, "Lineage"), make("p", { class: "note" }, "A random image of generation 0: it has no ancestors.")];
  const changes = steps.filter((step) => step.was !== null).length, missing = steps.filter((step) => !step.there).length;
  const told = changes ? `; its class changed ${changes === 1 ? "once" : `${count(changes)} times`}: ${wayOf(data, steps)}` : `, ${name} all the way`;
  const strip = make("ol", { class: "strip", tabindex: "0", "aria-label": "Ancestors, the oldest first" }, ...steps.map((step, number) => {
    const button = make("button", { type: "button", "aria-label": `Step ${number}: generation ${count(step.generation)}, ${data.classes[step.class]}, ${percent(step.confidence)}` },
      make("canvas", { class: crisp(data), width: 1, height: 1 }), make("span", {}, `gen. ${count(step.generation)}`),
      make("span", { class: "name", title: data.classes[step.class] }, data.classes[step.class]), make("span", {}, percent(step.confidence)),
      step.was === null ? null : make("span", { class: "was", title: `before: ${data.classes[step.was]}` }, `was ${data.classes[step.was]}`));
    button.addEventListener("click", () => { lineage.playing = false; showStep(data, number); });
    return make("li", { class: step.was === null ? "" : "changed" }, button);
  }));
  const slider = make("input", { id: "lineage-step", type: "range", min: 0, max: steps.length - 1, value: steps.length - 1, "aria-label": "Step of the lineage" });
  slider.addEventListener("input", () => { lineage.playing = false; showStep(data, +slider.value); });
  const play = make("button", { id: "lineage-play", type: "button", class: "pill" }, "\u25b6 Play");
  play.addEventListener("click", () => (lineage.playing ? (lineage.playing = false) : playLineage(data)));
  return [make("h3", {}, "Lineage"),
    make("p", { class: "note" }, `${count(steps.length - 1)} step${steps.length > 2 ? "s" : ""} from a random image of generation ${count(steps[0].generation)}${told}.${missing ? ` ${count(missing)} of them are not in this page.` : ""}`),
    make("div", { class: "descent" },
      make("div", { class: "stage" }, make("canvas", { id: "lineage-frame", class: crisp(data), width: 1, height: 1, role: "img", "aria-labelledby": "lineage-told" }), make("p", { id: "lineage-told", class: "note" })),
      make("figure", {}, make("figcaption", {}, `Log-odds of ${name} along the line; where it held another class, of that (hollow)`), make("div", { id: "chart-lineage", class: "chart" }))),
    make("div", { class: "scrub" }, play, slider), strip];
}

function descentSpec(data, at, steps) {
  const target = data.elites.class[at], name = (number) => data.classes[number];
  const values = steps.map((step, number) => ({ step: number, generation: step.generation, class: name(step.class), confidence: step.confidence,
    own: step.class === target ? placed(step.confidence) : null, other: step.class === target ? null : placed(step.confidence) }));
  const x = { field: "step", type: "quantitative", title: "step", scale: { domain: [0, steps.length - 1], nice: false, padding: 8 }, axis: { tickMinStep: 1, format: "d", grid: false } };
  const y = { ...confidenceAxis(steps.map((step) => step.confidence)), title: null }, tooltip = told("class", "step", "generation", "confidence:percent");
  const changed = steps.flatMap((step, number) => (step.was === null ? [] : [{ step: number, was: `was ${name(step.was)}` }]));
  const point = { type: "point", size: 46, cursor: "pointer" };
  return { height: 200, data: { values }, layer: [
    { data: { values: changed }, mark: { type: "rule", color: colour("warm"), strokeDash: [3, 3] }, encoding: { x, tooltip: told("was", "step") } },
    { data: { values: changed }, mark: { type: "text", angle: 270, align: "right", baseline: "bottom", dx: -2, dy: -2, limit: 110, fontSize: 10, color: colour("warm") }, encoding: { x, y: { value: 0 }, text: { field: "was", type: "nominal" } } },
    { name: "now-layer", data: { name: "now", values: [{ step: steps.length - 1 }] }, mark: { type: "rule", strokeWidth: 2, color: colour("ink"), opacity: 0.5 }, encoding: { x } },
    { mark: { type: "line", strokeWidth: 2, color: colour("accent") }, encoding: { x, y: { ...y, field: "own" } } },
    { transform: [{ filter: "datum.own !== null" }], mark: { ...point, filled: true, opacity: 1, color: colour("accent") }, encoding: { x, y: { ...y, field: "own" }, tooltip } },
    { transform: [{ filter: "datum.other !== null" }], mark: { ...point, color: colour("soft") }, encoding: { x, y: { ...y, field: "other" }, tooltip } }] };
}

// Draws an ancestor, or the elite at `at`, onto its canvas; gives whether something is there.
async function drawStep(data, at, step, canvas, goesOn) {
  if (!step.there) return false;
  const genome = step.place === null ? await genomeAt(data, at) : (await networksOf(data.lineages))?.[step.place];
  if (!genome) {
    const picture = new Image();
    picture.src = step.place === null ? data.pictures[data.elites.genome[at]] : data.lineages.pictures[step.place];
    await picture.decode();
    [canvas.width, canvas.height] = [picture.naturalWidth, picture.naturalHeight];
    canvas.getContext("2d").drawImage(picture, 0, 0);
    return true;
  }
  const drawn = await paintWhole(data, genome, ancestorSide(data), goesOn);
  if (!drawn) return false;
  [canvas.width, canvas.height] = [drawn.width, drawn.height];
  canvas.getContext("2d").drawImage(drawn, 0, 0);
  return true;
}

// Draws what `lineageView` has placed, one ancestor after the other: the elite first, which is shown first.
function tellLineage(data, at) {
  const number = (lineage.number += 1), goesOn = () => number === lineage.number && $("elite").open;
  const steps = lineageOf(data, at), canvases = [...document.querySelectorAll("#elite .strip canvas")];
  Object.assign(lineage, { steps, canvases, playing: false, chart: null, at: steps.length - 1 });
  if (steps.length < 2) return;
  let before = Promise.resolve();
  const draw = (each) => (before = before.then(() => goesOn() && drawStep(data, at, steps[each], canvases[each], goesOn)));
  const last = draw(steps.length - 1);
  lineage.drawn = [...canvases.slice(0, -1).map((_, each) => draw(each)), last];
  drawChart("chart-lineage", descentSpec(data, at, steps)).then(({ view }) => {
    if (!goesOn()) return;
    lineage.chart = view;
    view.addEventListener("click", (_, item) => { if (item?.datum?.step !== undefined) { lineage.playing = false; showStep(data, item.datum.step); } });
  });
  document.querySelectorAll("#elite .strip").forEach(cue);
  showStep(data, steps.length - 1);
}

async function showStep(data, at) {
  const number = lineage.number, step = lineage.steps[at], canvas = lineage.canvases[at], strip = canvas.closest(".strip");
  $("lineage-step").value = at;
  $("lineage-step").setAttribute("aria-valuetext", `generation ${step.generation}, ${data.classes[step.class]}, ${percent(step.confidence)}`);
  strip.querySelector("[aria-current]")?.removeAttribute("aria-current");
  canvas.parentElement.setAttribute("aria-current", "step");
  // At first the strip begins where the lineage does.
  if (lineage.at !== at) strip.scrollLeft = canvas.closest("li").offsetLeft - strip.offsetLeft - strip.clientWidth / 2 + canvas.clientWidth / 2;
  lineage.at = at;
  $("lineage-told").textContent = `Step ${at}, generation ${count(step.generation)}: ${data.classes[step.class]}, ${percent(step.confidence)}${step.was === null ? "" : `; before, it was ${data.classes[step.was]}`}`;
  lineage.chart?.change("now", vega.changeset().remove(() => true).insert([{ step: at }])).runAsync();
  const there = await lineage.drawn[at];
  if (number !== lineage.number || at !== lineage.at) return;
  const frame = $("lineage-frame");
  [frame.width, frame.height] = [canvas.width, canvas.height];
  if (there) frame.getContext("2d").drawImage(canvas, 0, 0);
}

// From the oldest, or from where it stands, to the elite; a frame is waited for.
async function playLineage(data) {
  const number = lineage.number, goesOn = () => number === lineage.number && lineage.playing && $("elite").open;
  lineage.playing = true;
  $("lineage-play").textContent = "\u2016 Pause";
  for (let at = lineage.at < lineage.steps.length - 1 ? lineage.at : 0; at < lineage.steps.length && goesOn(); at += 1) {
    await showStep(data, at);
    await new Promise((resolve) => setTimeout(resolve, FRAME_MS));
  }
  if (number !== lineage.number) return;
  lineage.playing = false;
  $("lineage-play").textContent = "\u25b6 Play";
}
