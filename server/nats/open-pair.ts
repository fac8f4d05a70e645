/** The pair over NATS: one subject of that name, on which both hosts tell each other all. */
import { randomBytes } from 'node:crypto';
import type { NatsConnection } from '@nats-io/transport-node';
import { type Endpoint, formatEndpoint } from '../../shared/endpoint.ts';
import {
  isBindingResponse,
  type PartnerEndpoints,
  type RelayedAnswer,
  refuseRelayed,
  stateRelayDelay,
} from '../answer/relayed-answer.ts';
import type { FamilyConfig } from '../config.ts';
import type { Log } from '../log.ts';
import { decodePairMessage, encodePairMessage, type PairMessage } from '../pair/messages.ts';
import { type Misfit, Pair, type PairAction, type PairCounts, type PairEvent } from '../pair/pair.ts';
import { type PairSettings, pairSubject } from '../pair/settings.ts';
import type { RelaySender } from '../udp/udp-lane.ts';
import type { WitnessKeys } from '../witness/witness-keys.ts';
import type { NatsLink } from './open.ts';

export interface PairStatus {
  readonly name: string;
  /** While there is one. */
  readonly partner: PartnerEndpoints | undefined;
  /** To it and back, over NATS. */
  readonly roundTripMs: number | undefined;
  readonly counts: PairCounts;
}

/** What the pair needs of the rest of the server. */
export interface PairPorts {
  /** The partner's endpoints are the other address from now on, or with undefined there is none. */
  usePartner(partner: PartnerEndpoints | undefined): void;
  /** Undefined for a family that is not served. */
  relayed(family: FamilyConfig['family']): RelaySender | undefined;
}

export interface OpenPair {
  status(): PairStatus;
  /** Has the partner send this, and then sends what there is to say of it. */
  relay(answer: RelayedAnswer): void;
  /** Begins to look for the partner. */
  start(ports: PairPorts): void;
  close(): Promise<void>;
}

export interface PairParts {
  readonly settings: PairSettings;
  readonly families: readonly FamilyConfig[];
  readonly link: NatsLink;
  /** The same on both hosts. */
  readonly keys: WitnessKeys;
  readonly log: Log;
}

/** A NATS that is not heard of any more holds up no stop for longer. */
const FAREWELL_MS = 500;

export function openPair({ settings: { name }, families, link, keys, log }: PairParts): OpenPair {
  const subject = pairSubject(name);
  const endpoints = Object.fromEntries(
    families.map(({ family, advertised: [pp, pa] }) => [family, [pp, pa] as const]),
  ) as PartnerEndpoints;
  const pair = new Pair(randomBytes(16).toString('hex'), endpoints, performance.now());
  let ports: PairPorts | undefined;
  let nats: NatsConnection | undefined;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;
  let hasToldOfKeys = false;
  return {
    status: () => ({ name, partner: pair.partner, roundTripMs: pair.roundTripMs, counts: pair.counts }),
    relay: (answer) => handle({ kind: 'relay', answer }),
    start(given) {
      ports = given;
      log('info', `pair ${name}: one-address mode until the other host is found over NATS`, { pair: name });
      void link.connected.then((connection) => {
        if (isClosed) return;
        nats = connection;
        connection.subscribe(subject, {
          callback(error, { data }) {
            if (error !== null || isClosed) return;
            const message = decodePairMessage(data, keys);
            if (message === undefined) tellOfKeys();
            else handle({ kind: 'message', message });
          },
        });
        drive();
      });
    },
    async close() {
      handle({ kind: 'stop' });
      isClosed = true;
      clearTimeout(timer);
      const said = link.isUp() ? nats?.flush().catch(() => undefined) : undefined;
      await Promise.race([said, new Promise((resolve) => setTimeout(resolve, FAREWELL_MS).unref())]);
    },
  };

  function tellOfKeys(): void {
    if (hasToldOfKeys || pair.partner !== undefined) return;
    hasToldOfKeys = true;
    log(
      'error',
      `pair ${name}: what somebody says on ${subject} is not signed with this host's keys; have the same --witness-key-file on both`,
      { pair: name },
    );
  }

  function handle(input: Parameters<Pair['handleInput']>[0]): void {
    if (isClosed) return;
    pair.handleInput(input, performance.now());
    drive();
  }

  function drive(): void {
    for (let action = pair.pollAction(); action; action = pair.pollAction()) act(action);
    for (let event = pair.pollEvent(); event; event = pair.pollEvent()) heed(event);
    clearTimeout(timer);
    const due = pair.pollTimeout();
    if (due === undefined || isClosed) return;
    timer = setTimeout(
      // What has arrived by then counts, though the loop was busy with something else.
      () => setImmediate(onTimeout),
      Math.max(0, due - performance.now()),
    );
    timer.unref();
  }

  function onTimeout(): void {
    if (isClosed) return;
    pair.handleTimeout(performance.now());
    drive();
  }

  function act(action: PairAction): void {
    switch (action.kind) {
      case 'publish':
        publish(action.message);
        return;
      case 'send':
        send(action);
        return;
      case 'sent': {
        const { family, source, arrival, receipt } = action.answer;
        if (receipt === undefined) return;
        stateRelayDelay(receipt, action.delayMs, family);
        ports?.relayed(family)?.sender.sendOwn(arrival, source, receipt, 'receipts');
        return;
      }
      case 'refuse': {
        const { family, source, arrival } = action.answer;
        const refusal = refuseRelayed(action.answer);
        ports?.relayed(family)?.sender.sendOwn(arrival, source, refusal, 'responses');
      }
    }
  }

  /** What can't be said now would be old by the time that NATS is back. */
  function publish(message: PairMessage): void {
    if (link.isUp() && nats?.isClosed() === false)
      nats.publish(subject, encodePairMessage(message, keys.current));
  }

  function send({ to, number, family, port, target, bytes }: Extract<PairAction, { kind: 'send' }>): void {
    const done = (outcome: 'sent' | 'failed' | 'limited'): void =>
      handle({ kind: 'done', to, number, outcome });
    const out = ports?.relayed(family);
    if (out === undefined || !isBindingResponse(bytes)) done('failed');
    else if (!out.admit(target, bytes.length)) done('limited');
    else out.sender.sendOwn(port, target, bytes, 'responses', (isSent) => done(isSent ? 'sent' : 'failed'));
  }

  function heed(event: PairEvent): void {
    switch (event.kind) {
      case 'found':
        hasToldOfKeys = false;
        ports?.usePartner(event.partner);
        log('info', `pair ${name}: two-address mode with ${describePartner(event.partner)}`, { pair: name });
        return;
      case 'lost':
        ports?.usePartner(undefined);
        log('warning', `pair ${name}: one-address mode, since the other host ${LOSSES[event.why]}`, {
          pair: name,
        });
        return;
      case 'misfit':
        log('error', `pair ${name}: another host ${MISFITS[event.why]}`, { pair: name });
    }
  }
}

const LOSSES: Readonly<Record<Extract<PairEvent, { kind: 'lost' }>['why'], string>> = {
  silent: 'answers no more over NATS',
  stopped: 'has stopped',
  deaf: 'hears this one no more',
};

const MISFITS: Readonly<Record<Misfit, string>> = {
  protocol: 'of this name speaks another version: have the same natprobed on both',
  'same-address': 'of this name has the same address: each takes its own (--ip, --advertise)',
  'other-ports': 'of this name has other ports: give both the same --port and --alt-port',
  'no-common-family': 'of this name serves no family that this one does',
  third: 'of this name is one too many: give each two hosts a --pair of their own',
};

function describePartner(partner: PartnerEndpoints): string {
  const firsts = Object.values(partner) as readonly (readonly [Endpoint, Endpoint])[];
  return firsts.map(([first]) => formatEndpoint(first)).join(', ');
}
