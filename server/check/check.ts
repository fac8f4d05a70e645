/** `natprobed check`: looks at a deployment from inside, with the options of the server, and says what to change. */
import type { WriteStream } from 'node:tty';
import { canonicalAddress, familyOf } from '../../shared/endpoint.ts';
import { documentOf, type Finding, type FindingsDocument, renderFindings } from '../../shared/findings.ts';
import { decideStyle } from '../../shared/style.ts';
import { configureServer, type FamilyConfig, type ServerConfig, type ServerFlags } from '../config.ts';
import { isLocalAddress, type LocalAddress } from '../local-addresses.ts';
import { type LogFlags, readLogSettings } from '../log.ts';
import { readRelaySecret } from '../peering/open.ts';
import { checkAddresses } from './addresses.ts';
import { checkCertificate, checkSecrets } from './files.ts';
import { checkHttp } from './http.ts';
import { type CheckedMachine, checkMachine, THIS_MACHINE } from './machine.ts';
import { checkPorts } from './ports.ts';
import { checkRelays } from './relays.ts';
import { checkStore } from './store.ts';

export type CheckFlags = ServerFlags & LogFlags;

/** What `--json` prints. */
export type CheckDocument = FindingsDocument<'natprobe/check@1'>;

export interface CheckStreams {
  readonly stdout: Pick<WriteStream, 'write' | 'isTTY'>;
  readonly env: NodeJS.ProcessEnv;
}

/** Prints all, and resolves with the exit code: 0, or 1 if there is an error. Rejects as configureServer. */
export async function check(flags: CheckFlags, { stdout, env }: CheckStreams): Promise<number> {
  const document = await lookAtDeployment(flags, env);
  const style = decideStyle(true, env, stdout.isTTY);
  const lines =
    flags.json === true ? [JSON.stringify(document, undefined, 2)] : renderFindings(document, style);
  stdout.write(lines.map((line) => `${line}\n`).join(''));
  return document.state === 'error' ? 1 : 0;
}

/** Rejects as configureServer. */
export async function lookAtDeployment(
  flags: CheckFlags,
  env: NodeJS.ProcessEnv,
  machine: CheckedMachine = THIS_MACHINE,
): Promise<CheckDocument> {
  readLogSettings(flags);
  const local = machine.listLocalAddresses();
  const { NATPROBED_TOKENS: tokens } = env;
  const config: ServerConfig = {
    ...configureServer(flags, [...local, ...missingAddresses(flags, local)]),
    ...(tokens !== undefined && { tokens }),
  };
  return documentOf('natprobe/check@1', await findAll(config, machine, local));
}

async function findAll(
  config: ServerConfig,
  machine: CheckedMachine,
  local: readonly LocalAddress[],
): Promise<Finding[]> {
  const { families, tls, nats, pair, peering, reports, witnessKeyFile } = config;
  const isThere = ({ bound }: FamilyConfig): boolean =>
    bound.every((endpoint) => endpoint === undefined || isLocalAddress(endpoint.address, local));
  const certificate = await checkCertificate(config, machine.now());
  const ports = await checkPorts({
    families: families.filter(isThere),
    ...(tls && certificate.isUsable && { tls: { ...tls, families: tls.families.filter(isThere) } }),
  });
  const { isRunning } = ports;
  return [
    ...checkAddresses({ families, local, isPaired: pair !== undefined }),
    ...ports.findings,
    ...(await checkMachine(config, machine)),
    ...certificate.findings,
    ...(await checkHttp(config, isRunning)),
    ...checkSecrets(config),
    ...(reports === undefined || config.http === undefined
      ? []
      : await checkStore(reports, () => machine.now())),
    ...(nats === undefined
      ? []
      : await (
          await import('./nats.ts')
        ).checkNats({
          nats,
          ...(pair && { pair }),
          ...(witnessKeyFile && { witnessKeyFile }),
          families,
          hasSharedBroker: config.http !== undefined && pair === undefined,
          isRunning,
        })),
    ...(peering === undefined
      ? []
      : await checkRelays(peering.relays, readableSecret(peering), machine.now())),
  ];
}

/** As if the machine had what it is told to serve: that it does not is one of the findings. */
function missingAddresses(
  { ip = [], altIp = [] }: ServerFlags,
  local: readonly LocalAddress[],
): LocalAddress[] {
  const named = [...ip, ...altIp].flatMap((text) => canonicalAddress(text) ?? []);
  return named
    .filter((address) => !isLocalAddress(address, local))
    .map((address) => ({
      interface: '',
      family: familyOf(address),
      address,
      prefixLength: address.includes(':') ? 128 : 32,
      loopback: false,
    }));
}

/** Undefined also where it can't be read, which is another finding. */
function readableSecret(peering: NonNullable<ServerConfig['peering']>): string | undefined {
  try {
    return readRelaySecret(peering);
  } catch {
    return undefined;
  }
}
