/**
 * `npm run bench:peers`: natprobe beside vovida's `stun` and coturn's `turnutils_natdiscovery`, each as
 * a whole process, with the same natprobed, behind every kernel NAT of the lab. Prints for each what it
 * said, whether that is right, its median wall time and the packets that it sent, and how many times
 * natprobe's time and packets that is.
 *
 * Ends in 1 if natprobe is wrong in any run, or takes more than a quarter of stun's time or a tenth of
 * turnutils' in a restricted, port-restricted or symmetric NAT. (turnutils waits nowhere where a
 * symmetric NAT filters nothing, and is held to nothing there.)
 */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import {
  describePeerVerdict,
  isRight,
  TURNUTILS_NATDISCOVERY,
  VOVIDA_STUN,
  type PeerClient,
} from '../interop/peers.ts';
import { openInternet, SERVER_ADDRESSES, type Internet, type Site } from '../lab/internet.ts';
import { labMissing, type Finished } from '../lab/namespaces.ts';
import { NATPROBE_ENVIRONMENT, readReport, startNatprobed } from '../lab/natprobe.ts';
import { LAB_NATS, type LabNat } from '../lab/nats.ts';
import { describeVerdict, printTable } from '../lab/table.ts';
import { inLanes } from '../support/lanes.ts';
import { missingPrograms } from '../support/system-programs.ts';
import { readArguments } from '../support/arguments.ts';

readArguments('bench:peers', {});

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SERVER = SERVER_ADDRESSES.ipv4.primary;
const NATPROBE_RUNS = 7;
const PEER_RUNS = 3;
/** Peers mostly wait, and may do so together; natprobe runs alone. */
const PEER_LANES = 4;

const GATED_TYPES = ['restricted-cone', 'port-restricted-cone', 'symmetric'];
const SHARE_OF_STUN = 1 / 4;
const SHARE_OF_TURNUTILS = 1 / 10;

interface Program {
  readonly name: string;
  run(site: Site): Promise<Finished>;
  /** What it said, in short, and whether that is right. */
  read(finished: Finished, nat: LabNat): { said: string; right: boolean };
}

interface Result {
  readonly said: string;
  /** In every run. */
  readonly right: boolean;
  readonly wallMs: number;
  readonly packets: number;
}

/** natprobe compiled, as it is installed. */
const NATPROBE: Program = {
  name: 'natprobe',
  run: ({ client }) =>
    client.run(process.execPath, [`${ROOT}dist/probe/cli/main.js`, '--server', SERVER, '--json'], {
      env: NATPROBE_ENVIRONMENT,
    }),
  read(finished, nat) {
    const said = describeVerdict(readReport(finished).verdict);
    return { said, right: said === describeVerdict(nat.truth.ipv4) };
  },
};

function peerProgram(peer: PeerClient): Program {
  return {
    name: peer.name,
    run: ({ client }) => client.run(peer.program, peer.arguments(SERVER)),
    read(finished, nat) {
      const verdict = peer.readVerdict(finished);
      return { said: describePeerVerdict(verdict), right: isRight(verdict, nat.truth.ipv4) };
    },
  };
}

const PEERS = [peerProgram(VOVIDA_STUN), peerProgram(TURNUTILS_NATDISCOVERY)];

async function main(): Promise<number> {
  const missing = labMissing() ?? missingPrograms(VOVIDA_STUN.program, TURNUTILS_NATDISCOVERY.program);
  if (missing !== undefined) {
    console.error(`bench:peers cannot run: ${missing}`);
    return 2;
  }
  const build = spawnSync('npm', ['run', '--silent', 'build'], { cwd: ROOT, stdio: ['ignore', 2, 2] });
  if (build.status !== 0) return 2;

  const internet = await openInternet();
  try {
    await startNatprobed(internet.server);
    const natprobe = await measure(internet, NATPROBE, NATPROBE_RUNS, 1);
    const peers: Result[][] = [];
    for (const peer of PEERS) peers.push(await measure(internet, peer, PEER_RUNS, PEER_LANES));
    return report(natprobe, peers);
  } finally {
    await internet.close();
  }
}

/** Runs the program behind each NAT, in the order of LAB_NATS. */
function measure(internet: Internet, program: Program, runs: number, lanes: number): Promise<Result[]> {
  return inLanes(lanes, LAB_NATS, async (nat) => {
    const site = await internet.attach(nat);
    await site.client.script(PACKET_COUNTER);
    const results: Result[] = [];
    for (let run = 0; run < runs; run++) {
      await site.forget();
      const finished = await program.run(site);
      results.push({
        ...program.read(finished, nat),
        wallMs: finished.wallMs,
        packets: await packetsSent(site),
      });
    }
    await site.close();
    return {
      said: [...new Set(results.map(({ said }) => said))].join(', '),
      right: results.every(({ right }) => right),
      wallMs: median(results.map(({ wallMs }) => wallMs)),
      packets: median(results.map(({ packets }) => packets)),
    };
  });
}

function report(natprobe: readonly Result[], peers: readonly (readonly Result[])[]): number {
  const rows = [['NAT', 'program', 'said', '', 'ms', 'packets', '× time', '× packets']];
  const failures: string[] = [];
  for (const [index, nat] of LAB_NATS.entries()) {
    const ours = natprobe[index]!;
    if (!ours.right) failures.push(`${nat.name}: natprobe said ${ours.said}`);
    rows.push([nat.name, NATPROBE.name, ...cells(ours), '1', '1']);
    for (const [peerIndex, peer] of PEERS.entries()) {
      const theirs = peers[peerIndex]![index]!;
      const slower = theirs.wallMs / ours.wallMs;
      rows.push([
        '',
        peer.name,
        ...cells(theirs),
        slower.toFixed(1),
        (theirs.packets / ours.packets).toFixed(1),
      ]);
      const share = allowedShare(nat, peer);
      if (share !== undefined && ours.wallMs > theirs.wallMs * share) {
        failures.push(
          `${nat.name}: natprobe took ${ours.wallMs.toFixed(0)} ms, more than ${share} of ${peer.name}'s ` +
            `${theirs.wallMs.toFixed(0)} ms`,
        );
      }
    }
  }
  printTable(rows);
  console.log(
    `\nMedians of ${NATPROBE_RUNS} runs of natprobe and ${PEER_RUNS} of each peer, whole processes; packets leave the client.`,
  );
  for (const failure of failures) console.log(`missed: ${failure}`);
  return failures.length === 0 ? 0 : 1;
}

function cells({ said, right, wallMs, packets }: Result): string[] {
  return [said, right ? 'right' : 'WRONG', wallMs.toFixed(0), String(packets)];
}

/** The share of the peer's time that natprobe may take behind this NAT, or undefined for any. */
function allowedShare({ truth }: LabNat, peer: Program): number | undefined {
  const { type, filtering } = truth.ipv4;
  if (!GATED_TYPES.includes(type)) return undefined;
  if (peer.name === VOVIDA_STUN.name) return SHARE_OF_STUN;
  return filtering === 'endpoint-independent' ? undefined : SHARE_OF_TURNUTILS;
}

const PACKET_COUNTER = `
nft -f - <<END
table inet bench {
  counter sent { }
  chain sent {
    type filter hook output priority filter;
    oifname "net" meta l4proto { udp, tcp } counter name sent
  }
}
END
`;

/** Since the last call. */
async function packetsSent({ client }: Site): Promise<number> {
  const { stdout, stderr } = await client.run('nft', ['reset', 'counter', 'inet', 'bench', 'sent']);
  const packets = /packets (\d+)/.exec(stdout)?.[1];
  if (packets === undefined) throw new Error(`no packet counter: ${stdout}${stderr}`);
  return Number(packets);
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

process.exitCode = await main();
