/**
 * Runs inside a namespace and drives a Firefox there by WebDriver BiDi: first one line when it is up, then
 * for each line `{ url, script }` on standard input one `{ value }` or `{ error }` on standard output.
 * The profile is in the folder that is the first argument.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

const START_TIMEOUT_MS = 60_000;
/** In its namespace nobody else has it. */
const PORT = '9222';

interface Answer {
  readonly id?: number;
  readonly type: 'success' | 'error' | 'event';
  readonly result?: Record<string, unknown>;
  readonly message?: string;
}

const [folder = '.'] = process.argv.slice(2);
const firefox = spawn(
  'firefox-esr',
  ['--headless', '--no-remote', '--profile', folder, '--remote-debugging-port', PORT],
  { stdio: ['ignore', 'ignore', 'pipe'] },
);
firefox.once('close', () => process.exit());

const socket = new WebSocket(`${await listening()}/session`);
await once(socket, 'open');
const waiting = new Map<number, (answer: Answer) => void>();
socket.addEventListener('message', ({ data }) => {
  const answer = JSON.parse(String(data)) as Answer;
  if (answer.id !== undefined) waiting.get(answer.id)?.(answer);
});
await command('session.new', { capabilities: {} });
process.stdout.write('up\n');

for await (const line of createInterface({ input: process.stdin })) {
  const { url, script } = JSON.parse(line) as { url: string; script: string };
  const outcome = await visit(url, script).then(
    (value) => ({ value }),
    (error: unknown) => ({ error: String(error) }),
  );
  process.stdout.write(`${JSON.stringify(outcome)}\n`);
}
firefox.kill();

async function visit(url: string, script: string): Promise<unknown> {
  const { userContext } = await command('browser.createUserContext', {});
  try {
    const { context } = await command('browsingContext.create', { type: 'tab', userContext });
    await command('browsingContext.navigate', { context, url, wait: 'complete' });
    const { result, exceptionDetails } = await command('script.evaluate', {
      expression: script,
      target: { context },
      awaitPromise: true,
    });
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value: unknown }).value;
  } finally {
    await command('browser.removeUserContext', { userContext });
  }
}

async function command(method: string, params: object): Promise<Record<string, unknown>> {
  const id = waiting.size + 1;
  const answer = await new Promise<Answer>((resolve) => {
    waiting.set(id, resolve);
    socket.send(JSON.stringify({ id, method, params }));
  });
  if (answer.type === 'error') throw new Error(`${method}: ${answer.message ?? ''}`);
  return answer.result ?? {};
}

/** Where Firefox says that it listens. */
async function listening(): Promise<string> {
  const lines = createInterface({ input: firefox.stderr });
  const timer = setTimeout(() => firefox.kill(), START_TIMEOUT_MS);
  for await (const line of lines) {
    const url = /WebDriver BiDi listening on (ws:\S+)/.exec(line)?.[1];
    if (url === undefined) continue;
    clearTimeout(timer);
    // What else it says is nobody's, but must not fill the pipe.
    lines.close();
    firefox.stderr.resume();
    return url;
  }
  throw new Error('Firefox ended before it listened');
}
