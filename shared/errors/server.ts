/** What keeps natprobed from starting or from serving. */
export const SERVER_ERRORS = {
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
  ERR_SELF_TEST: {
    exitCode: 1,
    problem: 'the server does not answer itself',
    remedy: 'check the firewall rules of this host for its own addresses and ports',
  },
  ERR_WITNESS_KEYS: {
    exitCode: 2,
    problem: 'the file of witness keys cannot be used',
    remedy:
      'give one that this user can read, with a key of 64 hexadecimal digits a line (openssl rand -hex 32)',
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
  ERR_STORE: {
    exitCode: 1,
    problem: 'the store of reports failed',
    remedy: 'see the server’s log; if its disk is full, make room',
  },
} as const;
