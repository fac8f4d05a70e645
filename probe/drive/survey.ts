/** What is to be found out beyond mapping and filtering, by inquiries of their own. */
import { randomBytes } from 'node:crypto';
import type { Endpoint, Family } from '../../shared/endpoint.ts';
import { assessAxes, type AxisEvidence } from '../../shared/nat/axes.ts';
import type { Evidence } from '../../shared/nat/evidence.ts';
import { lacksReceipts } from '../../shared/nat/filtering.ts';
import { endpointsOf } from '../../shared/nat/layers.ts';
import { type Observations, observe, otherAddressOf, roundTripTo } from '../../shared/nat/observations.ts';
import {
  formatNat64Prefix,
  type Nat64Prefix,
  parseNat64Prefix,
  synthesizeEndpoint,
} from '../../shared/nat64.ts';
import type { Verdict } from '../../shared/nat/verdict.ts';
import type { FamilyOutcome } from '../../shared/report/report.ts';
import { planCollisions } from '../classify/inquiries/collisions.ts';
import { planFragments } from '../classify/inquiries/fragments.ts';
import { planHairpin } from '../classify/inquiries/hairpin.ts';
import { planPorts } from '../classify/inquiries/ports.ts';
import { createTcpInquiry, TCP_INQUIRY_TIMEOUT_MS } from '../classify/inquiries/tcp.ts';
import { planUnsolicited } from '../classify/inquiries/unsolicited.ts';
import { createInquiry, type InquiryPlan } from '../classify/inquiry.ts';
import { gatherLayers } from './layers.ts';
import { discoverNat64Prefixes } from './nat64.ts';
import { runProbe } from './run-probe.ts';
import { runTcpInquiry } from './tcp-inquiry.ts';

export interface SurveyOptions {
  /** The least time between two packets of one inquiry that open a NAT binding. */
  readonly paceMs: number;
  /** Also whether inside hosts reach each other by their public endpoints. */
  readonly hairpin?: boolean;
  /** A further address of this machine behind the same NAT, to meet the first one's ports with. */
  readonly also?: string;
  /** Only what the prediction of a punch takes, over UDP or also over TCP, as far as it matters behind this NAT. */
  readonly forPunch?: false | 'udp' | 'tcp';
  readonly signal?: AbortSignal;
}

/** For each inquiry over UDP. Without loss they take a tenth of it. */
const INQUIRY_TIMEOUT_MS = 8000;
/** Whoever wants to punch waits for it: enough for one lost SYN, and a dial that comes to nothing. */
const TCP_FOR_PUNCH_TIMEOUT_MS = 2500;

/**
 * The outcome with the survey added, if a server answered. What only a natprobed can be asked (it
 * takes receipts and dial-backs) is left out with others. Rejects with ERR_ABORTED if the signal says so.
 */
export async function surveyOutcome(
  family: Family,
  outcome: FamilyOutcome,
  options: SurveyOptions,
): Promise<FamilyOutcome> {
  if (outcome.kind !== 'classified') return outcome;
  const subject = chooseServers(observe(outcome.evidence));
  if (subject === undefined) return outcome;
  const startedAt = performance.now();
  const axisEvidence = await surveyFamily({ family, ...subject }, outcome, options);
  return {
    ...outcome,
    timing: { ...outcome.timing, surveyMs: performance.now() - startedAt },
    survey: { axes: assessAxes(axisEvidence, outcome.evidence), axisEvidence },
  };
}

interface Subject {
  readonly family: Family;
  /** Primary endpoints that have answered; the first one is a natprobed, as far as is known, if any is. */
  readonly servers: readonly [Endpoint, ...Endpoint[]];
  readonly isNatprobed: boolean;
  /** The first one's other address and port. */
  readonly other?: Endpoint;
  /** Those are IPv4 endpoints, reached through the NAT64 at this prefix alone. */
  readonly nat64?: Nat64Prefix;
}

function chooseServers(observations: Observations): Omit<Subject, 'family'> | undefined {
  const { run, evidence } = observations;
  // Where all is let in the verdict doesn't wait for receipts: then the inquiries find out themselves.
  const isNatprobed = (endpoint: Endpoint): boolean => !lacksReceipts(observations, endpoint);
  const answered = run.servers.filter((endpoint) => roundTripTo(observations, endpoint) !== undefined);
  const server = answered.find(isNatprobed) ?? answered[0];
  if (server === undefined) return undefined;
  const other = otherAddressOf(observations, server);
  const way = evidence.find((item) => item.kind === 'nat64' && item.used);
  const nat64 = way?.kind === 'nat64' ? parseNat64Prefix(way.prefix) : undefined;
  return {
    servers: [server, ...answered.filter((endpoint) => endpoint !== server)],
    isNatprobed: isNatprobed(server),
    ...(other !== undefined && { other }),
    ...(nat64 !== undefined && { nat64 }),
  };
}

/**
 * First what ports are handed out, which other packets would change for a NAT that counts; then the
 * rest beside each other. The router is asked meanwhile, and the network's DNS for NAT64 prefixes.
 */
async function surveyFamily(
  subject: Subject,
  { evidence: classification, verdict }: Classified,
  { paceMs, hairpin = false, also, forPunch = false, signal }: SurveyOptions,
): Promise<AxisEvidence> {
  const wanted = forPunch === false ? EVERYTHING : wantedForPunch(verdict, forPunch === 'tcp');
  const { family, servers, isNatprobed, other, nat64 } = subject;
  const [server] = servers;
  const context = { server, ...(other !== undefined && { other }) };
  const stop = signal === undefined ? {} : { signal };
  const way = { family, ...(nat64 !== undefined && { nat64 }) };
  const inquire = async (plan: InquiryPlan): Promise<readonly Evidence[]> => {
    const options = { ...way, servers, timeoutMs: INQUIRY_TIMEOUT_MS, paceMs, random: randomBytes };
    return (await runProbe(createInquiry(options, plan), stop)).evidence;
  };
  const inquireTcp = async (): Promise<readonly Evidence[]> => {
    const timeoutMs = wanted.rest ? TCP_INQUIRY_TIMEOUT_MS : TCP_FOR_PUNCH_TIMEOUT_MS;
    const options = { ...way, ...context, timeoutMs, paceMs, random: randomBytes };
    return (await runTcpInquiry(createTcpInquiry(options), stop)).evidence;
  };
  const endpoints = endpointsOf(classification);
  const sentTo = nat64 === undefined ? server : synthesizeEndpoint(nat64, server);
  const layers = wanted.rest && endpoints && gatherLayers({ server: sentTo, endpoints, ...stop });
  const portsThenRest = async (): Promise<AxisEvidence> => {
    const ports = wanted.ports && (await inquire(planPorts(context)));
    const from = endpoints?.local.address;
    return gather({
      ports,
      unsolicited: isNatprobed && wanted.unsolicited && inquire(planUnsolicited(context)),
      fragments: isNatprobed && wanted.rest && inquire(planFragments(context)),
      tcp: isNatprobed && wanted.tcp && inquireTcp(),
      hairpin: hairpin && inquire(planHairpin(context)),
      collisions:
        also !== undefined && from !== undefined && inquire(planCollisions({ ...context, from, also })),
    });
  };
  const [rest, found, prefixes] = await Promise.all([
    portsThenRest(),
    layers,
    wanted.rest ? discoverNat64Prefixes() : [],
  ]);
  const translation = prefixes.map((prefix): Evidence => ({
    kind: 'nat64',
    prefix: formatNat64Prefix(prefix),
    used: false,
  }));
  return { ...rest, ...(found && { layers: found }), ...(wanted.rest && { translation }) };
}

interface Wanted {
  readonly ports: boolean;
  readonly unsolicited: boolean;
  readonly tcp: boolean;
  readonly rest: boolean;
}

const EVERYTHING: Wanted = { ports: true, unsolicited: true, tcp: true, rest: true };

/** Where one port serves all, the next one doesn't matter; who lets all in remembers nobody. */
function wantedForPunch({ mapping, filtering }: Verdict, tcp: boolean): Wanted {
  return {
    ports: mapping !== 'none' && mapping !== 'endpoint-independent',
    unsolicited: filtering !== 'endpoint-independent',
    tcp,
    rest: false,
  };
}

type Classified = Extract<FamilyOutcome, { kind: 'classified' }>;

type Gathering = Partial<
  Record<keyof AxisEvidence, readonly Evidence[] | Promise<readonly Evidence[]> | false>
>;

/** Waits for what was asked, and leaves out what was not. */
async function gather(asked: Gathering): Promise<AxisEvidence> {
  const entries = await Promise.all(
    Object.entries(asked).map(async ([inquiry, evidence]) => [inquiry, await evidence] as const),
  );
  return Object.fromEntries(entries.filter(([, evidence]) => evidence !== false));
}
