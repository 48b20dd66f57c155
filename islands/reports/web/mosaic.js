// What the wall is made of: thumbnails of all images in blocks, and the images near by as large as they are looked at.
"use strict";

// A cell of the grid in a block, in pixels; cells along a block; the share of a cell that its image has.
const CELL = 50, ACROSS = 16, SHARE = 0.96;
// Sides at which networks draw whole images anew; of larger ones only what is seen is drawn.
const SIZES = [256, 512, 1024], DRAFT_SIZE = 512;
// Bytes of drawings that are kept.
const KEPT = 128e6;

function newMosaic(data, tiles, columns) {
  return { data, tiles, columns, rows: Math.ceil(tiles.length / columns), blocks: new Map(), drawings: new Map(), bytes: 0, filling: false };
}

const genomeOf = ({ data }, at) => data.elites.genome[at];

// The canvases of a block, each half as large as the one before: what is drawn much smaller than it is flickers.
function newBlock() {
  const sides = [1, 2, 4, 8].map((part) => (CELL * ACROSS) / part);
  return { filled: false, canvases: sides.map((side) => make("canvas", { width: side, height: side })) };
}

function blockAt(mosaic, key) {
  if (!mosaic.blocks.has(key)) mosaic.blocks.set(key, newBlock());
  return mosaic.blocks.get(key);
}

function shrink({ canvases }) {
  for (let at = 1; at < canvases.length; at += 1) {
    const context = canvases[at].getContext("2d"), { width, height } = canvases[at];
    context.clearRect(0, 0, width, height);
    context.drawImage(canvases[at - 1], 0, 0, width, height);
  }
}

// Where the image at (column, row) is: its block, and its corner and side there.
function placeInBlock(column, row) {
  const side = CELL * SHARE, corner = (at) => (at % ACROSS) * CELL + (CELL - side) / 2;
  return [`${Math.floor(column / ACROSS)}.${Math.floor(row / ACROSS)}`, corner(column), corner(row), side];
}

async function fillBlock(mosaic, key) {
  const { data, tiles, columns } = mosaic, [across, down] = key.split(".").map(Number), block = blockAt(mosaic, key);
  const context = block.canvases[0].getContext("2d"), drawing = [];
  context.imageSmoothingQuality = "high";
  for (let each = 0; each < ACROSS * ACROSS; each += 1) {
    const column = across * ACROSS + (each % ACROSS), row = down * ACROSS + Math.floor(each / ACROSS), at = tiles[row * columns + column];
    if (column >= columns || at === undefined) continue;
    const [, x, y, side] = placeInBlock(column, row);
    // One that does not come leaves its cell empty.
    drawing.push(pictureOf(data, at).then((picture) => context.drawImage(picture, x, y, side, side), () => {}));
  }
  await Promise.all(drawing);
  shrink(block);
  block.filled = true;
}

// Fills all blocks; `nearest()` gives the keys in the order in which they are wanted, and `told()` is called after each.
async function fillBlocks(mosaic, nearest, goesOn, told) {
  if (mosaic.filling) return;
  mosaic.filling = true;
  for (let key; goesOn() && (key = nearest().find((each) => !mosaic.blocks.get(each)?.filled)) !== undefined;) {
    await fillBlock(mosaic, key);
    told();
  }
  mosaic.filling = false;
}

const blockKeys = ({ columns, rows }) => Array.from({ length: Math.ceil(rows / ACROSS) }, (_, down) => Array.from({ length: Math.ceil(columns / ACROSS) }, (_, across) => `${across}.${down}`)).flat();

// The largest drawing of an image that is not larger than `side` asks for, else the smallest that there is; null: none.
function drawingFor(mosaic, at, side) {
  const drawings = mosaic.drawings.get(genomeOf(mosaic, at));
  if (!drawings) return null;
  const sizes = [...drawings.keys()].sort((a, b) => a - b), enough = sizes.find((size) => size >= side);
  return drawings.get(enough ?? sizes.at(-1));
}

function keepDrawing(mosaic, at, drawing) {
  const genome = genomeOf(mosaic, at), drawings = mosaic.drawings.get(genome) ?? new Map();
  if (drawings.has(drawing.width)) mosaic.bytes -= 4 * drawing.width ** 2;
  drawings.set(drawing.width, drawing);
  // Last in its map is what was made last; the oldest go first.
  mosaic.drawings.delete(genome);
  mosaic.drawings.set(genome, drawings);
  mosaic.bytes += 4 * drawing.width ** 2;
  for (const [oldest, each] of mosaic.drawings) {
    if (mosaic.bytes <= KEPT || oldest === genome) break;
    mosaic.drawings.delete(oldest);
    for (const { width } of each.values()) mosaic.bytes -= 4 * width ** 2;
  }
}

// The sides at which an image is drawn that is `side` pixels large: a draft comes before what takes longer.
function sizesFor(mosaic, side) {
  if (!mosaic.data.networks) return [];
  const enough = SIZES.find((size) => size >= side);
  return [...new Set([Math.min(DRAFT_SIZE, enough ?? DRAFT_SIZE), enough ?? DRAFT_SIZE])];
}

// Makes what is missing of an image `side` pixels large at one of its sizes; 0 stands for the picture in the page. Gives whether something is new.
async function makeDrawing(mosaic, at, side, size, goesOn) {
  const { data } = mosaic, had = drawingFor(mosaic, at, side);
  if (had && had.width >= Math.min(side, size || 1)) return false;
  if (!size) {
    const picture = await pictureOf(data, at), canvas = make("canvas", { width: picture.naturalWidth, height: picture.naturalHeight });
    canvas.getContext("2d").drawImage(picture, 0, 0);
    keepDrawing(mosaic, at, canvas);
    return true;
  }
  const drawn = await paintWhole(data, await genomeAt(data, at), size, goesOn);
  if (drawn) keepDrawing(mosaic, at, drawn);
  return drawn !== null;
}
