/** The broker's secrets, which are in files: their mistakes name the flag, and never what stands there. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createSigner } from 'fast-jwt';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openPeering } from '../../../server/peering/open.ts';
import { readPeeringSettings } from '../../../server/peering/settings.ts';

const SECRET = 'a secret of at least thirty-two characters';
const RELAY = ['turn:relay.example.org'];

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'natprobe-keys-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function fileWith(text: string): string {
  const file = join(folder, 'key');
  writeFileSync(file, text);
  return file;
}

describe('the secrets of the broker', () => {
  it('are what stands in the files, without the end of the line', () => {
    const file = fileWith(`${SECRET}\n`);
    const flags = { relay: RELAY, relaySecretFile: file, roomJwtKey: file };
    const { nameRelay, checkRoomToken } = openPeering(readPeeringSettings(flags));
    const token = createSigner({ key: SECRET, algorithm: 'HS256', expiresIn: 60_000 })({ room: 'attic' });
    expect(checkRoomToken?.(token, 'attic', 'ann')).toBeGreaterThan(50_000);
    expect(nameRelay?.('7b')).toMatchObject({
      urls: RELAY,
      username: expect.stringMatching(/^\d+:7b$/) as string,
    });
  });

  it('are none where nothing was said', () => {
    expect(openPeering(readPeeringSettings({}))).toEqual({ limits: {} });
  });

  it.each([
    ['relaySecretFile', '--relay-secret-file', ' \n', /it is empty/],
    ['roomJwtKey', '--room-jwt-key', 'hunter2', /32 characters/],
    ['roomJwtKey', '--room-jwt-key', '', /32 characters/],
  ] as const)('%s: what is wrong with them is said without them', (name, flag, text, problem) => {
    const settings = readPeeringSettings({ relay: RELAY, [name]: fileWith(text) });
    expect(() => openPeering(settings)).toThrow(problem);
    expect(() => openPeering(settings)).toThrow(new RegExp(`^${flag}: the file`));
    expect(() => openPeering(settings)).not.toThrow(/hunter2/);
  });

  it('have to be there', () => {
    const settings = readPeeringSettings({ roomJwtKey: join(folder, 'none') });
    expect(() => openPeering(settings)).toThrow(/^--room-jwt-key:.*ENOENT/);
  });
});
