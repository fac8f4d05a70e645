/** Pairs over a real NATS server: who finds whom, what they have each other send, and what the log says where they can't. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import type { Endpoint } from '../../../shared/endpoint.ts';
import { CHANGE_REQUEST } from '../../../shared/stun/attributes/behaviour.ts';
import { RECEIPT, RECEIPT_REQUEST } from '../../../shared/stun/attributes/natprobe.ts';
import { decodeMessage, readAttribute } from '../../../shared/stun/message.ts';
import { type PartnerEndpoints, relayedAnswer } from '../../../server/answer/relayed-answer.ts';
import { roleEndpoints } from '../../../server/config.ts';
import { type NatsLink, openNats } from '../../../server/nats/open.ts';
import { openPair, type OpenPair } from '../../../server/nats/open-pair.ts';
import { AnswerSender, type SendingSocket } from '../../../server/udp/answer-sender.ts';
import { WitnessKeys, witnessKeyOf } from '../../../server/witness/witness-keys.ts';
import { natsMissing, startNats, type TestNats } from '../../support/nats-server.ts';
import { describeIf } from '../../support/requirements.ts';
import { CLIENT, createOneAddressCore, exchange, request } from '../answer/exchange.ts';

/** A loaded machine takes its time. */
const PATIENCE = { timeout: 20_000, interval: 20 };
const [A, B] = ['192.0.2.1', '192.0.2.2'] as const;
/** A NATS on which nobody may speak for this pair. */
const NO_LEAVE =
  'authorization { default_permissions: { publish: "other", subscribe: "natprobe.>" }, users: [{ user: u, password: p }] }';

interface TestHost {
  readonly pair: OpenPair;
  readonly link: NatsLink;
  readonly logged: string[];
  readonly sent: { readonly port: number; readonly to: Endpoint; readonly bytes: Uint8Array }[];
  partner: PartnerEndpoints | undefined;
}

let nats: TestNats;
const hosts: TestHost[] = [];
afterEach(async () => {
  await Promise.all(hosts.map(({ pair }) => pair.close()));
  await Promise.all(hosts.splice(0).map(({ link }) => link.close()));
  await nats.remove();
});

function addHost(address: string, { key = 1, admits = true, credentialsFile = '' } = {}): TestHost {
  const logged: string[] = [];
  const log = (level: string, message: string): number => logged.push(`${level}: ${message}`);
  const link = openNats(
    { servers: [nats.servers[0]!.url], ...(credentialsFile !== '' && { credentialsFile }) },
    log,
  );
  const bound = roleEndpoints(address, undefined, 3478, 3479);
  const pair = openPair({
    settings: { name: 'test' },
    families: [{ family: 'ipv4', bound, advertised: bound }],
    link,
    keys: new WitnessKeys(witnessKeyOf(new Uint8Array(32).fill(key))),
    log,
  });
  const sent: TestHost['sent'] = [];
  const sockets = [0, 1].map((role): SendingSocket => ({
    send(bytes, port, to, onSent) {
      sent.push({ port: role, to: { address: to, port }, bytes: bytes.slice() });
      onSent?.(null);
    },
    getSendQueueCount: () => 0,
  }));
  const host: TestHost = { pair, link, logged, sent, partner: undefined };
  const sender = new AnswerSender(createOneAddressCore(), sockets);
  pair.start({
    usePartner: (partner) => (host.partner = partner),
    relayed: (family) => (family === 'ipv4' ? { sender, admit: () => admits } : undefined),
  });
  hosts.push(host);
  return host;
}

/** Has the host answer a request for a response from the other address and port, with a receipt. */
function askOf({ pair, partner }: TestHost): void {
  const core = createOneAddressCore();
  core.usePartner(partner!.ipv4);
  const change = CHANGE_REQUEST.of({ address: true, port: true });
  exchange(core, request([change, RECEIPT_REQUEST.of(200)]));
  pair.relay(relayedAnswer(core.outgoing, 2, { family: 'ipv4', source: CLIENT, role: 0 }));
}

async function untilPaired(...pair: readonly TestHost[]): Promise<void> {
  await vi.waitFor(() => {
    for (const { partner } of pair) expect(partner).toBeDefined();
  }, PATIENCE);
}

describeIf(natsMissing())('two hosts and NATS', () => {
  it('find each other, lose NATS and find each other again', async () => {
    nats = await startNats();
    const [a, b] = [addHost(A), addHost(B)];
    await untilPaired(a, b);
    expect([a.partner!.ipv4![1], b.partner!.ipv4![0]]).toEqual([
      { address: B, port: 3479 },
      { address: A, port: 3478 },
    ]);
    await nats.servers[0]!.kill();
    await vi.waitFor(() => expect([a.partner, b.partner]).toEqual([undefined, undefined]), PATIENCE);
    await nats.servers[0]!.restart();
    await untilPaired(a, b);
    const said = a.logged.filter((line) => line.includes('pair test'));
    const isPaired = `info: pair test: two-address mode with ${B}:3478`;
    expect(said.slice(0, 2)).toEqual([
      'info: pair test: one-address mode until the other host is found over NATS',
      isPaired,
    ]);
    // A busy machine may keep one of them from the other's notice once more.
    for (const line of said.slice(2, -1).filter((other) => other !== isPaired))
      expect(line).toMatch(
        /^warning: pair test: one-address mode, since the other host (answers|hears this one) no more/,
      );
    expect(said.length).toBeGreaterThan(3);
    expect(said.at(-1)).toBe(isPaired);
  });

  it('have the response sent there, and then the receipt here, which states the time', async () => {
    nats = await startNats();
    const [a, b] = [addHost(A), addHost(B)];
    await untilPaired(a, b);
    askOf(a);
    expect(a.sent).toEqual([]);
    await vi.waitFor(() => expect(a.sent).toHaveLength(1), PATIENCE);
    expect(b.sent.map(({ port, to }) => [port, to])).toEqual([[1, CLIENT]]);
    expect(a.sent.map(({ port, to }) => [port, to])).toEqual([[0, CLIENT]]);
    const decoded = decodeMessage(a.sent[0]!.bytes);
    const receipt = decoded.kind === 'message' ? readAttribute(decoded.message, RECEIPT) : undefined;
    expect(receipt?.sentFrom).toEqual({ address: B, port: 3479 });
    expect(receipt?.relayDelayMs).toBeGreaterThan(0);
    expect(a.pair.status().counts.asked.sent).toBe(1);
  });

  it('say nothing of a response that the other’s limits forbid', async () => {
    nats = await startNats();
    const [a, b] = [addHost(A), addHost(B, { admits: false })];
    await untilPaired(a, b);
    askOf(a);
    await vi.waitFor(() => expect(a.pair.status().counts.asked.limited).toBe(1), PATIENCE);
    expect([a.sent, b.sent]).toEqual([[], []]);
  });

  it('refuse what is not acknowledged', async () => {
    nats = await startNats();
    const [a, b] = [addHost(A), addHost(B)];
    await untilPaired(a, b);
    await nats.servers[0]!.kill();
    askOf(a);
    await vi.waitFor(() => expect(a.sent).toHaveLength(1), PATIENCE);
    const decoded = decodeMessage(a.sent[0]!.bytes);
    expect(decoded).toMatchObject({ kind: 'message', message: { class: 'error' } });
    expect(b.sent).toEqual([]);
  });
});

describeIf(natsMissing())('a host that finds nobody', () => {
  it('says once that the other one has other keys', async () => {
    nats = await startNats();
    const [a, b] = [addHost(A), addHost(B, { key: 2 })];
    const toldOf = ({ logged }: TestHost): string[] => logged.filter((line) => line.startsWith('error'));
    await vi.waitFor(() => {
      for (const host of [a, b])
        expect(toldOf(host)).toEqual([expect.stringContaining('--witness-key-file')]);
    }, PATIENCE);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect([toldOf(a).length, toldOf(b).length]).toEqual([1, 1]);
    expect([a.partner, b.partner]).toEqual([undefined, undefined]);
  });

  it('says once that NATS does not let it speak', async () => {
    nats = await startNats({ lines: [NO_LEAVE] });
    const folder = mkdtempSync(join(tmpdir(), 'natprobe-pair-'));
    const credentialsFile = join(folder, 'credentials');
    writeFileSync(credentialsFile, 'u:p');
    const { logged } = addHost(A, { credentialsFile });
    rmSync(folder, { recursive: true });
    const refusals = (): string[] => logged.filter((line) => line.includes('NATS refuses'));
    await vi.waitFor(() => {
      expect(refusals()).toEqual([expect.stringContaining('natprobe.pair.test')]);
    }, PATIENCE);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    expect(refusals()).toHaveLength(1);
  });
});
