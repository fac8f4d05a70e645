import type { Transport } from '../../../shared/broker/messages.ts';
import type { Family } from '../../../shared/endpoint.ts';
import type { Verdict } from '../../../shared/nat/verdict.ts';
import type { Report } from '../../../shared/report/report.ts';
import { classify } from '../../index.ts';
import { describeKnown, type StatusLine } from '../render/progress.ts';
import type { Settings } from '../settings.ts';
import { optionsOf } from './prepare.ts';

/**
 * Classifies this machine for a punch; all that can be measured with `--full`, else what a punch takes of it,
 * over UDP or also over TCP.
 */
export function classifyHere(
  settings: Settings,
  status: StatusLine,
  transport: Transport,
  signal: AbortSignal,
): Promise<Report> {
  const known = new Map<Family, Verdict>();
  return classify({
    ...optionsOf(settings),
    full: settings.full,
    forPunch: transport === 'tcp' ? 'tcp' : true,
    signal,
    onProgress({ family, verdict }) {
      known.set(family, verdict);
      status.say(describeKnown(known));
    },
  });
}
