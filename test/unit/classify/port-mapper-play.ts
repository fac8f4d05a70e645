/** Plays a router to the machines that speak with port mappers, in virtual time. */
import type { Machine } from '../../../shared/machine.ts';
import type { IgdService } from '../../../shared/portmap/igd.ts';
import type { PortMapperAction, PortMapperInput } from '../../../probe/classify/port-mappers/io.ts';
import { toHex } from '../../vectors/hex.ts';
import { ROUTER } from '../portmap/requests.ts';

export const SERVICE: IgdService = {
  type: 'urn:schemas-upnp-org:service:WANIPConnection:1',
  controlUrl: `http://${ROUTER}:5000/ctl`,
};

/** An input at its time, and what the machine is told at that time. */
export type Script = readonly (readonly [atMs: number, input: PortMapperInput])[];

export interface Play<Event> {
  /** What was done, as `0 send 0000`, `0 search ...:1`, `12 GET url`, `12 ActionName`. */
  readonly actions: string[];
  readonly events: { readonly atMs: number; readonly event: Event }[];
  /** When the machine wanted nothing more. */
  readonly endedMs: number;
}

/** Runs a machine whose clock starts at `startMs` until it wants no more; times in the play count from there. */
export function play<Event>(
  machine: Machine<PortMapperInput, PortMapperAction, Event>,
  script: Script = [],
  startMs = 1_000_000,
): Play<Event> {
  const result = { actions: [] as string[], events: [] as Play<Event>['events'] };
  const inputs = [...script];
  let nowMs = 0;
  for (;;) {
    for (let action = machine.pollAction(); action; action = machine.pollAction()) {
      result.actions.push(`${nowMs} ${describe(action)}`);
    }
    for (let event = machine.pollEvent(); event !== undefined; event = machine.pollEvent()) {
      result.events.push({ atMs: nowMs, event });
    }
    const wakeMs = machine.pollTimeout();
    if (wakeMs === undefined && inputs.length === 0) return { ...result, endedMs: nowMs };
    // The first wake is asked for before the machine knows the clock, and comes before any input.
    const wakesInMs = wakeMs === undefined ? Infinity : Math.max(0, wakeMs - startMs);
    const input = inputs[0];
    if (input !== undefined && input[0] <= wakesInMs && nowMs + wakesInMs > 0) {
      inputs.shift();
      nowMs = input[0];
      machine.handleInput(input[1], startMs + nowMs);
    } else {
      nowMs = Math.max(nowMs, wakesInMs);
      machine.handleTimeout(startMs + nowMs);
    }
  }
}

export function datagram(bytes: Uint8Array): PortMapperInput {
  return { kind: 'datagram', bytes };
}

export function http(exchange: number, body: string, status = 200): PortMapperInput {
  return { kind: 'http', exchange, answer: { kind: 'answered', status, body } };
}

export function httpFailed(exchange: number): PortMapperInput {
  return { kind: 'http', exchange, answer: { kind: 'failed' } };
}

export function fault(exchange: number, code: number): PortMapperInput {
  return http(exchange, `<errorCode>${code}</errorCode>`, 500);
}

export function external(exchange: number, address: string): PortMapperInput {
  return http(exchange, `<NewExternalIPAddress>${address}</NewExternalIPAddress>`);
}

function describe(action: PortMapperAction): string {
  switch (action.kind) {
    case 'send':
      return `send ${toHex(action.bytes)}`;
    case 'search':
      return `search ${/^ST: .*:(\w+:\d)\r$/m.exec(new TextDecoder().decode(action.bytes))?.[1]}`;
    case 'http': {
      const { method, url, headers, body } = action.request;
      const name = /#(\w+)"$/.exec(headers['soapaction'] ?? '')?.[1];
      if (name === undefined) return `${method} ${url}`;
      const port = /<NewExternalPort>(\d+)</.exec(body)?.[1];
      const lease = /<NewLeaseDuration>(\d+)</.exec(body)?.[1];
      return [name, port, lease && `for ${lease}`].filter(Boolean).join(' ');
    }
  }
}
