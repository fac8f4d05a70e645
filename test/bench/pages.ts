/**
 * Visits to the page by real browsers behind kernel NATs under loss: what they are shown, and when. Ends in 1
 * if one was shown something that is not so, or nothing.
 *
 *     npm run bench:pages -- [--browser chromium|firefox] [--nats NAME,...] [--loss 5] [--visits 100]
 */
import { labMissing } from '../lab/namespaces.ts';
import { labNat } from '../lab/nats.ts';
import { BROWSERS, openPageServer, PAGE_NATS, truthOf, visit } from '../lab/pages.ts';
import { printTable } from '../lab/table.ts';
import { list, number, oneOf, percent, readArguments } from '../support/arguments.ts';
import { missingPrograms } from '../support/system-programs.ts';

const {
  browser: called,
  nats,
  loss,
  visits,
} = readArguments('bench:pages', {
  browser: oneOf(
    'chromium',
    BROWSERS.map(({ title }) => title.toLowerCase()),
  ),
  nats: list(PAGE_NATS.join(','), oneOf('open', PAGE_NATS)),
  loss: percent(5),
  visits: number(100, { least: 1 }),
});
const chosen = BROWSERS.find(({ title }) => title.toLowerCase() === called)!;
const missing = labMissing() ?? missingPrograms(chosen.program);
if (missing !== undefined) {
  console.error(`the lab cannot run: ${missing}`);
  process.exit(2);
}

const internet = await openPageServer();
const rows = [['NAT', 'visits', 'right', 'median ms', 'p90 ms', 'most ms']];
let isRight = true;
for (const name of nats) {
  const site = await internet.attach(labNat(name));
  const browser = await chosen.start(site.client);
  await site.setLoss(loss);
  const truth = truthOf(site);
  const timesMs: number[] = [];
  let right = 0;
  for (let run = 0; run < visits; run++) {
    await site.forget();
    const { shown, reasons, verdictMs } = await visit(browser);
    timesMs.push(verdictMs);
    if (shown.type === truth.type && shown.mapping === truth.mapping && shown.filtering === truth.filtering)
      right++;
    else console.error(`${name}, visit ${run + 1}: ${JSON.stringify(shown)} ${reasons}`);
  }
  await browser.close();
  await site.close();
  if (right < visits) isRight = false;
  timesMs.sort((a, b) => a - b);
  const at = (share: number): string => timesMs[Math.ceil(share * visits) - 1]!.toFixed(0);
  rows.push([name, String(visits), String(right), at(0.5), at(0.9), at(1)]);
}
await internet.close();
console.log(`${chosen.title}, ${loss} % of packets lost each way`);
printTable(rows);
process.exitCode = isRight ? 0 : 1;
