/** Which room, which secrets, what for: read once, from flags, files and the environment. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { settleProgram } from '../../../probe/cli/hole-program.ts';
import {
  type HoleFlags,
  readPeerName,
  settleConsent,
  settlePsk,
  settleRoom,
} from '../../../probe/cli/peer-settings.ts';

const NO_FLAGS: HoleFlags = { color: true };

const folder = mkdtempSync(join(tmpdir(), 'natprobe-secrets-'));
afterAll(() => rmSync(folder, { recursive: true }));

function fileWith(text: string): string {
  const path = join(folder, 'secret');
  writeFileSync(path, text);
  return path;
}

describe('the room', () => {
  it('is the lobby, without key or token, unless something else is said', () => {
    expect(settleRoom(NO_FLAGS, { NATPROBE_ROOM_KEY: '' })).toEqual({ room: 'lobby' });
    const env = { NATPROBE_ROOM_KEY: 'from env', NATPROBE_ROOM_TOKEN: 'a.b.c' };
    expect(settleRoom({ ...NO_FLAGS, room: 'den' }, env)).toEqual({
      room: 'den',
      roomKey: 'from env',
      roomToken: 'a.b.c',
    });
  });

  it('takes its key from the command line or the first line of a file before the environment', () => {
    const env = { NATPROBE_ROOM_KEY: 'from env' };
    expect(settleRoom({ ...NO_FLAGS, roomKey: 'typed' }, env).roomKey).toBe('typed');
    const roomKeyFile = fileWith('from file\r\na note\n');
    expect(settleRoom({ ...NO_FLAGS, roomKeyFile }, env).roomKey).toBe('from file');
  });
});

describe('a secret', () => {
  it('comes from one place, and is not empty', () => {
    const pskFile = fileWith('\n');
    expect(() => settlePsk({ ...NO_FLAGS, psk: 'a', pskFile }, {})).toThrow('--psk and --psk-file: these');
    expect(() => settlePsk({ ...NO_FLAGS, pskFile }, {})).toThrow('--psk-file: the secret cannot be used');
    expect(() => settlePsk({ ...NO_FLAGS, psk: '' }, {})).toThrow('--psk: the secret cannot be used');
  });

  it('that cannot be read is told by its option and the reason', () => {
    const roomTokenFile = join(folder, 'missing');
    expect(() => settleRoom({ ...NO_FLAGS, roomTokenFile }, {})).toThrow(
      '--room-token-file: the secret cannot be used (ENOENT); give a file that this user can read',
    );
  });
});

describe('consent', () => {
  it('is given unless it is to be asked for, or refused', () => {
    expect(settleConsent(NO_FLAGS)).toBe('auto');
    expect(settleConsent({ ...NO_FLAGS, ask: true })).toBe('ask');
    expect(settleConsent({ ...NO_FLAGS, refuse: true })).toBe('refuse');
    expect(() => settleConsent({ ...NO_FLAGS, ask: true, refuse: true })).toThrow('--ask and --refuse');
  });
});

describe('the program', () => {
  it('is one, or none', () => {
    expect(settleProgram(NO_FLAGS)).toBeUndefined();
    expect(settleProgram({ ...NO_FLAGS, chat: true })).toEqual({ kind: 'chat' });
    expect(settleProgram({ ...NO_FLAGS, exec: 'ls' })).toEqual({ kind: 'exec', command: 'ls' });
    expect(settleProgram({ ...NO_FLAGS, bridge: '[::1]:51820', bridgePort: 9 })).toEqual({
      kind: 'bridge',
      host: '::1',
      port: 51820,
      listenPort: 9,
    });
    expect(() => settleProgram({ ...NO_FLAGS, chat: true, pipe: true })).toThrow('--chat and --pipe');
  });

  it('that bridges needs a port, and datagrams', () => {
    expect(() => settleProgram({ ...NO_FLAGS, bridge: '127.0.0.1' })).toThrow('--bridge: not an');
    expect(() => settleProgram({ ...NO_FLAGS, bridgePort: 1 })).toThrow('--bridge-port: these');
  });
});

describe('a peer', () => {
  it('is meant by its number where it is all digits, else by its name', () => {
    expect(['7', '007x', 'bob', '12345678901'].map(readPeerName)).toEqual([7, '007x', 'bob', '12345678901']);
  });
});
