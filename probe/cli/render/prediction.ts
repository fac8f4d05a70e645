import { nameVerdict } from '../../../shared/nat/names.ts';
import { simulatePrediction } from '../../../shared/punch/exchange.ts';
import type { Preflight } from '../../../shared/punch/preflight.ts';
import type { PredictedSide, Prediction } from '../../../shared/punch/predict.ts';
import type { Budget, Strategy } from '../../../shared/punch/strategy.ts';
import { FAMILY_NAMES } from '../../../shared/report/report.ts';
import { formatConfidence, formatMs } from '../../../shared/words.ts';
import { drawExchange } from './exchange.ts';
import { layoutRow } from './layout.ts';
import { STRATEGY_WORDS } from './strategies.ts';
import type { Paint, Style } from '../../../shared/style.ts';

/** The first line is `Punch: <outcome>`. Ends with a newline. */
export function renderPrediction(prediction: Prediction, style: Style): string {
  const { a, b, outcome, strategies, reasons } = prediction;
  const chosen = strategies.find(({ name }) => name === prediction.strategy)!;
  const others = strategies.filter((strategy) => strategy !== chosen);
  return layout(`${style.bold('Punch:')} ${paintOf(outcome, style)(nameOutcome(prediction))}`, style, [
    ['A', describeSide(a)],
    ['B', describeSide(b)],
    ['Why', reasons.map(({ text }) => text).join('\n')],
    ['Strategy', [nameStrategy(chosen), ...chosen.reasons.map(({ text }) => text)].join('\n')],
    ...(others.length === 0 ? [] : [['Otherwise', others.map(nameStrategy).join('\n')] as const]),
    ...drawingOf(prediction),
  ]);
}

/** Both sides in words, and whether this machine's own verdict is inconclusive. */
export interface PreflightSides {
  readonly here: string;
  readonly peer: string;
  readonly isInconclusive: boolean;
}

/** The first line is `Pre-flight: <decision>`. Ends with a newline. */
export function renderPreflight(
  { decision, strategy, probability, budget, reasons }: Preflight,
  { here, peer, isInconclusive }: PreflightSides,
  style: Style,
): string {
  const paint = { go: style.good, 'go-with-strategy': style.fair, 'no-go': style.bad }[decision];
  const text = {
    go: `go (${STRATEGY_WORDS[strategy]})`,
    'go-with-strategy': `go, with ${STRATEGY_WORDS[strategy]}`,
    'no-go': 'no-go, it takes a relay',
  }[decision];
  const caveat = isInconclusive ? 'inconclusive; by what is known, ' : '';
  return layout(`${style.bold('Pre-flight:')} ${caveat}${paint(text)}`, style, [
    ['A (here)', here],
    ['B (peer)', peer],
    ...(decision === 'no-go'
      ? []
      : ([
          ['Chance', formatConfidence(probability)],
          ['Budget', describeBudget(budget)],
        ] as const)),
    ['Why', reasons.map(({ text }) => text).join('\n')],
  ]);
}

function layout(title: string, style: Style, rows: readonly (readonly [string, string])[]): string {
  const lines = rows.flatMap(([label, text]) => layoutRow(label, text, style.dim));
  return [title, '', ...lines, ''].join('\n');
}

function nameOutcome({ outcome, probability, strategy }: Prediction): string {
  if (outcome === 'relay') return 'it takes a relay';
  const how = `${formatConfidence(probability)}, by ${STRATEGY_WORDS[strategy]}`;
  return outcome === 'direct' ? `direct (${how}; nothing has to be timed)` : `${outcome} (${how})`;
}

function paintOf(outcome: Prediction['outcome'], style: Style): Paint {
  switch (outcome) {
    case 'direct':
    case 'likely':
      return style.good;
    case 'unlikely':
      return style.fair;
    case 'relay':
      return style.bad;
  }
}

type DescribedSide = Pick<PredictedSide, 'type' | 'mapping' | 'filtering' | 'confidence' | 'family'>;

/** `port-restricted cone (EIM, APDF), IPv4, 99.98 % sure`. */
export function describeSide(side: DescribedSide): string {
  const { family, confidence } = side;
  return [
    nameVerdict(side),
    ...(family === undefined ? [] : [FAMILY_NAMES[family]]),
    ...(confidence === 0 || confidence === 1 ? [] : [`${formatConfidence(confidence)} sure`]),
  ].join(', ');
}

function nameStrategy(strategy: Strategy): string {
  const { name, probability } = strategy;
  if (name === 'relay') return STRATEGY_WORDS.relay;
  return `${STRATEGY_WORDS[name]}: ${formatConfidence(probability)}, ${describeBudget(strategy)}`;
}

function describeBudget({ packets, timeMs }: Budget): string {
  return `at most ${packets} packets in ${formatMs(timeMs)}`;
}

function drawingOf(prediction: Prediction): (readonly [string, string])[] {
  const simulation = simulatePrediction(prediction);
  return simulation === undefined ? [] : [['Packets', drawExchange(simulation).join('\n')]];
}
