import { describe, expect, it } from 'vitest';
import { createLog, type LogFlags, readLogSettings } from '../../../server/log.ts';

async function logged(flags: LogFlags): Promise<string[]> {
  const lines: string[] = [];
  const log = await createLog(
    readLogSettings(flags),
    (line) => lines.push(line),
    () => new Date('2026-01-31T12:00:00Z'),
  );
  log('debug', 'detail');
  log('info', 'started', { port: 3478 });
  log('warning', 'odd');
  log('error', 'broken', { code: 'ERR_X' });
  return lines;
}

describe('the log', () => {
  it('is lines for people', async () => {
    expect(await logged({})).toEqual([
      'natprobed: started\n',
      'natprobed: warning: odd\n',
      'natprobed: error: broken\n',
    ]);
    expect(await logged({ logLevel: 'debug' })).toHaveLength(4);
  });

  it('is a JSON document a line for programs', async () => {
    for (const flags of [{ json: true }, { logFormat: 'json' }]) {
      const lines = await logged(flags);
      expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual([
        { level: 'info', time: '2026-01-31T12:00:00.000Z', port: 3478, message: 'started' },
        { level: 'warning', time: '2026-01-31T12:00:00.000Z', message: 'odd' },
        { level: 'error', time: '2026-01-31T12:00:00.000Z', code: 'ERR_X', message: 'broken' },
      ]);
      expect(lines.every((line) => line.endsWith('\n'))).toBe(true);
    }
    expect(await logged({ json: true, logLevel: 'error' })).toHaveLength(1);
    expect(await logged({ json: true, logFormat: 'text' })).toContain('natprobed: started\n');
  });

  it('is not what it does not know', () => {
    expect(() => readLogSettings({ logLevel: 'loud' })).toThrow(
      /^--log-level: .*got "loud"; it takes debug, info, warning, error/,
    );
    expect(() => readLogSettings({ logFormat: 'xml' })).toThrow(/^--log-format: .*text, json/);
  });
});
