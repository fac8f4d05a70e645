/** What a punch begins with decides what opens; test/sim/plain-punch.test.ts holds plain ones against NATs. */
import { describe, expect, it } from 'vitest';
import { type Behaviour, opens, type Start, STARTS, simulatePunch } from '../../../shared/punch/plain.ts';
import { likeliestSide } from '../../../shared/punch/predict.ts';
import { parseBehaviour } from '../../../shared/punch/behaviour.ts';

function sideOf(name: string): Behaviour {
  const { mapping, filtering } = likeliestSide(parseBehaviour(name))!;
  return { mapping, filtering };
}

describe('a punch', () => {
  const cases: [string, string, Start, boolean][] = [
    ['EIM/APDF', 'EIM/APDF', 'plain', true],
    ['EIM/APDF', 'EIM/APDF', 'aAlone', false],
    ['APDM/APDF', 'EIM/EIF', 'aAlone', true],
    ['APDM/APDF', 'EIM/EIF', 'bAlone', false],
    ['APDM/APDF', 'EIM/APDF', 'plain', false],
    ['APDM/APDF', 'EIM/APDF', 'aGuessed', true],
    ['APDM/APDF', 'EIM/APDF', 'bGuessed', false],
    ['ADM/ADF', 'ADM/ADF', 'plain', false],
    ['ADM/ADF', 'ADM/ADF', 'aGuessed', true],
    ['ADM/ADF', 'APDM/APDF', 'aGuessed', true],
    ['APDM/ADF', 'APDM/APDF', 'aGuessed', false],
    ['APDM/APDF', 'APDM/APDF', 'aGuessed', false],
    ['APDM/APDF', 'APDM/APDF', 'bothGuessed', true],
    ['ADM/APDF', 'APDM/APDF', 'bothGuessed', true],
  ];
  it.each(cases)('between %s and %s that begins as %s: opens %s', (a, b, start, works) => {
    expect(opens(sideOf(a), sideOf(b), start)).toBe(works);
  });

  it('says packet by packet what was sent, and what got in', () => {
    expect(simulatePunch(sideOf('symmetric'), sideOf('restricted-cone'), STARTS.plain)).toEqual({
      works: true,
      packets: [
        { round: 1, sender: 'a', source: 1, target: 0, heard: true },
        { round: 1, sender: 'b', source: 0, target: 0, heard: false },
        { round: 2, sender: 'a', source: 1, target: 0, heard: true },
        { round: 2, sender: 'b', source: 0, target: 0, heard: false },
        { round: 2, sender: 'b', source: 0, target: 1, heard: true },
      ],
    });
  });
});
