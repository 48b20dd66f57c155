// Charts by Vega-Lite in the colours of the page; expressions are interpreted, so that no code is made of text.
"use strict";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function chartConfig() {
  const soft = colour("soft"), line = colour("line");
  return {
    background: colour("raised"), customFormatTypes: true, view: { stroke: null }, font: "system-ui, sans-serif",
    axis: { labelColor: soft, titleColor: soft, gridColor: line, domainColor: line, tickColor: line,
            titleFontWeight: "normal", labelFontSize: 11, titleFontSize: 12 },
    legend: { labelColor: soft, titleColor: soft, titleFontWeight: "normal" },
    range: { category: [colour("accent"), colour("warm"), "#7a6fb0", "#b08d2e", "#5a8f4e", "#b0587f"] },
  };
}

// After the first frame, one after the other: the page is there before its charts, and answers meanwhile.
let turn = new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)));

function drawChart(id, spec) {
  const drawn = turn.then(() => new Promise((resolve) => setTimeout(resolve))).then(() => drawNow(id, spec));
  turn = drawn.catch(() => {});
  return drawn;
}

async function drawNow(id, spec) {
  const place = document.getElementById(id);
  const drawn = await vegaEmbed(place, { $schema: "https://vega.github.io/schema/vega-lite/v6.json", width: "container",
    description: place.closest("figure").querySelector("figcaption").textContent, autosize: { type: "fit", contains: "padding" }, config: chartConfig(), ...spec },
    { actions: false, renderer: "svg", ast: true, tooltip: { theme: "custom" } });
  saveChart(place, drawn.view);
  return drawn;
}

const share = { type: "quantitative", scale: { domain: [0, 1] }, axis: { formatType: "level" } };

// Confidences are drawn by their log-odds: 99 % is as far from 99.9 % as 90 % from 99 %, about.
const LEVELS = [1e-7, 1e-6, 1e-5, 1e-4, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999, 0.999999, 0.9999999];
const NEAREST = 6e-8; // float32 has no more below 1
const logOdds = (value) => { const inside = Math.min(1 - NEAREST, Math.max(NEAREST, value)); return Math.log(inside / (1 - inside)); };
const fromLogOdds = (value) => 1 / (1 + Math.exp(-value));
let linear = false;
const placed = (value) => (linear ? value : logOdds(value));

// Axes have places as values, labels and tooltips are told of the confidence there.
vega.expressionFunction("level", (value) => level(value));
vega.expressionFunction("percent", (value) => percent(value));
vega.expressionFunction("confidence", (value) => level(linear ? value : LEVELS.find((each) => Math.abs(logOdds(each) - value) < 1e-6) ?? fromLogOdds(value)));

// The axis on which `values` are placed: from level to level, or from 0 to 1.
function confidenceAxis(values) {
  if (linear) return { type: "quantitative", scale: { domain: [0, 1] }, axis: { formatType: "confidence" } };
  const [lowest, highest] = values.length ? [Math.min(...values), Math.max(...values)] : [0.1, 0.9];
  const first = Math.max(0, LEVELS.findLastIndex((each) => each <= lowest));
  const last = LEVELS.findIndex((each) => each >= highest);
  const levels = LEVELS.slice(first, (last < 0 ? LEVELS.length - 1 : Math.max(last, first + 1)) + 1);
  const ends = [Math.min(logOdds(levels[0]), logOdds(lowest)), Math.max(logOdds(levels.at(-1)), logOdds(highest))];
  return { type: "quantitative", scale: { domain: ends, nice: false, zero: false },
    axis: { values: levels.map(logOdds), formatType: "confidence", labelOverlap: "greedy", labelSeparation: 8 } };
}

// told("run", "median:percent") -> fields of a tooltip, numbers with their format.
const told = (...fields) => fields.map((text) => {
  const [field, format] = text.split(":");
  if (!format) return { field, type: "nominal" };
  return { field, type: "quantitative", ...(format === "percent" ? { formatType: format } : { format }) };
});

// The place of a class's elite of a run among all elites; -1 where it has none.
const eliteAt = (data, run, number) => data.elites.class.findIndex((each, at) => each === number && data.elites.run[at] === run);

// (data, class or null) -> median and quartiles of every run; the class in a colour of its own, with its name.
function curvesSpec(data, one) {
  const rows = data.curves.quartiles.flatMap((run, number) => data.curves.generations.map((generation, at) => ({
    run: `run ${number}`, generation, lower: run[0][at], median: run[1][at], upper: run[2][at],
    low: placed(run[0][at]), middle: placed(run[1][at]), high: placed(run[2][at]) })));
  const chosen = one === null ? [] : data.curves.classes.flatMap((run, number) => data.curves.class_generations.map((generation, at) => {
    const confidence = fromLogOdds(run[one][at] / 100);
    return { at: eliteAt(data, number, one), run: `run ${number}`, generation, confidence, place: placed(confidence), name: data.classes[one], last: at === data.curves.class_generations.length - 1 };
  }));
  const y = { ...confidenceAxis([...rows.flatMap((row) => [row.lower, row.upper]), ...chosen.map((row) => row.confidence)]), title: "confidence" };
  const x = { field: "generation", type: "quantitative", title: "generation", axis: { tickMinStep: 1 } };
  const color = { field: "run", type: "nominal", title: null, legend: data.runs > 1 ? { orient: "top", symbolOpacity: 1 } : null };
  const layer = [
    { mark: { type: "area", opacity: 0.16 }, encoding: { x, color, y: { ...y, field: "low" }, y2: { field: "high" } } },
    { mark: { type: "line", strokeWidth: 2 }, encoding: { x, color, y: { ...y, field: "middle" },
      tooltip: told("run", "generation", "median:percent", "lower:percent", "upper:percent") } },
  ];
  if (one !== null) layer.push(
    { data: { values: chosen }, mark: { type: "line", strokeWidth: 2, color: colour("chosen"), point: { size: 18, color: colour("chosen") }, cursor: "pointer" },
      encoding: { x, detail: { field: "run", type: "nominal" }, y: { ...y, field: "place" }, tooltip: told("name", "run", "generation", "confidence:percent") } },
    { data: { values: chosen.filter((row) => row.last && row.run === "run 0") }, mark: { type: "text", align: "right", dy: -9, fontWeight: 600, color: colour("chosen") },
      encoding: { x, y: { ...y, field: "place" }, text: { field: "name", type: "nominal" } } });
  return { data: { values: rows }, height: 260, layer };
}

// Coverage and QD score, a line each for every run.
function statisticsSpec(data) {
  const measures = { "normalized QD score": "normalized_qd_score", coverage: "coverage" };
  const values = data.statistics.runs.flatMap((run, number) => Object.entries(measures).flatMap(([measure, column]) =>
    data.statistics.evaluations.map((images, at) => ({ run: `run ${number}`, measure, images, share: run[column][at], score: run.qd_score[at] }))));
  return { data: { values }, height: 220, mark: { type: "line", strokeWidth: 2 },
    encoding: { x: { field: "images", type: "quantitative", title: "images scored", axis: { format: "~s" } }, y: { ...share, field: "share", title: null },
      color: { field: "run", type: "nominal", title: null, legend: data.runs > 1 ? { orient: "top" } : null },
      strokeDash: { field: "measure", type: "nominal", title: null, sort: Object.keys(measures), legend: { orient: "top" } },
      tooltip: told("run", "measure", "images:,", "share:percent", "score:,.3f") } };
}

const BINS = 40;

function histogramSpec(data) {
  const x = confidenceAxis(data.elites.confidence), [first, last] = x.scale.domain, width = (last - first) / BINS;
  const share = (place) => (linear ? place : fromLogOdds(place));
  const bins = Array.from({ length: BINS }, (_, at) => ({ from: first + at * width, to: first + (at + 1) * width, elites: 0 }));
  for (const confidence of data.elites.confidence) bins[Math.min(BINS - 1, Math.floor((placed(confidence) - first) / width))].elites += 1;
  // What lies beyond float32 is in the bins at the ends.
  const values = bins.map((bin, at) => ({ ...bin, least: at ? share(bin.from) : 0, most: at < BINS - 1 ? share(bin.to) : 1 }));
  return { data: { values }, height: 260, mark: { type: "bar", color: colour("accent"), binSpacing: 1, cursor: "pointer" },
    encoding: { x: { ...x, field: "from", bin: { binned: true, step: width }, title: "confidence" }, x2: { field: "to" },
      y: { field: "elites", type: "quantitative", title: "elites", axis: { tickMinStep: 1 } },
      tooltip: told("elites", "least:percent", "most:percent") } };
}

function classesSpec(data) {
  const values = data.elites.class.map((number, at) => ({ at, class: number, name: data.classes[number],
    run: `run ${data.elites.run[at]}`, confidence: data.elites.confidence[at], place: placed(data.elites.confidence[at]) }));
  const x = { field: "class", type: "quantitative", title: "class", scale: { domain: [0, data.classes.length - 1], nice: false },
    axis: { tickMinStep: 1 } };
  const layer = [{ data: { values }, mark: { type: "circle", cursor: "pointer", opacity: 0.65, size: data.classes.length > 100 ? 14 : 60 },
    encoding: { x, y: { ...confidenceAxis(data.elites.confidence), field: "place", title: "confidence" },
      color: { field: "run", type: "nominal", title: null, legend: data.runs > 1 ? { orient: "top", symbolOpacity: 1 } : null },
      tooltip: told("name", "class", "run", "confidence:percent") } }];
  if (data.band) layer.unshift({ data: { values: [{ from: data.band.first, to: data.band.last }] },
    mark: { type: "rect", color: colour("warm"), opacity: 0.12 },
    encoding: { x: { field: "from", type: "quantitative" }, x2: { field: "to" } } });
  return { height: 220, layer };
}

// Gives a chart's figure its button, once.
function saveChart(place, view) {
  const figure = place.closest("figure"), name = place.id.replace("chart-", "");
  figure.querySelector(".save")?.remove();
  const button = make("button", { type: "button", class: "quiet save", "aria-label": `Save as SVG: ${figure.querySelector("figcaption").textContent}` }, "SVG");
  button.addEventListener("click", async () => saveFile(`${fileStem()}-${name}.svg`, new Blob([await view.toSVG()], { type: "image/svg+xml" })));
  figure.prepend(button);
}
