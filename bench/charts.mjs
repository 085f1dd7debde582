/**
 * Charts as inline SVG, from rows of results and nothing else. Two kinds: `linesChart`, tables of growth with logarithmic axes;
 * `roundsChart`, every round of every side of a key, so that a median does not hide its rounds.
 */
const width = 640;
const margin = { left: 64, right: 16, top: 12, bottom: 40 };
/** Told apart by those who see colours otherwise too. */
const colours = ['#0b6e99', '#d95f02', '#5b8c2a', '#8e4b8f', '#a67c00'];

export const escaped = (text) =>
  String(text).replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');

const short = (value) => {
  const plain = Number(value.toPrecision(2));
  if (plain >= 1e6 || (plain !== 0 && Math.abs(plain) < 1e-3)) return plain.toExponential(0).replace('+', '');
  return String(plain);
};

/** A text at (x, y). */
const label = (x, y, text, more = '') =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${escaped(text)}</text>`;
const line = (x1, y1, x2, y2, more) =>
  `<line x1="${x1.toFixed(1)}" y1="${y1.toFixed(1)}" x2="${x2.toFixed(1)}" y2="${y2.toFixed(1)}" ${more}/>`;

function svg(height, title, parts) {
  return `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">${parts.join('')}</svg>`;
}

/** Powers of ten inside [low, high]; with fewer than two of them, the ends. */
function ticks(low, high) {
  const found = [];
  for (let power = Math.ceil(Math.log10(low)); 10 ** power <= high; power++) found.push(10 ** power);
  return found.length >= 2 ? found : [low, high];
}

const logScale = (low, high, from, to) => (value) =>
  high === low
    ? (from + to) / 2
    : from + ((Math.log(value) - Math.log(low)) / (Math.log(high) - Math.log(low))) * (to - from);

/** The rows of one table: a line a series, from round to round as far as the strokes reach; both axes logarithmic. */
export function linesChart(rows) {
  const shown = rows.filter(({ value }) => value > 0);
  if (shown.length === 0) return '';
  const height = 300;
  const xs = [...new Set(shown.map(({ x }) => x))].sort((a, b) => a - b);
  const values = shown.flatMap(({ value, rounds = [] }) => [value, ...rounds.filter((each) => each > 0)]);
  const [low, high] = [Math.min(...values) / 1.5, Math.max(...values) * 1.5];
  const x = logScale(xs[0], xs.at(-1), margin.left, width - margin.right);
  const y = logScale(low, high, height - margin.bottom, margin.top);
  const parts = ticks(low, high).flatMap((value) => [
    line(margin.left, y(value), width - margin.right, y(value), 'class="grid"'),
    label(margin.left - 6, y(value) + 4, short(value), 'text-anchor="end"'),
  ]);
  const axisNames = xs.map((value) => (value >= 1024 ? `2^${Math.log2(value)}` : String(value)));
  xs.forEach((value, i) => {
    parts.push(label(x(value), height - margin.bottom + 16, axisNames[i], 'text-anchor="middle"'));
  });
  parts.push(label((margin.left + width) / 2, height - 6, shown[0].axis, 'text-anchor="middle"'));
  const series = [...new Set(shown.map((row) => row.series))];
  series.forEach((name, i) => {
    const points = shown.filter((row) => row.series === name).sort((a, b) => a.x - b.x);
    const path = points.map((row) => `${x(row.x).toFixed(1)},${y(row.value).toFixed(1)}`).join(' ');
    const colour = colours[i % colours.length];
    parts.push(`<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`);
    for (const row of points) {
      // Its slowest and fastest round.
      const ends = (row.rounds ?? []).filter((value) => value > 0);
      if (ends.length > 1)
        parts.push(line(x(row.x), y(Math.min(...ends)), x(row.x), y(Math.max(...ends)), `stroke="${colour}"`));
      const title = `${name}, ${row.x} ${row.axis}: ${short(row.value)} ${row.unit}`;
      parts.push(
        `<circle cx="${x(row.x).toFixed(1)}" cy="${y(row.value).toFixed(1)}" r="3.5" fill="${colour}"><title>${escaped(title)}</title></circle>`,
      );
    }
  });
  const legend = series.map((name, i) => {
    const unit = shown.find((row) => row.series === name).unit;
    return `<span><i style="background:${colours[i % colours.length]}"></i>${escaped(name)}, ${escaped(unit)}</span>`;
  });
  const hidden = rows.length - shown.length;
  if (hidden > 0) legend.push(`<span>${hidden} not shown: 0 or less, which a logarithmic axis does not have</span>`);
  return `${svg(height, series.join(', '), parts)}<p class="legend">${legend.join('')}</p>`;
}

/** Rows that belong to one key: a dot a round, a bar at the median, one line a side. */
export function roundsChart(rows) {
  const height = margin.top + rows.length * 34 + margin.bottom;
  const all = rows.flatMap((row) => row.rounds ?? [row.value]);
  const high = Math.max(...all) * 1.08;
  const left = 190;
  const x = (value) => left + (value / high) * (width - left - margin.right);
  // The last one ends where the chart does.
  const parts = [0, high / 2, high].flatMap((value) => [
    line(x(value), margin.top, x(value), height - margin.bottom, 'class="grid"'),
    label(x(value), height - margin.bottom + 16, short(value), `text-anchor="${value === high ? 'end' : 'middle'}"`),
  ]);
  rows.forEach((row, i) => {
    const y = margin.top + i * 34 + 17;
    const colour = colours[i % colours.length];
    parts.push(label(left - 8, y + 4, row.key, 'text-anchor="end"'));
    parts.push(
      `<rect x="${x(0)}" y="${y - 9}" width="${(x(row.value) - x(0)).toFixed(1)}" height="18" fill="${colour}" opacity="0.25"/>`,
    );
    parts.push(line(x(row.value), y - 11, x(row.value), y + 11, `stroke="${colour}" stroke-width="2.5"`));
    for (const value of row.rounds ?? []) {
      parts.push(
        `<circle cx="${x(value).toFixed(1)}" cy="${y}" r="3" fill="${colour}"><title>${short(value)} ${escaped(row.unit)}</title></circle>`,
      );
    }
  });
  const { unit } = rows[0];
  const better = unit.endsWith('/s') ? 'more is better' : 'less is better';
  parts.push(label((left + width) / 2, height - 6, `${unit}, ${better}`, 'text-anchor="middle"'));
  return svg(height, rows.map(({ key }) => key).join(', '), parts);
}
