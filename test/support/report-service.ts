/** An HTTP API on loopback that takes reports, with the keys of witnesses in a file for a natprobed to share. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readKeyFile } from '../../server/witness-key-source.ts';
import { checkWitnesses } from '../../server/witness/check-witnesses.ts';
import { WitnessKeys } from '../../server/witness/witness-keys.ts';
import type { ReportOptions } from '../../server/http/app.ts';
import { openTestApp, type TestApp } from '../http/app.ts';

export interface ReportService extends Pick<TestApp, 'store'> {
  readonly port: number;
  /** `http://127.0.0.1:PORT/`. */
  readonly url: string;
  readonly keyFile: string;
  stop(): Promise<void>;
}

export async function startReportService(options: Partial<ReportOptions> = {}): Promise<ReportService> {
  const folder = mkdtempSync(join(tmpdir(), 'natprobe-report-'));
  const keyFile = join(folder, 'keys');
  writeFileSync(keyFile, randomBytes(32).toString('hex'));
  const keys = new WitnessKeys(...readKeyFile(keyFile));
  const { app, store, close } = await openTestApp({
    checkWitnesses: (witnesses, evidence) => checkWitnesses(witnesses, evidence, keys, Date.now()),
    ...options,
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  const { port } = app.server.address() as AddressInfo;
  return {
    store,
    port,
    url: `http://127.0.0.1:${port}/`,
    keyFile,
    async stop() {
      await close();
      rmSync(folder, { recursive: true });
    },
  };
}
