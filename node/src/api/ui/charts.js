// Small charts as SVG, drawn anew each time; and the numbers and words beside them.

const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 132;
const FLOOR = 112;
const TOP = 16;

export const byId = (id) => document.getElementById(id);

// An element with a class, a text and children.
export function element(name, { kind, text, title } = {}, ...children) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  if (text !== undefined) made.textContent = text;
  if (title) made.title = title;
  made.append(...children);
  return made;
}

function shape(name, attributes, text) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// A share of 1 as a bar and in words.
export function share(part, colour) {
  const fill = element('i');
  fill.style.width = `${Math.round(100 * part)}%`;
  if (colour) fill.style.background = colour;
  return [element('span', { kind: 'bar' }, fill), element('span', { kind: 'part', text: `${Math.round(100 * part)} %` })];
}

export const count = (value) => Math.round(value).toLocaleString('en');
export const milliseconds = (value) => (value >= 10_000 ? `${(value / 1000).toFixed(1)} s` : `${value.toFixed(value < 100 ? 1 : 0)} ms`);

// The value below which this part of a sorted list lies.
export const quantile = (sorted, part) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];

// Columns: [{value, kind, title}], the largest as high as there is room. `words` is what a screen reader says.
export function columns(place, list, { words, places, top = 'max', left = '', right = '', marks = [] }) {
  const width = Math.max(place.clientWidth, 200);
  const svg = shape('svg', { viewBox: `0 0 ${width} ${HEIGHT}`, role: 'img', 'aria-label': words });
  const most = Math.max(1, ...list.map(({ value }) => value));
  const step = width / places;
  const gap = step > 5 ? 1.5 : 0.5;
  svg.append(shape('line', { x1: 0, x2: width, y1: FLOOR + 0.5, y2: FLOOR + 0.5 }));
  list.forEach(({ value, kind, title }, index) => {
    const high = value === 0 ? 2 : Math.max(3, (FLOOR - TOP) * (value / most));
    const at = (places - list.length + index) * step;
    const bar = shape('rect', { x: at + gap / 2, width: Math.max(0.5, step - gap), y: FLOOR - high, height: high, rx: Math.min(2, step / 4) });
    if (value === 0) bar.classList.add('quiet');
    else if (kind) bar.classList.add(kind);
    if (title) bar.append(shape('title', {}, title));
    svg.append(bar);
  });
  for (const { part, text } of marks) {
    const x = part * width;
    svg.append(shape('line', { x1: x, x2: x, y1: 0, y2: FLOOR, class: 'mark' }));
    svg.append(shape('text', { x: x > width - 60 ? x - 4 : x + 4, y: TOP - 6, 'text-anchor': x > width - 60 ? 'end' : 'start' }, text));
  }
  if (top === 'max' && list.length) {
    const none = list.every(({ value }) => value === 0);
    svg.append(shape('text', { x: 0, y: 10 }, none ? 'none' : `most: ${count(most)}`));
  }
  svg.append(shape('text', { x: 0, y: HEIGHT - 4 }, left));
  svg.append(shape('text', { x: width, y: HEIGHT - 4, 'text-anchor': 'end' }, right));
  place.replaceChildren(svg);
}
