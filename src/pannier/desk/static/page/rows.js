// Which rows of a long list are drawn, and where.

/** Browsers cap an element's height (Chromium at about 33 million pixels, Firefox at 17): taller lists are scaled. */
export const TALLEST = 10_000_000;
export const MARGIN = 20;

/** The height that the list takes, at most TALLEST. */
export function extent(total, height) {
  return Math.min(total * height, TALLEST);
}

/**
 * The rows [first, last) to draw for a scroll position, and `top`, the offset of the first one.
 * In a scaled list the position says how far down the whole the view stands, and rows follow the view.
 */
export function drawn(scroll, view, total, height, margin = MARGIN) {
  const full = total * height;
  const tall = extent(total, height);
  const visible = Math.ceil(view / height) + 1;
  const travel = Math.max(1, tall - view);
  const offset = full <= tall ? scroll : (Math.min(scroll, travel) / travel) * (full - view);
  const at = Math.max(0, Math.min(Math.floor(offset / height), Math.max(0, total - 1)));
  const first = Math.max(0, at - margin);
  const last = Math.min(total, at + visible + margin);
  const top = full <= tall ? first * height : scroll - offset + first * height;
  return { first, last, top, at, visible };
}

/**
 * Which element draws which row, as a Map from row to the number of an element: a row keeps its element while it is
 * drawn, and one that comes takes that of one that went, so that scrolling makes no elements. `rows` are in order.
 */
export function elements(before, rows) {
  const wanted = new Set(rows);
  const free = Array.from(before).filter(([row]) => !wanted.has(row)).map(([, element]) => element);
  let next = Math.max(-1, ...before.values()) + 1;
  return new Map(rows.map((row) => [row, before.get(row) ?? free.shift() ?? next++]));
}

/** The scroll position at which a row is in view, moving as little as can be; null where it already is. */
export function reveal(row, scroll, view, total, height, padding = 0) {
  const full = total * height;
  const tall = extent(total, height);
  const travel = Math.max(1, tall - view);
  const offset = full <= tall ? scroll : (Math.min(scroll, travel) / travel) * (full - view);
  let wanted = offset;
  if (row * height < offset) wanted = row * height;
  else if ((row + 1) * height > offset + view - padding) wanted = (row + 1) * height - view + padding;
  else return null;
  return full <= tall ? wanted : (wanted / (full - view)) * travel;
}
