/**
 * Other people's STUN programs in the lab: how they are run, and what their words can mean in the
 * terms of RFC 4787. Versions: vovida 0.97 (Debian stun-client, stun-server), coturn 4.6.
 */
import type { Filtering, Mapping } from '../../shared/nat/behaviour.ts';
import { SERVER_ADDRESSES } from '../lab/internet.ts';
import type { Finished, Namespace } from '../lab/namespaces.ts';
import { serverOf, type RunningServer } from '../lab/natprobe.ts';
import type { Truth } from '../lab/nats.ts';
import { shortTerm } from '../lab/table.ts';

/** What a client said: each list holds all that its words can mean. */
export type PeerVerdict =
  | { readonly kind: 'nat'; readonly mappings: readonly Mapping[]; readonly filterings: readonly Filtering[] }
  | { readonly kind: 'blocked' }
  /** It gave up without naming anything. */
  | { readonly kind: 'none' };

export interface PeerClient {
  readonly name: string;
  readonly program: string;
  arguments(server: string): string[];
  readVerdict(finished: Finished): PeerVerdict;
}

const EIF = 'endpoint-independent';
const ADF = 'address-dependent';
const APDF = 'address-and-port-dependent';
const ANY_FILTERING: readonly Filtering[] = [EIF, ADF, APDF];

/** RFC 3489's client: it doesn't tell ADM from APDM, nor how a symmetric NAT or a firewall filters. */
export const VOVIDA_STUN: PeerClient = {
  name: 'stun',
  program: 'stun',
  arguments: (server) => [server],
  readVerdict({ stdout }) {
    const said = /^Primary: (.*?)\s*$/m.exec(stdout)?.[1];
    if (said === undefined) return { kind: 'none' };
    if (said.startsWith('Blocked')) return { kind: 'blocked' };
    const filterings = /(Independent|Address Dependent|Port Dependent) Filter/.exec(said)?.[1];
    if (said.startsWith('Independent Mapping') && filterings !== undefined) {
      const meant = { Independent: EIF, 'Address Dependent': ADF, 'Port Dependent': APDF } as const;
      return {
        kind: 'nat',
        mappings: ['endpoint-independent'],
        filterings: [meant[filterings as keyof typeof meant]],
      };
    }
    if (said.startsWith('Dependent Mapping'))
      return { kind: 'nat', mappings: [ADF, APDF], filterings: ANY_FILTERING };
    if (said.startsWith('Firewall')) return { kind: 'nat', mappings: ['none'], filterings: [ADF, APDF] };
    if (said.startsWith('Open')) return { kind: 'nat', mappings: ['none'], filterings: [EIF] };
    return { kind: 'none' };
  },
};

/** coturn's client for RFC 5780: it doesn't look whether there is a NAT at all. */
export const TURNUTILS_NATDISCOVERY: PeerClient = {
  name: 'turnutils_natdiscovery',
  program: 'turnutils_natdiscovery',
  arguments: (server) => ['-m', '-f', server],
  readVerdict({ stdout }) {
    const mapping = /^NAT with (.*) Mapping!$/m.exec(stdout)?.[1];
    const filtering = /^NAT with (.*) Filtering!$/m.exec(stdout)?.[1];
    const mappings = TURNUTILS_MAPPINGS[mapping ?? ''];
    const filterings = TURNUTILS_FILTERINGS[filtering ?? ''];
    if (mappings === undefined || filterings === undefined) return { kind: 'none' };
    return { kind: 'nat', mappings, filterings };
  },
};

const TURNUTILS_MAPPINGS: Readonly<Record<string, readonly Mapping[]>> = {
  'Endpoint Independent': ['none', 'endpoint-independent'],
  'Address Dependent': [ADF],
  'Address and Port Dependent': [APDF],
};

const TURNUTILS_FILTERINGS: Readonly<Record<string, readonly Filtering[]>> = {
  'Endpoint Independent': [EIF],
  'Address Dependent': [ADF],
  'Address and Port Dependent': [APDF],
};

/** Whether what was said can be meant so that it is true. `blocked` is for NATs without UDP alone. */
export function isRight(said: PeerVerdict, truth: Truth): boolean {
  switch (said.kind) {
    case 'nat':
      return said.mappings.includes(truth.mapping) && said.filterings.includes(truth.filtering);
    case 'blocked':
      return truth.type === 'udp-blocked';
    case 'none':
      return false;
  }
}

/** In a few words, for tables. */
export function describePeerVerdict(said: PeerVerdict): string {
  if (said.kind !== 'nat') return said.kind;
  return `${said.mappings.map(shortTerm).join('|')}/${said.filterings.map(shortTerm).join('|')}`;
}

/** coturn's server, with RFC 5780 on two addresses of the lab's server. Answers UDP and TCP, IPv4. */
export function startTurnserver(namespace: Namespace): Promise<RunningServer> {
  const { primary, alternate } = SERVER_ADDRESSES.ipv4;
  return startPeerServer(namespace, 'turnserver', [
    ...['-n', '--stun-only', '--no-cli', '--no-tls', '--no-dtls'],
    ...['--listening-ip', primary, '--listening-ip', alternate],
    ...['--listening-port', '3478', '--alt-listening-port', '3479'],
    ...['--log-file', 'stdout', '--pidfile', '/dev/null', '--userdb', '/dev/null'],
  ]);
}

/** vovida's server: RFC 3489, UDP, IPv4. */
export function startStund(namespace: Namespace): Promise<RunningServer> {
  const { primary, alternate } = SERVER_ADDRESSES.ipv4;
  return startPeerServer(namespace, 'stund', ['-h', primary, '-a', alternate, '-p', '3478', '-o', '3479']);
}

// Neither says when it is ready: what the kernel has bound does.
function startPeerServer(namespace: Namespace, program: string, args: string[]): Promise<RunningServer> {
  const { primary, alternate } = SERVER_ADDRESSES.ipv4;
  const wanted = [primary, alternate].flatMap((address) => [`${address}:3478`, `${address}:3479`]);
  const child = namespace.spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  return serverOf(child, program, async () => {
    const { stdout } = await namespace.run('ss', ['-Hnlu']);
    return wanted.every((endpoint) => stdout.includes(`${endpoint} `));
  });
}
