/** Runs of natprobe behind the lab's NATs. */
import { expect } from 'vitest';
import type { Report } from '../../shared/report/report.ts';
import type { Internet, Site } from './internet.ts';
import { readReport, runNatprobe } from './natprobe.ts';
import type { LabNat } from './nats.ts';

export function serverFlag(server: string): string[] {
  return ['--server', server];
}

/** Independent runs: each finds the NAT's tables empty. */
export async function probeAfresh(site: Site, runs: number, flags: readonly string[]): Promise<Report[]> {
  const reports: Report[] = [];
  for (let run = 0; run < runs; run++) {
    await site.forget();
    reports.push(await probe(site, flags));
  }
  return reports;
}

/** One run. */
export async function probe(site: Site, flags: readonly string[]): Promise<Report> {
  const finished = await runNatprobe(site.client, flags);
  const report = readReport(finished);
  expect(finished.code).toBe(report.verdict.type === 'inconclusive' ? 1 : 0);
  return report;
}

/** Attaches the NAT for as long as `body` takes. */
export async function behind(
  internet: Internet,
  nat: LabNat,
  body: (site: Site) => Promise<void>,
): Promise<void> {
  const site = await internet.attach(nat);
  try {
    await body(site);
  } finally {
    await site.close();
  }
}
