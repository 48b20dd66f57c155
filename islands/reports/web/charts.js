// Charts by Vega-Lite in the colours of the page; expressions are interpreted, so that no code is made of text.
"use strict";

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();

function chartConfig() {
  const soft = colour("soft"), line = colour("line");
  return {
    background: null, view: { stroke: null }, font: "system-ui, sans-serif",
    axis: { labelColor: soft, titleColor: soft, gridColor: line, domainColor: line, tickColor: line,
            titleFontWeight: "normal", labelFontSize: 11, titleFontSize: 12 },
    legend: { labelColor: soft, titleColor: soft, titleFontWeight: "normal" },
    range: { category: [colour("accent"), colour("warm"), "#7a6fb0", "#b08d2e", "#5a8f4e", "#b0587f"] },
  };
}

async function drawChart(id, spec) {
  const place = document.getElementById(id);
  await vegaEmbed(place, { $schema: "https://vega.github.io/schema/vega-lite/v6.json", width: "container",
    description: place.closest("figure").querySelector("figcaption").textContent, autosize: { type: "fit", contains: "padding" }, config: chartConfig(), ...spec },
    { actions: false, renderer: "svg", ast: true, tooltip: { theme: "custom" } });
}

const share = { type: "quantitative", scale: { domain: [0, 1] }, axis: { format: ".0%" } };

// told("run", "median:.2%") -> fields of a tooltip, numbers with their format.
const told = (...fields) => fields.map((text) => { const [field, format] = text.split(":"); return format ? { field, format, type: "quantitative" } : { field, type: "nominal" }; });

// (data, class or null) -> median and quartiles of every run; the class as dots.
function curvesSpec(data, one) {
  const rows = data.curves.quartiles.flatMap((run, number) => data.curves.generations.map((generation, at) => ({
    run: `run ${number}`, generation, lower: run[0][at], median: run[1][at], upper: run[2][at] })));
  const highest = Math.max(...rows.map((row) => row.upper));
  const y = highest < 0.4 && one === null ? { ...share, scale: { domainMin: 0, nice: true } } : share;
  const x = { field: "generation", type: "quantitative", title: "generation", axis: { tickMinStep: 1 } };
  const color = { field: "run", type: "nominal", title: null, legend: data.runs > 1 ? { orient: "top", symbolOpacity: 1 } : null };
  const layer = [
    { mark: { type: "area", opacity: 0.16 }, encoding: { x, color, y: { ...y, field: "lower", title: "confidence" }, y2: { field: "upper" } } },
    { mark: { type: "line", strokeWidth: 2 }, encoding: { x, color, y: { ...y, field: "median" },
      tooltip: told("run", "generation", "median:.2%", "lower:.2%", "upper:.2%") } },
  ];
  if (one !== null) {
    const values = data.curves.classes.flatMap((run, number) => data.curves.class_generations.map((generation, at) => ({
      run: `run ${number}`, generation, confidence: run[one][at] / 1000 })));
    layer.push({ data: { values }, mark: { type: "line", strokeDash: [4, 3], point: { size: 18 } },
      encoding: { x, color, y: { ...y, field: "confidence" },
        tooltip: told("run", "generation", "confidence:.1%") } });
  }
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
      tooltip: told("run", "measure", "images:,", "share:.2%", "score:,.3f") } };
}

function histogramSpec(data) {
  const bins = Array.from({ length: 40 }, (_, at) => ({ from: at / 40, to: (at + 1) / 40, elites: 0 }));
  for (const confidence of data.elites.confidence) bins[Math.min(39, Math.floor(confidence * 40))].elites += 1;
  return { data: { values: bins }, height: 260, mark: { type: "bar", color: colour("accent"), binSpacing: 1 },
    encoding: { x: { ...share, field: "from", bin: { binned: true, step: 1 / 40 }, title: "confidence" }, x2: { field: "to" },
      y: { field: "elites", type: "quantitative", title: "elites" },
      tooltip: told("elites", "from:.1%", "to:.1%") } };
}

function classesSpec(data) {
  const values = data.elites.class.map((number, at) => ({ class: number, name: data.classes[number],
    run: `run ${data.elites.run[at]}`, confidence: data.elites.confidence[at] }));
  const x = { field: "class", type: "quantitative", title: "class", scale: { domain: [0, data.classes.length - 1], nice: false },
    axis: { tickMinStep: 1 } };
  const layer = [{ data: { values }, mark: { type: "circle", opacity: 0.65, size: data.classes.length > 100 ? 14 : 60 },
    encoding: { x, y: { ...share, field: "confidence", title: "confidence" },
      color: { field: "run", type: "nominal", title: null, legend: data.runs > 1 ? { orient: "top", symbolOpacity: 1 } : null },
      tooltip: told("name", "class", "run", "confidence:.3%") } }];
  if (data.band) layer.unshift({ data: { values: [{ from: data.band.first, to: data.band.last }] },
    mark: { type: "rect", color: colour("warm"), opacity: 0.12 },
    encoding: { x: { field: "from", type: "quantitative" }, x2: { field: "to" } } });
  return { height: 220, layer };
}
