/** Draws what was sampled over time: panels below each other, as an SVG. Pure. */

export interface Line {
  readonly name: string;
  readonly colour: string;
  /** By sample. */
  readonly values: readonly number[];
}

export interface Panel {
  readonly title: string;
  readonly lines: readonly Line[];
}

const WIDTH = 960;
const PANEL_HEIGHT = 190;
const LEFT = 70;
const RIGHT = 20;
const TOP = 44;
/** Within a panel. */
const PLOT_TOP = 30;
const PLOT_HEIGHT = 125;
const TICKS = 4;
/** Numbers of ticks are 1, 2 or 5 times a power of ten apart. */
const STEPS = [1, 2, 5, 10];

/** `seconds` are those of the samples, in order. */
export function plotPanels(title: string, seconds: readonly number[], panels: readonly Panel[]): string {
  const height = TOP + panels.length * PANEL_HEIGHT + 20;
  const drawn = panels.map((panel, index) => drawPanel(panel, seconds, TOP + index * PANEL_HEIGHT));
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="12">
<rect width="100%" height="100%" fill="#fff"/>
<text x="${LEFT}" y="26" font-size="16">${escape(title)}</text>
${drawn.join('\n')}
</svg>
`;
}

function drawPanel({ title, lines }: Panel, seconds: readonly number[], y0: number): string {
  const top = Math.max(...lines.flatMap(({ values }) => values), 0);
  const step = stepFor(top / TICKS);
  const most = Math.max(step, Math.ceil(top / step) * step);
  const last = seconds.at(-1) ?? 1;
  const timeStep = stepFor(last / 10);
  const x = (second: number): number => LEFT + (second / last) * (WIDTH - LEFT - RIGHT);
  const y = (value: number): number => y0 + PLOT_TOP + PLOT_HEIGHT * (1 - value / most);
  const parts = [`<text x="${LEFT}" y="${y0 + 14}" font-weight="bold">${escape(title)}</text>`];
  for (let value = 0; value <= most + step / 2; value += step) {
    const at = y(value).toFixed(1);
    parts.push(
      `<path d="M${LEFT} ${at}H${WIDTH - RIGHT}" stroke="#ddd"/>`,
      `<text x="${LEFT - 6}" y="${at}" dy="4" text-anchor="end">${label(value)}</text>`,
    );
  }
  for (let second = 0; second <= last; second += timeStep) {
    const at = x(second).toFixed(1);
    parts.push(
      `<text x="${at}" y="${y0 + PLOT_TOP + PLOT_HEIGHT + 16}" text-anchor="middle">${label(second)} s</text>`,
    );
  }
  let legend = WIDTH - RIGHT;
  for (const { name, colour, values } of lines.toReversed()) {
    const points = values.map((value, i) => `${x(seconds[i]!).toFixed(1)},${y(value).toFixed(1)}`);
    parts.push(
      `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="1.2"/>`,
      `<text x="${legend}" y="${y0 + 14}" text-anchor="end" fill="${colour}">${escape(name)}</text>`,
    );
    legend -= 8 * name.length + 12;
  }
  return parts.join('\n');
}

/** The least round step that is no less. */
function stepFor(least: number): number {
  if (least <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(least));
  return power * STEPS.find((factor) => factor * power >= least)!;
}

function label(value: number): string {
  return Number(value.toPrecision(6)).toLocaleString('en-US');
}

function escape(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;');
}
