/** `natprobed top`: what a running natprobed does, again and again. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ReadStream, WriteStream } from 'node:tty';
import { NatprobeError } from '../../shared/errors.ts';
import { decideStyle } from '../../shared/style.ts';
import { fetchReading } from './fetch-reading.ts';
import type { Reading } from './readings.ts';
import { renderTop } from './render.ts';
import { openScreen } from './screen.ts';
import { readTopSettings, type TopFlags, type TopSettings } from './settings.ts';
import { readView, type TopView } from './view.ts';

export interface TopStreams {
  readonly stdin: ReadStream;
  readonly stdout: WriteStream;
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Resolves when a key, a signal, or the going of who reads says that it is enough. Rejects with what
 * readTopSettings throws, or as fetchReading where the first answer doesn't come, or one that isn't drawn.
 */
export async function top(flags: TopFlags, streams: TopStreams): Promise<void> {
  const settings = readTopSettings(flags, streams.env);
  const enough = new AbortController();
  const stop = (): void => enough.abort();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  streams.stdout.on('error', stop);
  const { stdout, env } = streams;
  const isDrawn = stdout.isTTY && !settings.once && !settings.json && env.TERM !== 'dumb';
  try {
    await (isDrawn ? draw : print)(settings, streams, enough);
  } catch (error) {
    if (!enough.signal.aborted) throw error;
  }
}

/** A document or a block of text for each interval, or for one. */
async function print(
  settings: TopSettings,
  { stdout, env }: TopStreams,
  { signal }: AbortController,
): Promise<void> {
  const { url, token, intervalMs, once, json, isColourAllowed } = settings;
  const style = decideStyle(isColourAllowed, env, stdout.isTTY);
  let before = await fetchReading(url, token, signal);
  do {
    await sleep(intervalMs, undefined, { signal });
    const after = await fetchReading(url, token, signal);
    const view = viewOf(before, after);
    const lines = json
      ? [JSON.stringify(view)]
      : [...renderTop(view, { server: url.origin, notice: '', style }), ...(once ? [] : [''])];
    stdout.write(lines.map((line) => `${line}\n`).join(''));
    before = after;
  } while (!once);
}

/** On the whole terminal. Once there was an answer a server that is away is waited for. */
async function draw(
  settings: TopSettings,
  { stdin, stdout, env }: TopStreams,
  enough: AbortController,
): Promise<void> {
  const { url, token, intervalMs, isColourAllowed } = settings;
  const { signal } = enough;
  const style = decideStyle(isColourAllowed, env, stdout.isTTY);
  const hint = style.dim('q ends it');
  let last: Reading | undefined = await fetchReading(url, token, signal);
  let view = viewOf(undefined, last);
  let notice = hint;
  const redraw = (): void => screen.draw(renderTop(view, { server: url.origin, notice, style }));
  const screen = openScreen(stdout, stdin, { onQuit: () => enough.abort(), onResize: redraw });
  try {
    for (;;) {
      redraw();
      await sleep(intervalMs, undefined, { signal });
      try {
        const after = await fetchReading(url, token, signal);
        view = viewOf(last, after);
        last = after;
        notice = hint;
      } catch (error) {
        if (!(error instanceof NatprobeError)) throw error;
        // The rates after that are of what comes then.
        last = undefined;
        notice = style.bad(error.message);
      }
    }
  } finally {
    screen.close();
  }
}

function viewOf(before: Reading | undefined, after: Reading): TopView {
  return readView(before, after, Date.now() / 1000);
}
