/**
 * Runs in a client's namespace: `layers` classifies and prints the layers' evidence, `map` maps a port.
 * Prints one JSON document; an interrupt aborts.
 */
import { NatprobeError } from '../../shared/errors.ts';
import { endpointsOf } from '../../shared/nat/layers.ts';
import { gatherLayers } from '../../probe/drive/layers.ts';
import { mapPort, type MapPortOptions } from '../../probe/drive/map-port.ts';
import { classify } from '../../probe/index.ts';
import { SERVER_ADDRESSES } from './internet.ts';

const SERVER = { address: SERVER_ADDRESSES.ipv4.primary, port: 3478 };

async function layers(): Promise<unknown> {
  const report = await classify({ server: SERVER.address, families: ['ipv4'] });
  const endpoints = endpointsOf(report.evidence);
  if (endpoints === undefined) throw new Error('no server answered');
  const startedAt = performance.now();
  const evidence = await gatherLayers({ server: SERVER, endpoints });
  return { evidence, tookMs: performance.now() - startedAt };
}

function map(options: Pick<MapPortOptions, 'localPort'>): Promise<unknown> {
  const interrupt = new AbortController();
  process.on('SIGINT', () => interrupt.abort());
  return mapPort({
    server: { host: SERVER.address, port: SERVER.port },
    ...options,
    signal: interrupt.signal,
  });
}

async function main([command, options = '{}']: string[]): Promise<unknown> {
  try {
    return command === 'map'
      ? await map(JSON.parse(options) as Pick<MapPortOptions, 'localPort'>)
      : await layers();
  } catch (error) {
    if (error instanceof NatprobeError) return { error: error.code, message: error.message };
    throw error;
  }
}

process.stdout.write(`${JSON.stringify(await main(process.argv.slice(2)))}\n`);
