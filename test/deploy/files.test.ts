/** deploy/ by its checkers, and held to what natprobed takes and where it listens by default. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { validate as validateDockerfile } from 'dockerfile-utils';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Namespace } from 'kubernetes-models/v1/Namespace';
import { Secret } from 'kubernetes-models/v1/Secret';
import { Service } from 'kubernetes-models/v1/Service';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  DEFAULT_ALTERNATE_PORT,
  DEFAULT_HTTP_PORT,
  DEFAULT_PORT,
  DEFAULT_TLS_PORT,
} from '../../shared/default-ports.ts';
import { ROOT } from '../cli/programs.ts';
import { labMissing } from '../lab/namespaces.ts';
import { describeIf, itIf } from '../support/requirements.ts';
import { natsMissing } from '../support/nats-server.ts';
import { missingPrograms, systemPath } from '../support/system-programs.ts';
import { DEPLOY, deployFiles, natprobedOptions, readDeployFile, readYaml } from './deploy-files.ts';

/** Not imported, since its types would bring the browser's into every file. */
const { parse: parseHcl } = createRequire(import.meta.url)('@cdktn/hcl2json') as {
  parse: (name: string, source: string) => Promise<unknown>;
};

const MODELS = { ConfigMap, Deployment, Namespace, PodDisruptionBudget, Secret, Service, StatefulSet };
const STUN_PORTS = [DEFAULT_PORT, DEFAULT_ALTERNATE_PORT];
const TLS_PORTS = [DEFAULT_TLS_PORT, DEFAULT_TLS_PORT + 1];

let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'natprobe-deploy-'));
});

afterAll(() => rm(folder, { recursive: true }));

async function run(program: string, args: readonly string[], env = {}): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(program, args, {
    cwd: DEPLOY,
    env: { ...process.env, ...env, PATH: systemPath() },
  });
  return stdout + stderr;
}

/** Its own check of a configuration. */
function runNatsServer(file: string, env = {}): Promise<string> {
  return run('nats-server', ['-t', '-c', file], env);
}

describe('the Dockerfile', () => {
  const dockerfile = readDeployFile('Dockerfile');

  it('is one, by its linter', () => {
    expect(validateDockerfile(dockerfile)).toEqual([]);
  });

  it('copies what is there, and what .dockerignore lets in', () => {
    const letIn = readDeployFile('Dockerfile.dockerignore').split('\n');
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.*) \S+$/gm)].flatMap(([, paths]) =>
      paths!.split(' '),
    );
    expect(copied.length).toBeGreaterThan(5);
    for (const path of copied) {
      expect(existsSync(join(ROOT, path)), path).toBe(true);
      expect(letIn, path).toContain(`!${path.replace(/\/$/, '')}`);
    }
  });

  it('runs as a user by number, without a shell, on natprobed’s ports', () => {
    expect(dockerfile).toMatch(/^USER [1-9]\d*:[1-9]\d*$/m);
    expect(dockerfile).toContain('ENTRYPOINT ["/nodejs/bin/node", "/app/dist/server/main.js"]');
    const exposed = /^EXPOSE (.*)$/m.exec(dockerfile)?.[1]?.split(' ');
    const udp = STUN_PORTS.map((port) => `${port}/udp`);
    const tcp = [...STUN_PORTS, ...TLS_PORTS, DEFAULT_HTTP_PORT].map((port) => `${port}/tcp`);
    expect(new Set(exposed)).toEqual(new Set([...udp, ...tcp]));
  });
});

describe('the compose files', () => {
  const files = deployFiles('.yaml').filter((file) => file.startsWith('compose/'));

  itIf(missingPrograms('docker-compose'))(
    'are taken by docker compose with the example of settings',
    async () => {
      expect(files).toEqual(['compose/full.yaml', 'compose/one-host.yaml', 'compose/two-hosts.yaml']);
      for (const file of files) {
        const example = ['--env-file', 'compose/env.example'];
        const shown = await run('docker-compose', [...example, '--file', file, 'config']);
        expect(shown).toContain('--advertise=10.0.0.4=192.0.2.1');
      }
    },
  );

  itIf(missingPrograms('docker-compose'))('say which setting is missing', async () => {
    const empty = join(folder, 'empty.env');
    await writeFile(empty, '');
    for (const file of files) {
      const failing = run('docker-compose', ['--env-file', empty, '--file', file, 'config']);
      await expect(failing).rejects.toThrow(/the machine's first address/);
    }
  });

  it('mount what is there, read-only where it is ours, and give no service more than it needs', () => {
    for (const file of files) {
      const [{ services }] = readYaml(file) as [{ services: Record<string, Record<string, unknown>> }];
      for (const [name, service] of Object.entries(services)) {
        expect(service, `${file} ${name}`).toMatchObject({
          network_mode: 'host',
          cap_drop: ['ALL'],
          security_opt: ['no-new-privileges:true'],
        });
        for (const volume of (service['volumes'] ?? []) as string[]) {
          const [from = '', , mode] = volume.split(':');
          if (!from.startsWith('..')) continue;
          expect(existsSync(join(DEPLOY, 'compose', from)), volume).toBe(true);
          expect(mode, volume).toBe('ro');
        }
      }
      expect(services['natprobed']).toMatchObject({ read_only: true });
    }
  });
});

describeIf(natsMissing(), missingPrograms('openssl'))('what nats-server reads', () => {
  it('is taken by it: alone, and with partners and their certificates', async () => {
    const alone = join(folder, 'nats.conf');
    await writeFile(alone, readDeployFile('nats/nats.conf'));
    expect(await runNatsServer(alone)).toContain('is valid');
    const [certificate, key] = [join(folder, 'nats.crt'), join(folder, 'nats.key')];
    const subject = ['-subj', '/CN=nats', '-keyout', key, '-out', certificate];
    await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', ...subject]);
    const paired = join(folder, 'nats-cluster.conf');
    const cluster = readDeployFile('nats/cluster.conf').replaceAll('/run/natprobed', folder);
    await writeFile(paired, readDeployFile('nats/nats.conf') + cluster.replace('nats-ca.crt', 'nats.crt'));
    const [{ services }] = readYaml('compose/two-hosts.yaml') as [
      { services: { nats: { environment: Record<string, string> } } },
    ];
    const routes = services.nats.environment['NATS_ROUTES']!.replace(/\$\{.*\}/, '192.0.2.129');
    expect(await runNatsServer(paired, { NATS_ROUTES: routes })).toContain('is valid');
    await expect(runNatsServer(paired)).rejects.toThrow(/NATS_ROUTES/);
  });
});

describe('the systemd files', () => {
  itIf(missingPrograms('systemd-analyze'))('hold to systemd’s checks, and leave little exposed', async () => {
    // The checker wants the program to be there.
    const unit = join(folder, 'natprobed.service');
    await writeFile(
      unit,
      readDeployFile('systemd/natprobed.service').replace('/usr/local/bin/natprobed', '/bin/true'),
    );
    expect(await run('systemd-analyze', ['verify', unit])).toBe('');
    const judged = await run('systemd-analyze', ['security', '--offline=yes', '--no-pager', unit]);
    const exposure = Number(/exposure level for natprobed\.service: ([\d.]+)/.exec(judged)?.[1]);
    expect(exposure).toBeLessThanOrEqual(1.5);
  });

  it('give the unit its options on one line, and its user', () => {
    expect(readDeployFile('systemd/natprobed.service')).toContain('$NATPROBED_OPTIONS');
    expect(readDeployFile('systemd/natprobed.env')).toMatch(/^NATPROBED_OPTIONS="--ip [^"\n]*"$/m);
    const user = /^User=(.*)$/m.exec(readDeployFile('systemd/natprobed.service'))?.[1];
    expect(readDeployFile('systemd/natprobed.sysusers.conf')).toMatch(new RegExp(`^u ${user} `, 'm'));
  });
});

describe('the Kubernetes manifests', () => {
  const read = (
    file: string,
  ): { kind: keyof typeof MODELS; spec?: unknown; data?: Record<string, string> }[] =>
    readYaml(file) as ReturnType<typeof read>;
  const objects = read('kubernetes/natprobed.yaml');
  const nats = read('kubernetes/nats.yaml');

  it('hold to the API’s schemas', () => {
    expect(objects.map(({ kind }) => kind)).toEqual([
      'Namespace',
      'Secret',
      'Deployment',
      'Deployment',
      'PodDisruptionBudget',
    ]);
    expect(nats.map(({ kind }) => kind)).toEqual([
      'ConfigMap',
      'Service',
      'StatefulSet',
      'PodDisruptionBudget',
    ]);
    for (const object of [...objects, ...nats]) new MODELS[object.kind](object as never).validate();
  });

  itIf(natsMissing())('give nats-server a configuration that it takes', async () => {
    const file = join(folder, 'kubernetes-nats.conf');
    await writeFile(file, nats[0]!.data!['nats.conf']!);
    expect(await runNatsServer(file, { POD_NAME: 'nats-0' })).toContain('is valid');
  });

  it('are found wrong by these schemas where they are', () => {
    const deployment = structuredClone(objects.find(({ kind }) => kind === 'Deployment'));
    Object.assign(deployment!.spec as object, { replicas: 'one' });
    expect(() => new Deployment(deployment as never).validate()).toThrow(/replicas/);
  });

  it('name secrets and selectors that are there, and two nodes', () => {
    const deployments = objects
      .filter(({ kind }) => kind === 'Deployment')
      .map((object) => new Deployment(object as never));
    const nodes = deployments.map(({ spec }) => spec?.template.spec?.nodeSelector?.['natprobe/server']);
    expect(new Set(nodes).size).toBe(2);
    for (const { spec } of deployments) {
      expect(spec?.template.metadata?.labels).toEqual(spec?.selector.matchLabels);
      const secrets = spec?.template.spec?.volumes?.flatMap(({ secret }) => secret?.secretName ?? []);
      expect(secrets).toEqual(['natprobed']);
      expect(spec?.template.spec?.hostNetwork).toBe(true);
    }
  });
});

describe('the Terraform module', () => {
  const files = deployFiles('.tf');

  it('is HCL, whose variables and locals are all declared and used', async () => {
    const source = files.map(readDeployFile).join('\n');
    for (const file of files) await parseHcl(file, readDeployFile(file));
    const declared = [...source.matchAll(/^variable "(\w+)"/gm)].map(([, name]) => name!);
    const used = [...source.matchAll(/\bvar\.(\w+)/g)].map(([, name]) => name!);
    expect(new Set(used)).toEqual(new Set(declared));
    const resources = [...source.matchAll(/^resource "(\w+)" "(\w+)"/gm)].map(
      ([, type, name]) => `${type}.${name}`,
    );
    const references = [...source.matchAll(/(?<![\w."])(aws_\w+\.natprobed)/g)].map(([, name]) => name!);
    expect(references.filter((name) => !resources.includes(name))).toEqual([]);
  });

  it('gives the machine’s first configuration all that it asks for, which then is YAML', () => {
    const template = readDeployFile('terraform/cloud-init.yaml.tftpl');
    const call = /templatefile\([^{]*\{([^}]*\})?[^{]*\{([\s\S]*?)\n {2}\}\)/.exec(
      readDeployFile('terraform/main.tf'),
    )?.[2];
    const given = [...(call ?? '').matchAll(/^ +(\w+) += /gm)].map(([, name]) => name!);
    const asked = [...template.matchAll(/\$\{(\w+)\}/g)].map(([, name]) => name!);
    expect(new Set(asked)).toEqual(new Set(given));
    expect(readYaml('terraform/cloud-init.yaml.tftpl')).toHaveLength(1);
  });

  it('opens natprobed’s ports', () => {
    const lists = [...readDeployFile('terraform/main.tf').matchAll(/for port in \[([\d, ]+)\]/g)];
    expect(lists.map(([, ports]) => ports!.split(', ').map(Number))).toEqual([
      STUN_PORTS,
      [...STUN_PORTS, ...TLS_PORTS, DEFAULT_HTTP_PORT],
    ]);
  });
});

describeIf(labMissing())('the firewall’s rules', () => {
  it('are taken by nft', async () => {
    expect(await run('nft', ['--check', '--file', 'nftables/natprobed.nft'])).toBe('');
  });
});

describe('the firewall', () => {
  it('opens natprobed’s ports', () => {
    const rules = readDeployFile('nftables/natprobed.nft');
    const sets = [...rules.matchAll(/elements = \{ ([\d, ]+) \}/g)].map(([, ports]) =>
      ports!.split(', ').map(Number),
    );
    expect(sets).toEqual([STUN_PORTS, TLS_PORTS]);
    expect(rules).toContain(`tcp dport ${DEFAULT_HTTP_PORT} accept`);
    const [, routes] = /^ *listen: "0\.0\.0\.0:(\d+)"$/m.exec(readDeployFile('nats/cluster.conf'))!;
    expect(rules).toContain(`tcp dport ${routes} ip saddr @nats_partners accept`);
    const relay = readDeployFile('coturn/turnserver.conf');
    const [port, first, last] = ['listening-port', 'min-port', 'max-port'].map(
      (name) => new RegExp(`^${name}=(\\d+)$`, 'm').exec(relay)![1],
    );
    expect(rules).toContain(`th dport ${port} accept`);
    expect(rules).toContain(`udp dport ${first}-${last} accept`);
  });
});

describeIf(missingPrograms('promtool'))('what Prometheus reads', () => {
  it('holds to promtool', async () => {
    await run('promtool', ['check', 'config', '--syntax-only', 'prometheus/prometheus.yaml']);
    expect(await run('promtool', ['check', 'rules', 'prometheus/natprobed.rules.yaml'])).toMatch(/SUCCESS/);
  });

  it('alerts when it should', async () => {
    await run('promtool', ['test', 'rules', 'prometheus/natprobed.rules.test.yaml']);
  });

  it('parses every query of the dashboard', async () => {
    const panels = (
      JSON.parse(readDeployFile('grafana/dashboards/natprobed.json')) as {
        panels: { targets?: { expr: string }[] }[];
      }
    ).panels.flatMap(({ targets = [] }) => targets);
    const rules = panels.map(({ expr }, index) => ({
      record: `query_${index}`,
      expr: expr.replaceAll('$__rate_interval', '5m'),
    }));
    const file = join(folder, 'dashboard.rules.json');
    await writeFile(file, JSON.stringify({ groups: [{ name: 'dashboard', rules }] }));
    expect(await run('promtool', ['check', 'rules', file])).toContain(`SUCCESS: ${rules.length} rules found`);
  });
});

describe('all of deploy/', () => {
  it('is YAML and JSON where it says so', () => {
    for (const file of deployFiles('.yaml')) expect(readYaml(file).length, file).toBeGreaterThan(0);
    for (const file of deployFiles('.json')) JSON.parse(readDeployFile(file));
  });

  it('gives natprobed no option that it does not know', async () => {
    const known = await natprobedOptions();
    for (const [file, words] of commandLines()) {
      const given = words.filter((word) => word.startsWith('--')).map((word) => word.split('=')[0]!);
      expect(given.length, file).toBeGreaterThan(0);
      expect(
        given.filter((option) => !known.has(option)),
        file,
      ).toEqual([]);
    }
  });

  it('is told of in its README, each file or its folder', () => {
    const readme = readDeployFile('README.md');
    const untold = deployFiles('').filter((file) => {
      const [top = '', ...rest] = file.split('/');
      return !readme.includes(`\`${file}\``) && !(rest.length > 0 && readme.includes(`\`${top}/`));
    });
    expect(untold).toEqual(['Dockerfile.dockerignore', 'README.md']);
  });
});

/** Each file that starts natprobed, and what it starts it with. */
function commandLines(): [file: string, words: string[]][] {
  const compose = deployFiles('.yaml')
    .filter((file) => file.startsWith('compose/'))
    .map((file): [string, string[]] => {
      const [{ services }] = readYaml(file) as [{ services: { natprobed: { command: string[] } } }];
      return [file, services.natprobed.command];
    });
  const manifests = 'kubernetes/natprobed.yaml';
  const containers = (readYaml(manifests) as { kind: string }[])
    .filter(({ kind }) => kind === 'Deployment')
    .flatMap((object) => new Deployment(object as never).spec?.template.spec?.containers ?? []);
  const texts: readonly [file: string, command: RegExp][] = [
    ['systemd/natprobed.env', /^NATPROBED_OPTIONS="(.*)"$/gm],
    ['systemd/natprobed.service', /^ExecStart=\S+natprobed (.*)$/gm],
    ['terraform/cloud-init.yaml.tftpl', /\$\{image\} ((?:[^\n]*\\\n)*[^\n]*)/g],
    ['README.md', /^ {4}natprobed (.*)$/gm],
  ];
  return [
    ...compose,
    ...containers.map(({ args = [] }): [string, string[]] => [manifests, args]),
    ...texts.map(([file, command]): [string, string[]] => [
      file,
      [...readDeployFile(file).matchAll(command)].flatMap(([, words]) => words!.split(/\s+/)),
    ]),
  ];
}
