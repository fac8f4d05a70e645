/** The ports of a deployment: free, held by natprobed, or by something else; and whether STUN answers itself there. */
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { ERROR_CATALOGUE, NatprobeError } from '../../shared/errors.ts';
import { type Endpoint, familyOf, formatEndpoint } from '../../shared/endpoint.ts';
import { fine, type Finding, findingOf, wrong } from '../../shared/findings.ts';
import { SERVER_ROLES } from '../../shared/role.ts';
import { WITNESS } from '../../shared/stun/attributes/natprobe.ts';
import { readAttribute } from '../../shared/stun/message.ts';
import { bindError, systemErrorCode } from '../bind-error.ts';
import { addressFlag, type FamilyConfig, portFlag } from '../config.ts';
import { testFamily, testTlsFamily } from '../self-test.ts';
import { startServer } from '../server.ts';
import type { TlsFiles } from '../tls/settings.ts';
import { askStun, type StunTransport } from './ask-stun.ts';

export interface PortFacts {
  /** Whose addresses the machine has. */
  readonly families: readonly FamilyConfig[];
  /** If its certificate can be used. */
  readonly tls?: TlsFiles & { readonly families: readonly FamilyConfig[] };
}

export interface CheckedPorts {
  readonly findings: readonly Finding[];
  /** natprobed runs there. */
  readonly isRunning: boolean;
}

/** Where nothing runs there yet, a server is tried for a moment, without HTTP. */
export async function checkPorts({ families, tls }: PortFacts): Promise<CheckedPorts> {
  const places = [
    ...families.flatMap((family) => [...placesOf(family, 'udp'), ...placesOf(family, 'tcp')]),
    ...(tls?.families ?? []).flatMap((family) => placesOf(family, 'tls')),
  ];
  const states = await Promise.all(places.map(async (place) => ({ place, state: await lookAt(place) })));
  const bad = states.flatMap(({ place, state }) => describeTrouble(place, state));
  const running = states.filter(({ state }) => state === 'natprobed').length;
  if (bad.length > 0 || places.length === 0) return { findings: bad, isRunning: running > 0 };
  const isRunning = running === places.length;
  if (!isRunning && running > 0) {
    const away = states.filter(({ state }) => state !== 'natprobed').map(({ place }) => nameOf(place));
    const seen = `a natprobed runs here, and is not on ${away.join(', ')}`;
    return {
      findings: [wrong('ports', seen, 'start it again with these options, or check it with its own')],
      isRunning: true,
    };
  }
  const seen = isRunning ? 'are held by a running natprobed' : 'are free';
  const test = isRunning ? await testRunning(families, tls) : await testTrial(families, tls);
  return { findings: [fine('ports', `all ${places.length} of STUN ${seen}`), test], isRunning };
}

interface Place {
  readonly transport: StunTransport;
  readonly endpoint: Endpoint;
  readonly addressFlag: string;
  readonly portFlag: string;
}

/** What a port is: anything else is the system's error. */
type PortState = 'free' | 'natprobed' | 'held' | NodeJS.ErrnoException;

function placesOf({ bound }: FamilyConfig, transport: StunTransport): Place[] {
  return SERVER_ROLES.flatMap((role) => {
    const endpoint = bound[role];
    if (endpoint === undefined) return [];
    const flag = transport === 'tls' ? '--tls-port' : portFlag(role);
    return [{ transport, endpoint, addressFlag: addressFlag(role), portFlag: flag }];
  });
}

async function lookAt({ transport, endpoint }: Place): Promise<PortState> {
  const error = await tryToBind(transport, endpoint);
  if (error === undefined) return 'free';
  if (systemErrorCode(error) !== 'EADDRINUSE') return error;
  return (await isNatprobed(endpoint, transport)) ? 'natprobed' : 'held';
}

/** The system's error where that can't be bound; what is bound is let go of at once. */
export function tryToBind(
  transport: StunTransport,
  { address, port }: Endpoint,
): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    if (transport === 'udp') {
      const socket =
        familyOf(address) === 'ipv4' ? createSocket('udp4') : createSocket({ type: 'udp6', ipv6Only: true });
      socket.on('error', (error) => socket.close(() => resolve(error)));
      socket.bind({ port, address, exclusive: true }, () => socket.close(() => resolve(undefined)));
    } else {
      const server = createServer();
      server.on('error', resolve);
      server.listen({ port, host: address, exclusive: true }, () => server.close(() => resolve(undefined)));
    }
  });
}

/** No answer is longer than such a request. */
const LONG_ENOUGH = 200;

/** Whether what answers there gives witnesses, which nothing else does. */
async function isNatprobed(endpoint: Endpoint, transport: StunTransport): Promise<boolean> {
  const nonce = new Uint8Array(16);
  const asked = { kind: 'asked', purpose: 'report', nonce, fillerLength: LONG_ENOUGH } as const;
  const answer = await askStun(endpoint, transport, { class: 'request', attributes: [WITNESS.of(asked)] });
  return answer !== undefined && readAttribute(answer, WITNESS)?.kind === 'given';
}

function describeTrouble(place: Place, state: PortState): Finding[] {
  if (state === 'free' || state === 'natprobed') return [];
  if (state !== 'held') return [findingOf('ports', bindError(state, { ...place, endpoint: nameOf(place) }))];
  const seen = `${nameOf(place)} is held by a program that does not answer as natprobed does`;
  const whose = `ss -lpn 'sport = :${place.endpoint.port}'`;
  return [
    wrong(
      'ports',
      seen,
      `stop it (${whose} says which it is), or choose another port with ${place.portFlag}`,
    ),
  ];
}

function nameOf({ transport, endpoint }: Place): string {
  return `${transport === 'udp' ? 'UDP' : 'TCP'} ${formatEndpoint(endpoint)}`;
}

async function testRunning(families: readonly FamilyConfig[], tls: PortFacts['tls']): Promise<Finding> {
  return reportTest('natprobed answers at all of them, as it should', () =>
    Promise.all([...families.map(testFamily), ...(tls?.families ?? []).map(testTlsFamily)]),
  );
}

async function testTrial(families: readonly FamilyConfig[], tls: PortFacts['tls']): Promise<Finding> {
  return reportTest('a server that was tried there for a moment answered itself at all of them', async () => {
    const server = await startServer({ families, ...(tls && { tls }), selfTest: true });
    await server.stop();
  });
}

async function reportTest(wellDone: string, test: () => Promise<unknown>): Promise<Finding> {
  try {
    await test();
    return fine('self-test', wellDone);
  } catch (error) {
    if (!(error instanceof NatprobeError)) throw error;
    const { remedy } = ERROR_CATALOGUE[error.code];
    return wrong(
      'self-test',
      `${error.place}: ${error.detail ?? ERROR_CATALOGUE[error.code].problem}`,
      remedy,
    );
  }
}
