/** What natprobe ends with. Errors carry theirs in the catalogue (shared/errors.ts). */
export const EXIT = {
  verdict: 0,
  opened: 0,
  inconclusive: 1,
  /** What `doctor` has looked at is not as it should be. */
  faulty: 1,
  punchFailed: 1,
  usage: 2,
  unreachable: 3,
  noGo: 4,
  /** 128 + SIGINT, as shells have it. */
  interrupted: 130,
} as const;

/** For --help, in order. */
export const EXIT_CODE_LINES: readonly (readonly [code: number, meaning: string])[] = [
  [EXIT.verdict, 'a verdict (also "UDP blocked"), any prediction, go, or a hole is open'],
  [EXIT.inconclusive, 'inconclusive; a fault (doctor); a punch, socket, mapping or report failed'],
  [EXIT.usage, 'usage: an option, the configuration file or the local port cannot be used'],
  [EXIT.unreachable, 'no server reached, no such name, or no HTTP API or broker there'],
  [EXIT.noGo, 'no-go: it takes a relay (preflight, punch)'],
];
