/**
 * The one catalogue of errors that a person meets: what went wrong and what to change.
 * `exitCode` is what a command ends with (DESIGN.md's list: 1 inconclusive, 2 usage, 3 unreachable).
 */
export const ERROR_CATALOGUE = {
  ERR_ENDPOINT: {
    exitCode: 2,
    problem: 'not an address or HOST[:PORT]',
    remedy: 'write HOST, HOST:PORT, 192.0.2.1:3478 or [2001:db8::1]:3478',
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
  ERR_NUMBER: { exitCode: 2, problem: 'not a number that fits here', remedy: 'see --help for its range' },
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
  ERR_RESOLVE: {
    exitCode: 3,
    problem: 'the server name does not resolve',
    remedy: 'check its spelling and this machine’s DNS, or give an address',
  },
  ERR_UNREACHABLE: {
    exitCode: 3,
    problem: 'the server cannot be reached',
    remedy: 'check the address and that natprobed runs there, or try another --server',
  },
  ERR_LOCAL_PORT: {
    exitCode: 2,
    problem: 'the local port cannot be bound',
    remedy: 'choose another --local-port, or stop what holds it',
  },
  ERR_SOCKET: { exitCode: 1, problem: 'a socket failed', remedy: 'see the system error' },
  ERR_FEW_SOCKETS: {
    exitCode: 1,
    problem: 'not all sockets that the punch takes can be opened',
    remedy: 'let this process have more open files (`ulimit -n`); it goes on with those that it has',
  },
  ERR_ABORTED: { exitCode: 1, problem: 'stopped before it was done', remedy: 'run it again' },
  ERR_ADDRESS_NOT_LOCAL: {
    exitCode: 2,
    problem: 'this machine does not have that address',
    remedy:
      'give one that `ip address` lists (natprobed behind 1:1 NAT: the private one, and --advertise PRIVATE=PUBLIC)',
  },
  ERR_PORT_IN_USE: {
    exitCode: 2,
    problem: 'another program holds that port',
    remedy: 'stop it, or choose another port with --port, --alt-port or --http',
  },
  ERR_PORT_FORBIDDEN: {
    exitCode: 2,
    problem: 'this user may not bind that port',
    remedy: 'use a port from 1024 up, or give the process CAP_NET_BIND_SERVICE',
  },
  ERR_NO_PORT_MAPPER: {
    exitCode: 1,
    problem: 'no router on the way maps ports on request',
    remedy: 'switch on UPnP, NAT-PMP or PCP in the router’s settings',
  },
  ERR_MAPPING_REFUSED: {
    exitCode: 1,
    problem: 'the router does not map the port',
    remedy: 'try another port, or see the router’s settings',
  },
  ERR_NO_API: {
    exitCode: 3,
    problem: 'the server names no HTTP API that is reached at its address',
    remedy:
      'start natprobed with --http on an address of its --ip, or with --public-url; or say where the API is (--api URL)',
  },
  ERR_API_UNREACHABLE: {
    exitCode: 3,
    problem: 'the HTTP API cannot be reached',
    remedy: 'check that its port is open towards here, or give another --api URL',
  },
  ERR_API_ANSWER: {
    exitCode: 3,
    problem: 'what answers there is no natprobed',
    remedy: 'check --api, and what else serves HTTP on that host',
  },
  ERR_API_REFUSED: {
    exitCode: 1,
    problem: 'the server refused',
    remedy: 'see what it says, or ask its operator',
  },
  ERR_METRICS_UNREACHABLE: {
    exitCode: 3,
    problem: 'the metrics cannot be had',
    remedy:
      'check that natprobed runs, and where its HTTP is: --http HOST:PORT, or https://HOST:PORT with TLS',
  },
  ERR_NO_METRICS: {
    exitCode: 3,
    problem: 'what answers there is no natprobed',
    remedy: 'give the address of its HTTP side: --http HOST:PORT, or https://HOST:PORT with TLS',
  },
  ERR_WITNESS_KEYS: {
    exitCode: 2,
    problem: 'the file of witness keys cannot be used',
    remedy:
      'give one that this user can read, with a key of 64 hexadecimal digits a line (openssl rand -hex 32)',
  },
  ERR_DATA: {
    exitCode: 2,
    problem: 'that directory cannot be used for reports',
    remedy:
      'name one of natprobed’s own, which this user may write to; a server without --data keeps reports in memory',
  },
  ERR_DATABASE: {
    exitCode: 2,
    problem: 'that database cannot be used for reports',
    remedy:
      'write postgres://USER@HOST:5432/NAME, its password in PGPASSWORD or --database-password-file; USER needs a database of its own, to make tables in',
  },
  ERR_NATS: {
    exitCode: 2,
    problem: 'not the URL of a NATS server',
    remedy: 'write it as in nats://192.0.2.7:4222, or tls:// for TLS',
  },
  ERR_PAIR_NAME: {
    exitCode: 2,
    problem: 'not the name of a pair',
    remedy: 'take letters, digits, - and _, 64 at most, and the same on both hosts',
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
  ERR_STORE: {
    exitCode: 1,
    problem: 'the store of reports failed',
    remedy: 'see the server’s log; if its disk is full, make room',
  },
  ERR_NONCE_USED: {
    exitCode: 1,
    problem: 'another report has come with this nonce',
    remedy: 'measure again: a nonce is good for one report',
  },
  ERR_PAGE: {
    exitCode: 2,
    problem: 'not a page of this list',
    remedy: 'leave it out to begin, then give what the page before said is next',
  },
  ERR_OFFER: {
    exitCode: 2,
    problem: 'not an offer of one WebRTC data channel',
    remedy: 'send what createOffer() gave, with the line ends as they are',
  },
  ERR_BROWSER_SESSIONS: {
    exitCode: 1,
    problem: 'too many browsers are being measured',
    remedy: 'try again in ten seconds',
  },
  ERR_NO_BROWSER_SESSION: {
    exitCode: 1,
    problem: 'no such measurement, or it has ended',
    remedy: 'start again: it lasts ten seconds at most',
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
  ERR_KEY_FILE: {
    exitCode: 2,
    problem: 'the file of a key or a secret cannot be used',
    remedy: 'give one that this user can read, with what --help says of it',
  },
  ERR_TOKENS: {
    exitCode: 2,
    problem: 'the tokens cannot be used',
    remedy:
      'give a file that this user can read, with a token of 16 or more characters a line (openssl rand -hex 32)',
  },
  ERR_TLS: {
    exitCode: 2,
    problem: 'the certificate and its key cannot be used',
    remedy:
      'give PEM files that this user can read: the certificate with its chain, and the key that belongs to it',
  },
  ERR_BROKER_MESSAGE: {
    exitCode: 1,
    problem: 'not a message of natprobe/broker@1 that fits here',
    remedy: 'use a natprobe as new as the server, or correct that field',
  },
  ERR_BROKER_RATE: {
    exitCode: 1,
    problem: 'too much on this connection at once',
    remedy: 'connect again, and send less',
  },
  ERR_BROKER_FULL: {
    exitCode: 1,
    problem: 'the broker takes no more',
    remedy: 'try again later, or in another room',
  },
  ERR_BROKER_SILENT: {
    exitCode: 1,
    problem: 'nothing was heard on this connection in time',
    remedy: 'connect again, and answer each heartbeat',
  },
  ERR_BROKER_STOPS: {
    exitCode: 1,
    problem: 'the broker stops',
    remedy: 'connect again in a moment',
  },
  ERR_BROKER_LATE: {
    exitCode: 1,
    problem: 'the broker has not answered in time',
    remedy: 'try again; if that happens often, see the server’s log and the network in between',
  },
  ERR_BROKER_LOST: {
    exitCode: 3,
    problem: 'the connection to the broker is lost',
    remedy: 'check the network and that natprobed runs, then join again',
  },
  ERR_BROKERS_APART: {
    exitCode: 1,
    problem: 'the servers cannot agree just now',
    remedy:
      'try again in a few seconds; if that goes on, see that natprobed gets to NATS, and NATS’s JetStream has a leader',
  },
  ERR_NO_BROKER: {
    exitCode: 3,
    problem: 'no connection to a broker',
    remedy: 'check --server and --api, and that what is between lets WebSockets through',
  },
  ERR_PUNCH_FAILED: {
    exitCode: 1,
    problem: 'no hole was opened',
    remedy: 'try again, or take a relay; `natprobe preflight PEER` says what to expect',
  },
  ERR_ROOM_KEY: {
    exitCode: 2,
    problem: 'not the key of that room',
    remedy: 'ask those in the room for its key, or take another room',
  },
  ERR_ROOM_TOKEN: {
    exitCode: 2,
    problem: 'this server takes only peers with a token for their room',
    remedy:
      'ask whoever runs the server for a token that names this room, and join with it before it expires',
  },
  ERR_PEER_NAME: {
    exitCode: 2,
    problem: 'not a name for a peer or a room',
    remedy: 'give one of 1 to 64 characters; that of a peer has to have something else than digits',
  },
  ERR_NAME_TAKEN: {
    exitCode: 1,
    problem: 'somebody else in the room has that name',
    remedy: 'take another name; whoever had it before resumes it with the token that came with it',
  },
  ERR_SESSION_MOVED: {
    exitCode: 1,
    problem: 'another connection goes on with this name',
    remedy: 'join under another name if both are to stay',
  },
  ERR_CANDIDATE: {
    exitCode: 1,
    problem: 'a candidate that the broker cannot take',
    remedy:
      'ask the server’s STUN endpoints for witnesses under the nonce of this session, and send them within a minute',
  },
  ERR_NOT_REGISTERED: {
    exitCode: 1,
    problem: 'this peer is not registered, or its candidates are stale',
    remedy: 'send candidates with fresh witnesses first',
  },
  ERR_NO_PEER: {
    exitCode: 1,
    problem: 'no such peer in the room',
    remedy: 'see who is there with `natprobe peers`',
  },
  ERR_PEER_AWAY: {
    exitCode: 1,
    problem: 'the peer cannot be reached now',
    remedy: 'try again in a moment: its connection is lost, or its candidates are stale',
  },
  ERR_PEER_REFUSED: {
    exitCode: 1,
    problem: 'the peer does not want to be introduced',
    remedy: 'agree with whoever is there first',
  },
  ERR_PEER_SILENT: {
    exitCode: 1,
    problem: 'the peer has not said whether it wants to be introduced',
    remedy: 'try again when somebody is there to answer',
  },
  ERR_NOT_PREPARED: {
    exitCode: 1,
    problem: 'no fresh candidates came in time',
    remedy:
      'try again: each side has to open fresh sockets and have them witnessed as soon as the broker asks for it',
  },
  ERR_TRANSPORT: {
    exitCode: 1,
    problem: 'this server plans no punches over that transport',
    remedy: 'punch over UDP, or take a server that is as new as natprobe',
  },
  ERR_INTRODUCTIONS: {
    exitCode: 1,
    problem: 'too many introductions at once',
    remedy: 'wait until those under way have ended',
  },
  ERR_NO_INTRODUCTION: {
    exitCode: 1,
    problem: 'no such introduction of this peer, or it has ended',
    remedy: 'take the number from the question or the plan, and answer in time',
  },
  ERR_PEER_KEY: {
    exitCode: 1,
    problem: 'what the peer gave as its key is none',
    remedy: 'see that it runs a natprobe as new as this one; the broker may also have swapped it',
  },
  ERR_NO_WITNESS: {
    exitCode: 3,
    problem: 'the server does not say under proof how it sees this machine',
    remedy:
      'take the natprobed whose broker this is as --server, and see that its STUN port is the one meant',
  },
  ERR_HOLE_LOST: {
    exitCode: 1,
    problem: 'the connection to the peer broke',
    remedy: 'punch again: over TCP that is not done by itself',
  },
  ERR_STREAM_PLATFORM: {
    exitCode: 1,
    problem: 'the libraries that carry streams cannot be loaded here',
    remedy: 'use Linux, macOS or Windows on x64 or arm64, or --exec with a program of your own',
  },
  ERR_STREAM_SILENT: {
    exitCode: 1,
    problem: 'the hole is open, but nobody answers through it',
    remedy: 'start the other side with the same program, as in `natprobe join NAME --chat`',
  },
  ERR_STREAM_PROGRAM: {
    exitCode: 1,
    problem: 'the peer runs another program through the hole',
    remedy: 'give both sides the same one of --chat, --pipe and --bridge',
  },
  ERR_STREAM_KEY: {
    exitCode: 1,
    problem: 'what came through the hole was not made with its key',
    remedy: 'punch again; if that stays so, somebody on the way interferes',
  },
  ERR_STREAM_LOST: {
    exitCode: 1,
    problem: 'the stream through the hole broke off',
    remedy: 'punch again; what was not acknowledged may be missing',
  },
  ERR_OUTPUT: {
    exitCode: 1,
    problem: 'nobody takes what comes out',
    remedy: 'let the program that reads it run until the end',
  },
  ERR_BRIDGE: {
    exitCode: 2,
    problem: 'no socket can be opened towards the local program',
    remedy: 'give the address and port at which it receives, as in --bridge 127.0.0.1:51820',
  },
  ERR_EXEC: {
    exitCode: 1,
    problem: 'the command cannot be run',
    remedy: 'see that it runs without natprobe',
  },
  ERR_SELF_TEST: {
    exitCode: 1,
    problem: 'the server does not answer itself',
    remedy: 'check the firewall rules of this host for its own addresses and ports',
  },
  ERR_REQUEST: {
    exitCode: 1,
    problem: 'the request cannot be used',
    remedy: 'correct it; /docs describes each request',
  },
  ERR_JSON: {
    exitCode: 1,
    problem: 'the body is no JSON document',
    remedy: 'send one JSON object in UTF-8, nested no deeper than a report is',
  },
  ERR_FIELD: {
    exitCode: 1,
    problem: 'a field is not as the schema has it',
    remedy: 'correct that field; /openapi.json has the schema',
  },
  ERR_EVIDENCE: {
    exitCode: 1,
    problem: 'the evidence is none that a run of natprobe leaves',
    remedy: 'send the report as natprobe wrote it',
  },
  ERR_TOKEN: {
    exitCode: 1,
    problem: 'this is for holders of the token, or for this machine itself',
    remedy: 'send it as `Authorization: Bearer TOKEN`',
  },
  ERR_NOT_FOUND: {
    exitCode: 1,
    problem: 'nothing is there',
    remedy: 'check the path; /docs lists what there is',
  },
  ERR_NO_REPORT: {
    exitCode: 1,
    problem: 'there is no such report',
    remedy: 'check the id; the report may also have been kept for as long as reports are kept here',
  },
  ERR_METHOD: {
    exitCode: 1,
    problem: 'the method does not go with that path',
    remedy: 'use one that the Allow header names',
  },
  ERR_BODY_TOO_LARGE: {
    exitCode: 1,
    problem: 'the body is too large',
    remedy: 'send less: a report is far smaller',
  },
  ERR_MEDIA_TYPE: {
    exitCode: 1,
    problem: 'the body is of a type that is not taken',
    remedy: 'send it uncompressed, with `Content-Type: application/json`',
  },
  ERR_TOO_MANY_REQUESTS: {
    exitCode: 1,
    problem: 'too many requests from there',
    remedy: 'wait for as long as the Retry-After header says',
  },
  ERR_INTERNAL: {
    exitCode: 1,
    problem: 'the server failed',
    remedy: 'try again; its operator finds the cause in the log',
  },
  ERR_NOT_READY: {
    exitCode: 1,
    problem: 'the server cannot serve this now',
    remedy: 'try again in a moment',
  },
} as const;

export type ErrorCode = keyof typeof ERROR_CATALOGUE;

/** An error for a person: a catalogued code, the place it concerns (a flag, a file) and a detail. */
export class NatprobeError extends Error {
  readonly code: ErrorCode;
  readonly place: string;
  readonly detail: string | undefined;

  constructor(code: ErrorCode, place: string, detail?: string, options?: ErrorOptions) {
    const entry = ERROR_CATALOGUE[code];
    super(
      `${place}: ${entry.problem}${detail === undefined ? '' : ` (${detail})`}; ${entry.remedy}`,
      options,
    );
    this.name = 'NatprobeError';
    this.code = code;
    this.place = place;
    this.detail = detail;
  }

  get exitCode(): number {
    return ERROR_CATALOGUE[this.code].exitCode;
  }
}
