/** `npm run lab`: kernel NATs for people. `--list`, `run NAT -- CMD...`, `all`. */
import { constants } from 'node:os';
import { LAB_FRAGMENTS_NATS, LAB_HAIRPIN_NATS, LAB_LIFETIME_NATS } from './axis-nats.ts';
import { endOf, labMissing } from './namespaces.ts';
import { openInternet, SERVER_ADDRESSES } from './internet.ts';
import { LAB_NATS, labNat } from './nats.ts';
import { readReport, runNatprobe, startNatprobed } from './natprobe.ts';
import { describeVerdict, printTable } from './table.ts';
import { LAB_TCP_NATS } from './tcp-nats.ts';

const USAGE = `Usage: npm run lab -- --list
       npm run lab -- run NAT [--loss PERCENT] -- COMMAND...
       npm run lab -- all

  --list  prints every NAT of the lab, what it truly is and what it is made of
  run     brings up natprobed at ${SERVER_ADDRESSES.ipv4.primary} and ${SERVER_ADDRESSES.ipv6.primary}, and
          a client behind NAT, and runs COMMAND as that client
  all     runs natprobe behind each NAT, in both families, and prints a table

  npm run lab -- run symmetric-random -- node probe/cli/main.ts --server ${SERVER_ADDRESSES.ipv4.primary}
  npm run lab -- run linux-router --loss 20 -- sh
`;

async function main(words: string[]): Promise<number> {
  const [command, ...rest] = words;
  if (command === '--list' && rest.length === 0) return list();
  if (command === 'all' && rest.length === 0) return all();
  if (command === 'run') return run(rest);
  const help = command === '--help' || command === '-h';
  (help ? process.stdout : process.stderr).write(USAGE);
  return help ? 0 : 2;
}

function list(): number {
  const rows = LAB_NATS.map((nat) => [
    nat.name,
    describeVerdict(nat.truth.ipv4),
    describeVerdict(nat.truth.ipv6),
    nat.madeOf,
  ]);
  printTable([['NAT', 'IPv4', 'IPv6', 'made of'], ...rows]);
  const tcpRows = LAB_TCP_NATS.map(({ nat, tcp: { mapping, filtering, syn } }) => [
    nat.name,
    `${mapping}/${filtering}`,
    syn,
    nat.madeOf,
  ]);
  process.stdout.write('\n');
  printTable([['TCP', 'mapping/filtering', 'unsolicited SYN', 'made of'], ...tcpRows]);
  const axisRows = [
    ...LAB_LIFETIME_NATS.map(({ nat, briefMs, streamMs }) => [
      nat.name,
      `mappings live ${briefMs / 1000} s, ${streamMs / 1000} s as a stream`,
      nat.madeOf,
    ]),
    ...LAB_HAIRPIN_NATS.map(({ nat, hairpin }) => [nat.name, `hairpin ${hairpin}`, nat.madeOf]),
    ...LAB_FRAGMENTS_NATS.map(({ nat, fragments }) => [nat.name, `fragments ${fragments}`, nat.madeOf]),
  ];
  process.stdout.write('\n');
  printTable([['axes', 'truth', 'made of'], ...axisRows]);
  return 0;
}

async function run(words: readonly string[]): Promise<number> {
  const separator = words.indexOf('--');
  const [name, ...options] = separator === -1 ? words : words.slice(0, separator);
  const [program, ...args] = separator === -1 ? [] : words.slice(separator + 1);
  const loss = options.length === 0 ? 0 : lossOf(options);
  if (name === undefined || program === undefined || loss === undefined) return complain(USAGE);
  const nat = LAB_NATS.find((each) => each.name === name) && labNat(name);
  if (!nat) return complain(`no NAT ${name} here; npm run lab -- --list names them\n`);
  const missing = labMissing();
  if (missing !== undefined) return complain(`the lab cannot run: ${missing}\n`);

  const internet = await openInternet();
  try {
    await startNatprobed(internet.server);
    const site = await internet.attach(nat);
    await site.setLoss(loss);
    const child = site.client.spawn(program, args, { stdio: 'inherit' });
    // Typed at the terminal they reach the command by themselves; sent to us alone, they are passed on.
    // The lab is taken down once the command has ended.
    const passOn = (signal: NodeJS.Signals): boolean => child.kill(signal);
    process
      .on('SIGTERM', passOn)
      .on('SIGHUP', passOn)
      .on('SIGINT', () => undefined);
    const code = await endOf(child);
    return code ?? 128 + constants.signals[child.signalCode ?? 'SIGTERM'];
  } finally {
    await internet.close();
  }
}

async function all(): Promise<number> {
  const missing = labMissing();
  if (missing !== undefined) return complain(`the lab cannot run: ${missing}\n`);
  const internet = await openInternet();
  const rows: string[][] = [['NAT', 'family', 'truth', 'natprobe', '', 'ms']];
  let wrong = 0;
  try {
    await startNatprobed(internet.server);
    for (const nat of LAB_NATS) {
      const site = await internet.attach(nat);
      for (const [family, flag] of [
        ['ipv4', '-4'],
        ['ipv6', '-6'],
      ] as const) {
        const finished = await runNatprobe(site.client, ['--server', SERVER_ADDRESSES[family].primary, flag]);
        const { verdict, timing } = readReport(finished);
        const truth = describeVerdict(nat.truth[family]);
        const said = describeVerdict(verdict);
        if (said !== truth) wrong++;
        rows.push([
          nat.name,
          family,
          truth,
          said,
          said === truth ? 'right' : 'WRONG',
          timing.totalMs.toFixed(0),
        ]);
      }
      await site.close();
    }
  } finally {
    await internet.close();
  }
  printTable(rows);
  return wrong === 0 ? 0 : 1;
}

function lossOf(options: readonly string[]): number | undefined {
  const [flag, percent = '', ...others] = options;
  if (flag !== '--loss' || others.length > 0 || !/^\d{1,2}$/.test(percent)) return undefined;
  return Number(percent);
}

function complain(text: string): number {
  process.stderr.write(text);
  return 2;
}

process.exitCode = await main(process.argv.slice(2));
