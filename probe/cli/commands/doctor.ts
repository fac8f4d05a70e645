import { type Family, type HostPort, parseHostPort } from '../../../shared/endpoint.ts';
import { NatprobeError } from '../../../shared/errors.ts';
import {
  documentOf,
  doubtful,
  type Finding,
  fine,
  type FindingsDocument,
  renderFindings,
} from '../../../shared/findings.ts';
import { decideStyle } from '../../../shared/style.ts';
import { parseHttpUrl } from '../../../shared/http-url.ts';
import { FAMILY_NAMES } from '../../../shared/report/report.ts';
import type { ApiFacts, FamilyFacts } from '../../doctor/facts.ts';
import { isReached, judgeApi, judgeFamily } from '../../doctor/judge.ts';
import { readConfigFile } from '../config-file.ts';
import { EXIT } from '../exit-codes.ts';
import { showStatus } from '../render/progress.ts';
import { type Flags, settle, type Settings } from '../settings.ts';
import { interruptibly } from './interrupt.ts';

/** What `natprobe doctor --json` prints. */
export interface DoctorDocument extends FindingsDocument<'natprobe/doctor@1'> {
  readonly server: string;
}

/** `natprobe doctor`: looks at one server from outside, prints what is wrong, and returns the exit code. Rejects with a NatprobeError. */
export async function doctorCommand({ api, ...flags }: Flags): Promise<number> {
  const settings = prepareOne(flags);
  const host = parseHostPort(settings.servers[0]!, '--server');
  const status = showStatus(process.stderr, `asking ${host.host}`);
  return interruptibly(async (signal) => {
    let examined: Examined;
    try {
      examined = await examine(host, settings, api, signal);
    } finally {
      status.end();
    }
    const document: DoctorDocument = {
      ...documentOf('natprobe/doctor@1', examined.findings),
      server: settings.servers[0]!,
    };
    const style = decideStyle(settings.color, process.env, process.stdout.isTTY);
    const lines = settings.json ? [JSON.stringify(document, undefined, 2)] : renderFindings(document, style);
    process.stdout.write(lines.map((line) => `${line}\n`).join(''));
    if (!examined.isReached) return EXIT.unreachable;
    return document.state === 'error' ? EXIT.faulty : EXIT.verdict;
  });
}

/** Throws ERR_NO_SERVER, ERR_FLAGS, ERR_CONFIG_FILE or ERR_ENDPOINT. */
function prepareOne(flags: Flags): Settings {
  // Public servers are others' to look after.
  const settings = settle(flags, process.env, readConfigFile(flags.config, process.env), []);
  if (settings.servers.length === 0) throw new NatprobeError('ERR_NO_SERVER', 'natprobe doctor');
  if (settings.servers.length > 1)
    throw new NatprobeError('ERR_FLAGS', '--server', 'it looks at one server at a time');
  return settings;
}

interface Examined {
  readonly findings: readonly Finding[];
  readonly isReached: boolean;
}

async function examine(
  host: HostPort,
  { families, servers }: Settings,
  api: string | undefined,
  signal: AbortSignal,
): Promise<Examined> {
  // Loaded late, so that --help and usage errors are quick.
  const [
    { resolveServers },
    { examineFamily },
    { examineApi },
    { findApi },
    { NO_ROUTE_CODES, systemErrorCode },
  ] = await Promise.all([
    import('../../drive/resolve.ts'),
    import('../../drive/examine.ts'),
    import('../../drive/examine-api.ts'),
    import('../../drive/find-api.ts'),
    import('../../drive/udp.ts'),
  ]);
  const { addresses } = await resolveServers([host], RESOLVE_TIMEOUT_MS);
  const looked = await Promise.all(families.map(lookAt));
  const facts = looked.flatMap((look) => look.facts ?? []);
  const reached = facts.filter(isReached);
  const findings = looked.flatMap((look) => look.findings);
  if (reached.length === 0) return { findings, isReached: false };
  const apiFacts = await lookAtApi();
  return {
    findings: [
      ...findings,
      ...judgeApi(
        apiFacts,
        facts.some(({ givesWitnesses }) => givesWitnesses),
      ),
    ],
    isReached: true,
  };

  async function lookAt(family: Family): Promise<{ facts?: FamilyFacts; findings: Finding[] }> {
    const name = FAMILY_NAMES[family];
    const server = addresses[0]?.[family];
    if (server === undefined)
      return {
        findings:
          families.length === 1
            ? [noAddress(name, servers[0]!)]
            : [fine(name, `${host.host} has no such address`)],
      };
    try {
      const found = await examineFamily(server, signal);
      return { facts: found, findings: judgeFamily(found) };
    } catch (error) {
      if (signal.aborted || !NO_ROUTE_CODES.has(systemErrorCode(error))) throw error;
      const seen = `there is no way from here to ${server.address} (${systemErrorCode(error)})`;
      return { findings: [doubtful(name, seen, `ask from a machine that has ${name}`)] };
    }
  }

  async function lookAtApi(): Promise<ApiFacts> {
    try {
      const url = api === undefined ? await findApi([host], signal) : parseHttpUrl(api, '--api');
      return await examineApi(url, signal);
    } catch (error) {
      if (error instanceof NatprobeError && error.code === 'ERR_NO_API') return { url: undefined };
      throw error;
    }
  }
}

const RESOLVE_TIMEOUT_MS = 5000;

function noAddress(name: string, server: string): Finding {
  return doubtful(name, `${server} has no such address`, 'ask without -4 or -6');
}
