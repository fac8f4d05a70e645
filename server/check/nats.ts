/** NATS, and the other host of a pair over it. */
import { connect, type NatsConnection } from '@nats-io/transport-node';
import { NatprobeError } from '../../shared/errors.ts';
import { formatEndpoint, sameEndpoint } from '../../shared/endpoint.ts';
import { fine, type Finding, findingOf, wrong } from '../../shared/findings.ts';
import { messageOf } from '../../shared/thrown.ts';
import { formatMs } from '../../shared/words.ts';
import type { FamilyConfig } from '../config.ts';
import { readCredentials } from '../nats/open.ts';
import type { NatsSettings } from '../nats/settings.ts';
import { decodePairMessage, type Hello } from '../pair/messages.ts';
import { BEAT_MS } from '../pair/pair.ts';
import { type PairSettings, pairSubject } from '../pair/settings.ts';
import { readKeyFile } from '../witness-key-source.ts';
import { WitnessKeys } from '../witness/witness-keys.ts';
import { checkJetStream } from './jetstream.ts';

export interface NatsFacts {
  readonly nats: NatsSettings;
  readonly pair?: PairSettings;
  readonly witnessKeyFile?: string;
  readonly families: readonly FamilyConfig[];
  /** Whether a broker is one with those of the other servers over it. */
  readonly hasSharedBroker: boolean;
  /** Whether a natprobed runs here, which is heard too. */
  readonly isRunning: boolean;
}

const CONNECT_TIMEOUT_MS = 2000;
/** Four hellos of each host that is there. */
const LISTEN_MS = 4 * BEAT_MS + 100;

export async function checkNats({ nats, pair, hasSharedBroker, ...rest }: NatsFacts): Promise<Finding[]> {
  let authenticator: ReturnType<typeof readCredentials> | undefined;
  try {
    authenticator = nats.credentialsFile === undefined ? undefined : readCredentials(nats.credentialsFile);
  } catch (error) {
    if (error instanceof NatprobeError) return [findingOf('NATS', error)];
    throw error;
  }
  const findings: Finding[] = [];
  const open: NatsConnection[] = [];
  for (const server of nats.servers) {
    try {
      const connection = await connect({
        servers: [server],
        ...(authenticator && { authenticator }),
        name: 'natprobed check',
        ignoreClusterUpdates: true,
        reconnect: false,
        timeout: CONNECT_TIMEOUT_MS,
      });
      open.push(connection);
      const version = connection.info?.version ?? '?';
      findings.push(
        fine('NATS', `${server} answers in ${formatMs(await connection.rtt())}: NATS ${version}`),
      );
    } catch (error) {
      const reason = messageOf(error);
      const remedy =
        'start it, see that its port is open towards here, and who this is to it (--nats-credentials)';
      findings.push(wrong('NATS', `${server} cannot be had: ${reason}`, remedy));
    }
  }
  try {
    const [connection] = open;
    if (pair !== undefined && connection !== undefined)
      findings.push(await checkPartner(connection, pair, rest));
    if (hasSharedBroker && connection !== undefined) findings.push(await checkJetStream(connection));
  } finally {
    await Promise.all(open.map((connection) => connection.close()));
  }
  return findings;
}

async function checkPartner(
  connection: NatsConnection,
  { name }: PairSettings,
  { witnessKeyFile, families, isRunning }: Omit<NatsFacts, 'nats' | 'pair' | 'hasSharedBroker'>,
): Promise<Finding> {
  const check = `pair ${name}`;
  let keys: WitnessKeys;
  try {
    keys = new WitnessKeys(...readKeyFile(witnessKeyFile!));
  } catch (error) {
    if (error instanceof NatprobeError) return findingOf(check, error);
    throw error;
  }
  const { hellos, foreign } = await listen(connection, name, keys);
  const others = [...hellos.values()].filter((hello) => !isOwn(hello, families));
  if (foreign > 0 && others.length === 0)
    return wrong(
      check,
      'a host of that name is heard, and signs with a key that this one does not have',
      'give both the same --witness-key-file',
    );
  if (hellos.size - others.length > (isRunning ? 1 : 0))
    return wrong(
      check,
      'another host of that name has the same addresses',
      'give each its own (--ip, --advertise)',
    );
  const [partner] = others;
  if (partner === undefined)
    return wrong(
      check,
      `the other host is not heard over NATS, and this one alone has one address`,
      'start natprobed there, with the same --pair, --witness-key-file and NATS',
    );
  if (others.length > 1)
    return wrong(
      check,
      `${others.length} other hosts of that name are heard`,
      'give each two hosts a name of their own',
    );
  return judgePartner(check, partner, families);
}

async function listen(connection: NatsConnection, name: string, keys: WitnessKeys) {
  const hellos = new Map<string, Hello>();
  let foreign = 0;
  const subscription = connection.subscribe(pairSubject(name), {
    callback(error, { data }) {
      if (error !== null) return;
      const message = decodePairMessage(data, keys);
      if (message === undefined) foreign++;
      else if (message.kind === 'hello') hellos.set(message.from, message);
      else if (message.kind === 'bye') hellos.delete(message.from);
    },
  });
  await new Promise((resolve) => setTimeout(resolve, LISTEN_MS));
  subscription.unsubscribe();
  return { hellos, foreign };
}

function isOwn({ endpoints }: Hello, families: readonly FamilyConfig[]): boolean {
  return families.some(({ family, advertised }) => {
    const first = endpoints[family]?.[0];
    return first !== undefined && sameEndpoint(first, advertised[0]);
  });
}

function judgePartner(check: string, { endpoints }: Hello, families: readonly FamilyConfig[]): Finding {
  const common = families.filter(({ family }) => endpoints[family] !== undefined);
  if (common.length === 0)
    return wrong(
      check,
      'the other host serves no family that this one does',
      'give both an address of the same family',
    );
  const differs = common.find(({ family, advertised }) =>
    endpoints[family]!.some(({ port }, index) => port !== advertised[index as 0 | 1].port),
  );
  const names = common.map(({ family }) => formatEndpoint(endpoints[family]![0])).join(', ');
  if (differs !== undefined)
    return wrong(
      check,
      `the other host, ${names}, has other ports`,
      'give both the same --port and --alt-port',
    );
  return fine(check, `the other host is heard: ${names}`);
}
