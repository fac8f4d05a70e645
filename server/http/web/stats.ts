/** Draws the chart of the statistics; the tables are there without it. */
import uPlot from 'uplot';
import { NAT_TYPES, type NatType } from '../../../shared/nat/behaviour.ts';

interface DayCount {
  readonly day: string;
  readonly type: NatType;
  readonly count: number;
}

const HEIGHT = 280;
const DAY_S = 86_400;
/** Shown before the last one, however few there are. */
const FEWEST_DAYS = 13;

const place = document.getElementById('days-chart');
if (place !== null) void draw(place);

async function draw(element: HTMLElement): Promise<void> {
  const response = await fetch(location.href, { headers: { accept: 'application/json' } });
  if (!response.ok) return;
  const { days } = (await response.json()) as { days: readonly DayCount[] };
  const data = stack(days);
  let chart = plot(element, data);
  new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height: HEIGHT })).observe(element);
  // Its colours are the style's, which follow the reader's wish.
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => {
    chart.destroy();
    chart = plot(element, data);
  });
}

interface Stack {
  readonly types: readonly NatType[];
  /** Days since 1970 in seconds, then for each type the sum of it and of those before it. */
  readonly columns: uPlot.AlignedData;
}

/** Days without a report count too. */
function stack(days: readonly DayCount[]): Stack {
  const types = NAT_TYPES.filter((type) => days.some((one) => one.type === type));
  const times = days.map(({ day }) => Date.parse(day) / 1000);
  const first = Math.min(...times);
  const x = Array.from(
    { length: (Math.max(...times) - first) / DAY_S + 1 },
    (_, index) => first + index * DAY_S,
  );
  const sums = x.map(() => 0);
  const columns = types.map((type) => {
    days.forEach((one, index) => {
      if (one.type === type) sums[(times[index]! - first) / DAY_S]! += one.count;
    });
    return [...sums];
  });
  return { types, columns: [x, ...columns] };
}

function plot(element: HTMLElement, { types, columns: [x, ...sums] }: Stack): uPlot {
  const colour = (name: string): string => getComputedStyle(element).getPropertyValue(name);
  const last = x.at(-1)!;
  const bars = uPlot.paths.bars!({ size: [0.8, 40] });
  const axis = {
    stroke: colour('--faint'),
    grid: { stroke: colour('--line'), width: 1 },
    ticks: { show: false },
  };
  const options: uPlot.Options = {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { show: false },
    tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), 'Etc/UTC'),
    scales: {
      // Told here, since around a single day uPlot would show years.
      x: { range: () => [Math.min(x[0]!, last - FEWEST_DAYS * DAY_S) - DAY_S / 2, last + DAY_S / 2] },
      y: { range: (_, _from, to) => [0, Math.max(1, to)] },
    },
    axes: [
      { ...axis, values: (_, seconds) => seconds.map(formatDay) },
      {
        ...axis,
        size: 44,
        incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 100_000, 1_000_000],
      },
    ],
    // The highest sums first, so that the lower ones stand in front.
    series: [
      {},
      ...types.toReversed().map((type) => ({
        label: type,
        fill: colour(`--type-${type}`),
        width: 0,
        points: { show: false },
        paths: bars,
      })),
    ],
  };
  return new uPlot(options, [x, ...sums.toReversed()], element);
}

/** `01-31`, in UTC as the days are counted. */
function formatDay(seconds: number): string {
  return new Date(seconds * 1000).toISOString().slice(5, 10);
}
