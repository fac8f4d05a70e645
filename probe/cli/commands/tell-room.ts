/** What `natprobe join` tells of what happens to it. */
import type { Hole } from '../../hole.ts';
import type { MembershipEvent } from '../../join.ts';
import type { RoomNews } from '../render/room-events.ts';

type Tell = (news: RoomNews) => void;

/** Tells what a person wants to know of, and of each hole what becomes of it; of questions only where somebody is asked. */
export function createTeller<Raw>(tell: Tell, isAsking: boolean): (event: MembershipEvent<Raw>) => void {
  let me = { name: '', number: 0, room: '' };
  return (event) => {
    switch (event.kind) {
      case 'joined':
        me = { name: event.name, number: event.number, room: event.room };
        return;
      case 'registered':
        tell({ event: 'registered', ...me });
        return;
      case 'asked':
        if (isAsking) tell({ event: 'asked', peer: event.peer, timeoutMs: event.timeoutMs });
        return;
      case 'answered':
        if (isAsking || event.answer === 'no')
          tell({ event: 'answered', peer: event.peer, answer: event.answer });
        return;
      case 'planned':
        tell({ event: 'punching', peer: event.peer, predicted: event.prediction, attempt: event.attempt });
        return;
      case 'hole':
      case 'tcp-hole':
        tellOfHole(event.hole, tell);
        return;
      case 'failed':
        tell({ event: 'failed', report: event.report });
        return;
      case 'lost':
      case 'unregistered':
      case 'trouble':
        tell({ event: 'trouble', code: event.error.code, message: event.error.message });
        return;
      // What follows tells more.
      case 'resumed':
      case 'waiting':
      case 'guessing':
      case 'retrying':
      case 'left':
        return;
    }
  };
}

function tellOfHole(hole: Hole<unknown>, tell: Tell): void {
  const { peer } = hole;
  tell({ event: 'open', report: hole.report });
  hole
    .on('lost', (silentMs) => tell({ event: 'lost', peer, silentMs }))
    .on('reopened', (report) => tell({ event: 'reopened', report }))
    .on('failed', (report) => tell({ event: 'failed', report }))
    .on('closed', (reason) =>
      tell({ event: 'closed', peer, ...(reason && { code: reason.code, reason: reason.message }) }),
    );
}
