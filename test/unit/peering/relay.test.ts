/** Relays: what the operator names, and the credentials that peers are given for them. */
import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { nameRelay } from '../../../server/peering/relay-credentials.ts';
import { readPeeringSettings } from '../../../server/peering/settings.ts';

const NOW = Date.UTC(2026, 0, 1);

describe('the credentials for a relay', () => {
  it('are an end in a day with the user, and its HMAC-SHA1 under the shared secret', () => {
    const username = `${NOW / 1000 + 86_400}:42a`;
    expect(nameRelay(['turn:relay.example.org'], 'north', '42a', NOW + 999)).toEqual({
      urls: ['turn:relay.example.org'],
      username,
      credential: createHmac('sha1', 'north').update(username).digest('base64'),
      lifetimeMs: 86_400_000,
    });
  });

  it('are none without a secret', () => {
    expect(nameRelay(['turn:relay.example.org'], undefined, '42a', NOW)).toEqual({
      urls: ['turn:relay.example.org'],
    });
  });
});

describe('--peers and --peers-per-client', () => {
  it('are the limits of the broker, where they are given', () => {
    expect(readPeeringSettings({}).limits).toEqual({});
    expect(readPeeringSettings({ peers: '50000', peersPerClient: '9' }).limits).toEqual({
      connections: 50_000,
      connectionsPerClient: 9,
    });
  });

  it.each(['0', '-1', '1e3', '', '99999999'])('are no %j', (text) => {
    expect(() => readPeeringSettings({ peers: text })).toThrow(/^--peers: not a number/);
  });
});

describe('--relay', () => {
  it.each([
    'turn:relay.example.org',
    'turn:192.0.2.7:3478',
    'turn:[2001:db8::7]:3478?transport=udp',
    'turns:relay.example.org:5349?transport=tcp',
  ])('takes %s', (uri) => {
    expect(readPeeringSettings({ relay: [uri] }).relays).toEqual([uri]);
  });

  it.each([
    '',
    'relay.example.org',
    'stun:relay.example.org',
    'turn://relay.example.org',
    'turn:relay.example.org:0',
    'turn:relay.example.org:65536',
    'turn:relay.example.org?transport=sctp',
    'turn:user@relay.example.org',
    'turn:a b',
  ])('refuses %j', (uri) => {
    expect(() => readPeeringSettings({ relay: [uri] })).toThrow(/^--relay: not the URI of a TURN server/);
  });

  it.each([
    [{ relaySecretFile: 'x' }, /^--relay-secret-file:.*it takes --relay/],
    [{ roomJwtAudience: 'x' }, /^--room-jwt-audience:.*it takes --room-jwt-key/],
    [{ relay: Array<string>(9).fill('turn:a') }, /^--relay:.*more than 8/],
  ])('and the others go together: %j', (flags, problem) => {
    expect(() => readPeeringSettings(flags)).toThrow(problem);
  });
});
