/** Where the keys of witnesses come from, and that servers which share a file stand for each other. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WITNESS } from '../../../shared/stun/attributes/natprobe.ts';
import { readAttribute } from '../../../shared/stun/message.ts';
import { SILENT_LOG } from '../../../server/log.ts';
import { openWitnessKeys, readKeyFile } from '../../../server/witness-key-source.ts';
import type { WitnessKey } from '../../../server/witness/witness-keys.ts';
import { isWitnessMac } from '../../../server/witness/witness-mac.ts';
import { ID, request } from '../answer/exchange.ts';
import { UdpClient, startOnLoopback } from './loopback.ts';

const ONE = randomBytes(32).toString('hex');
const TWO = randomBytes(32).toString('hex');
const folder = mkdtempSync(join(tmpdir(), 'natprobe-keys-'));
const file = join(folder, 'keys');
afterAll(() => rmSync(folder, { recursive: true }));

function secretsIn(keys: readonly WitnessKey[]): string[] {
  return keys.map(({ secret }) => secret.export().toString('hex'));
}

describe('a key file', () => {
  it('has a key a line, empty lines and comments', () => {
    writeFileSync(file, `# since January\n${ONE}\n\n  ${TWO.toUpperCase()}  \n`);
    expect(secretsIn(readKeyFile(file))).toEqual([ONE, TWO]);
  });

  it.each([
    ['', 'it is empty'],
    ['# nothing yet\n', 'it is empty'],
    [`${ONE}\n${TWO.slice(1)}\n`, 'line 2 is no key'],
    [`key ${ONE}\n`, 'line 1 is no key'],
  ])('that reads %j is refused', (text, detail) => {
    writeFileSync(file, text);
    expect(() => readKeyFile(file)).toThrow(
      expect.objectContaining({
        code: 'ERR_WITNESS_KEYS',
        message: expect.stringContaining(detail) as string,
      }),
    );
  });

  it('that is not there is named with the flag, and what stands in it is never told', () => {
    expect(() => readKeyFile(join(folder, 'none'))).toThrow(/^--witness-key-file: .*\(ENOENT\)/);
    writeFileSync(file, `${ONE} and more\n`);
    expect(() => readKeyFile(file)).not.toThrow(new RegExp(ONE));
  });
});

describe('keys over time', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  it('are changed every hour, and the one before goes on checking', async () => {
    const { keys, close } = openWitnessKeys(undefined, SILENT_LOG);
    const first = keys.current;
    vi.advanceTimersByTime(3_600_000);
    expect(keys.current).not.toEqual(first);
    expect(keys.withId(first.id)).toContain(first);
    const second = keys.current;
    vi.advanceTimersByTime(3_600_000);
    expect(keys.withId(first.id)).not.toContain(first);
    await close();
    vi.advanceTimersByTime(3_600_000);
    expect(keys.withId(second.id)).toContain(second);
  });

  it('follow their file, and stay as they were while it cannot be used, which is told once', async () => {
    const told: string[] = [];
    writeFileSync(file, ONE);
    const { keys, close } = openWitnessKeys(file, (level, message) => told.push(`${level}: ${message}`));
    writeFileSync(file, `${TWO}\n${ONE}`);
    vi.advanceTimersByTime(30_000);
    expect(secretsIn([keys.current])).toEqual([TWO]);
    writeFileSync(file, 'gone');
    vi.advanceTimersByTime(120_000);
    expect(secretsIn([keys.current])).toEqual([TWO]);
    expect(told).toEqual([expect.stringMatching(/^warning: the witness keys stay as they were: .*line 1/)]);
    await close();
  });
});

describe('a server', () => {
  it('gives witnesses over UDP that whoever has its key file can check', async () => {
    writeFileSync(file, ONE);
    const { server, endpoints } = await startOnLoopback({ witnessKeyFile: file });
    const client = await UdpClient.open();
    try {
      const nonce = new Uint8Array(16);
      const before = Date.now();
      const asked = WITNESS.of({ kind: 'asked', purpose: 'report', nonce, fillerLength: 100 });
      client.send(request([asked]), endpoints[0]!);
      const [answer] = await client.hear(1);
      const given = readAttribute(answer!.message, WITNESS);
      if (given?.kind !== 'given') throw new Error('no witness');
      expect(given.madeAtMs).toBeGreaterThanOrEqual(before);
      expect(given.madeAtMs).toBeLessThanOrEqual(Date.now());
      const loopback = Uint8Array.of(127, 0, 0, 1);
      const facts = {
        purpose: 'report' as const,
        nonce,
        transactionId: Buffer.from(ID, 'hex'),
        source: { address: loopback, port: client.endpoint.port },
        arrival: { address: loopback, port: endpoints[0]!.port },
        madeAtMs: given.madeAtMs,
      };
      expect(isWitnessMac(readKeyFile(file)[0], facts, given.mac)).toBe(true);
    } finally {
      client.close();
      await server.stop();
    }
  });

  it('does not start with a key file that cannot be used', async () => {
    const start = startOnLoopback({ witnessKeyFile: join(folder, 'none') });
    await expect(start).rejects.toMatchObject({ code: 'ERR_WITNESS_KEYS', exitCode: 2 });
  });
});
