/** What paired hosts say, on the wire. */
import { describe, expect, it } from 'vitest';
import {
  decodePairMessage,
  encodePairMessage,
  PAIR_PROTOCOL,
  type PairMessage,
} from '../../../server/pair/messages.ts';
import { readPairSettings } from '../../../server/pair/settings.ts';
import { WitnessKeys, witnessKeyOf } from '../../../server/witness/witness-keys.ts';
import { endpointsAt } from './two-hosts.ts';

const KEY = witnessKeyOf(Buffer.alloc(32, 1));
const OTHER_KEY = witnessKeyOf(Buffer.alloc(32, 2));
const [FROM, TO] = ['a'.repeat(32), 'b'.repeat(32)];
const MESSAGES: readonly PairMessage[] = [
  {
    kind: 'hello',
    from: FROM,
    protocol: PAIR_PROTOCOL,
    beat: 1,
    endpoints: endpointsAt('192.0.2.1') as Extract<PairMessage, { kind: 'hello' }>['endpoints'],
    partner: TO,
  },
  { kind: 'echo', from: FROM, to: TO, beat: 7 },
  {
    kind: 'relay',
    from: FROM,
    to: TO,
    beat: 7,
    number: 3,
    family: 'ipv6',
    port: 1,
    target: { address: '2001:db8::7', port: 40_000 },
    bytes: 'AQEAAA==',
  },
  { kind: 'done', from: FROM, to: TO, number: 3, outcome: 'sent' },
  { kind: 'bye', from: FROM },
];

describe('a message', () => {
  it.each(MESSAGES)('$kind arrives as it was', (message) => {
    expect(decodePairMessage(encodePairMessage(message, KEY), new WitnessKeys(OTHER_KEY, KEY))).toEqual(
      message,
    );
  });

  it('is heeded by nobody who has another key', () => {
    for (const message of MESSAGES)
      expect(decodePairMessage(encodePairMessage(message, KEY), new WitnessKeys(OTHER_KEY))).toBeUndefined();
  });

  it('is none with any bit changed, or cut anywhere', () => {
    const bytes = encodePairMessage(MESSAGES[2]!, KEY);
    const keys = new WitnessKeys(KEY);
    for (let at = 0; at < bytes.length; at++) {
      const changed = Uint8Array.from(bytes);
      changed[at]! ^= 1;
      expect(decodePairMessage(changed, keys), `byte ${at}`).toBeUndefined();
      expect(decodePairMessage(bytes.subarray(0, at), keys), `${at} bytes`).toBeUndefined();
    }
  });

  it('may have fields of a later version, but not lack or bend what is known', () => {
    const keys = new WitnessKeys(KEY);
    const decode = (message: object): PairMessage | undefined =>
      decodePairMessage(encodePairMessage(message as PairMessage, KEY), keys);
    expect(decode({ ...MESSAGES[1]!, later: true })).toMatchObject({ kind: 'echo', beat: 7 });
    expect(decode({ ...MESSAGES[1]!, beat: -1 })).toBeUndefined();
    expect(decode({ ...MESSAGES[1]!, to: 'anybody' })).toBeUndefined();
    expect(decode({ ...MESSAGES[2]!, port: 2 })).toBeUndefined();
    expect(decode({ kind: 'unknown', from: FROM })).toBeUndefined();
  });
});

describe('what natprobed is told about its partner', () => {
  const flags = { pair: 'nat-1', nats: ['nats://192.0.2.9'], witnessKeyFile: 'keys' };

  it('is a name, with NATS, keys that both share and one address', () => {
    expect(readPairSettings(flags)).toEqual({ name: 'nat-1' });
    expect(readPairSettings({ nats: flags.nats })).toBeUndefined();
  });

  it.each([
    [{ ...flags, pair: 'nat.1' }, 'ERR_PAIR_NAME', '--pair'],
    [{ ...flags, pair: '>' }, 'ERR_PAIR_NAME', '--pair'],
    [{ pair: 'nat-1', witnessKeyFile: 'keys' }, 'ERR_FLAGS', '--nats'],
    [{ pair: 'nat-1', nats: flags.nats }, 'ERR_FLAGS', '--witness-key-file'],
    [{ ...flags, altIp: ['192.0.2.2'] }, 'ERR_FLAGS', '--alt-ip'],
  ])('%j is refused: %s', (wrong, code, flag) => {
    const read = (): unknown => readPairSettings(wrong);
    expect(read).toThrow(expect.objectContaining({ code }) as Error);
    expect(read).toThrow(flag);
  });
});
