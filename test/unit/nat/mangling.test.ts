import { describe, expect, it } from 'vitest';
import { assessMangling, describeMangling } from '../../../shared/nat/mangling.ts';
import { LOCAL, MAPPED, PP, response, run, series } from '../../support/evidence.ts';

const intact = response(0, 10, PP, MAPPED);

describe('payload mangling', () => {
  it('is a MAPPED-ADDRESS unlike the XOR-MAPPED-ADDRESS', () => {
    const axis = assessMangling([
      run(50),
      series('mapping', PP, [0, 5], [intact, { ...response(1, 15, PP, MAPPED), plainMapped: LOCAL }]),
    ]);
    expect(axis).toEqual({
      value: 'rewritten',
      confidence: 1,
      reasons: [
        {
          code: 'payload-rewritten',
          text: 'MAPPED-ADDRESS arrived as 10.0.0.2:40000, and was sent as 203.0.113.7:40000',
        },
      ],
      rewritten: { from: MAPPED, to: LOCAL },
    });
    expect(describeMangling(axis)).toBe('a gateway rewrites addresses inside packets (to 10.0.0.2:40000)');
  });

  it('is none where the two agreed', () => {
    const axis = assessMangling([
      run(50),
      series('mapping', PP, [0, 5], [intact, response(1, 15, PP, MAPPED)]),
    ]);
    expect([axis.value, axis.reasons[0]?.text]).toEqual([
      'none',
      'in 2 responses the plain and the disguised address were the same',
    ]);
    expect(describeMangling(axis)).toBe('addresses inside packets arrive as they were sent');
  });

  it('is unknown where there was one address only', () => {
    for (const mappedIn of ['mapped-address', 'xor-mapped-address'] as const) {
      const axis = assessMangling([run(50), series('mapping', PP, [0], [{ ...intact, mappedIn }])]);
      expect([axis.value, axis.confidence, describeMangling(axis)]).toEqual(['unknown', 0, 'unknown']);
    }
    expect(assessMangling([run(50)]).value).toBe('unknown');
  });
});
