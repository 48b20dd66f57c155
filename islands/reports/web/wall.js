// The wall: the images of the gallery side by side, from thousands at a glance to one drawn at 2048 pixels.
"use strict";

// Pixels of an image at the most, from which on its class stands on it, and on one line; milliseconds until a view counts as one that stays.
const MOST = 2048, LABELLED = 96, NARROW = 200, SETTLED_MS = 250, GLIDE_MS = 180, CLICK = 5;

// `parts`: of images too large to be drawn as a whole, by their numbers.
const wall = { mosaic: null, parts: new Map(), view: null, chosen: 0, number: 0, frame: 0, settling: 0, gliding: 0, touches: new Map(), moved: 0 };

const stageSize = () => [$("wall-stage").clientWidth, $("wall-stage").clientHeight];
const density = () => devicePixelRatio;

// Pixels of the screen that a cell has when all are seen, when one image fills the stage, and at the most.
const wholeCell = () => { const [width, height] = stageSize(); return Math.min(width / wall.mosaic.columns, height / wall.mosaic.rows); };
const fittedCell = () => Math.min(...stageSize());
const largestCell = () => Math.max(MOST / SHARE / density(), wholeCell());
const placeOf = (number) => [number % wall.mosaic.columns, Math.floor(number / wall.mosaic.columns)];

// A view that shows cells alone: (x, y) is its centre, in cells.
function within({ x, y, cell }) {
  const size = Math.min(largestCell(), Math.max(wholeCell(), cell)), [width, height] = stageSize();
  const clamp = (at, count, span) => (count <= span ? count / 2 : Math.min(count - span / 2, Math.max(span / 2, at)));
  return { x: clamp(x, wall.mosaic.columns, width / size), y: clamp(y, wall.mosaic.rows, height / size), cell: size };
}

const wholeView = () => within({ x: 0, y: 0, cell: 0 });
const viewOfTile = (number, cell) => { const [column, row] = placeOf(number); return within({ x: column + 0.5, y: row + 0.5, cell }); };

function openWall(data, state) {
  if (!order.length) return;
  if (!$("wall").open) $("wall").showModal();
  arrangeWall(data);
  showWall(state);
  $("wall-stage").focus();
}

// Takes the gallery's images; those of a wall that holds them already stay.
function arrangeWall(data) {
  if (wall.mosaic?.tiles === order && wall.mosaic.data === data) return;
  const [width, height] = stageSize();
  wall.mosaic = newMosaic(data, order, Math.max(1, Math.min(order.length, Math.round(Math.sqrt(order.length * width / height)))));
  wall.chosen = 0;
  wall.parts.clear();
}

// New images come where the old ones were.
function renewWall(data) {
  const state = wallState();
  arrangeWall(data);
  showWall(state);
}

// "all", or "0.506~300~0.1~-0.2": run and class of an image, its side on the screen, and how far the centre is from its own.
function showWall(state) {
  const [name, side, x, y] = state.split("~"), elites = wall.mosaic.data.elites;
  const number = wall.mosaic.tiles.findIndex((at) => `${elites.run[at]}.${elites.class[at]}` === name);
  if (number >= 0) wall.chosen = number;
  const [column, row] = placeOf(wall.chosen), known = number >= 0 && [side, x, y].every((each) => Number.isFinite(+each));
  changeView(known ? { x: column + 0.5 + +x, y: row + 0.5 + +y, cell: +side / SHARE } : wholeView());
}

function wallState() {
  if (!$("wall").open || !wall.view) return "";
  const { x, y, cell } = wall.view, { mosaic } = wall, elites = mosaic.data.elites, [column, row] = placeOf(wall.chosen), at = mosaic.tiles[wall.chosen];
  if (cell <= wholeCell() * 1.001) return "all";
  const short = (value) => String(+value.toFixed(3));
  return [`${elites.run[at]}.${elites.class[at]}`, short(cell * SHARE), short(x - column - 0.5), short(y - row - 0.5)].join("~");
}

function changeView(view) {
  wall.view = within(view);
  wall.number += 1;
  tellWall();
  askFrame();
  clearTimeout(wall.settling);
  wall.settling = setTimeout(settle, SETTLED_MS);
}

// What is told, and stands in the address, is on the stage.
function settle() {
  if (!$("wall").open) return;
  const seen = seenTiles();
  if (!seen.includes(wall.chosen)) { [wall.chosen] = seen; tellWall(); askFrame(); }
  remember();
  refine(wall.number);
}

// Goes to a view, so that eyes can follow where motion is welcome.
function glide(view) {
  const from = wall.view, to = within(view), began = performance.now(), number = (wall.gliding += 1);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) { changeView(to); return; }
  const move = (now) => {
    if (number !== wall.gliding || !$("wall").open) return;
    const done = Math.min(1, Math.max(0, (now - began) / GLIDE_MS)), cell = from.cell * (to.cell / from.cell) ** done;
    // Along the way of the size: what is in the middle of both views stays there.
    const part = from.cell === to.cell ? done : (1 / from.cell - 1 / cell) / (1 / from.cell - 1 / to.cell);
    changeView(done < 1 ? { x: from.x + part * (to.x - from.x), y: from.y + part * (to.y - from.y), cell } : to);
    if (done < 1) requestAnimationFrame(move);
  };
  requestAnimationFrame(move);
}

// Follows a hand at once.
function moveWall(view) {
  wall.gliding += 1;
  changeView(view);
}

// Changes the size by a factor; what is at (x, y) of the stage stays where it is.
function zoomedAt(factor, x, y) {
  const [width, height] = stageSize(), { view } = wall, cell = within({ ...view, cell: view.cell * factor }).cell;
  return { x: view.x + (x - width / 2) * (1 / view.cell - 1 / cell), y: view.y + (y - height / 2) * (1 / view.cell - 1 / cell), cell };
}

const zoomChosen = (factor) => { const { cell } = within({ ...wall.view, cell: wall.view.cell * factor }); glide(factor > 1 || cell > fittedCell() / 4 ? viewOfTile(wall.chosen, cell) : { ...wall.view, cell }); };

function tellWall() {
  const { mosaic, chosen } = wall, { data } = mosaic, at = mosaic.tiles[chosen], elites = data.elites;
  const text = `${data.classes[elites.class[at]]}, ${percent(elites.confidence[at])}${data.runs > 1 ? `, run ${elites.run[at]}` : ""}`;
  if ($("wall-told").textContent !== text) $("wall-told").textContent = text;
  $("wall-told").title = text;
}

// Arrows go from image to image, and the view goes with them where it must.
function choose(number) {
  wall.chosen = Math.min(wall.mosaic.tiles.length - 1, Math.max(0, number));
  const [column, row] = placeOf(wall.chosen), [width, height] = stageSize(), { x, y, cell } = wall.view;
  const seen = Math.abs(column + 0.5 - x) * cell < (width - cell) / 2 && Math.abs(row + 0.5 - y) * cell < (height - cell) / 2;
  glide(seen ? wall.view : viewOfTile(wall.chosen, cell));
}

// To the image; from there, to all that is known of it.
function enter() {
  if (wall.view.cell < fittedCell() * 0.9) { glide(viewOfTile(wall.chosen, fittedCell())); return; }
  opener = $("wall-stage");
  open(wall.mosaic.tiles[wall.chosen]);
}

function askFrame() {
  if (!wall.frame) wall.frame = requestAnimationFrame(() => { wall.frame = 0; if ($("wall").open) drawWall(); });
}

// Where the cell at (column, row) begins on the canvas, and how large its image is, in whole pixels.
function tileBox(column, row) {
  const canvas = $("wall-canvas"), cell = wall.view.cell * density(), margin = (1 - SHARE) / 2;
  return [Math.round((column + margin - wall.view.x) * cell + canvas.width / 2), Math.round((row + margin - wall.view.y) * cell + canvas.height / 2), Math.round(cell * SHARE)];
}

// Numbers of the images on the stage, the nearest to its middle first.
function seenTiles() {
  const { mosaic, view } = wall, [width, height] = stageSize(), seen = [];
  const [right, bottom] = [Math.min(mosaic.columns, Math.ceil(view.x + width / 2 / view.cell)), Math.min(mosaic.rows, Math.ceil(view.y + height / 2 / view.cell))];
  for (let row = Math.max(0, Math.floor(view.y - height / 2 / view.cell)); row < bottom; row += 1) {
    for (let column = Math.max(0, Math.floor(view.x - width / 2 / view.cell)); column < right; column += 1) {
      const number = row * mosaic.columns + column;
      if (number < mosaic.tiles.length) seen.push([Math.hypot(column + 0.5 - view.x, row + 0.5 - view.y), number]);
    }
  }
  return seen.sort((a, b) => a[0] - b[0]).map(([, number]) => number);
}

function drawWall() {
  const canvas = $("wall-canvas"), [width, height] = stageSize().map((side) => Math.round(side * density())), context = canvas.getContext("2d");
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
  context.clearRect(0, 0, width, height);
  const cell = wall.view.cell * density();
  if (cell <= CELL) drawBlocks(context, cell); else for (const number of seenTiles()) drawTile(context, number);
  markChosen(context);
}

function drawBlocks(context, cell) {
  const { mosaic, view } = wall, { width, height } = context.canvas, side = ACROSS * cell;
  const level = [1, 2, 3].findLast((each) => CELL / 2 ** each >= cell) ?? 0;
  context.imageSmoothingEnabled = true;
  for (const [key, block] of mosaic.blocks) {
    const [across, down] = key.split(".").map(Number), x = (across * ACROSS - view.x) * cell + width / 2, y = (down * ACROSS - view.y) * cell + height / 2;
    if (x < width && y < height && x + side > 0 && y + side > 0) context.drawImage(block.canvases[level], x, y, side, side);
  }
}

function drawTile(context, number) {
  const { mosaic, view } = wall, { data, tiles } = mosaic, at = tiles[number], [x, y, side] = tileBox(...placeOf(number)), drawing = drawingFor(mosaic, at, side);
  const [key, left, top, small] = placeInBlock(...placeOf(number)), block = mosaic.blocks.get(key);
  // What is drawn at its own size is left as it is; of small pictures, each pixel is a square.
  context.imageSmoothingEnabled = drawing?.width !== side && !(crisp(data) && drawing?.width === data.image_size);
  if (drawing) context.drawImage(drawing, x, y, side, side);
  else if (block) context.drawImage(block.canvases[0], left, top, small, small, x, y, side, side);
  const part = wall.parts.get(number);
  if (part?.side === side) context.drawImage(part.canvas, x + part.left, y + part.top);
  if (view.cell * SHARE >= LABELLED && view.cell * SHARE <= Math.min(...stageSize())) drawLabel(context, data, at, x, y + side, side);
}

function drawLabel(context, data, at, left, bottom, side) {
  const font = 12 * density(), pad = 0.4 * font, line = 1.35 * font, sure = percent(data.elites.confidence[at]), isNarrow = side < NARROW * density();
  const high = (isNarrow ? 2 : 1) * line + pad;
  context.font = `${font}px ${getComputedStyle(document.body).fontFamily}`;
  context.fillStyle = "rgb(0 0 0 / .68)";
  context.fillRect(left, bottom - high, side, high);
  context.fillStyle = "#fff";
  context.textBaseline = "middle";
  const wide = context.measureText(sure).width, middle = bottom - (pad + line) / 2;
  context.fillText(sure, isNarrow ? left + pad : left + side - wide - pad, middle);
  const room = side - 2 * pad - (isNarrow ? 0 : wide + pad);
  context.fillText(shortened(context, data.classes[data.elites.class[at]], room), left + pad, isNarrow ? middle - line : middle);
}

function shortened(context, text, room) {
  if (context.measureText(text).width <= room) return text;
  let length = text.length;
  while (length > 0 && context.measureText(`${text.slice(0, length)}\u2026`).width > room) length -= 1;
  return `${text.slice(0, length)}\u2026`;
}

function markChosen(context) {
  const [x, y, side] = tileBox(...placeOf(wall.chosen)), wide = 2 * density(), room = side + 2 * wide;
  // At the most it would lie outside, or upon what is looked at.
  if (wall.view.cell > fittedCell()) return;
  context.lineWidth = wide;
  context.strokeStyle = "#fff";
  context.strokeRect(x - wide / 2, y - wide / 2, room - wide, room - wide);
}

function nearestBlocks() {
  const { mosaic, view } = wall, apart = (key) => { const [across, down] = key.split(".").map(Number); return Math.hypot((across + 0.5) * ACROSS - view.x, (down + 0.5) * ACROSS - view.y); };
  return blockKeys(mosaic).sort((a, b) => apart(a) - apart(b));
}

// Draws what is seen of a large image, pixel for pixel.
async function drawPart(number, goesOn) {
  const { data, tiles } = wall.mosaic, { width, height } = $("wall-canvas"), [x, y, side] = tileBox(...placeOf(number));
  const left = Math.max(0, -x), top = Math.max(0, -y), across = Math.min(side, width - x) - left, down = Math.min(side, height - y) - top;
  if (across < 1 || down < 1) return;
  const scale = data.image_size / side, image = new ImageData(across, down), canvas = make("canvas", { width: across, height: down });
  if (!(await paint(data.networks, await genomeAt(data, tiles[number]), data.image_size, { left: left * scale, top: top * scale, span: across * scale }, image, goesOn))) return;
  canvas.getContext("2d").putImageData(image, 0, 0);
  wall.parts.set(number, { side, left, top, canvas });
}

// Makes what a view that stays lacks, the nearest first; a move ends it.
async function refine(number) {
  const { mosaic } = wall, goesOn = () => number === wall.number && $("wall").open;
  fillBlocks(mosaic, nearestBlocks, () => mosaic === wall.mosaic && $("wall").open, askFrame);
  const side = Math.round(wall.view.cell * density() * SHARE);
  if (side > CELL) {
    const seen = seenTiles();
    for (const size of [0, ...sizesFor(mosaic, side)]) {
      for (const each of seen) {
        if (!goesOn()) return;
        if (await makeDrawing(mosaic, mosaic.tiles[each], side, size, goesOn)) askFrame();
      }
    }
    wall.parts.clear();
    if (mosaic.data.networks && side > SIZES.at(-1)) for (const each of seen) await drawPart(each, goesOn);
  }
  if (!goesOn()) return;
  drawWall();
  $("wall-canvas").dataset.drawn = String(number);
}

function closeWall() {
  clearTimeout(wall.settling);
  wall.gliding += 1;
  wall.touches.clear();
  remember();
}

// The image at a point of the stage; null: there is none.
function tileAt(x, y) {
  const [width, height] = stageSize(), { view, mosaic } = wall, column = Math.floor(view.x + (x - width / 2) / view.cell), row = Math.floor(view.y + (y - height / 2) / view.cell), number = row * mosaic.columns + column;
  return column >= 0 && column < mosaic.columns && row >= 0 && number < mosaic.tiles.length ? number : null;
}

// `asked()` gives the data of the page, which change while it is live.
function listenWall(asked) {
  const stage = $("wall-stage"), { touches } = wall;
  const point = (event) => { const box = stage.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
  $("wall-open").addEventListener("click", () => openWall(asked(), "all"));
  stage.addEventListener("wheel", (event) => { event.preventDefault(); moveWall(zoomedAt(Math.exp(-event.deltaY / 400), ...point(event))); }, { passive: false });
  stage.addEventListener("pointerdown", (event) => { stage.setPointerCapture(event.pointerId); touches.set(event.pointerId, point(event)); if (touches.size === 1) wall.moved = 0; });
  stage.addEventListener("pointermove", (event) => {
    const before = touches.get(event.pointerId);
    if (!before) return;
    const now = point(event), other = [...touches].find(([id]) => id !== event.pointerId)?.[1];
    touches.set(event.pointerId, now);
    wall.moved += Math.hypot(now[0] - before[0], now[1] - before[1]);
    if (wall.moved < CLICK) return;
    if (!other) { moveWall({ ...wall.view, x: wall.view.x - (now[0] - before[0]) / wall.view.cell, y: wall.view.y - (now[1] - before[1]) / wall.view.cell }); return; }
    const apart = (touch) => Math.hypot(touch[0] - other[0], touch[1] - other[1]);
    if (apart(before) > 1) moveWall(zoomedAt(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2));
  });
  stage.addEventListener("pointerup", (event) => {
    const number = tileAt(...point(event)), isClick = touches.size === 1 && wall.moved < CLICK;
    touches.delete(event.pointerId);
    if (isClick && number !== null) { wall.chosen = number; tellWall(); enter(); }
  });
  stage.addEventListener("pointercancel", (event) => touches.delete(event.pointerId));
  const across = (by) => () => choose(wall.chosen + by), down = (by) => () => { const to = wall.chosen + by * wall.mosaic.columns; if (to >= 0 && to < wall.mosaic.tiles.length) choose(to); };
  const keys = { "+": () => zoomChosen(2), "=": () => zoomChosen(2), "-": () => zoomChosen(0.5), 0: () => glide(wholeView()), ArrowLeft: across(-1), ArrowRight: across(1), ArrowUp: down(-1), ArrowDown: down(1),
    Home: () => choose(0), End: () => choose(Infinity) };
  $("wall").addEventListener("keydown", (event) => { if (keys[event.key]) { event.preventDefault(); keys[event.key](); } });
  stage.addEventListener("keydown", (event) => { if (event.key === "Enter") { event.preventDefault(); enter(); } });
  $("wall-in").addEventListener("click", keys["+"]);
  $("wall-out").addEventListener("click", keys["-"]);
  $("wall-whole").addEventListener("click", keys[0]);
  $("wall-elite").addEventListener("click", () => { opener = $("wall-elite"); open(wall.mosaic.tiles[wall.chosen]); });
  $("wall-close").addEventListener("click", () => $("wall").close());
  $("wall").addEventListener("close", () => { closeWall(); $("wall-open").focus(); });
  addEventListener("resize", () => { if ($("wall").open) changeView(wall.view); });
}
