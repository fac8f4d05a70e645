import type { BrokerPeer } from '../../../shared/broker/messages.ts';
import { EXIT } from '../exit-codes.ts';
import type { RoomFlags } from '../peer-settings.ts';
import { renderPeers } from '../render/punch.ts';
import { decideStyle } from '../../../shared/style.ts';
import { interruptibly } from './interrupt.ts';
import { prepareRoom, type RoomRun } from './prepare-room.ts';

/** What `natprobe peers --json` prints. */
interface PeersDocument {
  readonly schema: 'natprobe/peers@1';
  readonly room: string;
  readonly peers: readonly BrokerPeer[];
}

/** `natprobe peers`: lists who is registered in the room, and returns the exit code. Rejects with a NatprobeError. */
export async function peersCommand(flags: RoomFlags): Promise<number> {
  const run = prepareRoom(flags);
  return interruptibly((signal) => listPeers(run, signal));
}

async function listPeers({ settings, options }: RoomRun, signal: AbortSignal): Promise<number> {
  const { visitRoom } = await import('../../drive/join-room.ts');
  const visit = await visitRoom({ ...options, signal });
  try {
    const all = await visit.peers(signal);
    const peers = all.filter(({ number }) => number !== visit.number);
    const { room } = visit;
    const document: PeersDocument = { schema: 'natprobe/peers@1', room, peers };
    const style = decideStyle(settings.color, process.env, process.stdout.isTTY);
    process.stdout.write(
      settings.json ? `${JSON.stringify(document, undefined, 2)}\n` : renderPeers(room, peers, style),
    );
    return EXIT.verdict;
  } finally {
    await visit.leave();
  }
}
