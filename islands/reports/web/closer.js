// An elite on the whole screen: drawn anew at each zoom where a network draws it, in whole multiples of its pixels where it is pixels.
"use strict";

const DRAFT = 160;

const closer = { at: -1, view: null, drawing: 0, touches: new Map() };

function lookCloser(data, at) {
  closer.at = at;
  closer.view = { left: 0, top: 0, span: data.image_size };
  $("closer-title").textContent = data.classes[data.elites.class[at]];
  if (!$("closer").open) $("closer").showModal();
  drawCloser(data);
}

const genomeAt = async (data, at) => (await networksOf(data))?.[data.elites.genome[at]];

async function drawCloser(data) {
  const canvas = $("closer-canvas"), number = (closer.drawing += 1), goesOn = () => number === closer.drawing && $("closer").open;
  const side = Math.floor(Math.min($("closer-stage").clientWidth, $("closer-stage").clientHeight));
  canvas.style.width = canvas.style.height = `${side}px`;
  $("closer-zoom").textContent = `${+(data.image_size / closer.view.span).toPrecision(3)}\u00d7`;
  const genome = await genomeAt(data, closer.at);
  if (!goesOn()) return;
  if (!genome) { await drawPixels(data, canvas, side); canvas.dataset.drawn = String(number); return; }
  // A draft at once, then all pixels of the screen.
  const sizes = [Math.min(DRAFT, side), Math.round(side * Math.min(2, devicePixelRatio))];
  for (const size of sizes) {
    const image = new ImageData(size, size);
    if (!(await paint(data.networks, genome, data.image_size, { ...closer.view }, image, goesOn))) return;
    canvas.width = canvas.height = size;
    canvas.getContext("2d").putImageData(image, 0, 0);
  }
  canvas.dataset.drawn = String(number);
}

async function pictureOf(data, at) {
  const picture = new Image();
  picture.src = data.pictures[data.elites.genome[at]];
  await picture.decode();
  return picture;
}

// Each pixel of the image is a square of whole pixels of the screen.
async function drawPixels(data, canvas, side) {
  const picture = await pictureOf(data, closer.at), view = closer.view;
  const times = Math.max(1, Math.floor(side / view.span)), shown = Math.floor(side / times);
  canvas.width = canvas.height = side;
  const context = canvas.getContext("2d"), scale = picture.naturalWidth / data.image_size;
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, Math.round(view.left) * scale, Math.round(view.top) * scale, shown * scale, shown * scale, 0, 0, shown * times, shown * times);
}

// Changes the span of the view by a factor; what is at (x, y), shares of the view, stays where it is.
function zoomCloser(data, factor, x = 0.5, y = 0.5) {
  const view = closer.view, native = data.image_size;
  const span = Math.min(native, Math.max(native / 1024, view.span * factor));
  const within = (start) => Math.min(native - span, Math.max(0, start));
  closer.view = { left: within(view.left + x * (view.span - span)), top: within(view.top + y * (view.span - span)), span };
  drawCloser(data);
}

function moveCloser(data, x, y) {
  const view = closer.view, within = (start) => Math.min(data.image_size - view.span, Math.max(0, start));
  closer.view = { ...view, left: within(view.left - x * view.span), top: within(view.top - y * view.span) };
  drawCloser(data);
}

async function enlarged(data, at, size) {
  const picture = await pictureOf(data, at), side = Math.max(1, Math.floor(size / data.image_size)) * data.image_size;
  const canvas = make("canvas", { width: side, height: side }), context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(picture, 0, 0, side, side);
  return canvas;
}

// The whole image as a PNG of `size` pixels; of pixels, the largest whole multiple that is not larger.
async function pngOf(data, at, size, told) {
  const genome = await genomeAt(data, at), canvas = genome ? await paintWhole(data, genome, size, () => true, told) : await enlarged(data, at, size);
  return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
}

async function savePng(button, data, at, size) {
  const text = button.textContent;
  button.disabled = true;
  const blob = await pngOf(data, at, size, (done) => { button.textContent = `${Math.floor(100 * done)}\u00a0%`; });
  saveFile(`${data.store}-run-${data.elites.run[at]}-class-${data.elites.class[at]}-${size}.png`, blob);
  button.textContent = text;
  button.disabled = false;
}

// `asked()` gives the data of the page, which change while it is live.
function listenCloser(asked) {
  const stage = $("closer-stage"), canvas = $("closer-canvas");
  const share = (event) => { const box = canvas.getBoundingClientRect(); return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height]; };
  stage.addEventListener("wheel", (event) => { event.preventDefault(); zoomCloser(asked(), Math.exp(event.deltaY / 400), ...share(event)); }, { passive: false });
  stage.addEventListener("pointerdown", (event) => { stage.setPointerCapture(event.pointerId); closer.touches.set(event.pointerId, share(event)); });
  for (const end of ["pointerup", "pointercancel"]) stage.addEventListener(end, (event) => closer.touches.delete(event.pointerId));
  stage.addEventListener("pointermove", (event) => {
    const before = closer.touches.get(event.pointerId);
    if (!before) return;
    const now = share(event), other = [...closer.touches].find(([id]) => id !== event.pointerId)?.[1];
    closer.touches.set(event.pointerId, now);
    if (!other) { moveCloser(asked(), now[0] - before[0], now[1] - before[1]); return; }
    const apart = (point) => Math.hypot(point[0] - other[0], point[1] - other[1]);
    if (apart(now) > 0.01) zoomCloser(asked(), apart(before) / apart(now), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
  });
  const keys = { "+": () => zoomCloser(asked(), 0.5), "=": () => zoomCloser(asked(), 0.5), "-": () => zoomCloser(asked(), 2), 0: () => lookCloser(asked(), closer.at),
    ArrowLeft: () => moveCloser(asked(), 0.1, 0), ArrowRight: () => moveCloser(asked(), -0.1, 0), ArrowUp: () => moveCloser(asked(), 0, 0.1), ArrowDown: () => moveCloser(asked(), 0, -0.1) };
  $("closer").addEventListener("keydown", (event) => { if (keys[event.key]) { event.preventDefault(); event.stopPropagation(); keys[event.key](); } });
  $("closer-in").addEventListener("click", keys["+"]);
  $("closer-out").addEventListener("click", keys["-"]);
  $("closer-1024").addEventListener("click", (event) => savePng(event.currentTarget, asked(), closer.at, 1024));
  $("closer-4096").addEventListener("click", (event) => savePng(event.currentTarget, asked(), closer.at, 4096));
  // Where a browser does not allow it, the picture stays as large as the window.
  $("closer-full").addEventListener("click", () => (document.fullscreenElement ? document.exitFullscreen() : stage.requestFullscreen()).catch(() => {}));
  $("closer-close").addEventListener("click", () => $("closer").close());
  addEventListener("resize", () => { if ($("closer").open) drawCloser(asked()); });
}
