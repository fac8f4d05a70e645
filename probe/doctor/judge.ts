/** What is right and wrong with a server, by what asking it has shown. Pure. */
import { isBehindNat, scopeOf } from '../../shared/address-scope.ts';
import { type Endpoint, formatEndpoint, sameEndpoint } from '../../shared/endpoint.ts';
import { doubtful, fine, type Finding, wrong } from '../../shared/findings.ts';
import { ALTERNATE_ADDRESS_BIT, SERVER_ROLE_NAMES, type ServerRole } from '../../shared/role.ts';
import { FAMILY_NAMES } from '../../shared/report/report.ts';
import { ATTRIBUTE, attributeName } from '../../shared/stun/registry.ts';
import { formatMs, listWords, plainLine } from '../../shared/words.ts';
import {
  type ApiFacts,
  type CornerFacts,
  type FamilyFacts,
  NOBODYS_ATTRIBUTE,
  PLAIN_REQUEST_BYTES,
  type Response,
} from './facts.ts';
import { judgeChanges } from './judge-changes.ts';

/** Whether anything of the server's has answered, or refused, which shows that its host is there. */
export function isReached({ corners }: FamilyFacts): boolean {
  return corners.some(({ udp, tcp }) => udp !== undefined || tcp === 'answered' || tcp === 'refused');
}

export function judgeFamily(facts: FamilyFacts): Finding[] {
  const name = FAMILY_NAMES[facts.family];
  const [first] = facts.corners;
  if (first?.udp === undefined) return [judgeSilence(name, first)];
  return [
    describeServer(name, facts, first.udp),
    judgeUdp(name, facts),
    judgeTcp(name, facts),
    ...judgeOther(name, facts),
    judgeOrigin(name, facts),
    ...judgeChanges(name, facts),
    judgeReceipts(name, facts),
    judgeUnknown(name, facts),
    judgeClassic(name, facts),
    judgeLength(name, first.udp),
    judgePadding(name, facts),
    ...judgeMapped(name, first.udp),
  ];
}

function judgeSilence(name: string, first: CornerFacts | undefined): Finding {
  if (first === undefined) return doubtful(name, 'this machine has no way to it', 'look at its network');
  const at = formatEndpoint(first.endpoint);
  if (first.tcp === 'answered')
    return wrong(
      name,
      `${at} answers over TCP, and not over UDP`,
      'open UDP to it in the firewalls on the way: the server’s, the provider’s, or one near here',
    );
  if (first.tcp === 'refused')
    return wrong(name, `${at} refuses TCP, and is silent over UDP`, 'start the server, and look at its port');
  return wrong(
    name,
    `${at} does not answer, over UDP nor TCP`,
    'start the server; open its ports, UDP and TCP, in its firewall and its provider’s; look at the address',
  );
}

function describeServer(
  name: string,
  { givesWitnesses, corners }: FamilyFacts,
  { software, rttMs }: Response,
): Finding {
  const what = givesWitnesses
    ? 'natprobed'
    : software === undefined
      ? 'a server that does not name itself'
      : plainLine(software, 60).trim();
  const rtts = corners.flatMap(({ udp }) => udp?.rttMs ?? []);
  const best = rtts.length > 0 ? Math.min(...rtts) : rttMs;
  const time = best === undefined ? '' : `, with a round trip of ${formatMs(best)}`;
  return fine(name, `${formatEndpoint(corners[0]!.endpoint)} is ${what}${time}`);
}

function judgeUdp(name: string, { corners }: FamilyFacts): Finding {
  const silent = corners.filter(({ udp }) => udp === undefined);
  const strange = corners.filter(
    ({ udp, endpoint }) => udp !== undefined && !sameEndpoint(udp.from, endpoint),
  );
  if (strange.length > 0) {
    const [{ endpoint, udp }] = strange as [CornerFacts];
    const seen = `asked at ${formatEndpoint(endpoint)} it answers from ${formatEndpoint(udp!.from)}`;
    return wrong(
      `${name} UDP`,
      seen,
      'bind a socket to each address, and look at NAT rules and routes of its host',
    );
  }
  const how =
    corners.length === 4 ? 'all four endpoints' : `its ${corners.length === 1 ? 'endpoint' : 'endpoints'}`;
  if (silent.length === 0) return fine(`${name} UDP`, `it answers at ${how}`);
  const named = listWords(silent.map(nameCorner));
  return wrong(
    `${name} UDP`,
    `it names ${named}, where nothing answers`,
    'have it name the addresses under which it is reached (natprobed: --advertise), and open UDP to their ports',
  );
}

function nameCorner({ role, endpoint }: CornerFacts): string {
  return `${formatEndpoint(endpoint)} (${SERVER_ROLE_NAMES[role]})`;
}

function judgeTcp(name: string, { corners, givesWitnesses }: FamilyFacts): Finding {
  const silent = corners.filter(({ tcp }) => tcp !== 'answered');
  if (silent.length === 0) return fine(`${name} TCP`, 'it answers at all of them');
  const named = listWords(silent.map(({ endpoint, tcp }) => `${formatEndpoint(endpoint)} (${tcp})`));
  const all = silent.length === corners.length;
  const seen = all ? 'it does not answer STUN over TCP' : `it does not answer at ${named}`;
  const remedy =
    'open TCP to those ports; without it nobody can tell a network that blocks UDP from a server that is down';
  return givesWitnesses
    ? wrong(`${name} TCP`, `it does not answer at ${named}`, remedy)
    : doubtful(`${name} TCP`, seen, remedy);
}

/** OTHER-ADDRESS: the opposite corner, relative to where it was asked (RFC 5780 §6.1, table 1). */
function judgeOther(name: string, { corners }: FamilyFacts): Finding[] {
  const check = `${name} OTHER-ADDRESS`;
  const [first] = corners;
  const other = first!.udp!.other;
  if (other === undefined)
    return [
      doubtful(
        check,
        'it names no second address, so nobody learns by it what a NAT lets in',
        'give the server a second address (natprobed: --alt-ip, or --pair with another host)',
      ),
    ];
  if (other.address === first!.endpoint.address || other.port === first!.endpoint.port)
    return [
      wrong(
        check,
        `asked at ${formatEndpoint(first!.endpoint)} it names ${formatEndpoint(other)}, which is not another address and another port`,
        'give it a second address and a second port',
      ),
    ];
  const mistaken = corners.filter(({ role, udp }) => {
    const opposite = corners.find((corner) => corner.role === ((role ^ 3) as ServerRole));
    return udp !== undefined && opposite !== undefined && !isSame(udp.other, opposite.endpoint);
  });
  const scope = scopeOf(other.address);
  const isPrivate =
    scope !== undefined && isBehindNat(scope) && scopeOf(first!.endpoint.address) === 'public';
  if (isPrivate)
    return [
      wrong(
        check,
        `it names ${formatEndpoint(other)}, an address that leads nowhere from outside`,
        'have it name the public one (natprobed: --advertise PRIVATE=PUBLIC)',
      ),
    ];
  if (mistaken.length === 0)
    return [fine(check, `it is right, as seen from each: ${formatEndpoint(other)} first`)];
  const said = mistaken.map(
    ({ endpoint, udp }) =>
      `at ${formatEndpoint(endpoint)} it names ${udp!.other === undefined ? 'none' : formatEndpoint(udp!.other)}`,
  );
  return [
    wrong(
      check,
      `${listWords(said)}, which is not the opposite corner`,
      'clients that ask there take the wrong one (RFC 5780 §6.1); natprobe asks the first, and is not misled',
    ),
  ];
}

function isSame(a: Endpoint | undefined, b: Endpoint): boolean {
  return a !== undefined && sameEndpoint(a, b);
}

/** RESPONSE-ORIGIN: where it says that it answers from. */
function judgeOrigin(name: string, { corners }: FamilyFacts): Finding {
  const check = `${name} RESPONSE-ORIGIN`;
  const answered = corners.flatMap(({ endpoint, udp }) => (udp === undefined ? [] : [{ endpoint, udp }]));
  if (answered.every(({ udp }) => udp.origin === undefined))
    return doubtful(check, 'it does not say from where it answers', 'RFC 5780 §7.3 has it');
  const untrue = answered.find(({ udp, endpoint }) => !isSame(udp.origin, endpoint));
  if (untrue === undefined) return fine(check, 'it is true at each');
  const { endpoint, udp } = untrue;
  return wrong(
    check,
    `at ${formatEndpoint(endpoint)} it says that it answers from ${udp.origin === undefined ? 'nowhere' : formatEndpoint(udp.origin)}`,
    'have it name the addresses under which it is reached (natprobed: --advertise PRIVATE=PUBLIC)',
  );
}

function judgeReceipts(name: string, { changes, givesWitnesses }: FamilyFacts): Finding {
  const check = `${name} receipts`;
  if (changes.some(({ receipt }) => receipt !== undefined))
    return fine(check, 'it tells what it has sent, so that what does not arrive is known to be filtered');
  if (givesWitnesses && changes.every(({ changedBits }) => (changedBits & ALTERNATE_ADDRESS_BIT) !== 0))
    return fine(check, 'with one address there is nothing that they could tell of');
  return doubtful(
    check,
    'it does not tell what it has sent: clients have to wait, and can take loss for filtering',
    'natprobed does',
  );
}

/** RFC 8489 §6.3.1: error 420, which lists them. */
function judgeUnknown(name: string, { unknown }: FamilyFacts): Finding {
  const check = `${name} 420`;
  if (unknown === undefined)
    return doubtful(
      check,
      'a request with an attribute that it cannot know draws no answer',
      'RFC 8489 §6.3.1 has 420',
    );
  if (unknown.errorCode !== 420)
    return wrong(
      check,
      `a request with an attribute that it cannot know is answered with ${unknown.errorCode === undefined ? 'success' : String(unknown.errorCode)}`,
      'RFC 8489 §6.3.1 has 420: such a server also ignores requests that it does not understand',
    );
  const lists = unknown.unknown?.includes(NOBODYS_ATTRIBUTE) === true;
  if (lists) return fine(check, 'it refuses attributes that it does not know, and lists them');
  return doubtful(
    check,
    'it refuses attributes that it does not know, and does not list them',
    'RFC 8489 §6.3.1 has that',
  );
}

function judgeClassic(name: string, { classic }: FamilyFacts): Finding {
  const check = `${name} RFC 3489`;
  if (classic?.mapped !== undefined)
    return fine(check, 'clients from before 2008 are answered as they expect');
  return doubtful(check, 'clients from before 2008 are not answered as they expect', 'few are left');
}

function judgeLength(name: string, { bytes }: Response): Finding {
  const factor = (bytes / PLAIN_REQUEST_BYTES).toFixed(2);
  return fine(
    `${name} length`,
    `${PLAIN_REQUEST_BYTES} bytes draw ${bytes}, ${factor} times as many, to whoever was named as their source`,
  );
}

function judgePadding(name: string, { padded, unknown }: FamilyFacts): Finding {
  const check = `${name} fragments`;
  const padding = attributeName(ATTRIBUTE.PADDING);
  if (padded === undefined && unknown === undefined)
    return doubtful(
      check,
      `it seems not to know ${padding}, so whether fragments get through is not told`,
      'RFC 5780 §7.6 has it',
    );
  if (padded === undefined)
    return doubtful(
      check,
      'a request in fragments draws no answer: they are dropped on the way there or back',
      'let fragments through its firewall, if long packets matter',
    );
  const { errorCode, paddingBytes } = padded;
  if (errorCode === 420)
    return doubtful(
      check,
      `it does not know ${padding}, so whether fragments get back is not told; they get there`,
      'RFC 5780 §7.6 has it',
    );
  if (paddingBytes === undefined)
    return fine(check, 'a request in fragments arrives; answers are not padded, and never fragments');
  return fine(check, 'requests and answers in fragments get through');
}

/** RFC 5780 §6.1 has both; where they differ something on the way rewrites what it takes for addresses. */
function judgeMapped(name: string, { mapped, xorMapped }: Response): Finding[] {
  if (mapped === undefined || xorMapped === undefined || sameEndpoint(mapped, xorMapped)) return [];
  return [
    doubtful(
      `${name} way`,
      `${formatEndpoint(mapped)} and ${formatEndpoint(xorMapped)} arrive for the same endpoint: a gateway near here rewrites addresses in packets`,
      'switch off its ALG for STUN or SIP',
    ),
  ];
}

/** `natprobed` tells whether the server is one, which has an API unless it was switched off. */
export function judgeApi(
  { url, version, timeMs, failure, brokerFailure }: ApiFacts,
  isNatprobed: boolean,
): Finding[] {
  if (url === undefined) {
    const seen = 'it names no HTTP API: no reports, no rooms, no page';
    const remedy = isNatprobed
      ? 'start natprobed with --http on an address that clients reach, or with --public-url'
      : 'natprobed has one; --api URL names one elsewhere';
    return [doubtful('HTTP API', seen, remedy)];
  }
  if (failure !== undefined) return [wrong('HTTP API', failure.seen, failure.remedy)];
  const time = timeMs === undefined ? '' : ` in ${formatMs(timeMs)}`;
  const api = fine('HTTP API', `${url} answers${time}: natprobed ${version ?? 'of an unknown version'}`);
  const isPlain = url.startsWith('http:') && !/^http:\/\/(127\.|localhost|\[::1\])/.test(url);
  return [
    api,
    ...(isPlain
      ? [
          doubtful(
            'HTTP API',
            'it is without TLS',
            'start natprobed with --tls-cert and --tls-key, or behind a proxy that has them',
          ),
        ]
      : []),
    brokerFailure === undefined
      ? fine('broker', 'a WebSocket to it opens')
      : wrong('broker', brokerFailure.seen, brokerFailure.remedy),
  ];
}
