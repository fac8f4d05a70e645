/** Whether CHANGE-REQUEST is answered from where it should be, or refused where it can't be. Pure. */
import { formatEndpoint, sameEndpoint } from '../../shared/endpoint.ts';
import { doubtful, fine, type Finding, wrong } from '../../shared/findings.ts';
import { SERVER_ROLE_NAMES, type ServerRole } from '../../shared/role.ts';
import { listWords } from '../../shared/words.ts';
import type { ChangeFacts, FamilyFacts } from './facts.ts';

/** What came of one request: by the response's source, or what the receipt says of it. */
type Outcome = 'right' | 'ignored' | 'elsewhere' | 'refused' | 'unseen';

export function judgeChanges(name: string, facts: FamilyFacts): Finding[] {
  const check = `${name} CHANGE-REQUEST`;
  const { changes } = facts;
  if (changes.length === 0) return [];
  const outcomes = changes.map((change) => ({ change, outcome: outcomeOf(change, facts) }));
  const those = (wanted: Outcome): ChangeFacts[] =>
    outcomes.filter(({ outcome }) => outcome === wanted).map(({ change }) => change);
  if (!facts.corners.some(({ role }) => role === 3)) return [judgeOneAddress(check, those)];
  const ignored = those('ignored');
  if (ignored.length > 0) {
    const seen =
      ignored.length === changes.length
        ? 'it is ignored: the answer comes from where it was asked, and every NAT seems to let all in'
        : `it is ignored ${describe(ignored)}`;
    return [
      wrong(check, seen, 'take a server that follows RFC 5780; natprobe notices, other clients do not'),
    ];
  }
  const elsewhere = those('elsewhere');
  if (elsewhere.length > 0)
    return [
      wrong(
        check,
        `answers come from elsewhere than they should ${describe(elsewhere)}: ${formatEndpoint(sourceOf(elsewhere[0]!)!)}`,
        'look at NAT rules and routes of its host, and that each socket sends from its own address',
      ),
    ];
  const refused = those('refused');
  if (refused.length > 0)
    return [
      wrong(
        check,
        `it is refused ${describe(refused)}, though a second address is named`,
        'look at its log: the second address, or the other host of a pair, may be away',
      ),
    ];
  const unseen = those('unseen');
  if (unseen.length === 0)
    return [fine(check, `answers come from the right one, for all ${changes.length} that there are`)];
  return [
    doubtful(
      check,
      `no answer was seen to ${unseen.length} of ${changes.length}: the server does not send it, or the way here drops it`,
      'ask from a machine without a NAT or firewall in front of it; and look at what the server may send',
    ),
  ];
}

function judgeOneAddress(check: string, those: (wanted: Outcome) => readonly ChangeFacts[]): Finding {
  if (those('ignored').length > 0)
    return wrong(
      check,
      'it is ignored: with one address it should be refused, and so every NAT seems to let all in',
      'take a server that follows RFC 5780 §6; natprobe notices, other clients do not',
    );
  if (those('refused').length > 0)
    return fine(check, 'it is refused with 420, as with one address it has to be');
  return doubtful(check, 'it draws no answer, where 420 should come', 'RFC 5780 §6 has it');
}

function outcomeOf(change: ChangeFacts, { corners }: FamilyFacts): Outcome {
  const endpointOf = (role: number) => corners.find((corner) => corner.role === role)?.endpoint;
  const { asked, changedBits, response, receipt } = change;
  if (response?.errorCode !== undefined) return 'refused';
  const source = response?.from ?? receipt?.sentFrom;
  if (source === undefined) return 'unseen';
  const expected = endpointOf(asked ^ changedBits);
  if (expected !== undefined && sameEndpoint(source, expected)) return 'right';
  return sameEndpoint(source, endpointOf(asked)!) ? 'ignored' : 'elsewhere';
}

function sourceOf({ response, receipt }: ChangeFacts) {
  return response?.from ?? receipt?.sentFrom;
}

/** `asked at PP for AP, and at PA for AA`. */
function describe(changes: readonly ChangeFacts[]): string {
  const each = changes.map(({ asked, changedBits }) => {
    const wanted = SERVER_ROLE_NAMES[(asked ^ changedBits) as ServerRole];
    return `at ${SERVER_ROLE_NAMES[asked]} for ${wanted}`;
  });
  return `(${listWords(each)})`;
}
