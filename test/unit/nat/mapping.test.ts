import { describe, expect, it } from 'vitest';
import type { Evidence } from '../../../shared/nat/evidence.ts';
import { assessMapping } from '../../../shared/nat/mapping.ts';
import { observe } from '../../../shared/nat/observations.ts';
import {
  AP,
  LOCAL,
  MAPPED,
  mappingSeries,
  PA,
  PP,
  publicPort,
  response,
  run,
  series,
  socket,
} from '../../support/evidence.ts';

function assess(...evidence: Evidence[]) {
  return assessMapping(observe([run(100), ...evidence]));
}

const SAME = [MAPPED, MAPPED, MAPPED, MAPPED] as const;
const BY_PORT = [MAPPED, publicPort(40001), publicPort(40002), publicPort(40003)] as const;
const BY_ADDRESS = [MAPPED, MAPPED, publicPort(40002), publicPort(40002)] as const;

describe('assessMapping', () => {
  it('reads none where every server saw the local endpoint', () => {
    const result = assess(socket('mapping'), ...mappingSeries('mapping', [LOCAL, LOCAL, LOCAL, LOCAL]));
    expect(result).toMatchObject({ mapping: 'none', confidence: 1, wantsConfirmation: false, mapped: LOCAL });
  });

  it('does not take a preserved port for no NAT', () => {
    const result = assess(socket('mapping'), ...mappingSeries('mapping', SAME));
    expect(MAPPED.port).toBe(LOCAL.port);
    expect(result).toMatchObject({
      mapping: 'endpoint-independent',
      confidence: 1,
      wantsConfirmation: false,
    });
  });

  it('wants a second socket before it calls a mapping dependent', () => {
    const result = assess(socket('mapping'), ...mappingSeries('mapping', BY_PORT));
    expect(result.mapping).toBe('address-and-port-dependent');
    expect(result.wantsConfirmation).toBe(true);
    expect(result.confidence).toBeLessThan(0.999);
  });

  it.each([
    ['address-and-port-dependent', BY_PORT],
    ['address-dependent', BY_ADDRESS],
  ] as const)('reads %s once two sockets agree', (mapping, mapped) => {
    const result = assess(
      socket('mapping'),
      ...mappingSeries('mapping', mapped),
      socket('mapping-2'),
      ...mappingSeries('mapping-2', mapped),
    );
    expect(result).toMatchObject({ mapping, confidence: 1, wantsConfirmation: false });
  });

  it('says that it may be a pool or two uplinks where only addresses differ, of every socket', () => {
    const moved = { ...MAPPED, address: '198.51.100.99' };
    const alike = [MAPPED, MAPPED, moved, moved] as const;
    const codesOf = (second: typeof alike | typeof BY_ADDRESS) =>
      assess(
        socket('mapping'),
        ...mappingSeries('mapping', alike),
        socket('mapping-2'),
        ...mappingSeries('mapping-2', second),
      ).reasons.map(({ code }) => code);
    expect(codesOf(alike)).toEqual(['mapping-by-address', 'mapping-several-addresses']);
    expect(codesOf(BY_ADDRESS)).toEqual(['mapping-by-address']);
  });

  it('takes one changed port of three sockets for a collision', () => {
    const collided = assess(
      socket('mapping'),
      ...mappingSeries('mapping', BY_PORT),
      socket('mapping-2'),
      ...mappingSeries('mapping-2', SAME),
    );
    expect(collided.wantsConfirmation).toBe(true);
    const outvoted = assess(
      socket('mapping'),
      ...mappingSeries('mapping', BY_PORT),
      socket('mapping-2'),
      ...mappingSeries('mapping-2', SAME),
      socket('mapping-3'),
      ...mappingSeries('mapping-3', SAME),
    );
    expect(outvoted).toMatchObject({ mapping: 'endpoint-independent', wantsConfirmation: false });
    expect(outvoted.reasons.map(({ code }) => code)).toContain('mapping-collision');
  });

  it('says dependent where no server showed two ports', () => {
    const one = (name: string, port: number): Evidence[] => [
      socket(name),
      series(name, PP, [0], [response(0, 10, PP, MAPPED)]),
      series(name, AP, [0], [response(0, 10, AP, publicPort(port))]),
    ];
    expect(assess(...one('mapping', 40001), ...one('mapping-2', 40005)).mapping).toBe('dependent');
  });

  it('does not know the mapping from one server address', () => {
    const result = assess(
      socket('mapping'),
      series('mapping', PP, [0], [response(0, 10, PP, MAPPED)]),
      series('mapping', PA, [0], [response(0, 10, PA, MAPPED)]),
    );
    expect(result).toMatchObject({ mapping: 'unknown', confidence: 1 });
    expect(result.reasons[0]!.code).toBe('mapping-one-address');
  });

  it('ignores a reply from another endpoint than the one asked', () => {
    const result = assess(
      socket('mapping'),
      series('mapping', PP, [0], [response(0, 10, PP, MAPPED)]),
      series('mapping', AP, [0], [response(0, 10, PA, publicPort(1))]),
    );
    expect(result.mapping).toBe('unknown');
  });
});
