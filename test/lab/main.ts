/** `npm run lab`: kernel NATs for people. `--list`, `run NAT -- CMD...`, `all`, `punch A B`. */
import { constants } from 'node:os';
import { parseArgs } from 'node:util';
import { FIRST_INSIDE, SECOND_INSIDE } from './allocation-nats.ts';
import { findLabNat, listExpectations } from './every-nat.ts';
import { LAB_HOMES } from './homes.ts';
import { endOf, labMissing, type Namespace } from './namespaces.ts';
import { openInternet, SERVER_ADDRESSES } from './internet.ts';
import { LAB_NATS, type LabNat } from './nats.ts';
import { readReport, runNatprobe, startNatprobed } from './natprobe.ts';
import { punchForPeople } from './punch-command.ts';
import { openHomeNetwork, portMapperLabMissing } from './port-mapper-network.ts';
import { describeVerdict, printTable } from './table.ts';

const USAGE = `Usage: npm run lab -- --list
       npm run lab -- run NAT [--loss PERCENT] -- COMMAND...
       npm run lab -- all
       npm run lab -- punch A B [--runs N] [--loss PERCENT]
       npm run lab -- punch all [--loss PERCENT]

  --list  prints every NAT of the lab, what it truly is, what each axis is expected to be, and what it is
          made of
  run     brings up natprobed at ${SERVER_ADDRESSES.ipv4.primary} and ${SERVER_ADDRESSES.ipv6.primary}, and
          a client behind NAT (mostly with ${FIRST_INSIDE}, and ${SECOND_INSIDE} for --also), and runs COMMAND
          as that client
  all     runs natprobe behind each NAT, in both families, and prints a table
  punch   joins a room from behind A and from behind B, punches N times, and prints a table; all: between all pairs

  npm run lab -- run symmetric-random -- node probe/cli/main.ts --server ${SERVER_ADDRESSES.ipv4.primary}
  npm run lab -- run linux-router --loss 20 -- sh
`;

async function main(words: string[]): Promise<number> {
  const [command, ...rest] = words;
  if (command === '--list' && rest.length === 0) return list();
  if (command === 'all' && rest.length === 0) return all();
  if (command === 'run') return run(rest);
  if (command === 'punch') return punch(rest);
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
  process.stdout.write('\n');
  const axisRows = listExpectations().flatMap(({ nat, axes }) =>
    axes.map((axis, index) => (index === 0 ? [nat.name, axis, nat.madeOf] : ['', axis, ''])),
  );
  printTable([['NAT', 'axes beyond mapping and filtering', 'made of'], ...axisRows]);
  process.stdout.write('\n');
  const homeRows = LAB_HOMES.map(({ name, layers, madeOf }) => [name, `layers ${layers}`, madeOf]);
  printTable([['home', 'axes', 'made of'], ...homeRows]);
  return 0;
}

async function run(words: readonly string[]): Promise<number> {
  const separator = words.indexOf('--');
  const [name, ...options] = separator === -1 ? words : words.slice(0, separator);
  const [program, ...args] = separator === -1 ? [] : words.slice(separator + 1);
  const loss = options.length === 0 ? 0 : lossOf(options);
  if (name === undefined || program === undefined || loss === undefined) return complain(USAGE);
  const open = openerOf(name);
  if (!open) return complain(`no NAT ${name} here; npm run lab -- --list names them\n`);
  const missing = open.missing();
  if (missing !== undefined) return complain(`the lab cannot run: ${missing}\n`);

  const place = await open.open();
  try {
    await place.setLoss(loss);
    const child = place.client.spawn(program, args, { stdio: 'inherit' });
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
    await place.close();
  }
}

/** Where a command runs: a client somewhere behind a NAT, with a server to ask. */
interface Place {
  readonly client: Namespace;
  setLoss(percent: number): Promise<void>;
  close(): Promise<void>;
}

/** How to make the place of that name, and what is missing for it. */
function openerOf(name: string): { open(): Promise<Place>; missing(): string | undefined } | undefined {
  const nat = findLabNat(name);
  if (nat) return { open: () => openPlace(nat), missing: labMissing };
  const home = LAB_HOMES.find((each) => each.name === name);
  return home && { open: () => openHomeNetwork(home.setting), missing: portMapperLabMissing };
}

async function openPlace(nat: LabNat): Promise<Place> {
  const internet = await openInternet();
  try {
    await startNatprobed(internet.server);
    const site = await internet.attach(nat);
    if (site.clientAddress.ipv4 === FIRST_INSIDE)
      await site.client.script(`ip address add ${SECOND_INSIDE}/24 dev net`);
    return {
      client: site.client,
      setLoss: (percent) => site.setLoss(percent),
      close: () => internet.close(),
    };
  } catch (error) {
    await internet.close();
    throw error;
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

async function punch(words: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...words],
    options: { runs: { type: 'string', default: '1' }, loss: { type: 'string', default: '0' } },
    allowPositionals: true,
  });
  const { runs, loss } = values;
  if (!/^[1-9]\d{0,2}$/.test(runs) || !/^\d{1,2}$/.test(loss)) return complain(USAGE);
  const missing = labMissing();
  if (missing !== undefined) return complain(`the lab cannot run: ${missing}\n`);
  const options = { runs: Number(runs), loss: Number(loss) };
  if (positionals.length === 1 && positionals[0] === 'all') return punchForPeople('all', options);
  const [a, b, ...more] = positionals.map(findLabNat);
  if (a === undefined || b === undefined || more.length > 0) return complain(USAGE);
  return punchForPeople([a, b], options);
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
