/** The relays that peers are told of: whether they answer, and take the credentials that natprobed gives out. */
import { lookup } from 'node:dns/promises';
import { isBehindNat, scopeOf } from '../../shared/address-scope.ts';
import { canonicalAddress, type Endpoint } from '../../shared/endpoint.ts';
import { doubtful, fine, type Finding, wrong } from '../../shared/findings.ts';
import { unpackXorEndpoint } from '../../shared/stun/attributes/address.ts';
import { type AttributeValue, rawAttribute } from '../../shared/stun/attributes/attribute.ts';
import { ERROR_CODE } from '../../shared/stun/attributes/error.ts';
import { NONCE, REALM, USERNAME } from '../../shared/stun/attributes/text.ts';
import { type Integrity, longTermKey } from '../../shared/stun/integrity.ts';
import { readAttribute, type StunMessage } from '../../shared/stun/message.ts';
import { ATTRIBUTE, METHOD } from '../../shared/stun/registry.ts';
import { parseTurnUri, type TurnUri } from '../../shared/turn-uri.ts';
import { systemErrorCode } from '../bind-error.ts';
import { nameRelay } from '../peering/relay-credentials.ts';
import { openStunClient, type StunClient, type StunTransport } from './ask-stun.ts';

const PORT = 3478;
const TLS_PORT = 5349;

/** `secret` as in --relay-secret-file, if it could be read. */
export async function checkRelays(
  relays: readonly string[],
  secret: string | undefined,
  nowMs: number,
): Promise<Finding[]> {
  return Promise.all(relays.map((relay) => checkRelay(relay, secret, nowMs)));
}

async function checkRelay(text: string, secret: string | undefined, nowMs: number): Promise<Finding> {
  const uri = parseTurnUri(text);
  if (uri === undefined) return wrong('relay', `${text} is no TURN server`, 'write turn:HOST:PORT');
  const transport = transportOf(uri);
  if (transport === undefined) return fine('relay', `${text} was not asked: it takes DTLS`);
  let to: Endpoint;
  try {
    to = await resolve(uri);
  } catch (error) {
    const reason = systemErrorCode(error) ?? String(error);
    return wrong('relay', `${text}: its name does not resolve (${reason})`, 'correct it, or the DNS');
  }
  const client = openStunClient(to, transport);
  try {
    return await allocate(client, text, secret, nowMs);
  } finally {
    client.close();
  }
}

function transportOf({ isSecure, transport }: TurnUri): StunTransport | undefined {
  if (!isSecure) return transport;
  return transport === 'tcp' ? 'tls' : undefined;
}

async function resolve({ host, port, isSecure }: TurnUri): Promise<Endpoint> {
  const address = canonicalAddress(host) ?? (await lookup(host)).address;
  return { address, port: port ?? (isSecure ? TLS_PORT : PORT) };
}

/** RFC 8656 §18.8: the protocol's number, UDP, and three bytes of nothing. */
const UDP = rawAttribute(ATTRIBUTE.REQUESTED_TRANSPORT, Uint8Array.of(17, 0, 0, 0));
/** RFC 8656 §7.2: it ends the allocation. */
const NO_TIME = rawAttribute(ATTRIBUTE.LIFETIME, new Uint8Array(4));
const UNAUTHORIZED = 401;

/** As a peer does, and gives back at once what it got (RFC 8656 §7). */
async function allocate(
  client: StunClient,
  relay: string,
  secret: string | undefined,
  nowMs: number,
): Promise<Finding> {
  const ask = (method: number, attributes: readonly AttributeValue[], integrity?: Integrity) =>
    client.ask({ class: 'request', method, attributes, ...(integrity && { integrity }) });
  const first = await ask(METHOD.ALLOCATE, [UDP]);
  if (first === undefined)
    return wrong(
      'relay',
      `${relay} does not answer`,
      'start it, and see that its port is open towards here and towards the peers',
    );
  if (first.class === 'success') {
    await ask(METHOD.REFRESH, [NO_TIME]);
    return doubtful(
      'relay',
      `${relay} relays for everybody`,
      'have it ask for credentials (coturn: use-auth-secret)',
    );
  }
  const realm = readAttribute(first, REALM);
  const nonce = readAttribute(first, NONCE);
  if (codeOf(first) !== UNAUTHORIZED || realm === undefined || nonce === undefined)
    return wrong('relay', `${relay} answers with error ${codeOf(first) ?? '?'}`, 'see its log');
  if (secret === undefined)
    return doubtful(
      'relay',
      `${relay} answers, and asks for credentials, of which natprobed gives none`,
      'give both the same secret: --relay-secret-file here, static-auth-secret in coturn',
    );
  const { username = '', credential = '' } = nameRelay([relay], secret, 'check', nowMs);
  const signed = {
    attributes: [USERNAME.of(username), REALM.of(realm), NONCE.of(nonce)],
    integrity: { algorithm: 'sha1', key: longTermKey(username, realm, credential, 'md5') },
  } as const;
  const second = await ask(METHOD.ALLOCATE, [UDP, ...signed.attributes], signed.integrity);
  if (second?.class === 'success') {
    await ask(METHOD.REFRESH, [NO_TIME, ...signed.attributes], signed.integrity);
    return describeAllocation(relay, second);
  }
  if (second !== undefined && codeOf(second) !== UNAUTHORIZED)
    return wrong('relay', `${relay} allocates nothing: error ${codeOf(second) ?? '?'}`, 'see its log');
  return wrong(
    'relay',
    `${relay} does not take natprobed's credentials`,
    'give both the same secret (coturn: use-auth-secret, and static-auth-secret as in --relay-secret-file), and see that their clocks agree',
  );
}

function codeOf(message: StunMessage): number | undefined {
  return readAttribute(message, ERROR_CODE)?.code;
}

function describeAllocation(relay: string, { attributes, bytes }: StunMessage): Finding {
  const value = attributes.find(({ type }) => type === ATTRIBUTE.XOR_RELAYED_ADDRESS)?.value;
  const relayed = value && unpackXorEndpoint(value, value.length, bytes)?.address;
  if (relayed === undefined)
    return wrong('relay', `${relay} does not say from where it relays`, 'see its log');
  const seen = `${relay} takes natprobed's credentials, and relays from ${relayed}`;
  const scope = scopeOf(relayed);
  if (scope === undefined || !isBehindNat(scope)) return fine('relay', seen);
  return doubtful(
    'relay',
    `${seen}, a private address`,
    'behind 1:1 NAT say external-ip=PUBLIC/PRIVATE in coturn',
  );
}
