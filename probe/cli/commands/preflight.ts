import { parseHostPort } from '../../../shared/endpoint.ts';
import { NatprobeError } from '../../../shared/errors.ts';
import { behaviourOfReport, type PunchBehaviour } from '../../../shared/punch/behaviour.ts';
import { predict } from '../../../shared/punch/predict.ts';
import { preflight } from '../../../shared/punch/preflight.ts';
import type { Report } from '../../../shared/report/report.ts';
import { classify } from '../../index.ts';
import { EXIT } from '../exit-codes.ts';
import { readSide } from '../read-side.ts';
import { renderPreflight } from '../render/prediction.ts';
import { showProgress } from '../render/progress.ts';
import { decideStyle } from '../render/style.ts';
import type { Flags, Settings } from '../settings.ts';
import { optionsOf, prepareSettings } from './prepare.ts';

/**
 * `natprobe preflight PEER`: classifies this machine, decides about a punch to the peer, prints that,
 * and returns the exit code. Rejects with a NatprobeError.
 */
export async function preflightCommand(peer: string | undefined, flags: Flags): Promise<number> {
  const settings = prepareSettings(flags);
  const there = await readPeer(peer, flags.peerReport, settings);
  const report = await classifyHere(settings);
  const here = behaviourOfReport(report);
  const decision = preflight(here, there);
  const style = decideStyle(settings.color, process.env, process.stdout.isTTY);
  process.stdout.write(
    settings.json
      ? `${JSON.stringify(decision, undefined, 2)}\n`
      : renderPreflight(decision, predict(here, there), style),
  );
  if (report.verdict.type === 'inconclusive') return EXIT.inconclusive;
  return decision.decision === 'no-go' ? EXIT.noGo : EXIT.verdict;
}

async function readPeer(
  peer: string | undefined,
  peerReport: string | undefined,
  { servers, api }: Settings,
): Promise<PunchBehaviour> {
  if ((peer === undefined) === (peerReport === undefined))
    throw new NatprobeError('ERR_FLAGS', 'PEER', 'give either PEER or --peer-report');
  if (peer !== undefined) return readSide(peer, 'PEER');
  const { fetchReport } = await import('../../drive/fetch-report.ts');
  const report = await fetchReport(peerReport!, {
    servers: servers.map((server) => parseHostPort(server, '--server')),
    ...(api !== undefined && { api }),
  });
  // The server may keep its addresses cut or replaced, and doesn't say.
  return behaviourOfReport(report, { pseudonymous: true });
}

async function classifyHere(settings: Settings): Promise<Report> {
  const progress = showProgress(process.stderr);
  process.once('SIGINT', () => {
    progress.end();
    process.exit(EXIT.interrupted);
  });
  try {
    return await classify({
      ...optionsOf(settings),
      full: settings.full,
      onProgress: ({ family, verdict }) => progress.update(family, verdict),
    });
  } finally {
    progress.end();
  }
}
