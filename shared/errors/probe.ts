/** What keeps natprobe from measuring, and from the HTTP API of a server. */
export const PROBE_ERRORS = {
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
  ERR_NO_WITNESS: {
    exitCode: 3,
    problem: 'the server does not say under proof how it sees this machine',
    remedy:
      'take the natprobed whose broker this is as --server, and see that its STUN port is the one meant',
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
  ERR_OUTPUT: {
    exitCode: 1,
    problem: 'nobody takes what comes out',
    remedy: 'let the program that reads it run until the end',
  },
} as const;
