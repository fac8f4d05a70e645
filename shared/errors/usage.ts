/** What somebody typed, or wrote into a file, that can't be read. */
export const USAGE_ERRORS = {
  ERR_ENDPOINT: {
    exitCode: 2,
    problem: 'not an address or HOST[:PORT]',
    remedy: 'write HOST, HOST:PORT, 192.0.2.1:3478 or [2001:db8::1]:3478',
  },
  ERR_ADDRESS: {
    exitCode: 2,
    problem: 'not an IP address',
    remedy: 'write it alone, without a port: 192.0.2.1 or 2001:db8::1',
  },
  ERR_URL: {
    exitCode: 2,
    problem: 'not an http or https URL',
    remedy: 'write it in full, as in https://nat.example.org',
  },
  ERR_BEHAVIOUR: {
    exitCode: 2,
    problem: 'not a type of NAT',
    remedy:
      'write open, fw/ADF, fw/APDF, one of EIM, ADM, APDM and of EIF, ADF, APDF as in EIM/APDF, or full-cone, restricted-cone, port-restricted-cone, cone, symmetric, symmetric-firewall, udp-blocked or inconclusive',
  },
  ERR_REPORT_ID: {
    exitCode: 2,
    problem: 'not the id of a report',
    remedy: 'give the id, or the address that `natprobe --report` printed',
  },
  ERR_REPORT_FILE: {
    exitCode: 2,
    problem: 'no report can be read there',
    remedy: 'give a file that `natprobe --json` wrote',
  },
  ERR_PORT: { exitCode: 2, problem: 'not a port', remedy: 'give a whole number from 1 to 65535' },
  ERR_NUMBER: { exitCode: 2, problem: 'not a number that fits here', remedy: 'give one in that range' },
  ERR_USAGE: { exitCode: 2, problem: 'not understood', remedy: 'see --help' },
  ERR_FLAGS: { exitCode: 2, problem: 'these options do not go together', remedy: 'see --help' },
  ERR_SECRET: {
    exitCode: 2,
    problem: 'the secret cannot be used',
    remedy: 'give a file that this user can read, with the secret in its first line',
  },
  ERR_NO_TERMINAL: {
    exitCode: 2,
    problem: 'there is no terminal to ask at',
    remedy:
      'run it in one, or without --ask: then whoever is in the room is let in (--room-key keeps others out)',
  },
  ERR_CONFIG_FILE: {
    exitCode: 2,
    problem: 'the configuration file cannot be used',
    remedy: 'correct it, or name another with --config',
  },
  ERR_NO_SERVER: {
    exitCode: 2,
    problem: 'no server to ask',
    remedy: 'give --server HOST, or set NATPROBE_SERVER',
  },
  ERR_PAIR_NAME: {
    exitCode: 2,
    problem: 'not the name of a pair',
    remedy: 'take letters, digits, - and _, 64 at most, and the same on both hosts',
  },
  ERR_NATS: {
    exitCode: 2,
    problem: 'not the URL of a NATS server',
    remedy: 'write it as in nats://192.0.2.7:4222, or tls:// for TLS',
  },
  ERR_DURATION: {
    exitCode: 2,
    problem: 'not a length of time',
    remedy: 'write a whole number and a unit: 3600s, 90m, 12h or 90d',
  },
  ERR_TIME: {
    exitCode: 2,
    problem: 'not a point in time',
    remedy: 'write 2026-01-31, or 2026-01-31T12:00:00Z',
  },
  ERR_RANGE: {
    exitCode: 2,
    problem: 'not a range of addresses',
    remedy: 'write an address, or a range as in 192.0.2.0/24 or 2001:db8::/32',
  },
  ERR_ORIGIN: {
    exitCode: 2,
    problem: 'not an origin of web pages',
    remedy: 'write scheme, host and port alone, as in https://app.example.org, or * for all',
  },
  ERR_RELAY: {
    exitCode: 2,
    problem: 'not the URI of a TURN server',
    remedy: 'write it as in turn:relay.example.org:3478?transport=udp',
  },
} as const;
