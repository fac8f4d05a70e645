/** What is run through a hole, as it was asked for. */
import { parseHostPort } from '../../shared/endpoint.ts';
import { NatprobeError } from '../../shared/errors.ts';
import type { StreamProgram } from '../streams/programs.ts';

export interface ProgramFlags {
  readonly chat?: boolean;
  readonly pipe?: boolean;
  readonly bridge?: string;
  readonly bridgePort?: number;
  readonly exec?: string;
}

export type HoleProgram = StreamProgram | { readonly kind: 'exec'; readonly command: string };

/** Undefined if the hole is only to be opened. Throws ERR_USAGE, ERR_FLAGS, ERR_ENDPOINT, ERR_PORT. */
export function settleProgram(flags: ProgramFlags): HoleProgram | undefined {
  const { chat = false, pipe = false, bridge, bridgePort, exec } = flags;
  const wanted = [
    ...(chat ? ['--chat'] : []),
    ...(pipe ? ['--pipe'] : []),
    ...(bridge === undefined ? [] : ['--bridge']),
    ...(exec === undefined ? [] : ['--exec']),
  ];
  if (wanted.length > 1) throw new NatprobeError('ERR_FLAGS', wanted.join(' and '), 'choose one of them');
  if (bridgePort !== undefined && bridge === undefined)
    throw new NatprobeError('ERR_FLAGS', '--bridge-port', 'it is the port of a --bridge, and none is given');
  if (chat) return { kind: 'chat' };
  if (pipe) return { kind: 'pipe' };
  if (exec?.trim() === '')
    throw new NatprobeError('ERR_USAGE', '--exec', 'it takes a command, and this is none');
  if (exec !== undefined) return { kind: 'exec', command: exec };
  if (bridge === undefined) return undefined;
  const { host, port } = parseHostPort(bridge, '--bridge');
  if (port === undefined)
    throw new NatprobeError('ERR_ENDPOINT', '--bridge', `${bridge} has no port: ${bridge}:51820, say`);
  return { kind: 'bridge', host, port, ...(bridgePort !== undefined && { listenPort: bridgePort }) };
}
