/** What keeps a hole from opening, and what is spoken through it from getting through. */
export const HOLE_ERRORS = {
  ERR_PUNCH_FAILED: {
    exitCode: 1,
    problem: 'no hole was opened',
    remedy: 'try again, or take a relay; `natprobe preflight PEER` says what to expect',
  },
  ERR_PEER_KEY: {
    exitCode: 1,
    problem: 'what the peer gave as its key is none',
    remedy: 'see that it runs a natprobe as new as this one; the broker may also have swapped it',
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
} as const;
