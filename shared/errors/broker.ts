/** What the broker refuses, and what becomes of the connection to it. */
export const BROKER_ERRORS = {
  ERR_NO_BROKER: {
    exitCode: 3,
    problem: 'no connection to a broker',
    remedy: 'check --server and --api, and that what is between lets WebSockets through',
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
} as const;
