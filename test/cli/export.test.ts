/** `natprobed export` as a process, beside a store that is written to. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { postgresMissing, startPostgres } from '../support/postgres.ts';
import { describeIf } from '../support/requirements.ts';
import { newReport, openTestStore, type TestStore } from '../unit/server/reports/reports.ts';
import { finish, NATPROBED, startProgram } from './programs.ts';

let directory: string;
let test: TestStore;
beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), 'natprobe-export-'));
  test = await openTestStore(directory);
});
afterEach(async () => {
  await test.store.close();
  rmSync(directory, { recursive: true });
});

async function addReports(count: number): Promise<string[]> {
  const added = await Promise.all(
    Array.from({ length: count }, (_, index) =>
      test.store.add(newReport({ family: index % 4 === 0 ? 'ipv6' : 'ipv4' })),
    ),
  );
  return added.map(({ id }) => id);
}

function exportReports(...args: string[]): ReturnType<typeof finish> {
  return finish(startProgram(NATPROBED, ['export', '--data', directory, ...args]));
}

describe('natprobed export', () => {
  it('writes each report as a line of JSON, while the store is open and written to', async () => {
    const ids = await addReports(300);
    const running = exportReports();
    const more = addReports(100);
    const { stdout, stderr, code } = await running;
    await more;
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    const lines = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { id: string });
    expect(lines.slice(0, 300).map(({ id }) => id)).toEqual(ids);
    expect(lines[7]).toEqual(await test.store.find(ids[7]!));
  });

  it('writes CSV with a header, and only what passes the filters', async () => {
    const ids = await addReports(8);
    test.clock.nowMs += 86_400_000;
    await addReports(8);
    const filter = ['--family', 'ipv6', '--type', 'port-restricted-cone', '--until', '2026-03-02'];
    const { stdout, stderr, code } = await exportReports('--format', 'csv', ...filter);
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
    expect(stdout).toBe(
      'id,receivedAt,source,family,type,mapping,filtering,confidence,judgeVersion,endpointsWitnessed,claimsFollow,' +
        'startedAt,local,mapped,server,receipts,totalMs,rttMs,ports,pooling,collisions,unsolicited,hairpin,mangling,' +
        'fragments,layers,tcpMapping,tcpFiltering\n' +
        [ids[0]!, ids[4]!]
          .map(
            (id) =>
              `${id},2026-03-01T12:00:00.000Z,probe,ipv6,port-restricted-cone,endpoint-independent,` +
              `address-and-port-dependent,0.9995,${newReport().judgeVersion},partly,false,2026-03-01T11:59:59.000Z,` +
              '10.0.0.2:40000,203.0.113.7:40000,198.51.100.1:3478,false,40,,,,,,,,,,,\n',
          )
          .join(''),
    );
  });

  it('ends quietly when its reader has had enough', async () => {
    await addReports(2000);
    const child = startProgram(NATPROBED, ['export', '--data', directory]);
    let stderr = '';
    child.stderr!.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    await once(child.stdout!, 'data');
    child.stdout!.destroy();
    const [code] = (await once(child, 'close')) as [number | null];
    expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
  });

  it('writes nothing of a store without reports, and a header as CSV', async () => {
    expect(await exportReports()).toMatchObject({ stdout: '', stderr: '', code: 0 });
    expect((await exportReports('--format', 'csv')).stdout).toMatch(/^id,.*tcpFiltering\n$/);
  });

  it.each([
    [[], /^natprobed: error: --data: not understood \(it takes the directory of a server/],
    [['--data', ':memory:'], /--data: not understood/],
    [
      ['--data', tmpdir(), '--database', 'postgres://db/natprobe'],
      /--database: these options do not go together/,
    ],
    [
      ['--data', '/nonexistent'],
      /--data: that directory cannot be used for reports \(\/nonexistent: reports.sqlite is not there/,
    ],
    [['--data', tmpdir(), '--format', 'xml'], /argument 'xml' is invalid. Allowed choices are ndjson, csv/],
    [
      ['--data', tmpdir(), '--since', 'yesterday'],
      /--since: not a point in time \(got "yesterday"\); write 2026-01-31/,
    ],
  ])('ends in 2 with %j, and says why', async (args, message) => {
    const { stdout, stderr, code } = await finish(startProgram(NATPROBED, ['export', ...args]));
    expect({ stdout, code }).toEqual({ stdout: '', code: 2 });
    expect(stderr).toMatch(message);
  });
});

describeIf(postgresMissing())('natprobed export --database', () => {
  it('writes what a database has, with a password from PGPASSWORD', async () => {
    const cluster = await startPostgres();
    try {
      const url = await cluster.createDatabase();
      const { store } = await openTestStore(url);
      const kept = await store.add(newReport());
      await store.close();
      const { password } = new URL(url);
      const database = url.replace(`:${password}`, '');
      const child = startProgram(NATPROBED, ['export', '--database', database], {
        PGPASSWORD: decodeURIComponent(password),
      });
      const { stdout, stderr, code } = await finish(child);
      expect({ stderr, code }).toEqual({ stderr: '', code: 0 });
      expect(JSON.parse(stdout)).toEqual(kept);
    } finally {
      await cluster.remove();
    }
  });
});
