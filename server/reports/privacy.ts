/**
 * Hides where a report comes from, after it was judged: this machine's and its gateways' addresses
 * get others (pseudonyms.ts), and names that people gave are replaced. Ports and servers' addresses stay,
 * so that the evidence is still judged the same. What isn't known to be harmless is left out. Pure.
 */
import type { TSchema } from 'typebox';
import type { Evidence } from '../../shared/nat/evidence.ts';
import type { Reason } from '../../shared/nat/verdict.ts';
import {
  type FamilyReport,
  isClassified,
  type Report,
  type SkipCode,
  type SkippedFamily,
} from '../../shared/report/report.ts';
import { KNOWN_EVIDENCE } from '../../shared/report/schema.ts';
import type { AddressPrivacy } from './defaults.ts';
import { AddressPseudonyms } from './pseudonyms.ts';
import type { NewReport } from './report-store.ts';

export function concealAddresses(judged: NewReport, privacy: AddressPrivacy): NewReport {
  if (privacy === 'full') return judged;
  const { report, verdict } = judged;
  const evidence = evidenceOf(report);
  const concealer = new Concealer(new AddressPseudonyms(privacy, serversOf(evidence)), evidence);
  return {
    ...judged,
    verdict: { ...verdict, reasons: concealer.reasons(verdict.reasons) },
    report: concealer.report(report),
  };
}

class Concealer {
  readonly #addresses: AddressPseudonyms;
  /** Other names of interfaces: the real ones hold hardware addresses, and companies' names. */
  readonly #interfaces = new Map<string, string>();
  readonly #interfaceNames: RegExp | undefined;
  readonly #hosts = new Map<string, string>();

  constructor(addresses: AddressPseudonyms, evidence: readonly Evidence[]) {
    this.#addresses = addresses;
    for (const item of evidence) {
      if (item.kind !== 'interface' || this.#interfaces.has(item.name)) continue;
      this.#interfaces.set(item.name, `${item.interfaceKind}-${this.#interfaces.size + 1}`);
    }
    const names = [...this.#interfaces.keys()]
      .filter((name) => name !== '')
      // The longest first, so that eth0.5 isn't taken for eth0.
      .sort((a, b) => b.length - a.length)
      .map((name) => name.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'));
    if (names.length > 0)
      this.#interfaceNames = new RegExp(`(?<![\\w.-])(?:${names.join('|')})(?![\\w-]|\\.\\w)`, 'g');
  }

  report(report: Report): Report {
    const { schema, family, families, startedAt, source, judgeVersion } = report;
    return {
      ...{ schema, family },
      ...this.#family(report),
      families: { ipv4: this.#either(families.ipv4), ipv6: this.#either(families.ipv6) },
      ...{ startedAt, ...(source && { source }), judgeVersion },
    };
  }

  reasons(reasons: readonly Reason[]): Reason[] {
    return reasons.map(({ code, text }) => ({ code, text: this.#text(text) }));
  }

  #either(family: FamilyReport | SkippedFamily): FamilyReport | SkippedFamily {
    if (isClassified(family)) return this.#family(family);
    const { code } = family.skipped;
    return { skipped: { code, text: SKIP_TEXTS[code] } };
  }

  #family({ verdict, endpoints, server, timing, evidence, axes, axisEvidence }: FamilyReport): FamilyReport {
    const { totalMs, rttMs, surveyMs } = timing;
    return {
      verdict: { ...verdict, reasons: this.reasons(verdict.reasons) },
      endpoints: {
        ...(endpoints.local !== undefined && { local: this.#text(endpoints.local) }),
        ...(endpoints.mapped !== undefined && { mapped: this.#text(endpoints.mapped) }),
      },
      server: {
        asked: server.asked.map((name) => this.#host(name)),
        ...(server.unresolved && { unresolved: server.unresolved.map((name) => this.#host(name)) }),
        endpoints: server.endpoints.map((endpoint) => this.#text(endpoint)),
        ...(server.alternate !== undefined && { alternate: this.#text(server.alternate) }),
        receipts: server.receipts,
      },
      timing: {
        totalMs,
        ...(rttMs !== undefined && { rttMs }),
        ...(surveyMs !== undefined && { surveyMs }),
      },
      evidence: this.#evidence(evidence),
      ...(axes && { axes: this.#value(axes) as typeof axes }),
      ...(axisEvidence && {
        axisEvidence: Object.fromEntries(
          Object.entries(axisEvidence).map(([axis, items]: [string, readonly Evidence[]]) => [
            axis,
            this.#evidence(items),
          ]),
        ),
      }),
    };
  }

  #evidence(evidence: readonly Evidence[]): Evidence[] {
    return evidence.flatMap((item) => {
      const schema = KNOWN_EVIDENCE.find(({ properties }) => properties.kind.const === item.kind);
      return schema === undefined ? [] : [this.#known(schema, item) as Evidence];
    });
  }

  /** The value with no more fields than its schema has. */
  #known(schema: TSchema, value: unknown): unknown {
    const { anyOf, properties, items } = schema as Shape;
    if (Array.isArray(value)) return items === undefined ? [] : value.map((item) => this.#known(items, item));
    if (typeof value !== 'object' || value === null) return this.#value(value);
    const fields = value as Readonly<Record<string, unknown>>;
    const branch = anyOf?.find((one) => (one as Shape).properties?.['kind']?.const === fields['kind']);
    if (branch !== undefined) return this.#known(branch, value);
    return Object.fromEntries(
      Object.entries(properties ?? {})
        .filter(([name]) => Object.hasOwn(fields, name))
        .map(([name, inner]) => [name, this.#known(inner, fields[name])]),
    );
  }

  /** The same at any depth, with other texts. */
  #value(value: unknown): unknown {
    if (typeof value === 'string') return this.#text(value);
    if (Array.isArray(value)) return value.map((item) => this.#value(item));
    if (typeof value !== 'object' || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.#value(item)]));
  }

  #text(text: string): string {
    const renamed = this.#interfaces.get(text);
    if (renamed !== undefined) return renamed;
    const withAddresses = this.#addresses.inText(text);
    if (this.#interfaceNames === undefined) return withAddresses;
    return withAddresses.replace(this.#interfaceNames, (name) => this.#interfaces.get(name)!);
  }

  /** A server as somebody named it: an address, or a name that may be known in one house only. */
  #host(named: string): string {
    if (/^(\[.*|[\d.]+|[^:]*:[^:]*:.*)$/.test(named.replace(/:\d+$/, ''))) return this.#text(named);
    const [, name = named, port] = /^(.*?)(:\d+)?$/s.exec(named) ?? [];
    let other = this.#hosts.get(name);
    if (other === undefined) this.#hosts.set(name, (other = `server-${this.#hosts.size + 1}`));
    return `${other}${port ?? ''}`;
  }
}

/** What of a JSON Schema is looked at. */
interface Shape {
  readonly const?: unknown;
  readonly anyOf?: readonly TSchema[];
  readonly properties?: Readonly<Record<string, TSchema & { readonly const?: unknown }>>;
  readonly items?: TSchema;
}

/** In place of the client's own words. */
const SKIP_TEXTS: Readonly<Record<SkipCode, string>> = {
  'not-asked': 'not asked for',
  'no-address': 'the server has no address of this family',
  'no-route': 'this machine has no way there',
  unreachable: 'no server answered',
  late: 'it took too long',
};

function evidenceOf({ families, ...top }: Report): Evidence[] {
  return [top, families.ipv4, families.ipv6]
    .filter((family) => isClassified(family))
    .flatMap(({ evidence, axisEvidence }) => [
      ...evidence,
      ...Object.values(axisEvidence ?? {}).flatMap((items: readonly Evidence[]) => items),
    ]);
}

const WELL_KNOWN_NAT64 = '64:ff9b::/96';

/** The servers' addresses: those asked, and what they named or sent from, unless it is the client's own. */
function serversOf(evidence: readonly Evidence[]): Set<string> {
  const asked = new Set<string>();
  const further = new Set<string>();
  const own = new Set<string>();
  const note = (list: Set<string>, endpoint: { readonly address: string } | undefined): void => {
    if (endpoint !== undefined) list.add(endpoint.address);
  };
  for (const item of evidence) {
    switch (item.kind) {
      case 'run':
        for (const server of item.servers) note(asked, server);
        break;
      case 'socket':
        note(own, item.local);
        break;
      case 'binding':
        note(further, item.to);
        for (const stray of item.strays ?? []) if (stray.kind === 'request') note(own, stray.from);
        for (const reply of item.replies) {
          if (reply.kind === 'receipt') note(further, reply.sentFrom);
          if (reply.kind !== 'response') continue;
          note(further, reply.other);
          note(further, reply.origin);
          note(own, reply.mapped);
          note(own, reply.plainMapped);
        }
        break;
      case 'tcp-binding':
        note(further, item.to);
        note(further, item.other);
        note(own, item.local);
        note(own, item.mapped);
        break;
      case 'tcp-dial':
        note(further, item.dialledFrom);
        break;
      case 'tcp':
      case 'refusal':
        note(further, item.to);
        break;
      case 'ice-check':
        for (const server of item.offered) note(asked, server);
        for (const { at, from } of item.received) {
          note(further, at);
          note(own, from);
        }
        for (const { from, to } of item.checks) {
          note(further, from);
          note(own, to);
        }
        break;
      case 'endpoints':
        note(own, item.local);
        for (const mapped of item.mapped) note(own, mapped);
        break;
      case 'interface':
        note(own, item);
        if (item.gateway !== undefined) own.add(item.gateway);
        break;
      case 'port-mapper':
        own.add(item.gateway);
        if (item.externalAddress !== undefined) own.add(item.externalAddress);
        break;
      case 'nat64':
        // The well-known one (RFC 6052) is everybody's; another one belongs to the client's network.
        if (item.prefix === WELL_KNOWN_NAT64) asked.add('64:ff9b::');
        break;
    }
  }
  for (const address of further) if (!own.has(address)) asked.add(address);
  return asked;
}
