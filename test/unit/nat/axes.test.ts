import { describe, expect, it } from 'vitest';
import { assessAxes, describeAxes } from '../../../shared/nat/axes.ts';
import { LOCAL, MAPPED, mappingSeries, PP, run, series, socket } from '../../support/evidence.ts';

const CLASSIFICATION = [
  run(100),
  socket('mapping'),
  ...mappingSeries('mapping', [MAPPED, MAPPED, MAPPED, MAPPED]),
];

describe('the axes', () => {
  it('are judged from the classification where no inquiry of their own is needed', () => {
    expect(assessAxes({}, CLASSIFICATION)).toMatchObject({ mangling: { value: 'none' } });
    const rewritten = series(
      'mapping',
      PP,
      [0],
      [{ kind: 'response', send: 0, atMs: 10, from: PP, mapped: MAPPED, plainMapped: LOCAL }],
    );
    expect(assessAxes({}, [...CLASSIFICATION, rewritten])).toMatchObject({
      mangling: { value: 'rewritten' },
    });
  });

  it('that were not measured are left out, of the report and for people', () => {
    const axes = assessAxes({}, CLASSIFICATION);
    expect(Object.keys(axes)).toEqual(['mangling', 'translation']);
    expect(describeAxes(axes)).toEqual([
      { label: 'Payload', sentences: ['addresses inside packets arrive as they were sent'] },
      { label: 'Translation', sentences: ['NAT44: IPv4 to IPv4'] },
    ]);
  });

  it('that an inquiry could not tell are unknown, with the reason', () => {
    const { tcp } = assessAxes({ tcp: [run(100)] }, CLASSIFICATION);
    expect(tcp).toMatchObject({ mapping: { value: 'unknown' }, filtering: { value: 'unknown' } });
    expect(tcp!.mapping.reasons).toHaveLength(1);
  });
});
