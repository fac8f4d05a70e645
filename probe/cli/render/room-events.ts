/** What happens to a member of a room, as `natprobe join` tells it. */
import type { BrokerPeer, PlannedPrediction } from '../../../shared/broker/messages.ts';
import { formatMs, plainLine } from '../../../shared/words.ts';
import type { PunchReport } from '../../hole.ts';
import { WIDTH, wrap } from '../../../shared/wrap.ts';
import { describePeer, describePunching, namePeer, plainName, summarisePunch } from './punch.ts';
import type { Style } from '../../../shared/style.ts';

/** What `natprobe join --json` prints, one a line. */
export type RoomEvent = { readonly schema: 'natprobe/join@1'; readonly at: string } & RoomNews;

export type RoomNews =
  | { readonly event: 'registered'; readonly name: string; readonly number: number; readonly room: string }
  /** Somebody wants in, and has to be answered in time. */
  | { readonly event: 'asked'; readonly peer: BrokerPeer; readonly timeoutMs: number }
  | { readonly event: 'answered'; readonly peer: BrokerPeer; readonly answer: Answer }
  /** A punch begins, or goes on with another attempt. */
  | {
      readonly event: 'punching';
      readonly peer: BrokerPeer;
      readonly predicted: PlannedPrediction;
      readonly attempt: number;
    }
  | { readonly event: 'open' | 'failed' | 'reopened'; readonly report: PunchReport }
  /** The hole is gone, and is punched again. */
  | { readonly event: 'lost'; readonly peer: BrokerPeer; readonly silentMs: number }
  /** With a reason where a TCP connection broke. */
  | {
      readonly event: 'closed';
      readonly peer: BrokerPeer;
      readonly code?: string;
      readonly reason?: string;
    }
  /** The connection to the broker is lost and sought again, or something else does not work at the moment. */
  | { readonly event: 'trouble'; readonly code: string; readonly message: string };

/** `withdrawn`: nobody said in time, or the peer doesn't want in any more. */
type Answer = 'yes' | 'no' | 'withdrawn';

/** `12:00:01  bob (peer 2): open by …`, wrapped. Ends with a newline. */
export function renderRoomEvent(event: RoomEvent, style: Style): string {
  const time = event.at.slice(11, 19);
  const [first = '', ...more] = wrap(`${time}  ${describeNews(event, style)}`, WIDTH, time.length + 2);
  return [first, ...more, ''].join('\n');
}

function describeNews(news: RoomNews, style: Style): string {
  switch (news.event) {
    case 'registered':
      return `registered as ${plainName(news.name)} (peer ${news.number}) in room ${plainName(news.room)}`;
    case 'asked':
      return `${describePeer(news.peer)}, wants in`;
    case 'answered':
      return `${namePeer(news.peer)}: ${ANSWERS[news.answer]}`;
    case 'punching':
      return `${namePeer(news.peer)}: ${describePunching(news)}`;
    case 'open':
    case 'failed':
      return `${namePeer(news.report.peer)}: ${summarisePunch(news.report, style)}`;
    case 'reopened':
      return `${namePeer(news.report.peer)}: again ${summarisePunch(news.report, style)}`;
    case 'lost':
      return `${namePeer(news.peer)}: silent for ${formatMs(news.silentMs)}, punching again`;
    case 'closed':
      return news.reason === undefined
        ? `${namePeer(news.peer)}: closed`
        : `${namePeer(news.peer)}: ${plainLine(news.reason, LONGEST_MESSAGE)}`;
    case 'trouble':
      return plainLine(news.message, LONGEST_MESSAGE);
  }
}

/** Of an error: more than any of ours comes to. */
const LONGEST_MESSAGE = 1000;

const ANSWERS: Readonly<Record<Answer, string>> = {
  yes: 'let in',
  no: 'refused',
  withdrawn: 'not answered in time',
};
