/** Asks a server all that tells whether it is set up right, over one family. */
import { randomBytes } from 'node:crypto';
import { familyOf, type Endpoint } from '../../shared/endpoint.ts';
import { ALTERNATE_ADDRESS_BIT, ALTERNATE_PORT_BIT, SERVER_ROLES } from '../../shared/role.ts';
import {
  CHANGED_ADDRESS,
  MAPPED_ADDRESS,
  OTHER_ADDRESS,
  RESPONSE_ORIGIN,
  SOURCE_ADDRESS,
  XOR_MAPPED_ADDRESS,
} from '../../shared/stun/attributes/address.ts';
import { type AttributeValue, rawAttribute } from '../../shared/stun/attributes/attribute.ts';
import { CHANGE_REQUEST, PADDING } from '../../shared/stun/attributes/behaviour.ts';
import { ERROR_CODE, UNKNOWN_ATTRIBUTES } from '../../shared/stun/attributes/error.ts';
import { RECEIPT, RECEIPT_REQUEST, WITNESS } from '../../shared/stun/attributes/natprobe.ts';
import { SOFTWARE } from '../../shared/stun/attributes/text.ts';
import {
  decodeMessage,
  encodeMessage,
  readAttribute,
  type StunMessage,
  transactionIdOf,
} from '../../shared/stun/message.ts';
import {
  type ChangeFacts,
  type CornerFacts,
  type FamilyFacts,
  LONG_PADDING_BYTES,
  NOBODYS_ATTRIBUTE,
  type Response,
  type TcpOutcome,
} from '../doctor/facts.ts';
import { connectTcp } from './tcp.ts';
import { openUdpSocket, type UdpSocket } from './udp.ts';

/** Rejects with the system's error where there is no way to the server, and as the signal says. */
export async function examineFamily(server: Endpoint, signal: AbortSignal): Promise<FamilyFacts> {
  const desk = await Desk.open(server, signal);
  try {
    const [first, tcp] = await Promise.all([desk.ask(server, []), askTcp(server, signal)]);
    const family = familyOf(server.address);
    const corner: CornerFacts = { role: 0, endpoint: server, udp: readResponse(first), tcp };
    if (corner.udp === undefined) return { ...NOTHING, family, corners: [corner] };
    const corners = await askCorners(desk, corner, corner.udp.other, signal);
    // What the NAT here lets in is wider by now: all of these have been sent to.
    const [changes, unknown, classic, padded, witness] = await Promise.all([
      askChanges(desk, corners),
      desk.ask(server, [rawAttribute(NOBODYS_ATTRIBUTE, new Uint8Array(4))]),
      desk.ask(server, [], { isClassic: true }),
      desk.ask(server, [PADDING.of(LONG_PADDING_BYTES)]),
      desk.ask(server, [WITNESS.of(WITNESS_ASKED)]),
    ]);
    return {
      family,
      corners,
      changes,
      unknown: readResponse(unknown),
      classic: readResponse(classic),
      padded: readResponse(padded),
      givesWitnesses: witness.responses.some(
        ({ message }) => readAttribute(message, WITNESS)?.kind === 'given',
      ),
    };
  } finally {
    desk.close();
  }
}

const NOTHING = {
  changes: [],
  unknown: undefined,
  classic: undefined,
  padded: undefined,
  givesWitnesses: false,
} as const;

/** No answer is longer than a request with that. */
const FILLER_BYTES = 200;
const WITNESS_ASKED = {
  kind: 'asked',
  purpose: 'report',
  nonce: new Uint8Array(16),
  fillerLength: FILLER_BYTES,
} as const;

/** The others follow from what the first one says (RFC 5780 §6.1). */
async function askCorners(
  desk: Desk,
  first: CornerFacts,
  other: Endpoint | undefined,
  signal: AbortSignal,
): Promise<CornerFacts[]> {
  const { address, port } = first.endpoint;
  if (other === undefined || other.address === address || other.port === port) return [first];
  const rest = await Promise.all(
    SERVER_ROLES.slice(1).map(async (role): Promise<CornerFacts> => {
      const endpoint = {
        address: (role & ALTERNATE_ADDRESS_BIT) === 0 ? address : other.address,
        port: (role & ALTERNATE_PORT_BIT) === 0 ? port : other.port,
      };
      const [udp, tcp] = await Promise.all([desk.ask(endpoint, []), askTcp(endpoint, signal)]);
      return { role, endpoint, udp: readResponse(udp), tcp };
    }),
  );
  return [first, ...rest];
}

/** From every corner that answers to every other one; of a server with one address what it refuses. */
async function askChanges(desk: Desk, corners: readonly CornerFacts[]): Promise<ChangeFacts[]> {
  const isAlone = corners.length === 1;
  const asked = corners.filter(({ udp }) => udp !== undefined);
  const wanted = asked.flatMap(({ role, endpoint }) =>
    (isAlone ? ([2] as const) : ([1, 2, 3] as const)).map((changedBits) => ({ role, endpoint, changedBits })),
  );
  return Promise.all(
    wanted.map(async ({ role, endpoint, changedBits }): Promise<ChangeFacts> => {
      const change = {
        address: (changedBits & ALTERNATE_ADDRESS_BIT) !== 0,
        port: (changedBits & ALTERNATE_PORT_BIT) !== 0,
      };
      const asking = [CHANGE_REQUEST.of(change), RECEIPT_REQUEST.of(FILLER_BYTES)];
      const exchange = await desk.ask(endpoint, asking, { awaitsBoth: !isAlone });
      const receipt = exchange.receipts[0];
      return { asked: role, changedBits, response: readResponse(exchange), receipt };
    }),
  );
}

interface Heard {
  readonly from: Endpoint;
  readonly message: StunMessage;
  readonly atMs: number;
}

/** One request, sent again until it is answered, and all that came of it. */
interface Exchange {
  readonly sentAtMs: number[];
  readonly responses: Heard[];
  readonly receipts: NonNullable<ReturnType<typeof RECEIPT.decode>>[];
}

interface AskOptions {
  /** As RFC 3489 has it, without the magic cookie. */
  readonly isClassic?: boolean;
  /** A response and a receipt, which come from two places: whichever is first, the other has a while longer. */
  readonly awaitsBoth?: boolean;
}

/** After the first send. */
const RESENDS_AT_MS = [250, 750, 1500, 2250];
const TIMEOUT_MS = 3000;
/** For the second of two; no server is that much farther than its other address. */
const SECOND_MS = 500;

/** One socket, on which many requests are under way at once. */
class Desk {
  private readonly pending = new Map<string, (from: Endpoint, message: StunMessage) => void>();
  private readonly signal: AbortSignal;
  private socket!: UdpSocket;

  private constructor(signal: AbortSignal) {
    this.signal = signal;
  }

  static async open(server: Endpoint, signal: AbortSignal): Promise<Desk> {
    const desk = new Desk(signal);
    desk.socket = await openUdpSocket(familyOf(server.address), 0, server, {
      onDatagram: (from, bytes) => desk.take(from, bytes),
      onRefused: () => undefined,
    });
    return desk;
  }

  close(): void {
    this.socket.close();
  }

  /** Resolves once it is answered, or nothing came in time. */
  async ask(
    to: Endpoint,
    attributes: readonly AttributeValue[],
    options: AskOptions = {},
  ): Promise<Exchange> {
    const { isClassic = false, awaitsBoth = false } = options;
    const transactionId = transactionIdOf(randomBytes(isClassic ? 16 : 12));
    const request = encodeMessage({ class: 'request', transactionId, attributes });
    const exchange: Exchange = { sentAtMs: [], responses: [], receipts: [] };
    const { promise, resolve: settle } = Promise.withResolvers<undefined>();
    const resolve = (): void => settle(undefined);
    const timers: NodeJS.Timeout[] = [];
    this.pending.set(transactionId, (from, message) => {
      const receipt = readAttribute(message, RECEIPT);
      if (receipt === undefined) exchange.responses.push({ from, message, atMs: performance.now() });
      else exchange.receipts.push(receipt);
      const isWhole = exchange.responses.length > 0 && exchange.receipts.length > 0;
      const isRefused = message.class === 'error';
      if (!awaitsBoth || isWhole || isRefused) resolve();
      else timers.push(setTimeout(resolve, SECOND_MS));
    });
    const send = (): void => {
      exchange.sentAtMs.push(performance.now());
      this.socket.send(to, request);
    };
    send();
    timers.push(...RESENDS_AT_MS.map((atMs) => setTimeout(send, atMs)), setTimeout(resolve, TIMEOUT_MS));
    this.signal.addEventListener('abort', resolve, { once: true });
    await promise;
    for (const timer of timers) clearTimeout(timer);
    this.pending.delete(transactionId);
    this.signal.throwIfAborted();
    return exchange;
  }

  private take(from: Endpoint, bytes: Uint8Array): void {
    const decoded = decodeMessage(bytes.slice());
    if (decoded.kind !== 'message') return;
    const { message } = decoded;
    // Receipts are indications.
    if (message.class !== 'request') this.pending.get(message.transactionId)?.(from, message);
  }
}

/** The first response; its time where it can be told which request it is of. */
function readResponse({ sentAtMs, responses }: Exchange): Response | undefined {
  const [heard] = responses;
  if (heard === undefined) return undefined;
  const { from, message, atMs } = heard;
  const errorCode = readAttribute(message, ERROR_CODE)?.code;
  const found = {
    origin: readAttribute(message, RESPONSE_ORIGIN) ?? readAttribute(message, SOURCE_ADDRESS),
    other: readAttribute(message, OTHER_ADDRESS) ?? readAttribute(message, CHANGED_ADDRESS),
    mapped: readAttribute(message, MAPPED_ADDRESS),
    xorMapped: readAttribute(message, XOR_MAPPED_ADDRESS),
    software: readAttribute(message, SOFTWARE),
    errorCode: message.class === 'error' ? (errorCode ?? 0) : undefined,
    unknown: readAttribute(message, UNKNOWN_ATTRIBUTES),
    paddingBytes: readAttribute(message, PADDING),
    rttMs: sentAtMs.length === 1 ? atMs - sentAtMs[0]! : undefined,
  };
  const present = Object.fromEntries(Object.entries(found).filter(([, value]) => value !== undefined));
  return { from, bytes: message.bytes.length, ...(present as Partial<Response>) };
}

function askTcp(to: Endpoint, signal: AbortSignal): Promise<TcpOutcome> {
  const request = encodeMessage({
    class: 'request',
    transactionId: transactionIdOf(randomBytes(12)),
    attributes: [],
  });
  return new Promise((resolve) => {
    const settle = (outcome: TcpOutcome): void => {
      clearTimeout(timer);
      giveUp();
      resolve(outcome);
    };
    const timer = setTimeout(() => settle('silent'), TIMEOUT_MS);
    const giveUp = connectTcp(to, request, {
      onConnected: () => undefined,
      onAnswered: () => settle('answered'),
      onFailed: settle,
    });
    signal.addEventListener('abort', () => settle('silent'), { once: true });
  });
}
