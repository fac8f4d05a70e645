import type { PunchPacket, PunchSimulation } from '../../../shared/punch/plain.ts';

/** Columns between the endpoints of both sides. */
const SHAFT = 40;

/**
 * Who sends what when, a packet a line. A1 and B1 are the public endpoints that the server saw; what
 * is sent again and fares as before is left out.
 */
export function drawExchange({ packets }: PunchSimulation): string[] {
  const drawn = new Set<string>();
  const lines: string[] = [];
  let lastRound = 0;
  for (const packet of packets) {
    const key = [packet.sender, packet.source, packet.target, packet.heard].join();
    if (drawn.has(key)) continue;
    drawn.add(key);
    const round = packet.round === lastRound ? ' ' : String(packet.round);
    lastRound = packet.round;
    lines.push(`${round}  ${drawPacket(packet)}  ${describeFate(packet, packets)}`);
  }
  return [...lines, ...nameEndpoints(packets)];
}

function drawPacket({ sender, source, target, heard }: PunchPacket): string {
  const [near, far] = sender === 'a' ? [source, target] : [target, source];
  const shaft = '-'.repeat(SHAFT - 1);
  const arrow = sender === 'a' ? shaft + (heard ? '>' : 'x') : (heard ? '<' : 'x') + shaft;
  return `A${near + 1} ${arrow} B${far + 1}`;
}

function describeFate(
  { sender, target, heard, round }: PunchPacket,
  packets: readonly PunchPacket[],
): string {
  if (!heard) return 'not let in';
  const isReply = packets.some(
    (earlier) =>
      earlier.heard && earlier.sender !== sender && earlier.source === target && earlier.round < round,
  );
  if (isReply) return 'a reply, heard';
  return target > 0 ? 'guessed, heard' : 'heard';
}

/** The endpoints that the server hasn't seen. */
function nameEndpoints(packets: readonly PunchPacket[]): string[] {
  const others = (['a', 'b'] as const).flatMap((side) => {
    const most = Math.max(...packets.filter(({ sender }) => sender === side).map(({ source }) => source));
    return Array.from({ length: Math.max(0, most) }, (_, index) => `${side.toUpperCase()}${index + 2}`);
  });
  return [
    'A1, B1: the public endpoints that the server saw',
    ...(others.length === 0 ? [] : [`${others.join(', ')}: made by the NAT for that destination`]),
  ];
}
