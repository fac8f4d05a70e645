/** The connection to a real NATS server: waited for, made again, with credentials from a file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type NatsLink, openNats } from '../../../server/nats/open.ts';
import { readNatsSettings } from '../../../server/nats/settings.ts';
import { natsMissing, startNats, type TestNats } from '../../support/nats-server.ts';
import { describeIf } from '../../support/requirements.ts';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'natprobe-credentials-'))));
afterEach(() => rmSync(folder, { recursive: true }));

function fileWith(text: string): string {
  const file = join(folder, 'credentials');
  writeFileSync(file, text);
  return file;
}

describe('what natprobed is told about NATS', () => {
  it.each([
    ['http://192.0.2.1', 'ERR_NATS'],
    ['192.0.2.1:4222', 'ERR_NATS'],
    ['nats://ann:secret@192.0.2.1', 'ERR_NATS'],
  ])('is refused as %s', (url, code) => {
    const read = (): unknown => readNatsSettings({ nats: [url] });
    expect(read).toThrow(expect.objectContaining({ code }) as Error);
    expect(read).not.toThrow(/secret/);
  });

  it('takes no credentials for nobody', () => {
    expect(() => readNatsSettings({ natsCredentials: 'file' })).toThrow(/--nats-credentials.*--nats/s);
    expect(readNatsSettings({})).toBeUndefined();
  });

  it('names the flag where the file is not there, or empty', () => {
    const open = (credentialsFile: string): unknown =>
      openNats({ servers: ['nats://127.0.0.1:9'], credentialsFile }, () => undefined);
    expect(() => open(join(folder, 'none'))).toThrow(/--nats-credentials.*ENOENT/s);
    expect(() => open(fileWith('\n'))).toThrow(/--nats-credentials.*empty/s);
  });
});

describeIf(natsMissing())('the connection to NATS', () => {
  let nats: TestNats;
  let link: NatsLink | undefined;
  afterEach(async () => {
    await link?.close();
    await nats.remove();
    link = undefined;
  });

  it('waits for a server that is not there yet, and comes back after one that was killed', async () => {
    nats = await startNats();
    const [server] = nats.servers;
    await server!.kill();
    const log = vi.fn();
    link = openNats({ servers: [server!.url] }, log);
    await vi.waitFor(() =>
      expect(log).toHaveBeenCalledWith('warning', expect.stringContaining('NATS cannot')),
    );
    expect(link.isUp()).toBe(false);
    await server!.restart();
    const connection = await link.connected;
    expect(link.isUp()).toBe(true);
    await server!.kill();
    await vi.waitFor(() => expect(link!.isUp()).toBe(false));
    await server!.restart();
    await vi.waitFor(() => expect(link!.isUp()).toBe(true), { timeout: 10_000 });
    await connection.flush();
  }, 30_000);

  it.each([
    ['authorization { user: ann, password: "a:b" }', 'ann:a:b\n'],
    ['authorization { token: "s3cret" }', 's3cret\n'],
  ])(
    'says who it is: %s',
    async (line, text) => {
      nats = await startNats({ lines: [line] });
      const servers = [nats.servers[0]!.url];
      const log = vi.fn();
      link = openNats({ servers }, log);
      await vi.waitFor(() =>
        expect(log).toHaveBeenCalledWith('warning', expect.stringMatching(/authorization/i)),
      );
      await link.close();
      link = openNats({ servers, credentialsFile: fileWith(text) }, () => undefined);
      await link.connected;
      expect(link.isUp()).toBe(true);
    },
    30_000,
  );

  it('can be given up before it is there', async () => {
    nats = await startNats();
    await nats.servers[0]!.kill();
    link = openNats({ servers: [nats.servers[0]!.url] }, () => undefined);
    await link.close();
    expect(link.isUp()).toBe(false);
  });
});
