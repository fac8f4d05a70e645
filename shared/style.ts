/** How text for people is decorated, in either program. */
export type Paint = (text: string) => string;

/** How text is decorated. Decided once, by decideStyle. */
export interface Style {
  readonly bold: Paint;
  readonly dim: Paint;
  readonly good: Paint;
  readonly fair: Paint;
  readonly bad: Paint;
}

/**
 * A flag (or the configuration file) that says no wins; then FORCE_COLOR (anything but empty or 0;
 * 0 says no), then NO_COLOR (anything but empty), then whether it goes to a terminal that is not `dumb`.
 */
export function decideStyle(allowed: boolean, env: NodeJS.ProcessEnv, isTerminal: boolean): Style {
  return isColoured(allowed, env, isTerminal) ? COLOURED : PLAIN;
}

function isColoured(allowed: boolean, env: NodeJS.ProcessEnv, isTerminal: boolean): boolean {
  if (!allowed) return false;
  if (env.FORCE_COLOR !== undefined && env.FORCE_COLOR !== '') return env.FORCE_COLOR !== '0';
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return false;
  return isTerminal && env.TERM !== 'dumb';
}

const plain: Paint = (text) => text;

export const PLAIN: Style = { bold: plain, dim: plain, good: plain, fair: plain, bad: plain };

/** SGR codes of ECMA-48: what to turn on, and what turns that alone off again. */
const COLOURED: Style = {
  bold: (text) => `\u001b[1m${text}\u001b[22m`,
  dim: (text) => `\u001b[2m${text}\u001b[22m`,
  good: (text) => `\u001b[32m${text}\u001b[39m`,
  fair: (text) => `\u001b[33m${text}\u001b[39m`,
  bad: (text) => `\u001b[31m${text}\u001b[39m`,
};
