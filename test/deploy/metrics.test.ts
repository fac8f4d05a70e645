/** Rules and dashboard ask for metrics that natprobed has, by labels that they carry. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findFreePorts } from '../unit/server/loopback.ts';
import { PRIMARY, startNatprobed, type LocalServer } from '../cli/programs.ts';
import { readDeployFile, readYaml } from './deploy-files.ts';

const DASHBOARD = 'grafana/dashboards/natprobed.json';
const RULES = 'prometheus/natprobed.rules.yaml';

/** What Prometheus adds to each series that it scrapes. */
const TARGET_LABELS = ['job', 'instance'];

interface Panel {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly {
    readonly refId: string;
    readonly expr: string;
    readonly legendFormat: string;
  }[];
}

interface Dashboard {
  readonly panels: readonly Panel[];
  readonly templating: { readonly list: readonly { readonly name: string; readonly query: string }[] };
}

interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly annotations?: { readonly summary: string; readonly description: string };
}

const dashboard = JSON.parse(readDeployFile(DASHBOARD)) as Dashboard;
const [ruleFile] = readYaml(RULES) as [{ readonly groups: readonly { readonly rules: readonly Rule[] }[] }];
const rules = ruleFile.groups.flatMap((group) => group.rules);
const queries = [
  ...dashboard.panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
  ...dashboard.templating.list.map(({ query }) => query),
  ...rules.map(({ expr }) => expr),
];

let folder: string;
const servers: LocalServer[] = [];
/** Label names and values by series, as natprobed exposes them. */
let series: Map<string, Map<string, Set<string>>>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'natprobe-metrics-'));
  const keys = join(folder, 'keys');
  writeFileSync(keys, '00'.repeat(32));
  // With a pair's metrics too, though there is no NATS.
  const pair = ['--pair', 'nat-1', '--nats', 'nats://127.0.0.1:9', '--witness-key-file', keys];
  const paired = await readMetrics(pair);
  // And one whose broker is not its own.
  const joint = await readMetrics(['--nats', 'nats://127.0.0.1:9']);
  series = readExposition(`${paired}\n${joint}`);
});

async function readMetrics(flags: readonly string[]): Promise<string> {
  const [http] = await findFreePorts(PRIMARY);
  // The last one wins over startNatprobed's --no-http.
  servers.push(await startNatprobed([PRIMARY], ['--http', `${PRIMARY}:${http}`, ...flags]));
  await fetch(`http://${PRIMARY}:${http}/healthz`);
  const response = await fetch(`http://${PRIMARY}:${http}/metrics`);
  expect(response.status).toBe(200);
  return response.text();
}

afterAll(async () => {
  await Promise.all(servers.map((server) => server.stop()));
  rmSync(folder, { recursive: true });
});

describe('every query', () => {
  it('names metrics that natprobed exposes', () => {
    const asked = new Set(queries.flatMap((query) => namesOf(query)));
    expect(asked.size).toBeGreaterThan(20);
    const recorded = new Set(rules.flatMap(({ record }) => record ?? []));
    expect([...asked].filter((name) => name !== 'up' && !recorded.has(name) && !series.has(name))).toEqual(
      [],
    );
  });

  it('selects by labels, and values of them, that these metrics have', () => {
    const wrong = queries.flatMap((query) =>
      selectorsOf(query).flatMap(({ name, label, operator, value }) => {
        const labels = series.get(name);
        if (TARGET_LABELS.includes(label) || labels === undefined) return [];
        const values = labels.get(label);
        const wanted = operator.includes('~') ? value.split('|') : [value];
        const isKnown = values !== undefined && wanted.every((one) => values.has(one) || one === '5..');
        return isKnown ? [] : [`${name}{${label}${operator}"${value}"}`];
      }),
    );
    expect(wrong).toEqual([]);
  });
});

describe('the alerts', () => {
  it('say what it is and what to do, and stand in the rules by names of their own', () => {
    const alerts = rules.filter(({ alert }) => alert !== undefined);
    expect(alerts.length).toBeGreaterThan(5);
    expect(new Set(alerts.map(({ alert }) => alert)).size).toBe(alerts.length);
    for (const { annotations } of alerts) {
      expect(annotations?.summary).toMatch(/\{\{ \$labels\.instance \}\}/);
      expect(annotations?.description).toMatch(/\.$/);
    }
  });
});

describe('the dashboard', () => {
  it('has panels with ids of their own, that do not overlap in the 24 columns', () => {
    const taken = new Set<string>();
    expect(new Set(dashboard.panels.map(({ id }) => id)).size).toBe(dashboard.panels.length);
    for (const { title, gridPos } of dashboard.panels) {
      expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++) {
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(taken.has(`${x} ${y}`), title).toBe(false);
          taken.add(`${x} ${y}`);
        }
      }
    }
  });

  it('shows something in every panel, and tells the lines of one apart', () => {
    for (const { type, title, targets = [] } of dashboard.panels) {
      if (type === 'row') continue;
      expect(targets.length, title).toBeGreaterThan(0);
      expect(new Set(targets.map(({ refId }) => refId)).size, title).toBe(targets.length);
      expect(new Set(targets.map(({ legendFormat }) => legendFormat)).size, title).toBe(targets.length);
    }
  });

  it('uses no variable that it does not define', () => {
    const defined = dashboard.templating.list.map(({ name }) => name);
    const used = [...readDeployFile(DASHBOARD).matchAll(/\$\{?([a-z_]+)/g)].map(([, name]) => name!);
    expect(
      [...new Set(used)].filter((name) => !defined.includes(name) && name !== '__rate_interval'),
    ).toEqual([]);
  });
});

/** Series by name, the parts of a histogram among them; what has no samples yet, by its TYPE. */
function readExposition(text: string): Map<string, Map<string, Set<string>>> {
  const found = new Map<string, Map<string, Set<string>>>();
  for (const [, name = '', labels = ''] of text.matchAll(/^(?:# TYPE )?([a-z][a-z0-9_]*)(?:\{(.*)\})? /gm)) {
    const known = found.get(name) ?? new Map<string, Set<string>>();
    found.set(name, known);
    for (const [, label = '', value = ''] of labels.matchAll(/(\w+)="([^"]*)"/g)) {
      known.set(label, (known.get(label) ?? new Set()).add(value));
    }
  }
  return found;
}

function namesOf(query: string): string[] {
  return query.match(/\b(?:instance:natprobed|natprobed|process|nodejs)_\w+(?::\w+)?|\bup\b/g) ?? [];
}

function selectorsOf(query: string): { name: string; label: string; operator: string; value: string }[] {
  return [...query.matchAll(/(\w+)\{([^}]*)\}/g)].flatMap(([, name = '', matchers = '']) =>
    [...matchers.matchAll(/(\w+)(=~|!~|!=|=)"([^"]*)"/g)].map(
      ([, label = '', operator = '', value = '']) => ({
        name,
        label,
        operator,
        value,
      }),
    ),
  );
}
