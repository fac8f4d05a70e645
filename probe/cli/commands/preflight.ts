import { parseHostPort } from '../../../shared/endpoint.ts';
import { NatprobeError } from '../../../shared/errors.ts';
import { behaviourOfReport, type PunchBehaviour } from '../../../shared/punch/behaviour.ts';
import type { Transport } from '../../../shared/punch/plan.ts';
import {
  decidePreflight,
  predictOverTransport,
  type Preflight,
  preflightOf,
  PREFLIGHT_SCHEMA,
} from '../../../shared/punch/preflight.ts';
import type { Report } from '../../../shared/report/report.ts';
import { EXIT } from '../exit-codes.ts';
import { type PreflightFlags, readPeerName, type RoomFlags, transportOf } from '../peer-settings.ts';
import { findSide, noSuchSide } from '../read-side.ts';
import { describeSide, renderPreflight } from '../render/prediction.ts';
import { showStatus } from '../render/progress.ts';
import { describePeer } from '../render/punch.ts';
import { decideStyle } from '../../../shared/style.ts';
import type { Settings } from '../settings.ts';
import { classifyHere } from './classify-here.ts';
import { interruptibly } from './interrupt.ts';
import { prepareRoom, type RoomRun } from './prepare-room.ts';
import { prepareSettings } from './prepare.ts';

/**
 * `natprobe preflight PEER`: classifies this machine, decides about a punch to the peer, prints that,
 * and returns the exit code. Rejects with a NatprobeError.
 */
export async function preflightCommand(peer: string | undefined, flags: PreflightFlags): Promise<number> {
  if (peer === undefined && flags.peerReport === undefined)
    throw new NatprobeError('ERR_USAGE', 'command line', 'it takes a PEER, or --peer-report ID in its place');
  if (peer !== undefined && flags.peerReport !== undefined)
    throw new NatprobeError('ERR_FLAGS', 'PEER', 'not with --peer-report, which stands in its place');
  if (peer === undefined) {
    const settings = prepareSettings(flags);
    return decideAbout(await fetchSide(flags.peerReport!, settings), settings, transportOf(flags));
  }
  // Whoever says where to look for a peer means one, whatever else may have that name.
  if (saysRoom(flags)) return decideAboutPeer(peer, flags);
  const side = await findSide(peer);
  if (side !== undefined) return decideAbout(side, prepareSettings(flags), transportOf(flags));
  if (!MAY_BE_A_PEER.test(peer)) throw noSuchSide(peer, 'PEER');
  return decideAboutPeer(peer, flags);
}

/** Rather than a mapping and a filtering, or a file, that was mistyped. */
const MAY_BE_A_PEER = /^[^/\\]*(?<!\.json)$/;

function saysRoom({ room, roomKey, roomKeyFile, roomTokenFile }: RoomFlags): boolean {
  return [room, roomKey, roomKeyFile, roomTokenFile].some((flag) => flag !== undefined);
}

function decideAbout(there: PunchBehaviour, settings: Settings, transport: Transport): Promise<number> {
  return interruptibly(async (signal) => {
    const report = await classifyWithStatus(settings, transport, signal);
    const prediction = predictOverTransport(behaviourOfReport(report), there, transport);
    const sides = [describeSide(prediction.a), describeSide(prediction.b)] as const;
    return conclude(preflightOf(prediction), report, sides, settings);
  });
}

/** The broker knows how the peer's NAT behaves, and whether both are behind one; nobody else is told. */
function decideAboutPeer(peer: string, flags: PreflightFlags): Promise<number> {
  const run = prepareRoom(flags);
  return interruptibly(async (signal) => {
    try {
      return await foreseePeer(peer, run, transportOf(flags), signal);
    } catch (error) {
      if (!(error instanceof NatprobeError) || error.code !== 'ERR_NO_PEER' || saysRoom(flags)) throw error;
      const shown = JSON.stringify(peer.slice(0, SHOWN));
      throw new NatprobeError('ERR_NO_PEER', 'PEER', `${shown} is no type of NAT and no file either`);
    }
  });
}

/** An error shows no more characters of what was typed. */
const SHOWN = 80;

async function foreseePeer(
  peer: string,
  { settings, options }: RoomRun,
  transport: Transport,
  signal: AbortSignal,
): Promise<number> {
  const { visitRoom } = await import('../../drive/join-room.ts');
  const report = await classifyWithStatus(settings, transport, signal);
  const visit = await visitRoom({ ...options, report, signal });
  try {
    const asked = visit.foresee(readPeerName(peer), { transport, signal });
    const { peer: found, prediction, budget, reasons } = await asked;
    const { strategy, probability } = prediction;
    const decision = decidePreflight(prediction);
    const here = { ...report.verdict, family: report.family };
    return conclude(
      { schema: PREFLIGHT_SCHEMA, decision, strategy, probability, budget, reasons },
      report,
      [describeSide(here), describePeer(found)],
      settings,
    );
  } finally {
    await visit.leave();
  }
}

function conclude(
  decision: Preflight,
  report: Report,
  [here, peer]: readonly [string, string],
  settings: Settings,
): number {
  const isInconclusive = report.verdict.type === 'inconclusive';
  const style = decideStyle(settings.color, process.env, process.stdout.isTTY);
  process.stdout.write(
    settings.json
      ? `${JSON.stringify(decision, undefined, 2)}\n`
      : renderPreflight(decision, { here, peer, isInconclusive }, style),
  );
  if (isInconclusive) return EXIT.inconclusive;
  return decision.decision === 'no-go' ? EXIT.noGo : EXIT.verdict;
}

async function fetchSide(id: string, { servers, api }: Settings): Promise<PunchBehaviour> {
  const { fetchReport } = await import('../../drive/fetch-report.ts');
  const report = await fetchReport(id, {
    servers: servers.map((server) => parseHostPort(server, '--server')),
    ...(api !== undefined && { api }),
  });
  // The server may keep its addresses cut or replaced, and doesn't say.
  return behaviourOfReport(report, { pseudonymous: true });
}

async function classifyWithStatus(
  settings: Settings,
  transport: Transport,
  signal: AbortSignal,
): Promise<Report> {
  const status = showStatus(process.stderr, 'waiting for the server');
  try {
    return await classifyHere(settings, status, transport, signal);
  } finally {
    status.end();
  }
}
