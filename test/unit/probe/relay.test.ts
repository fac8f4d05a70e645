/** A relay on loopback, coturn as deploy/ has it: what is said where it can't be used, and what a peer may say of one. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRelay } from '../../../probe/drive/relay.ts';
import { Relays } from '../../../probe/drive/relays.ts';
import { nameRelay } from '../../../server/peering/relay-credentials.ts';
import type { Relay } from '../../../shared/broker/messages.ts';
import type { Endpoint } from '../../../shared/endpoint.ts';
import type { RunningServer } from '../../lab/natprobe.ts';
import { COTURN_PORT, startCoturn } from '../../support/coturn.ts';
import { describeIf } from '../../support/requirements.ts';
import { missingPrograms } from '../../support/system-programs.ts';

const ADDRESS = '127.0.0.51';
const SECRET = 'a secret of this test alone';
const URL = `turn:${ADDRESS}:${COTURN_PORT}`;
const LOCAL: Endpoint = { address: '127.0.0.1', port: 9 };
const PEER: Endpoint = { address: '203.0.113.9', port: 4000 };

/** What this side is given: an address, or the reason why it isn't. */
function ask(relay: Relay, peer = PEER): Promise<string> {
  return new Promise((resolve, reject) => {
    const running = openRelay({
      relay,
      peers: [peer],
      local: LOCAL,
      onAllocated: ({ address }) => void running.release().then(() => resolve(address)),
      onPeer: () => undefined,
      onFailed: resolve,
      onError: reject,
    });
  });
}

describeIf(missingPrograms('turnserver'))('a relayed address', () => {
  const credentials = (urls = [URL], secret = SECRET, nowMs = Date.now()): Relay =>
    nameRelay(urls, secret, '1a', nowMs);
  let server: RunningServer;

  beforeAll(async () => {
    server = await startCoturn({ address: ADDRESS, secret: SECRET });
  });
  afterAll(() => server.stop());

  it('is given to who has credentials of natprobed', async () => {
    expect(await ask(credentials())).toBe(ADDRESS);
  });

  it('is given by the first server that has one', async () => {
    const urls = ['turns:relay.example.org', `turn:127.0.0.52:${COTURN_PORT}?transport=udp`, URL];
    expect(await ask(credentials(urls))).toBe(ADDRESS);
  });

  it('is not given to who has expired ones, others or none', async () => {
    const twoDaysAgo = Date.now() - 2 * 24 * 3600 * 1000;
    for (const relay of [
      credentials([URL], SECRET, twoDaysAgo),
      credentials([URL], 'another'),
      { urls: [URL] },
    ])
      expect(await ask(relay)).toMatch(`at ${ADDRESS} does not take the credentials`);
  });

  it('is not given for a peer in a network of its own', async () => {
    const peer = { address: '192.168.1.9', port: 4000 };
    expect(await ask(credentials(), peer)).toMatch(
      /^at 127\.0\.0\.51 does not relay to the peer’s address \(403 /,
    );
  });
});

describe('a relay', () => {
  it.each([
    ['turns:relay.example.org', 'is not one that is spoken to over UDP'],
    ['turn:relay.example.org?transport=tcp', 'is not one that is spoken to over UDP'],
    ['turn:127.0.0.53:9', 'at 127.0.0.53 is not running: its port is closed'],
  ])('that can’t be used is said why: %s', async (url, reason) => {
    expect(await ask({ urls: [url], username: 'u', credential: 'c' })).toBe(reason);
  });

  it('is believed of a peer only at an address that it has', async () => {
    const heard: unknown[] = [];
    const relays = new Relays({
      relay: { urls: [URL] },
      peers: [PEER],
      local: LOCAL,
      onAllocated: () => undefined,
      onFailed: () => undefined,
      onFound: (remote) => heard.push(remote),
      onPeerFailed: () => heard.push('none'),
      onError: (error) => heard.push(error),
    });
    const relayed = { address: ADDRESS, port: 50_001 };
    relays.hear({ address: '203.0.113.77', port: 50_001 });
    await expect.poll(() => heard).toEqual(['none']);
    relays.hear(relayed);
    await expect.poll(() => heard).toEqual(['none', relayed]);
    relays.hear(undefined);
    expect(heard).toEqual(['none', relayed, 'none']);
    expect(relays.wayThrough(relayed)).toEqual({ relayed, peer: relayed });
    expect(relays.wayThrough(PEER)).toBeUndefined();
  });
});
